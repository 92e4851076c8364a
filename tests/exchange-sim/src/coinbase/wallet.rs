//! The older interface: wallets with what is staked, transactions, currencies.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::{FlowStatus, IncomeKind, Side, Stamp};
use crate::world::{Account, Kind};
use crate::worth;

use super::account::{account_id, assets, commission, entry_id, is_fiat, spot_trades};
use super::market::product_id;
use super::{Answer, Call, Refusal, told};

fn iso(at: Stamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

fn money(amount: Decimal, asset: &str) -> Value {
    let places = if is_fiat(asset) { 2 } else { 8 };
    json!({"amount": padded(amount, places), "currency": asset})
}

pub(super) fn time(call: &Call<'_>) -> Answer {
    let at = call.caller.server_time;
    told(json!({"data": {"iso": iso(at), "epoch": at.millis() / 1000}}))
}

pub(super) fn user(call: &Call<'_>) -> Answer {
    let account = call.account()?;
    let id = ids::uuid(&["user", &account.user]);
    told(json!({"data": {"id": id, "name": account.user, "resource": "user"}}))
}

/// A page of rows with an `id`, from the parameters `starting_after` and `limit`.
fn page(call: &Call<'_>, path: &str, rows: Vec<Value>) -> Answer {
    let limit = call.limit(25, 300)?;
    let id = |row: &Value| row.get("id").and_then(Value::as_str).map(str::to_owned);
    let from = match call.params.get("starting_after") {
        None => 0,
        Some(after) => {
            let found = rows.iter().position(|row| id(row).as_deref() == Some(after));
            found.ok_or_else(|| Refusal::invalid("starting_after is invalid"))? + 1
        }
    };
    let left = rows.len() - from;
    let rows: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
    let next = rows.last().filter(|_| left > limit).and_then(id);
    let uri = next.as_ref().map(|id| format!("{path}?limit={limit}&starting_after={id}"));
    told(json!({"pagination": {"ending_before": null,
        "starting_after": call.params.get("starting_after"), "previous_ending_before": null,
        "next_starting_after": next, "limit": limit, "order": "desc", "previous_uri": null,
        "next_uri": uri}, "data": rows}))
}

/// One wallet an asset, and one more for what is staked of it.
pub(super) fn accounts(call: &Call<'_>) -> Answer {
    let account = call.account()?;
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let opened = iso(call.world().started.plus_millis(-365 * 24 * 3600 * 1000));
    let mut rows = Vec::new();
    for asset in assets(call, account)? {
        let held = snapshot.balances.iter().find(|row| row.asset == asset);
        let amount = |number: Option<&crate::number::Number>| {
            number.and_then(|it| it.decimal().ok()).unwrap_or_default()
        };
        let total = amount(held.map(|it| &it.free)) + amount(held.map(|it| &it.locked));
        let staked = amount(held.map(|it| &it.earn));
        let kind = if is_fiat(&asset) { "fiat" } else { "wallet" };
        let mut wallet = |id: String, name: String, kind: &str, balance: Decimal| {
            rows.push(json!({"id": id, "name": name, "primary": false, "type": kind,
                "currency": {"code": asset, "name": asset, "type": if is_fiat(&asset) { "fiat" } else { "crypto" }},
                "balance": money(balance, &asset), "created_at": opened,
                "updated_at": iso(snapshot.at), "resource": "account",
                "resource_path": format!("/v2/accounts/{id}"), "allow_deposits": true,
                "allow_withdrawals": true}));
        };
        wallet(account_id(account, &asset), format!("{asset} Wallet"), kind, total);
        if !staked.is_zero() {
            let id = ids::uuid(&["staked", &account.user, &asset]);
            wallet(id, format!("Staked {asset}"), "wallet", staked);
        }
    }
    page(call, "/v2/accounts", rows)
}

/// `{id}/transactions`, `{id}/deposits` or `{id}/withdrawals`.
pub(super) fn of_account(call: &Call<'_>, rest: &str) -> Answer {
    let account = call.account()?;
    let missing = || Refusal::not_found("Not found");
    let (id, view) = rest.split_once('/').ok_or_else(missing)?;
    let assets = assets(call, account)?;
    let asset = assets.iter().find(|asset| id == *asset || id == account_id(account, asset));
    let asset = asset.ok_or_else(missing)?;
    let mut rows = match view {
        "transactions" => {
            let mut rows = moved(call, account, asset, None);
            rows.extend(traded(call, account, asset)?);
            rows.extend(earned(call, account, asset));
            rows
        }
        // These two know bank money alone.
        "deposits" | "withdrawals" if !is_fiat(asset) => Vec::new(),
        "deposits" => moved(call, account, asset, Some(true)),
        "withdrawals" => moved(call, account, asset, Some(false)),
        _ => return Err(missing()),
    };
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let path = format!("/v2/accounts/{id}/{view}");
    page(call, &path, rows.into_iter().map(|(_, row)| row).collect())
}

fn base_row(
    call: &Call<'_>,
    (id, kind, at): (&str, &str, Stamp),
    amount: Decimal,
    asset: &str,
) -> Value {
    let dollars = worth::price(call.world(), asset, "USD", call.now()).unwrap_or_default();
    let native = amount.saturating_mul(dollars).round_dp(2);
    json!({"id": id, "type": kind, "status": "completed", "amount": money(amount, asset),
        "native_amount": money(native, "USD"), "description": null, "created_at": iso(at),
        "updated_at": iso(at), "resource": "transaction",
        "resource_path": format!("/v2/accounts/{asset}/transactions/{id}")})
}

/// Deposits and withdrawals. What is sent on a chain tells what arrives and what it costs.
fn moved(
    call: &Call<'_>,
    account: &Account,
    asset: &str,
    only: Option<bool>,
) -> Vec<(Stamp, Value)> {
    let mut rows = Vec::new();
    for (transfer, state) in account.transfers(call.now()) {
        if transfer.asset != asset || only.is_some_and(|deposit| deposit != transfer.deposit) {
            continue;
        }
        let side = if transfer.deposit { "deposit" } else { "withdrawal" };
        let id = ids::uuid(&["transaction", &account.user, side, &transfer.id]);
        let whole = state.amount + state.fee;
        let kind = match (is_fiat(asset), transfer.deposit) {
            (true, true) => "fiat_deposit",
            (true, false) => "fiat_withdrawal",
            (false, _) => "send",
        };
        let amount = if transfer.deposit { whole } else { -whole };
        let mut row = base_row(call, (&id, kind, transfer.created), amount, asset);
        let status = match state.status {
            FlowStatus::Pending => "pending",
            FlowStatus::Completed => "completed",
            FlowStatus::Failed => "failed",
            FlowStatus::Canceled => "canceled",
        };
        let Some(object) = row.as_object_mut() else { continue };
        object.insert("status".to_owned(), json!(status));
        object.insert("updated_at".to_owned(), json!(iso(state.at)));
        if only.is_some() {
            object.insert("resource".to_owned(), json!(side));
            object.insert("committed".to_owned(), json!(status == "completed"));
            object.insert("subtotal".to_owned(), money(state.amount, asset));
            object.insert("fee".to_owned(), money(state.fee, asset));
        } else if kind == "send" {
            let confirmed = if status == "completed" { "confirmed" } else { "unconfirmed" };
            let mut network = json!({"status": confirmed, "network_name": network(asset)});
            if let Some(network) = network.as_object_mut() {
                if let Some(txid) = &state.txid {
                    network.insert("hash".to_owned(), json!(txid));
                }
                if !transfer.deposit {
                    network.insert("transaction_amount".to_owned(), money(state.amount, asset));
                    network.insert("transaction_fee".to_owned(), money(state.fee, asset));
                }
            }
            object.insert("network".to_owned(), network);
        }
        rows.push((transfer.created, row));
    }
    rows
}

fn network(asset: &str) -> &'static str {
    match asset {
        "BTC" => "bitcoin",
        "SOL" => "solana",
        _ => "ethereum",
    }
}

