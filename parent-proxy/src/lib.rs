//! The proxy on the parent instance: it moves bytes, and decides by host name.
//!
//! ```text
//! customer ──tcp──► ingress ──vsock──► enclave      PROXY v2 header, then bytes
//! exchange ◄──tcp── egress  ◄──vsock── enclave      CONNECT host:port, allow-listed
//! probe    ──tcp──► admin   ──vsock──► enclave      GET /health, GET /metrics
//! ```
//!
//! # What it refuses to do
//!
//! * It ends no TLS and sees no plaintext; it links no cryptography.
//! * It reaches no host that is not on its list, and no private address unless
//!   the list's entry says so.
//! * It holds no bytes but those on their way, and keeps nothing afterwards.
//! * It logs nothing that came over a connection, but for a well-formed host
//!   name that it refused.
//!
//! # Map
//!
//! * [`config`], [`allow_list`], [`toml_reader`]: what the operator said, whole or refused
//! * [`proxy`]: start, reload, drain
//! * [`ingress`], [`egress`], [`admin`]: one connection of each kind
//! * [`relay`], [`silence`]: copying with half-close, without buffers or timers of its own
//! * [`admission`]: how many connections there may be
//! * [`http`]: the little HTTP/1 of egress and administration
//! * [`health`], [`metrics`], [`shared`], [`limits`]
//!
//! One thread copies. A connection's bytes never cross threads, which is what
//! keeps the round trip short; name look-ups and files have threads of their own.

pub mod admin;
pub mod admission;
pub mod allow_list;
pub mod config;
pub mod egress;
pub mod health;
pub mod http;
pub mod ingress;
pub mod limits;
pub mod metrics;
pub mod proxy;
pub mod relay;
pub mod shared;
pub mod silence;
pub mod toml_reader;
