//! Every bound on what is read from an exchange or put into a request.

/// Bytes of one reply. The largest lists (1000 fills, all prices) stay under
/// 1 MiB; eight times that is room for longer field lists.
pub const REPLY_LEN_MAX: usize = 8 * 1024 * 1024;

/// Bytes of the list of instruments, which repeats filters for each of
/// several thousand pairs.
pub const INSTRUMENTS_REPLY_LEN_MAX: usize = 64 * 1024 * 1024;

/// Rows of one list. Binance gives at most 1000 rows a page and lists about
/// 3500 pairs.
pub const ROWS_MAX: usize = 20_000;

/// Fields of one JSON object. The longest documented one (a symbol of
/// exchangeInfo) has about 30; the results of a Kraken ticker are one object
/// with a field for each of about 1500 pairs.
pub const FIELDS_MAX: usize = 20_000;

/// Bytes of one text field that is kept: ids, transaction hashes, symbols.
/// Chain transaction ids with memo stay under 300.
pub const TEXT_LEN_MAX: usize = 512;

/// Bytes of one number. A 96-bit mantissa needs 29 digits; exchanges pad with
/// zeros, seldom beyond 40.
pub const NUMBER_LEN_MAX: usize = 96;

/// Unknown grants that are named in a refusal; more are only counted as one.
pub const UNKNOWN_GRANTS_MAX: usize = 32;

/// Bytes of a grant's name that are repeated to the customer.
pub const GRANT_LEN_MAX: usize = 64;

/// Bytes of an API key. Binance's have 64.
pub const API_KEY_LEN_MAX: usize = 512;

/// Bytes of an API secret. A 4096-bit RSA key in PEM has about 3300.
pub const API_SECRET_LEN_MAX: usize = 16 * 1024;

/// Bytes of a place in a list, as exchanges hand them out.
pub const CURSOR_LEN_MAX: usize = 512;

/// Bytes of a passphrase. Exchanges take 8 to 32.
pub const PASSPHRASE_LEN_MAX: usize = 256;

/// Symbols that one price query may name; the query string stays below 4 KiB.
pub const PRICE_SYMBOLS_MAX: usize = 100;

/// Bytes of an exchange's symbol.
pub const SYMBOL_LEN_MAX: usize = 64;
