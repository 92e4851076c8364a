//! The events the engine is fed with: closed schemas, every text and list
//! bounded.
//!
//! Numbers are decimal strings, times RFC 3339. A field that is absent takes
//! its default; a field that is unknown, repeated or `null` is refused.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::decimal::Number;
use crate::limits::SNAPSHOT_LEN_MAX;
use crate::text::{Asset, Name};
use crate::time::Timestamp;

/// One thing that was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A market price.
    Price(PriceEvent),
    /// The account becomes part of the portfolio.
    AccountOpen(AccountEvent),
    /// The account stops being part of the portfolio.
    AccountClose(AccountEvent),
    /// All balances and positions of one account at a poll.
    Snapshot(SnapshotEvent),
    /// One execution.
    Fill(Box<FillEvent>),
    /// A deposit, a withdrawal, or one leg of a transfer.
    Flow(FlowEvent),
    /// Income or cost inside the portfolio.
    Income(IncomeEvent),
}

/// 1 `asset` = `price` `quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceEvent {
    pub t: Timestamp,
    /// When it was delivered; `t` where absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub asset: Asset,
    pub quote: Asset,
    #[serde(deserialize_with = "unsigned")]
    pub price: Number,
}

/// An account joins or leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEvent {
    pub t: Timestamp,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub account: Name,
}

/// All balances of one account; an absent asset is 0. Snapshots of one poll
/// round carry the same `t`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotEvent {
    pub t: Timestamp,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub account: Name,
    #[serde(deserialize_with = "bounded_list")]
    pub balances: Vec<Balance>,
    #[serde(default, deserialize_with = "bounded_list", skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<Position>,
    /// False where the poll failed in part.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub complete: bool,
}

/// One asset in one wallet. Its net quantity is
/// `free + locked + earn - borrowed - interest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    pub asset: Asset,
    #[serde(default)]
    pub free: Number,
    #[serde(default, deserialize_with = "unsigned", skip_serializing_if = "is_zero")]
    pub locked: Number,
    #[serde(default, deserialize_with = "unsigned", skip_serializing_if = "is_zero")]
    pub earn: Number,
    #[serde(default, deserialize_with = "unsigned", skip_serializing_if = "is_zero")]
    pub borrowed: Number,
    #[serde(default, deserialize_with = "unsigned", skip_serializing_if = "is_zero")]
    pub interest: Number,
}

/// One futures position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub symbol: Name,
    /// Contracts; negative is short.
    pub qty: Number,
    #[serde(deserialize_with = "unsigned")]
    pub entry_price: Number,
    #[serde(deserialize_with = "unsigned")]
    pub mark_price: Number,
    /// In the settle asset.
    pub unrealized_pnl: Number,
    pub settle_asset: Asset,
}

/// Where an execution happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    Spot,
    Margin,
    Futures,
}

/// The side of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

/// Whether an execution rested in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liquidity {
    Maker,
    Taker,
}

/// A fee; a negative amount is a rebate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    pub asset: Asset,
    pub amount: Number,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillEvent {
    pub t: Timestamp,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub account: Name,
    pub market: Market,
    pub symbol: Name,
    pub base: Asset,
    pub quote: Asset,
    /// Futures: the asset profit is paid in. Where absent, the quote, or the
    /// base of an inverse contract.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub settle_asset: Option<Asset>,
    pub side: Side,
    #[serde(deserialize_with = "unsigned")]
    pub price: Number,
    #[serde(deserialize_with = "unsigned")]
    pub qty: Number,
    /// Units of base (inverse: of quote) in one contract; 1 where absent.
    #[serde(
        default,
        deserialize_with = "present_unsigned",
        skip_serializing_if = "Option::is_none"
    )]
    pub contract_size: Option<Number>,
    #[serde(default, skip_serializing_if = "is_no")]
    pub inverse: bool,
    pub trade_id: Name,
    pub order_id: Name,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub liquidity: Option<Liquidity>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
}

/// How far a deposit or withdrawal has come. Only `Completed` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowStatus {
    Pending,
    #[default]
    Completed,
    Failed,
    Canceled,
}

/// A deposit (positive), a withdrawal (negative), or one leg of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowEvent {
    pub t: Timestamp,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub account: Name,
    pub asset: Asset,
    /// The whole change of the balance.
    pub amount: Number,
    pub id: Name,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub txid: Option<Name>,
    #[serde(default, skip_serializing_if = "is_completed")]
    pub status: FlowStatus,
}

/// What internal income is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncomeKind {
    Funding,
    Interest,
    Reward,
    Rebate,
    Other,
}

/// Income (positive) or cost (negative) inside the portfolio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncomeEvent {
    pub t: Timestamp,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    pub account: Name,
    pub kind: IncomeKind,
    pub asset: Asset,
    pub amount: Number,
    pub id: Name,
}

