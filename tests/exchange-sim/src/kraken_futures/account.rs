//! Wallets, positions, transfers, and what a key may do.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::scenario::{Balance, FlowStatus, Position};
use crate::wire::{decimal, iso_millis};
use crate::world::{Instrument, Snapshot, Wallet};
use crate::worth;

use super::contracts::{self, code};
use super::{Answer, Call, Refusal, UNAVAILABLE, told};

fn total(held: &Balance) -> Decimal {
    worth::net(held)
}

/// What an open position holds and would make, with its contract.
fn open<'a>(
    call: &'a Call<'_>,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (&'a Instrument, &'a Position, Decimal, Decimal)> {
    snapshot.positions.iter().filter_map(|held| {
        let contract = call.world().instrument(&held.symbol)?;
        let qty = held.qty.decimal().ok().filter(|qty| !qty.is_zero())?;
        let gain = held.unrealized_pnl.decimal().unwrap_or_default();
        Some((contract, held, contracts::size(contract, qty), gain))
    })
}

/// `flex` for all collateral, one account for each coin, and `cash`, where nothing trades.
pub(super) fn accounts(call: &Call<'_>) -> Answer {
    let mut accounts = Map::new();
    accounts.insert("cash".to_owned(), json!({"type": "cashAccount", "balances": {}}));
    let mut flex = flex(call, None)?;
    for account in call.wallets() {
        let snapshot = account.snapshot(call.now()).ok_or(UNAVAILABLE)?;
        if account.wallet == Wallet::LinearFutures {
            flex = self::flex(call, Some(snapshot))?;
        } else {
            for held in &snapshot.balances {
                let name = contracts::cash_account(&held.asset);
                accounts.insert(name, coin(call, snapshot, held));
            }
        }
    }
    accounts.insert("flex".to_owned(), flex);
    told(json!({ "accounts": accounts }))
}

fn flex(call: &Call<'_>, snapshot: Option<&Snapshot>) -> Answer {
    let dollars = |asset: &str, amount: Decimal| {
        let price = worth::price(call.world(), asset, "USD", call.now()).unwrap_or_default();
        amount.saturating_mul(price).round_dp(10)
    };
    let mut currencies = Map::new();
    let [mut value, mut gain] = [Decimal::ZERO; 2];
    for held in snapshot.map(|it| it.balances.as_slice()).unwrap_or_default() {
        let quantity = total(held);
        let worth = dollars(&held.asset, quantity);
        value = value.saturating_add(worth);
        let free = held.free.decimal().unwrap_or_default();
        let row = json!({"quantity": decimal(quantity), "value": decimal(worth),
            "collateral": decimal(worth), "available": decimal(free)});
        currencies.insert(code(&held.asset).to_owned(), row);
    }
    for (contract, .., made) in snapshot.into_iter().flat_map(|it| open(call, it)) {
        gain = gain.saturating_add(dollars(&contract.settle, made));
    }
    let zero = Decimal::ZERO;
    told(json!({"type": "multiCollateralMarginAccount", "currencies": currencies,
        "initialMargin": decimal(zero), "initialMarginWithOrders": decimal(zero),
        "maintenanceMargin": decimal(zero), "balanceValue": decimal(value),
        "portfolioValue": decimal(value + gain), "collateralValue": decimal(value),
        "pnl": decimal(gain), "unrealizedFunding": decimal(zero),
        "totalUnrealized": decimal(gain), "totalUnrealizedAsMargin": decimal(gain),
        "availableMargin": decimal(value + gain), "marginEquity": decimal(value + gain)}))
}

/// Contracts stand among the balances with their sizes.
fn coin(call: &Call<'_>, snapshot: &Snapshot, held: &Balance) -> Value {
    let quantity = total(held);
    let currency = code(&held.asset).to_ascii_lowercase();
    let mut balances = Map::new();
    let mut gain = Decimal::ZERO;
    for (contract, _, size, made) in open(call, snapshot) {
        if contract.settle == held.asset {
            let symbol = contracts::symbol(contract).to_ascii_lowercase();
            balances.insert(symbol, decimal(size));
            gain = gain.saturating_add(made);
        }
    }
    balances.insert(currency.clone(), decimal(quantity));
    let zero = decimal(Decimal::ZERO);
    json!({"type": "marginAccount", "currency": currency, "balances": balances,
        "auxiliary": {"usd": zero, "pv": decimal(quantity + gain), "pnl": decimal(gain),
            "af": decimal(quantity + gain), "funding": zero},
        "marginRequirements": {"im": zero, "mm": zero, "lt": zero, "tt": zero},
        "triggerEstimates": {"im": zero, "mm": zero, "lt": zero, "tt": zero}})
}

pub(super) fn open_positions(call: &Call<'_>) -> Answer {
    let mut rows = Vec::new();
    for account in call.wallets() {
        let snapshot = account.snapshot(call.now()).ok_or(UNAVAILABLE)?;
        for (contract, held, size, _) in open(call, snapshot) {
            let side = if size.is_sign_negative() { "short" } else { "long" };
            rows.push(json!({"side": side, "symbol": contracts::symbol(contract),
                "price": decimal(held.entry_price.decimal().unwrap_or_default()),
                "fillTime": iso_millis(snapshot.at), "size": decimal(size.abs()),
                "unrealizedFunding": decimal(Decimal::ZERO)}));
        }
    }
    told(json!({ "openPositions": rows }))
}

/// Money that came in or went out, which the account log has as well.
pub(super) fn transfers(call: &Call<'_>) -> Answer {
    let mut rows = Vec::new();
    for account in call.wallets() {
        for (transfer, state) in account.transfers(call.now()) {
            let status = match state.status {
                FlowStatus::Pending => "Pending",
                FlowStatus::Completed => "Processed",
                FlowStatus::Failed | FlowStatus::Canceled => "Failed",
            };
            rows.push(json!({"receivedTime": iso_millis(transfer.created), "status": status,
                "transfer_id": ids::uuid(&["transfer", &account.user, &transfer.id]),
                "transferType": if transfer.deposit { "deposit" } else { "withdrawal" },
                "amount": decimal(state.amount + state.fee),
                "currency": code(&transfer.asset).to_ascii_lowercase()}));
        }
    }
    told(json!({ "transfers": rows }))
}

/// What a key may do beside reading is told; the documented example, which reads, has nothing.
pub(super) fn key_check(call: &Call<'_>) -> Answer {
    let Some((api_key, key)) = call.key else { return Err(Refusal::Status(401, "Unauthorized")) };
    let mut levels = Map::new();
    for (word, name) in [("trade", "general"), ("futures", "general"), ("withdraw", "withdrawal")] {
        if key.permissions.holds(word) {
            levels.insert(name.to_owned(), json!("full_access"));
        }
    }
    if !key.permissions.holds("read") && !levels.contains_key("general") {
        levels.insert("general".to_owned(), json!("no_access"));
    }
    for word in key.permissions.unheard_of() {
        levels.insert(word.to_owned(), json!(true));
    }
    let created = call.world().started.plus_millis(-30 * 24 * 3600 * 1000);
    told(json!({"apiKey": api_key, "accountUid": account_uid(call), "iiban": "AA08 N84G CPAR UN7A",
        "createdAt": created.format("%Y-%m-%dT%H:%M:%SZ"), "permissions": levels,
        "allowedCidrBlock": null, "allowedCidrBlocks": []}))
}

pub(super) fn account_uid(call: &Call<'_>) -> String {
    ids::uuid(&["account", call.user()])
}
