//! Every bound of this crate, unit last, each with its reason.

use rust_decimal::Decimal;

use crate::time::Timestamp;

/// Earliest time of an event: the Unix epoch. Exchanges send 0 for "unset".
pub const TIME_MIN: Timestamp = Timestamp::from_micros(0);

/// Latest time of an event, 2200-01-01: far past any report, and far from the
/// end of `i64` microseconds, so that adding windows cannot overflow.
pub const TIME_MAX: Timestamp = Timestamp::from_micros(7_258_118_400_000_000);

/// Longest window in the configuration: ten years. Two of them added to
/// [`TIME_MAX`] still fit.
pub const WINDOW_SECONDS_MAX: u32 = 315_360_000;

/// Characters of a decimal number. 28 digits are kept; zeros before them and
/// digits after them are read and rounded.
pub const NUMBER_LEN_MAX: usize = 128;

/// Characters of an asset code. The longest listed ones have about 20.
pub const ASSET_LEN_MAX: usize = 32;

/// Bytes of an account name, a symbol or an id given by an exchange.
pub const NAME_LEN_MAX: usize = 128;

/// Pivot currencies of a route. Three legs try every ordered pair of them.
pub const PIVOTS_MAX: usize = 8;

/// Pegs, as pairs of assets.
pub const PEGS_MAX: usize = 32;

/// Largest quantity, price or notional of one event: 10^22. The sum over
/// [`RECORDS_MAX`] of them is below the 7.9 x 10^28 of a 96-bit decimal; a sum
/// over a longer life that is not costs the tick it overflows at.
pub const AMOUNT_MAX: Decimal = Decimal::from_parts(0xB240_0000, 0x19E0_C9BA, 0x21E, false, 0);

/// Largest value in base currency of one event or one valuation: 10^20.
/// Larger is an overflow. Its sum over [`RECORDS_MAX`], and its product with
/// ten years in days, fit.
pub const VALUE_MAX: Decimal = Decimal::from_parts(0x6310_0000, 0x6BC7_5E2D, 0x5, false, 0);

/// Fills, flows and income records that are not folded yet, four a second for
/// three days.
pub const RECORDS_MAX: usize = 1 << 20;

/// Price points held, one per pair and time: 300 pairs at a point a minute for
/// nine days.
pub const PRICES_MAX: usize = 1 << 22;

/// Snapshots that are not folded yet: 256 accounts polled every minute for
/// three days are 1,105,920.
pub const SNAPSHOTS_MAX: usize = 1 << 21;

/// Non-zero balances and positions in them.
pub const BALANCES_MAX: usize = 1 << 23;

/// Balances, and positions, of one snapshot.
pub const SNAPSHOT_LEN_MAX: usize = 4096;

/// Accounts of one portfolio.
pub const ACCOUNTS_MAX: usize = 256;

/// Distinct assets, and distinct symbols, of one portfolio.
pub const NAMES_MAX: usize = 1 << 15;

/// Times accounts may join or leave before it is folded.
pub const CHANGES_MAX: usize = 1 << 12;

/// Flows that the money-weighted return takes one by one. Older ones count by
/// day, at the mean time of that day's.
pub const FLOWS_MAX: usize = 512;

/// Days and sides of older flows, two a day for ten years.
pub const FLOW_DAYS_MAX: usize = 7_320;

/// Days of the series for charts: ten years.
pub const SERIES_DAYS_MAX: usize = 3_660;

/// Bytes of a sealed state: a full window, and a century of hours.
pub const SEALED_LEN_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decimal_bounds_are_powers_of_ten() {
        assert_eq!(AMOUNT_MAX.to_string(), format!("1{}", "0".repeat(22)));
        assert_eq!(VALUE_MAX.to_string(), format!("1{}", "0".repeat(20)));
    }

    #[test]
    fn sums_over_the_record_bound_fit() {
        let records = Decimal::from(RECORDS_MAX);
        assert!(AMOUNT_MAX.checked_mul(records).is_some());
        assert!(VALUE_MAX.checked_mul(Decimal::from(WINDOW_SECONDS_MAX / 86_400)).is_some());
    }

    #[test]
    fn the_last_time_is_new_year_2200() {
        assert_eq!(TIME_MAX.to_string(), "2200-01-01T00:00:00Z");
    }
}
