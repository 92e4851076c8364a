//! Sessions: who may read which accounts, until when.
//!
//! ```text
//! envelope ─► Session<Opened> ─► Session<Active> ─► gone
//!   open        decrypted          every exchange      vault wiped, keys
//!               and signed for     proved its key      dropped, polling
//!                                  read-only           stopped
//! ```
//!
//! * [`lifecycle`]: the states as types; an opened session cannot sign, an
//!   expired one neither.
//! * [`vault`]: the credentials, in a secret mapping of their own.
//! * [`channel`]: the keys of one envelope: sealing answers, checking requests.
//! * [`table`]: the live sessions, their limits and their expiry.
//! * [`custody`]: opening, finding and ending, in the one right order.
//!
//! **Invariant:** the table holds only `Session<Active>`, and a session leaves
//! it together with its secrets: [`custody::Custody::end`] is the only way out.

pub mod channel;
pub mod custody;
pub mod lifecycle;
pub mod table;
pub mod vault;

pub use lifecycle::{Active, ActiveAccount, Opened, Session};
pub use vault::{Vault, VaultError};
