//! The engine from outside: scenarios with known results, worked examples,
//! properties of made-up scenarios, hostile input.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cases;
mod common;
mod examples;
mod figures;
mod folding;
mod hostile;
mod properties;
mod series;
mod world;