impl Event {
    /// When it happened.
    pub fn t(&self) -> Timestamp {
        match self {
            Self::Price(e) => e.t,
            Self::AccountOpen(e) | Self::AccountClose(e) => e.t,
            Self::Snapshot(e) => e.t,
            Self::Fill(e) => e.t,
            Self::Flow(e) => e.t,
            Self::Income(e) => e.t,
        }
    }

    /// When it was delivered.
    pub fn seen(&self) -> Timestamp {
        let seen = match self {
            Self::Price(e) => e.seen,
            Self::AccountOpen(e) | Self::AccountClose(e) => e.seen,
            Self::Snapshot(e) => e.seen,
            Self::Fill(e) => e.seen,
            Self::Flow(e) => e.seen,
            Self::Income(e) => e.seen,
        };
        seen.unwrap_or_else(|| self.t())
    }
}

/// Some, or absent; never `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
    let number = Number::deserialize(from)?;
    if number < Number::ZERO {
        return Err(D::Error::custom("a negative number where none can be"));
    }
    Ok(number)
}

fn present_unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Number>, D::Error> {
    unsigned(from).map(Some)
}

fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(from)?;
    if list.len() > SNAPSHOT_LEN_MAX {
        return Err(D::Error::custom("a snapshot has too many entries"));
    }
    Ok(list)
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_yes(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

fn is_zero(number: &Number) -> bool {
    *number == Number::ZERO
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_completed(status: &FlowStatus) -> bool {
    *status == FlowStatus::Completed
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: &str = r#"{"type":"fill","t":"2026-01-01T00:00:00Z","account":"a","market":"spot",
        "symbol":"BTCUSD","base":"BTC","quote":"USD","side":"buy","price":"1","qty":"2",
        "trade_id":"1","order_id":"2"}"#;

    #[test]
    fn events_survive_a_round_trip() {
        for text in [
            FILL,
            r#"{"type":"price","t":"2026-01-01T00:00:00Z","asset":"A","quote":"B","price":"1"}"#,
            r#"{"type":"account_close","t":"2026-01-01T00:00:00Z","account":"a"}"#,
            r#"{"type":"snapshot","t":"2026-01-01T00:00:00Z","account":"a","complete":false,
                "balances":[{"asset":"A","free":"-1","borrowed":"2"}],
                "positions":[{"symbol":"S","qty":"-1","entry_price":"2","mark_price":"3",
                              "unrealized_pnl":"-4","settle_asset":"A"}]}"#,
            r#"{"type":"flow","t":"2026-01-01T00:00:00Z","seen":"2026-01-01T00:00:01Z",
                "account":"a","asset":"A","amount":"-1","id":"1","txid":"2","status":"pending"}"#,
            r#"{"type":"income","t":"2026-01-01T00:00:00Z","account":"a","kind":"funding",
                "asset":"A","amount":"-1","id":"1"}"#,
        ] {
            let event: Event = serde_json::from_str(text).unwrap();
            let again = serde_json::to_value(&event).unwrap();
            let original: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(again, original);
            assert_eq!(serde_json::from_value::<Event>(again).unwrap(), event);
        }
    }

    #[test]
    fn schemas_are_closed() {
        for (from, to) in [
            (r#""qty":"2""#, r#""qty":"2","more":1"#),
            (r#""qty":"2""#, r#""qty":"2","qty":"2""#),
            (r#""qty":"2","#, ""),
            (r#""qty":"2""#, r#""qty":2"#),
            (r#""qty":"2""#, r#""qty":"-2""#),
            (r#""qty":"2""#, r#""qty":"2e3""#),
            (r#""qty":"2""#, r#""qty":"2","seen":null"#),
            (r#""qty":"2""#, r#""qty":"2","contract_size":"-1""#),
            (r#""side":"buy""#, r#""side":"hold""#),
            (r#""base":"BTC""#, r#""base":"btc""#),
            (r#""type":"fill""#, r#""type":"order""#),
            ("00:00Z", "00:00+00:00"),
        ] {
            let text = FILL.replacen(from, to, 1).replace("2\",\n        \"trade", "2\",\"trade");
            assert!(serde_json::from_str::<Event>(&text).is_err(), "{to}");
        }
        assert!(serde_json::from_str::<Event>(FILL).is_ok());
    }

    #[test]
    fn snapshots_are_bounded() {
        let of = |len: usize| {
            let balances = vec![r#"{"asset":"A"}"#; len].join(",");
            let text = format!(
                r#"{{"type":"snapshot","t":"2026-01-01T00:00:00Z","account":"a","balances":[{balances}]}}"#
            );
            serde_json::from_str::<Event>(&text).is_ok()
        };
        assert!(of(SNAPSHOT_LEN_MAX));
        assert!(!of(SNAPSHOT_LEN_MAX + 1));
    }
}
