//! Records as the ledger keeps them, and digests of their content.

use rust_decimal::Decimal;

use crate::decimal::Number;
use crate::digest::Fields;
use crate::event::{FillEvent, FlowEvent, IncomeEvent, IncomeKind, Liquidity, Market, Side};
use crate::names::{AccountId, AssetId, SymbolId};
use crate::text::{Asset, Name};
use crate::time::Timestamp;

/// When a record happened, was delivered, and arrived: the order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) at: Timestamp,
    pub(crate) seen: Timestamp,
    pub(crate) arrival: u64,
}

/// What a record of any kind has.
pub(crate) trait Record {
    fn stamp(&self) -> Stamp;
    fn account(&self) -> AccountId;
}

macro_rules! records {
    ($($name:ident),*) => {
        $(impl Record for $name {
            fn stamp(&self) -> Stamp {
                self.stamp
            }
            fn account(&self) -> AccountId {
                self.account
            }
        })*
    };
}

records!(Fill, Flow, Income);

/// An accepted execution, without its ids.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) market: Market,
    pub(crate) symbol: SymbolId,
    pub(crate) base: AssetId,
    pub(crate) quote: AssetId,
    pub(crate) settle: AssetId,
    pub(crate) side: Side,
    pub(crate) price: Decimal,
    pub(crate) qty: Decimal,
    pub(crate) contract_size: Decimal,
    pub(crate) inverse: bool,
    /// In the quote asset.
    pub(crate) notional: Decimal,
    pub(crate) fee: Option<(AssetId, Decimal)>,
    /// Digest of account, market, symbol and order id.
    pub(crate) order: u64,
}

/// An accepted, completed flow. Its ids decide how transfer legs match.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
    pub(crate) id: Name,
    pub(crate) txid: Option<Name>,
}

/// Accepted income.
#[derive(Clone, Debug)]
pub(crate) struct Income {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) kind: IncomeKind,
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
}

/// One account at one poll.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) stamp: Stamp,
    pub(crate) complete: bool,
    /// Net quantities, none of them zero.
    pub(crate) wallet: Vec<(AssetId, Decimal)>,
    pub(crate) positions: Vec<Position>,
}

/// An open futures position, or unrealised profit on one.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) symbol: SymbolId,
    pub(crate) qty: Decimal,
    pub(crate) entry: Decimal,
    pub(crate) unrealized: Decimal,
    pub(crate) settle: AssetId,
}

/// An account joins (`open`) or leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) stamp: Stamp,
    pub(crate) open: bool,
}

pub(crate) const fn market_name(market: Market) -> &'static str {
    match market {
        Market::Spot => "spot",
        Market::Margin => "margin",
        Market::Futures => "futures",
    }
}

pub(crate) const fn income_name(kind: IncomeKind) -> &'static str {
    match kind {
        IncomeKind::Funding => "funding",
        IncomeKind::Interest => "interest",
        IncomeKind::Reward => "reward",
        IncomeKind::Rebate => "rebate",
        IncomeKind::Other => "other",
    }
}

/// Digest of everything but `seen`; numbers by value, defaults filled in.
pub(crate) fn fill_content(event: &FillEvent) -> u64 {
    let fee = event.fee.as_ref();
    Fields::default()
        .text(&event.t.to_string())
        .text(event.base.as_str())
        .text(event.quote.as_str())
        .text(event.settle_asset.as_ref().map_or("", Asset::as_str))
        .text(if event.side == Side::Buy { "buy" } else { "sell" })
        .text(&plain(event.price))
        .text(&plain(event.qty))
        .text(&plain(event.contract_size.unwrap_or_else(|| Decimal::ONE.into())))
        .text(if event.inverse { "inverse" } else { "linear" })
        .text(event.order_id.as_str())
        .text(event.liquidity.map_or("", |liquidity| match liquidity {
            Liquidity::Maker => "maker",
            Liquidity::Taker => "taker",
        }))
        .text(fee.map_or("", |fee| fee.asset.as_str()))
        .text(&fee.map_or_else(String::new, |fee| plain(fee.amount)))
        .digest()
}

pub(crate) fn flow_content(event: &FlowEvent) -> u64 {
    Fields::default()
        .text(&event.t.to_string())
        .text(event.asset.as_str())
        .text(&plain(event.amount))
        .text(event.txid.as_ref().map_or("", Name::as_str))
        .digest()
}

pub(crate) fn income_content(event: &IncomeEvent) -> u64 {
    Fields::default()
        .text(&event.t.to_string())
        .text(event.asset.as_str())
        .text(&plain(event.amount))
        .digest()
}

fn plain(number: Number) -> String {
    number.get().normalize().to_string()
}
