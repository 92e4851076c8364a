//! Portfolio metrics from exchange events: events in, one [`ResultSet`] out.
//!
//! The definitions are `docs/metrics.md`; this crate is their only
//! implementation, and every value it returns names the method it follows
//! ([`methods`]).
//!
//! It refuses to read a clock, to do I/O and to calculate money in floats.
//! Time is an argument. Numbers are 28-digit decimals under checked
//! arithmetic: an overflow makes the poll it happened in unusable and is
//! counted, and never panics or wraps. Floats occur in one file, `approx`,
//! for powers whose exponent is a fraction.
//!
//! | module | what |
//! | --- | --- |
//! | [`event`], [`config`], [`case`] | what comes in |
//! | `ledger`, `record`, `names`, `digest` | what is accepted, once each |
//! | `window` | what is newer than the folded point |
//! | `book` | prices, legs and routes |
//! | `walk` | from the folded point through the window, for results and for folding |
//! | `valuation`, `stay` | which polls are valuations, and which events count |
//! | `transfer`, `effect`, `reconcile`, `flow` | what crossed the portfolio's border |
//! | `returns`, `approx` | percentage returns |
//! | `activity`, `pnl`, `inventory`, `risk`, `quality` | the other sections |
//! | `fold`, `carry` | taking it into sums, and the sums |
//! | `seal`, `pack` | the bytes of a sealed state |
//! | [`result`], [`mod@method`] | what goes out |
//! | `series` | the index day by day, for charts |
//!
//! ```
//! use analytics::{Config, DigestKey, Engine, Event};
//!
//! let config = Config::new("USD".parse()?, "2026-01-01T00:00:00Z".parse()?);
//! let mut engine = Engine::new(config, DigestKey::PUBLIC)?;
//! for line in [
//!     r#"{"type":"price","t":"2026-01-01T00:00:00Z","asset":"BTC","quote":"USD","price":"50000"}"#,
//!     r#"{"type":"snapshot","t":"2026-01-01T00:00:00Z","account":"a","balances":[{"asset":"BTC","free":"2"}]}"#,
//! ] {
//!     engine.feed(&serde_json::from_str::<Event>(line)?)?;
//! }
//! let result = engine.result("2026-01-01T00:00:00Z".parse()?)?;
//! assert_eq!(result.portfolio.unwrap().end_value.to_string(), "100000.00000000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::float_arithmetic)]

pub mod case;
pub mod config;
pub mod decimal;
pub mod event;
pub mod limits;
pub mod method;
pub mod result;
pub mod text;
pub mod time;

mod activity;
mod approx;
mod book;
mod carry;
mod digest;
mod effect;
mod engine;
mod flow;
mod fold;
mod inventory;
mod ledger;
mod names;
mod pack;
mod pnl;
mod quality;
mod reconcile;
mod record;
mod returns;
mod risk;
mod seal;
mod series;
mod stay;
mod transfer;
mod valuation;
mod walk;
mod window;

pub use case::{Case, CaseError};
pub use config::{Config, ConfigError};
pub use digest::DigestKey;
pub use engine::{Engine, ResultError};
pub use event::Event;
pub use ledger::{Fed, FeedError};
pub use method::{Method, method, methods};
pub use pack::Unsealable;
pub use result::ResultSet;
pub use seal::SealedSizes;
pub use series::{Figures, Series, SeriesDay};
pub use time::{Day, Timestamp};