/// Both sides of every trade; the commission is in the quote's amount.
fn traded(call: &Call<'_>, account: &Account, asset: &str) -> Result<Vec<(Stamp, Value)>, Refusal> {
    let mut rows = Vec::new();
    for (book, trade) in spot_trades(call)? {
        let (base, quote) = (&book.pair.0, &book.pair.1);
        let bought = trade.side == Side::Buy;
        let fee = commission(book, trade);
        let amount = if asset == base {
            let qty = trade.qty.decimal().unwrap_or_default();
            if bought { qty } else { -qty }
        } else if asset == quote {
            (if bought { -trade.quote_qty } else { trade.quote_qty }) - fee
        } else {
            continue;
        };
        let entry = entry_id(account, book, trade);
        let id = ids::uuid(&["transaction", &entry, asset]);
        let mut row = base_row(call, (&id, "advanced_trade_fill", trade.at), amount, asset);
        if let Some(object) = row.as_object_mut() {
            let fill = json!({"commission": padded(fee, 0), "fill_price": trade.price.as_str(),
                "order_id": ids::uuid(&["order", &account.user, &trade.order_ref]),
                "order_side": if bought { "buy" } else { "sell" },
                "product_id": product_id(&book.pair)});
            object.insert("advanced_trade_fill".to_owned(), fill);
        }
        rows.push((trade.at, row));
    }
    Ok(rows)
}

