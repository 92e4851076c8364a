//! Records as the window keeps them, and digests of their content.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::decimal::Number;
use crate::digest::{DigestKey, Fields};
use crate::event::{FillEvent, FlowEvent, IncomeEvent, IncomeKind, Liquidity, Market, Side};
use crate::names::{AccountId, AssetId, SymbolId};
use crate::pack::{Digest, Pack, Reader, Unpacked, Unsealable, packed, packed_enum};
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

/// What an execution did: no id, no order id, no symbol of a pair.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fill {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) did: Did,
    pub(crate) quote: AssetId,
    /// In the quote asset, without a sign.
    pub(crate) notional: Decimal,
    pub(crate) fee: Option<Fee>,
    /// Keyed digest of account, market, symbol and order id.
    pub(crate) order: Digest,
}

/// What changed hands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Did {
    /// Spot or margin: the base that came in, negative where it went out; the
    /// quote went the other way.
    Swap { base: AssetId, bought: Decimal },
    /// Futures.
    Trade {
        contract: SymbolId,
        settle: AssetId,
        qty: Decimal,
        price: Decimal,
        size: Decimal,
        inverse: bool,
    },
}

/// A fee; a negative amount is a rebate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fee {
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
    pub(crate) valued: Valued,
}

/// What a fee is valued by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Valued {
    /// The rate of its own asset.
    ByAsset,
    /// The rate of the quote, as so much of it at the fill's own price.
    ByQuote(Decimal),
    /// Nothing: the amount at the fill's price overflows.
    No,
}

/// An accepted, completed flow. Its ids decide how transfer legs match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
    pub(crate) id: Name,
    /// Keyed digest.
    pub(crate) txid: Option<Digest>,
    /// A deposit that a withdrawal took which is folded: the coins are on the
    /// way until it arrives.
    pub(crate) taken: bool,
}

/// Accepted income.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Income {
    pub(crate) stamp: Stamp,
    pub(crate) account: AccountId,
    pub(crate) kind: IncomeKind,
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
}

/// One account at one poll.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) stamp: Stamp,
    pub(crate) complete: bool,
    /// Net quantities, none of them zero, in order of the assets.
    pub(crate) wallet: Vec<(AssetId, Decimal)>,
    pub(crate) positions: Vec<Position>,
}

/// Shared between a poll and its valuation.
pub(crate) type Snapshots = std::collections::BTreeMap<AccountId, Arc<Snapshot>>;

/// An open futures position, or unrealised profit on one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) contract: SymbolId,
    pub(crate) qty: Decimal,
    pub(crate) entry: Decimal,
    pub(crate) unrealized: Decimal,
    pub(crate) settle: AssetId,
}

/// An account joins (`open`) or leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) stamp: Stamp,
    pub(crate) open: bool,
    /// It joins as if it had never left: with the value it left with.
    pub(crate) back: bool,
}

packed!(Stamp { at, seen, arrival });
packed!(Fill { stamp, account, did, quote, notional, fee, order });
packed!(Fee { asset, amount, valued });
packed!(Flow { stamp, account, asset, amount, id, txid, taken });
packed!(Income { stamp, account, kind, asset, amount });
packed!(Snapshot { stamp, complete, wallet, positions });
packed!(Position { contract, qty, entry, unrealized, settle });
packed!(Change { stamp, open, back });
packed_enum!(IncomeKind { Funding = 0, Interest = 1, Reward = 2, Rebate = 3, Other = 4 });

impl Pack for Did {
    fn pack(&self, to: &mut Vec<u8>) {
        match *self {
            Self::Swap { base, bought } => {
                to.push(0);
                (base, bought).pack(to);
            }
            Self::Trade { contract, settle, qty, price, size, inverse } => {
                to.push(if inverse { 2 } else { 1 });
                (contract, settle).pack(to);
                (qty, price, size).pack(to);
            }
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let kind = u8::unpack(from)?;
        if kind == 0 {
            let (base, bought) = Pack::unpack(from)?;
            return Ok(Self::Swap { base, bought });
        }
        let (contract, settle) = Pack::unpack(from)?;
        let (qty, price, size) = Pack::unpack(from)?;
        let inverse = kind == 2;
        if kind > 2 {
            Err(Unsealable)
        } else {
            Ok(Self::Trade { contract, settle, qty, price, size, inverse })
        }
    }
}

impl Pack for Valued {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::ByAsset => to.push(0),
            Self::ByQuote(amount) => {
                to.push(1);
                amount.pack(to);
            }
            Self::No => to.push(2),
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        match u8::unpack(from)? {
            0 => Ok(Self::ByAsset),
            1 => Pack::unpack(from).map(Self::ByQuote),
            2 => Ok(Self::No),
            _ => Err(Unsealable),
        }
    }
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
pub(crate) fn fill_content(key: DigestKey, event: &FillEvent) -> u64 {
    let fee = event.fee.as_ref();
    let side = if event.side == Side::Buy { "buy" } else { "sell" };
    Fields::new(key)
        .integer(event.t.as_micros())
        .text(event.base.as_str())
        .text(event.quote.as_str())
        .text(event.settle_asset.as_ref().map_or("", Asset::as_str))
        .text(side)
        .decimal(event.price.get())
        .decimal(event.qty.get())
        .decimal(event.contract_size.map_or(Decimal::ONE, Number::get))
        .text(if event.inverse { "inverse" } else { "linear" })
        .text(event.order_id.as_str())
        .text(event.liquidity.map_or("", |liquidity| match liquidity {
            Liquidity::Maker => "maker",
            Liquidity::Taker => "taker",
        }))
        .text(fee.map_or("", |fee| fee.asset.as_str()))
        .decimal(fee.map_or(Decimal::ZERO, |fee| fee.amount.get()))
        .digest()
}

pub(crate) fn flow_content(key: DigestKey, event: &FlowEvent) -> u64 {
    Fields::new(key)
        .integer(event.t.as_micros())
        .text(event.asset.as_str())
        .decimal(event.amount.get())
        .text(event.txid.as_ref().map_or("", Name::as_str))
        .digest()
}

pub(crate) fn income_content(key: DigestKey, event: &IncomeEvent) -> u64 {
    Fields::new(key)
        .integer(event.t.as_micros())
        .text(event.asset.as_str())
        .decimal(event.amount.get())
        .digest()
}
