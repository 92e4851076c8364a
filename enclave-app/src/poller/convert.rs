//! From an exchange's words to the events of the analytics.

use std::collections::BTreeMap;

use analytics::Timestamp;
use analytics::decimal::Number;
use analytics::event::{
    Balance, Event, Fee, FillEvent, FlowEvent, FlowStatus, Liquidity, Market, PriceEvent, Side,
    SnapshotEvent,
};
use analytics::text::{Asset, Name};
use exchanges::{AmountUnit, Fill, Price, Transfer, TransferStatus};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;

/// A value of an exchange that no event can carry: a name with control characters, a time past
/// the calendar. The poll counts as incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exchange's value cannot be carried")]
pub(super) struct NotCarried;

/// When events of one delivery were seen, and in which account.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) account: Name,
    pub(super) seen: UnixMillis,
}

impl Delivery {
    pub(super) fn fill(&self, fill: &Fill) -> Result<Event, NotCarried> {
        let instrument = &fill.instrument;
        let fee = fill
            .fee
            .as_ref()
            .map(|fee| Ok(Fee { asset: asset(&fee.asset)?, amount: Number::from(fee.amount) }))
            .transpose()?;
        let futures = instrument.settle.is_some();
        Ok(Event::Fill(Box::new(FillEvent {
            t: time(fill.at)?,
            seen: self.seen(fill.at)?,
            account: self.account.clone(),
            market: if futures { Market::Futures } else { Market::Spot },
            symbol: name(&instrument.raw)?,
            base: asset(&instrument.base)?,
            quote: asset(&instrument.quote)?,
            settle_asset: instrument.settle.as_deref().map(asset).transpose()?,
            side: match fill.side {
                exchanges::Side::Buy => Side::Buy,
                exchanges::Side::Sell => Side::Sell,
            },
            price: Number::from(fill.price),
            qty: Number::from(fill.amount),
            contract_size: match fill.amount_unit {
                AmountUnit::Base => None,
                AmountUnit::Contract => Some(Number::from(instrument.contract_size)),
            },
            inverse: instrument.inverse,
            trade_id: name(&fill.id)?,
            order_id: name(&fill.order_id)?,
            liquidity: fill.liquidity.map(|liquidity| match liquidity {
                exchanges::Liquidity::Maker => Liquidity::Maker,
                exchanges::Liquidity::Taker => Liquidity::Taker,
            }),
            fee,
        })))
    }

    /// `None` for a transfer that is not final, or that never happened.
    pub(super) fn flow(&self, transfer: &Transfer) -> Result<Option<Event>, NotCarried> {
        let at = happened(transfer);
        if transfer.status != TransferStatus::Ok {
            return Ok(None);
        }
        Ok(Some(Event::Flow(FlowEvent {
            t: time(at)?,
            seen: self.seen(at)?,
            account: self.account.clone(),
            asset: asset(&transfer.asset)?,
            amount: Number::from(transfer.balance_change().ok_or(NotCarried)?),
            id: name(&transfer.id)?,
            txid: transfer.txid.as_deref().filter(|id| !id.is_empty()).map(name).transpose()?,
            status: FlowStatus::Completed,
        })))
    }

    /// All balances of the account at a round's time.
    pub(super) fn snapshot(
        &self,
        t: UnixMillis,
        balances: &[exchanges::Balance],
        complete: bool,
    ) -> Result<Event, NotCarried> {
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        for balance in balances {
            let row = rows.entry(&balance.asset).or_default();
            if balance.wallet == EARN {
                add(&mut row.earn, balance.total)?;
            } else {
                add(&mut row.free, balance.free)?;
                add(&mut row.locked, balance.used)?;
            }
            add(&mut row.borrowed, balance.borrowed)?;
            add(&mut row.interest, balance.interest)?;
        }
        let balances = rows
            .into_iter()
            .map(|(code, row)| {
                Ok(Balance {
                    asset: asset(code)?,
                    free: Number::from(row.free),
                    locked: Number::from(row.locked),
                    earn: Number::from(row.earn),
                    borrowed: Number::from(row.borrowed),
                    interest: Number::from(row.interest),
                })
            })
            .collect::<Result<_, NotCarried>>()?;
        Ok(Event::Snapshot(SnapshotEvent {
            t: time(t)?,
            seen: self.seen(t)?,
            account: self.account.clone(),
            balances,
            positions: Vec::new(),
            complete,
        }))
    }

    fn seen(&self, t: UnixMillis) -> Result<Option<Timestamp>, NotCarried> {
        (self.seen > t).then(|| time(self.seen)).transpose()
    }
}

/// A price as of `t`, delivered at `seen`.
pub(super) fn price(price: &Price, t: UnixMillis, seen: UnixMillis) -> Result<Event, NotCarried> {
    Ok(Event::Price(PriceEvent {
        t: time(t)?,
        seen: (seen > t).then(|| time(seen)).transpose()?,
        asset: asset(&price.base)?,
        quote: asset(&price.quote)?,
        price: Number::from(price.price),
    }))
}

/// When a transfer moved the balance.
pub(super) fn happened(transfer: &Transfer) -> UnixMillis {
    transfer.completed_at.unwrap_or(transfer.at)
}

pub(super) fn time(at: UnixMillis) -> Result<Timestamp, NotCarried> {
    Timestamp::from_millis(at.0).ok_or(NotCarried)
}

pub(super) fn asset(code: &str) -> Result<Asset, NotCarried> {
    code.parse().map_err(|_| NotCarried)
}

pub(super) fn name(text: &str) -> Result<Name, NotCarried> {
    text.parse().map_err(|_| NotCarried)
}

/// The wallet of staked and lent coins.
const EARN: &str = "earn";

#[derive(Default)]
struct Row {
    free: Decimal,
    locked: Decimal,
    earn: Decimal,
    borrowed: Decimal,
    interest: Decimal,
}

fn add(sum: &mut Decimal, amount: Decimal) -> Result<(), NotCarried> {
    *sum = sum.checked_add(amount).ok_or(NotCarried)?;
    Ok(())
}
