//! Balances and trades of the account behind the key.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::number::{Number, padded};
use crate::scenario::{Balance as ScenarioBalance, Market, Side};
use crate::world::{Trade, Wallet};

use super::market::{PLACES, find};
use super::refusal::Refusal;
use super::{Answer, Call, json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct AccountInfo {
    maker_commission: u32,
    taker_commission: u32,
    buyer_commission: u32,
    seller_commission: u32,
    commission_rates: Rates,
    can_trade: bool,
    can_withdraw: bool,
    can_deposit: bool,
    brokered: bool,
    require_self_trade_prevention: bool,
    prevent_sor: bool,
    update_time: u64,
    account_type: &'static str,
    balances: Vec<Balance>,
    permissions: [&'static str; 1],
    uid: u64,
}

#[derive(Serialize)]
struct Rates {
    maker: &'static str,
    taker: &'static str,
    buyer: &'static str,
    seller: &'static str,
}

#[derive(Serialize)]
struct Balance {
    asset: String,
    free: String,
    locked: String,
}

/// `canTrade` and `canWithdraw` speak of the account, not of the key, and are always true.
pub(super) fn account(call: &Call<'_>) -> Answer {
    let omit_zero = call.params.flag("omitZeroBalances")?;
    let (_, account) = call.account()?;
    let mut rows: Vec<(&ScenarioBalance, bool)> = Vec::new();
    let mut updated = call.now();
    for wallet in [Wallet::Spot, Wallet::CrossMargin, Wallet::IsolatedMargin] {
        let Some(held) = call.wallet(wallet)? else { continue };
        let snapshot = held.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
        updated = snapshot.at;
        let spot = wallet == Wallet::Spot;
        rows.extend(snapshot.balances.iter().map(|row| (row, spot)));
    }
    let mut balances = Vec::new();
    let mut rest: BTreeSet<&str> = BTreeSet::new();
    for ((base, quote), _) in call.world().pairs() {
        rest.extend([base.as_str(), quote.as_str()].into_iter().filter(|asset| *asset != "USD"));
    }
    for (row, spot) in rows {
        let mut push = |asset: String, free: &Number, locked: &Number| {
            if !omit_zero || !free.is_zero() || !locked.is_zero() {
                balances.push(Balance {
                    asset,
                    free: free.padded(PLACES),
                    locked: locked.padded(PLACES),
                });
            }
        };
        if spot {
            rest.remove(row.asset.as_str());
            push(row.asset.clone(), &row.free, &row.locked);
        }
        if !row.earn.is_zero() {
            // Flexible savings show up in the spot wallet under a name of their own, whichever
            // wallet they were bought from.
            push(format!("LD{}", row.asset), &row.earn, &Number::zero());
        }
    }
    if !omit_zero {
        let zero = Number::zero().padded(PLACES);
        balances.extend(rest.into_iter().map(|asset| Balance {
            asset: asset.to_owned(),
            free: zero.clone(),
            locked: zero.clone(),
        }));
    }
    json(&AccountInfo {
        maker_commission: 10,
        taker_commission: 10,
        buyer_commission: 0,
        seller_commission: 0,
        commission_rates: Rates {
            maker: "0.00100000",
            taker: "0.00100000",
            buyer: "0.00000000",
            seller: "0.00000000",
        },
        can_trade: true,
        can_withdraw: true,
        can_deposit: true,
        brokered: false,
        require_self_trade_prevention: false,
        prevent_sor: false,
        update_time: updated.millis(),
        account_type: "SPOT",
        balances,
        permissions: ["SPOT"],
        uid: account.uid,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    symbol: &'a str,
    id: u64,
    order_id: u64,
    order_list_id: i64,
    price: String,
    qty: String,
    quote_qty: String,
    commission: String,
    commission_asset: &'a str,
    time: u64,
    is_buyer: bool,
    is_maker: bool,
    is_best_match: bool,
}

/// Oldest first. With `fromId` or a time the first `limit` trades, else the last ones.
pub(super) fn my_trades(call: &Call<'_>) -> Answer {
    let symbol = call.params.mandatory("symbol")?;
    let (pair, _) = find(call.world(), symbol)?;
    let window = Selection { hours: 24, limit_default: 500, without_times: None };
    let trades = call.wallet(Wallet::Spot)?.map(|it| it.trades(Market::Spot, pair, call.now()));
    let trades = window.of(call, trades.unwrap_or_default())?;
    let rows: Vec<_> = trades.into_iter().map(|trade| row(symbol, &pair.1, trade)).collect();
    json(&rows)
}

/// Which trades a request asks for.
pub(super) struct Selection {
    /// Hours between `startTime` and `endTime` at most.
    pub(super) hours: u64,
    pub(super) limit_default: usize,
    /// What a request without times and `fromId` reaches back to, in hours.
    pub(super) without_times: Option<u64>,
}

impl Selection {
    pub(super) fn of<'a>(
        &self,
        call: &Call<'_>,
        mut trades: Vec<&'a Trade>,
    ) -> Result<Vec<&'a Trade>, Refusal> {
        let params = call.params;
        let limit = params.limit("limit", self.limit_default, 1000)?;
        let (start, end) = (params.number("startTime")?, params.number("endTime")?);
        let (from, order) = (params.number("fromId")?, params.number("orderId")?);
        if (start.is_some() || end.is_some()) && (from.is_some() || order.is_some()) {
            return Err(Refusal::combination());
        }
        let longest = self.hours * HOUR_MS;
        let now = call.now().millis();
        let times = match (start, end) {
            (Some(start), Some(end)) if end < start => return Err(Refusal::invalid("endTime")),
            (Some(start), Some(end)) if end - start > longest => {
                return Err(Refusal::window(self.hours));
            }
            (Some(start), Some(end)) => Some(start..=end),
            (Some(start), None) => Some(start..=start.saturating_add(longest)),
            (None, Some(end)) => Some(end.saturating_sub(longest)..=end),
            (None, None) if from.is_none() => self
                .without_times
                .map(|hours| now.saturating_sub(hours.saturating_mul(HOUR_MS))..=now),
            (None, None) => None,
        };
        trades.retain(|trade| {
            times.as_ref().is_none_or(|times| times.contains(&trade.at.millis()))
                && from.is_none_or(|from| trade.id >= from)
                && order.is_none_or(|order| trade.order_id == order)
        });
        let asked = start.is_some() || end.is_some() || from.is_some() || order.is_some();
        let skipped = if asked { 0 } else { trades.len().saturating_sub(limit) };
        Ok(trades.into_iter().skip(skipped).take(limit).collect())
    }
}

const HOUR_MS: u64 = 3600 * 1000;

fn row<'a>(symbol: &'a str, quote: &'a str, trade: &'a Trade) -> Row<'a> {
    let fee = trade.fee.as_ref();
    Row {
        symbol,
        id: trade.id,
        order_id: trade.order_id,
        order_list_id: -1,
        price: trade.price.padded(PLACES),
        qty: trade.qty.padded(PLACES),
        quote_qty: padded(trade.quote_qty, PLACES),
        commission: fee.map_or_else(Number::zero, |fee| fee.amount.clone()).padded(PLACES),
        commission_asset: fee.map_or(quote, |fee| &fee.asset),
        time: trade.at.millis(),
        is_buyer: trade.side == Side::Buy,
        is_maker: trade.maker,
        is_best_match: true,
    }
}
