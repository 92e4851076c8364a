//! What moves an account's holdings besides trades: deposits, withdrawals, bank payments.

use std::time::Duration;

use exchanges::{
    AccountLogEntry, BookingClass, Context, Fact, Income, IncomeType, Money, Query, TransferKind,
    TransferStatus, Window,
};
use protocol::time::UnixMillis;

use super::{Account, Ambiguous, Hand, Incomplete, within};
use crate::poller::charges::Cost;
use crate::poller::convert::happened;
use crate::poller::plan::Movement;

/// How far back transfers are asked for at every poll: pending ones become final, and completed
/// ones can be listed late.
const TRANSFERS_BACK: Duration = Duration::from_hours(48);

/// The largest page of bookings at Binance.
const BOOKINGS_PAGE: u16 = 1000;

impl Account {
    /// Every list that is due.
    pub(super) async fn movements(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let back = u64::try_from(TRANSFERS_BACK.as_millis()).unwrap_or(u64::MAX);
        // Lists are by the time of the request: one from before the start may complete after it.
        let window = Window::new(UnixMillis(now.0.saturating_sub(back)), now);
        self.transfers.forget(window.start);
        for list in self.plan.movements {
            if self.due.get(list).is_some_and(|due| now < *due) {
                continue;
            }
            let query = match list {
                Movement::Bookings | Movement::Ledger => {
                    self.bookings_of(hand, context, *list, ambiguous).await?;
                    continue;
                }
                Movement::Ways(ways) => {
                    for way in *ways {
                        let query = Query::transfers(Some((*way).to_owned()), window);
                        self.transfers_of(hand, query, ambiguous).await?;
                    }
                    continue;
                }
                Movement::WalletTransfers => {
                    for wallet in self.wallets.clone() {
                        let query = Query::transfers(Some(wallet), window);
                        self.transfers_of(hand, query, ambiguous).await?;
                    }
                    self.due.insert(*list, now.saturating_add(hand.cadence.of(*list)));
                    continue;
                }
                Movement::Transfers => Query::transfers(None, window),
                Movement::Deposits => Query::deposits(window),
                Movement::Withdrawals => Query::withdrawals(window),
                Movement::FiatDeposits => Query::fiat_orders(TransferKind::Deposit, window),
                Movement::FiatWithdrawals => Query::fiat_orders(TransferKind::Withdrawal, window),
            };
            self.transfers_of(hand, query, ambiguous).await?;
            self.due.insert(*list, now.saturating_add(hand.cadence.of(*list)));
            // Each costs half of the account's minute: one a round, where rounds take time.
            if *list == Movement::FiatDeposits && !hand.cadence.fiat.is_zero() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bookings since the last ones, and again those of the overlap: some are listed late.
    async fn bookings_of(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        list: Movement,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let start = self.bookings.start(self.since);
        if start > now {
            // The very moment of the first balance: nothing lies after it yet.
            return Ok(());
        }
        let query = if list == Movement::Ledger {
            Query::ledger(Window::new(start, now))
        } else {
            Query::Income { start: Some(start), end: Some(now), page: 1, limit: BOOKINGS_PAGE }
        };
        let facts = self.ask(hand, query, context).await?;
        let delivery = self.delivery(hand.desk.clock.now());
        let mut events = Vec::new();
        let mut read = Vec::new();
        let mut costs = Vec::new();
        for fact in facts {
            let mut cost = None;
            let (key, asset, at, event) = if let Fact::Income(income) = fact {
                self.pairs.extend(traded(&income, context));
                let event = delivery.booking(&income)?;
                (income.key, income.asset, income.at, event)
            } else if let Fact::LedgerEntry(entry) = fact {
                let event = delivery.entry(&entry)?;
                (entry.id, entry.asset, entry.at, event)
            } else if let Fact::AccountLogEntry(entry) = fact {
                let event = delivery.log_entry(&entry)?;
                cost = charge(&entry);
                (entry.id, entry.asset, entry.at, event)
            } else {
                continue;
            };
            if !self.bookings.is_new(&key, at) {
                continue;
            }
            if at > self.since && !within(at, ambiguous) {
                events.extend(event.map(|event| (at, event)));
                // What cannot be carried must fail the answer, and not a later round.
                cost.iter().try_for_each(|(_, cost)| delivery.cost(cost).map(drop))?;
                costs.extend(cost);
            }
            self.assets.entry(asset).or_default();
            read.push((key, at));
        }
        // The whole answer was read: now the mark may move.
        self.bookings.advance(read, now);
        for (execution, cost) in costs {
            self.charges.cost(execution, cost);
        }
        self.charges.costs_read(now);
        // Some lists are newest first.
        events.sort_by_key(|(at, _)| *at);
        self.events.extend(events.into_iter().map(|(_, event)| event));
        Ok(())
    }

    async fn transfers_of(
        &mut self,
        hand: Hand<'_>,
        query: Query,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let facts = self.ask(hand, query, &Context::default()).await?;
        let delivery = self.delivery(hand.desk.clock.now());
        for fact in facts {
            let Fact::Transfer(transfer) = fact else { continue };
            let news = self.transfers.is_news(&transfer, self.since, delivery.seen);
            if !news || transfer.status == TransferStatus::Unknown {
                continue;
            }
            let at = happened(&transfer);
            if !within(at, ambiguous) {
                self.events.push(delivery.flow(&transfer)?);
            }
            self.assets.entry(transfer.asset.clone()).or_default();
            self.transfers.told(&transfer, delivery.seen);
        }
        Ok(())
    }
}

/// What a booking says that an execution cost. One that names none is its own.
fn charge(entry: &AccountLogEntry) -> Option<(String, Cost)> {
    if entry.class != BookingClass::Trade {
        return None;
    }
    let amount = entry.fee.unwrap_or_default();
    let execution = match &entry.execution {
        Some(execution) => execution.clone(),
        None if amount.is_zero() => return None,
        None => entry.id.clone(),
    };
    let fee = Money { asset: entry.asset.clone(), amount };
    Some((execution, Cost { id: entry.id.clone(), fee, at: entry.at }))
}

/// The pair that a booking says was traded, by the exchange's name.
fn traded(income: &Income, context: &Context) -> Option<String> {
    if !matches!(income.kind, IncomeType::Commission | IncomeType::RealizedPnl) {
        return None;
    }
    let symbol = income.symbol.as_deref()?;
    let mut listed = context.instruments();
    listed.find(|(_, it)| it.symbol == symbol).map(|(_, it)| it.raw.clone())
}
