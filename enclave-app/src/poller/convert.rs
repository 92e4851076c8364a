//! From an exchange's words to the events of the analytics.

use std::collections::BTreeMap;

use analytics::Timestamp;
use analytics::decimal::Number;
use analytics::event::{
    Balance, Event, Fee, FillEvent, FlowEvent, FlowStatus, IncomeEvent, IncomeKind, Liquidity,
    Market, Position, PriceEvent, Side, SnapshotEvent,
};
use analytics::text::{Asset, Name};
use exchanges::{
    AccountLogEntry, AmountUnit, BookingClass, Fill, Income, IncomeType, LedgerEntry, PositionSide,
    Price, Transfer, TransferKind, TransferStatus,
};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::account::Held;
use super::charges::Cost;

/// A value of an exchange that no event can carry: a time past the calendar, a sum past the
/// decimals. The poll counts as incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exchange's value cannot be carried")]
pub(super) struct NotCarried;

/// When events of one delivery were seen, and in which account.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) account: Name,
    /// Which part of the exchange it is.
    pub(super) market: exchanges::Market,
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
        let market = match self.market {
            exchanges::Market::MarginCross | exchanges::Market::MarginIsolated => Market::Margin,
            exchanges::Market::UsdM | exchanges::Market::CoinM | exchanges::Market::Futures => {
                Market::Futures
            }
            exchanges::Market::Unified if instrument.settle.is_some() => Market::Futures,
            exchanges::Market::Spot | exchanges::Market::Unified => Market::Spot,
        };
        Ok(Event::Fill(Box::new(FillEvent {
            t: time(fill.at)?,
            seen: self.seen(fill.at)?,
            account: self.account.clone(),
            market,
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

    /// A deposit or withdrawal, however far it has come; what counts is decided there.
    pub(super) fn flow(&self, transfer: &Transfer) -> Result<Event, NotCarried> {
        let at = happened(transfer);
        Ok(Event::Flow(FlowEvent {
            t: time(at)?,
            seen: self.seen(at)?,
            account: self.account.clone(),
            asset: asset(&transfer.asset)?,
            amount: Number::from(transfer.balance_change().ok_or(NotCarried)?),
            // Deposits and withdrawals have identifiers of their own.
            id: name(&match transfer.kind {
                TransferKind::Deposit => format!("d-{}", transfer.id),
                TransferKind::Withdrawal => format!("w-{}", transfer.id),
            })?,
            txid: transfer.txid.as_deref().filter(|id| !id.is_empty()).map(name).transpose()?,
            status: match transfer.status {
                TransferStatus::Ok => FlowStatus::Completed,
                TransferStatus::Pending | TransferStatus::Unknown => FlowStatus::Pending,
                TransferStatus::Failed => FlowStatus::Failed,
                TransferStatus::Canceled => FlowStatus::Canceled,
            },
        }))
    }

    /// A booking; `None` for what the fills tell already.
    pub(super) fn booking(&self, income: &Income) -> Result<Option<Event>, NotCarried> {
        let kind = match income.kind {
            IncomeType::Commission | IncomeType::RealizedPnl => return Ok(None),
            IncomeType::Transfer => {
                return self.moved(income.at, &income.asset, income.amount, &income.key).map(Some);
            }
            IncomeType::Funding => IncomeKind::Funding,
            IncomeType::Rebate => IncomeKind::Rebate,
            IncomeType::Bonus => IncomeKind::Reward,
            IncomeType::Conversion | IncomeType::LiquidationFee | IncomeType::Other => {
                IncomeKind::Other
            }
        };
        self.earned(kind, income.at, &income.asset, income.amount, &income.key).map(Some)
    }

    /// A booking of a spot account; `None` for what other lists tell already, and for what moves
    /// nothing but between its own wallets.
    pub(super) fn entry(&self, entry: &LedgerEntry) -> Result<Option<Event>, NotCarried> {
        let kind = match entry.class {
            // Purchases in an app are in no list of fills: their two sides cancel in value.
            BookingClass::Trade if entry.raw_type == "trade" => return Ok(None),
            BookingClass::Deposit | BookingClass::Withdrawal | BookingClass::Margin => {
                return Ok(None);
            }
            BookingClass::InternalTransfer if !leaves(entry) => return Ok(None),
            BookingClass::InternalTransfer | BookingClass::Transfer => {
                let change = entry.balance_change;
                return self.moved(entry.at, &entry.asset, change, &entry.id).map(Some);
            }
            BookingClass::Reward => IncomeKind::Reward,
            BookingClass::MarginFee | BookingClass::Interest => IncomeKind::Interest,
            BookingClass::Funding => IncomeKind::Funding,
            BookingClass::Trade
            | BookingClass::Adjustment
            | BookingClass::Conversion
            | BookingClass::Settlement
            | BookingClass::Other => IncomeKind::Other,
        };
        self.earned(kind, entry.at, &entry.asset, entry.balance_change, &entry.id).map(Some)
    }

    /// A booking of a futures account; `None` for what the fills tell: of an execution that is
    /// the profit, and the fee goes with the fill, but funding that was paid with it is not there.
    pub(super) fn log_entry(&self, entry: &AccountLogEntry) -> Result<Option<Event>, NotCarried> {
        let change = entry.balance_change;
        let (kind, amount) = match entry.class {
            BookingClass::Trade => (IncomeKind::Funding, entry.funding.unwrap_or_default()),
            BookingClass::Deposit
            | BookingClass::Withdrawal
            | BookingClass::InternalTransfer
            | BookingClass::Transfer => {
                return self.moved(entry.at, &entry.asset, change, &entry.id).map(Some);
            }
            BookingClass::Funding => (IncomeKind::Funding, change),
            BookingClass::Interest | BookingClass::MarginFee => (IncomeKind::Interest, change),
            BookingClass::Reward => (IncomeKind::Reward, change),
            BookingClass::Margin
            | BookingClass::Adjustment
            | BookingClass::Conversion
            | BookingClass::Settlement
            | BookingClass::Other => (IncomeKind::Other, change),
        };
        if amount.is_zero() {
            return Ok(None);
        }
        self.earned(kind, entry.at, &entry.asset, amount, &entry.id).map(Some)
    }

    /// A fee that belongs to no fill.
    pub(super) fn cost(&self, cost: &Cost) -> Result<Event, NotCarried> {
        let id = format!("c-{}", cost.id);
        self.earned(IncomeKind::Other, cost.at, &cost.fee.asset, -cost.fee.amount, &id)
    }

    /// What came from or went to another account of the customer's, or somebody else's.
    fn moved(
        &self,
        at: UnixMillis,
        code: &str,
        amount: Decimal,
        id: &str,
    ) -> Result<Event, NotCarried> {
        Ok(Event::Flow(FlowEvent {
            t: time(at)?,
            seen: self.seen(at)?,
            account: self.account.clone(),
            asset: asset(code)?,
            amount: Number::from(amount),
            id: name(&format!("b-{id}"))?,
            txid: None,
            status: FlowStatus::Completed,
        }))
    }

    /// What an account earned or paid in itself.
    fn earned(
        &self,
        kind: IncomeKind,
        at: UnixMillis,
        code: &str,
        amount: Decimal,
        id: &str,
    ) -> Result<Event, NotCarried> {
        Ok(Event::Income(IncomeEvent {
            t: time(at)?,
            seen: self.seen(at)?,
            account: self.account.clone(),
            kind,
            asset: asset(code)?,
            amount: Number::from(amount),
            id: name(id)?,
        }))
    }

    /// Everything the account holds at a round's time.
    pub(super) fn snapshot(
        &self,
        t: UnixMillis,
        held: &Held,
        complete: bool,
    ) -> Result<Event, NotCarried> {
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        for collateral in &held.collateral {
            add(&mut rows.entry(&collateral.asset).or_default().free, collateral.amount)?;
        }
        for balance in &held.balances {
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
            positions: held.positions.iter().map(position).collect::<Result<_, _>>()?,
            complete,
        }))
    }

    fn seen(&self, t: UnixMillis) -> Result<Option<Timestamp>, NotCarried> {
        (self.seen > t).then(|| time(self.seen)).transpose()
    }
}

/// A position with its sign; one whose worth the exchange does not tell cannot be carried.
fn position(position: &exchanges::Position) -> Result<Position, NotCarried> {
    let qty = match position.side {
        PositionSide::Long => position.amount,
        PositionSide::Short => -position.amount,
    };
    let profit = position.unrealized_pnl.ok_or(NotCarried)?;
    // Where the exchange tells the profit alone, the price that it follows from.
    let mark = || position.entry_price.checked_add(profit.checked_div(qty)?);
    Ok(Position {
        symbol: name(&position.instrument.raw)?,
        qty: Number::from(qty),
        entry_price: Number::from(position.entry_price),
        mark_price: Number::from(position.mark_price.or_else(mark).ok_or(NotCarried)?),
        unrealized_pnl: Number::from(profit),
        settle_asset: asset(position.settle.as_deref().ok_or(NotCarried)?)?,
    })
}

/// Whether a transfer between own wallets goes to one that belongs to another account of ours.
fn leaves(entry: &LedgerEntry) -> bool {
    matches!(entry.raw_subtype.as_deref(), Some("spottofutures" | "spotfromfutures"))
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

fn time(at: UnixMillis) -> Result<Timestamp, NotCarried> {
    Timestamp::from_millis(at.0).ok_or(NotCarried)
}

/// Exchanges list assets under any letters; the analytics know capitals and digits. Other codes
/// become `X` and a hash of theirs, the same wherever they occur.
fn asset(code: &str) -> Result<Asset, NotCarried> {
    code.parse()
        .or_else(|_| format!("X{}", digest(code, 12).to_uppercase()).parse())
        .map_err(|_| NotCarried)
}

/// An exchange's id, or a hash of one that is too long or holds control characters.
fn name(text: &str) -> Result<Name, NotCarried> {
    text.parse().or_else(|_| digest(text, 32).parse()).map_err(|_| NotCarried)
}

/// The first bytes of SHA-256, in hex.
fn digest(text: &str, len: usize) -> String {
    hex::encode(Sha256::digest(text.as_bytes()).get(..len).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_770_000_000_000);

    fn delivery() -> Delivery {
        let market = exchanges::Market::Spot;
        Delivery { account: "binance-spot".parse().unwrap(), market, seen: AT }
    }

    fn transfer(kind: TransferKind, status: TransferStatus) -> Transfer {
        Transfer {
            id: "1".into(),
            kind,
            asset: "USDT".into(),
            amount: Decimal::new(285, 1),
            fee: Some(exchanges::Money { asset: "USDT".into(), amount: Decimal::new(15, 1) }),
            status,
            txid: Some(String::new()),
            network: None,
            internal: None,
            at: UnixMillis(AT.0 - 5000),
            completed_at: None,
        }
    }

    fn flow(transfer: &Transfer) -> FlowEvent {
        let Event::Flow(flow) = delivery().flow(transfer).unwrap() else { panic!("no flow") };
        flow
    }

    #[test]
    fn a_withdrawal_takes_its_fee_along_and_a_deposit_does_not() {
        let withdrawal = flow(&transfer(TransferKind::Withdrawal, TransferStatus::Ok));
        assert_eq!(withdrawal.amount, Number::from(Decimal::from(-30)));
        assert_eq!(withdrawal.txid, None);
        let deposit = flow(&transfer(TransferKind::Deposit, TransferStatus::Ok));
        assert_eq!(deposit.amount, Number::from(Decimal::new(285, 1)));
        assert_ne!(deposit.id, withdrawal.id);
    }

    #[test]
    fn only_completed_transfers_are_told_as_completed() {
        for (status, told) in [
            (TransferStatus::Ok, FlowStatus::Completed),
            (TransferStatus::Pending, FlowStatus::Pending),
            (TransferStatus::Unknown, FlowStatus::Pending),
            (TransferStatus::Failed, FlowStatus::Failed),
            (TransferStatus::Canceled, FlowStatus::Canceled),
        ] {
            assert_eq!(flow(&transfer(TransferKind::Deposit, status)).status, told);
        }
    }

    #[test]
    fn names_of_any_kind_are_carried_and_told_apart() {
        let ours = |code| asset(code).unwrap();
        assert_eq!(ours("1INCH").as_str(), "1INCH");
        let odd = ["\u{5e01}\u{5b89}", "btc", "B-C", ""].map(ours);
        assert!(odd.iter().all(|code| code.as_str().len() == 25), "{odd:?}");
        assert_eq!(odd.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let long = "x".repeat(300);
        assert_eq!(name(&long).unwrap().as_str().len(), 64);
        assert_ne!(name(&long).unwrap(), name(&"x".repeat(301)).unwrap());
    }

    #[test]
    fn wallets_of_one_asset_are_added_up() {
        let balance = |wallet: &str, free: i64| exchanges::Balance {
            asset: "BTC".into(),
            wallet: wallet.into(),
            free: free.into(),
            used: 1.into(),
            total: (free + 1).into(),
            borrowed: 0.into(),
            interest: 0.into(),
            net: (free + 1).into(),
        };
        let balances = [balance("spot", 2), balance("earn", 4), balance("funding", 8)];
        let held = Held { balances: balances.into(), ..Held::default() };
        let Event::Snapshot(snapshot) = delivery().snapshot(AT, &held, true).unwrap() else {
            panic!("no snapshot");
        };
        let [row] = snapshot.balances.as_slice() else { panic!("{:?}", snapshot.balances) };
        let number = |value: i64| Number::from(Decimal::from(value));
        assert_eq!((row.free, row.locked, row.earn), (number(10), number(2), number(5)));
    }
}