fn earned(call: &Call<'_>, account: &Account, asset: &str) -> Vec<(Stamp, Value)> {
    let all = account.income(call.now()).into_iter().filter(|row| row.asset == asset);
    all.filter_map(|row| {
        let Kind::Income(kind) = row.kind else { return None };
        let kind = match kind {
            IncomeKind::Reward => "staking_reward",
            IncomeKind::Interest | IncomeKind::Funding => "interest",
            IncomeKind::Rebate | IncomeKind::Other => "tx",
        };
        let id = ids::uuid(&["transaction", &account.user, "income", &row.reference]);
        Some((row.at, base_row(call, (&id, kind, row.at), row.amount, asset)))
    })
    .collect()
}

fn codes<'a>(call: &'a Call<'_>) -> BTreeSet<&'a str> {
    call.world().pairs().flat_map(|((base, quote), _)| [base.as_str(), quote.as_str()]).collect()
}

pub(super) fn currencies(call: &Call<'_>) -> Answer {
    let rows = codes(call).into_iter().filter(|code| is_fiat(code));
    let rows = rows.map(|code| json!({"id": code, "name": code, "min_size": "0.01"}));
    told(json!({"data": rows.collect::<Vec<_>>()}))
}

pub(super) fn crypto_currencies(call: &Call<'_>) -> Answer {
    let rows = codes(call).into_iter().filter(|code| !is_fiat(code));
    let rows = rows.map(|code| {
        json!({"asset_id": ids::uuid(&["asset", code]), "code": code, "name": code,
            "color": "#000000", "sort_index": 100, "exponent": 8, "type": "crypto",
            "address_regex": ""})
    });
    told(json!({"data": rows.collect::<Vec<_>>()}))
}

pub(super) fn exchange_rates(call: &Call<'_>) -> Answer {
    let wanted = call.params.get("currency").unwrap_or("USD");
    let mut rates = Map::new();
    for code in codes(call) {
        if let Some(price) = worth::price(call.world(), wanted, code, call.now()) {
            rates.insert(code.to_owned(), json!(padded(price.round_dp(12), 0)));
        }
    }
    told(json!({"data": {"currency": wanted, "rates": rates}}))
}
