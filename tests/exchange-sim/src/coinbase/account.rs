//! Accounts of one asset each, fills, and what a key may do.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::{Market, Side, Stamp};
use crate::wire::{self, iso_micros, iso_millis};
use crate::world::{Account, Book, Trade};

use super::market::product_id;
use super::{Answer, Call, Refusal, told};

pub(super) fn key_permissions(call: &Call<'_>) -> Answer {
    let granted = &call.key()?.permissions;
    let mut rights = Map::new();
    rights.insert("can_view".to_owned(), json!(granted.holds("read")));
    rights.insert("can_trade".to_owned(), json!(granted.holds("trade")));
    let transfer = ["withdraw", "internal-transfer", "universal-transfer"];
    let transfer = transfer.iter().any(|word| granted.holds(word));
    rights.insert("can_transfer".to_owned(), json!(transfer));
    rights.insert("portfolio_uuid".to_owned(), json!(call.portfolio()?));
    rights.insert("portfolio_type".to_owned(), json!("DEFAULT"));
    for word in granted.unheard_of() {
        rights.insert(snake(word), json!(true));
    }
    told(Value::Object(rights))
}

/// `enableTimeTravel` is `can_time_travel` here.
fn snake(word: &str) -> String {
    let bare = word.strip_prefix("enable").or_else(|| word.strip_prefix("permits"));
    let mut name = "can".to_owned();
    for letter in bare.unwrap_or(word).chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Every asset the account ever had, in a snapshot or in a transfer.
pub(super) fn assets(call: &Call<'_>, account: &Account) -> Result<BTreeSet<String>, Refusal> {
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let first = account.first_snapshot();
    let held = snapshot.balances.iter().chain(first.into_iter().flat_map(|it| &it.balances));
    let mut assets: BTreeSet<String> = held.map(|row| row.asset.clone()).collect();
    assets.extend(account.transfers(call.now()).into_iter().map(|(it, _)| it.asset.clone()));
    assets.extend(
        account
            .all_trades(call.now())
            .into_iter()
            .flat_map(|(book, _)| [book.pair.0.clone(), book.pair.1.clone()]),
    );
    Ok(assets)
}

pub(super) fn account_id(account: &Account, asset: &str) -> String {
    ids::uuid(&["account", &account.user, asset])
}

pub(super) fn is_fiat(asset: &str) -> bool {
    matches!(asset, "USD" | "EUR" | "GBP" | "CAD")
}

pub(super) fn accounts(call: &Call<'_>) -> Answer {
    let limit = call.limit(49, 250)?;
    let from = match call.params.get("cursor") {
        Some(cursor) => {
            cursor.parse::<usize>().map_err(|_| Refusal::invalid("cursor is invalid"))?
        }
        None => 0,
    };
    let account = call.account()?;
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let assets = assets(call, account)?;
    let opened = call.world().started.plus_millis(-365 * 24 * 3600 * 1000);
    let portfolio = call.portfolio()?;
    let rows: Vec<Value> = assets
        .iter()
        .skip(from)
        .take(limit)
        .map(|asset| {
            let row = snapshot.balances.iter().find(|row| row.asset == *asset);
            let free = row.map_or("0", |row| row.free.as_str());
            let hold = row.map_or("0", |row| row.locked.as_str());
            let kind = if is_fiat(asset) { "ACCOUNT_TYPE_FIAT" } else { "ACCOUNT_TYPE_CRYPTO" };
            json!({"uuid": account_id(account, asset), "name": format!("{asset} Wallet"),
                "currency": asset, "available_balance": {"value": free, "currency": asset},
                "default": true, "active": true, "created_at": iso_millis(opened),
                "updated_at": iso_millis(snapshot.at), "deleted_at": null, "type": kind,
                "ready": true, "hold": {"value": hold, "currency": asset},
                "retail_portfolio_id": portfolio, "platform": "ACCOUNT_PLATFORM_CONSUMER"})
        })
        .collect();
    let next = from + rows.len();
    let more = next < assets.len();
    let cursor = if more { next.to_string() } else { String::new() };
    let size = rows.len();
    told(json!({"accounts": rows, "has_next": more, "cursor": cursor, "size": size}))
}

pub(super) fn portfolios(call: &Call<'_>) -> Answer {
    told(json!({"portfolios": [{"name": "Default", "uuid": call.portfolio()?, "type": "DEFAULT",
        "deleted": false}]}))
}

pub(super) fn transaction_summary(call: &Call<'_>) -> Answer {
    let fills = spot_trades(call)?;
    let sum = |amount: fn(&Book, &Trade) -> Decimal| {
        let all = fills.iter().map(|(book, trade)| amount(book, trade)).sum::<Decimal>();
        wire::decimal(all.round_dp(8))
    };
    told(json!({"total_volume": sum(|_, trade| trade.quote_qty), "total_fees": sum(commission),
        "fee_tier": {"pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "1000",
            "taker_fee_rate": "0.012", "maker_fee_rate": "0.006"},
        "margin_rate": null, "goods_and_services_tax": null}))
}

/// Spot trades, newest first.
pub(super) fn spot_trades<'a>(call: &'a Call<'_>) -> Result<Vec<(&'a Book, &'a Trade)>, Refusal> {
    let mut all = call.account()?.all_trades(call.now());
    all.retain(|(book, _)| book.market == Market::Spot);
    all.reverse();
    Ok(all)
}

/// The fee in the quote currency: of one that was paid in the base, its worth at the trade.
pub(super) fn commission(book: &Book, trade: &Trade) -> Decimal {
    let Some(fee) = &trade.fee else { return Decimal::ZERO };
    let amount = fee.amount.decimal().unwrap_or_default();
    if fee.asset == book.pair.1 {
        amount
    } else if fee.asset == book.pair.0 {
        amount.saturating_mul(trade.price.decimal().unwrap_or_default())
    } else {
        Decimal::ZERO
    }
}

pub(super) fn entry_id(account: &Account, book: &Book, trade: &Trade) -> String {
    ids::uuid(&["entry", &account.user, &product_id(&book.pair), &trade.trade_ref])
}

/// The cursor is where the next page begins: a time and, of trades of that time, how many to skip.
pub(super) fn fills(call: &Call<'_>) -> Answer {
    let limit = call.limit(100, 250)?;
    let bound = |name: &str| match call.params.get(name) {
        None => Ok(None),
        Some(text) => {
            let at = wire::from_iso(text);
            at.map(Some).ok_or_else(|| Refusal::invalid(&format!("{name} is invalid")))
        }
    };
    let (start, end) = (bound("start_sequence_timestamp")?, bound("end_sequence_timestamp")?);
    let from: Option<(i64, usize)> = match call.params.get("cursor") {
        None => None,
        Some(cursor) => {
            Some(read_cursor(cursor).ok_or_else(|| Refusal::invalid("cursor is invalid"))?)
        }
    };
    let only = |one: &str, many: &str| -> Vec<String> {
        call.params.all(one).chain(call.params.all(many)).map(str::to_owned).collect()
    };
    let products = only("product_id", "product_ids");
    let orders = only("order_id", "order_ids");
    let trades = only("trade_id", "trade_ids");
    let wanted = |list: &[String], id: &str| list.is_empty() || list.iter().any(|it| it == id);
    let account = call.account()?;
    let mut skip = from.map_or(0, |(_, skip)| skip);
    let mut rows: Vec<(Stamp, Value)> = Vec::new();
    let mut more = false;
    for (book, trade) in spot_trades(call)? {
        let product = product_id(&book.pair);
        let entry = entry_id(account, book, trade);
        let order = ids::uuid(&["order", &account.user, &trade.order_ref]);
        let id = ids::uuid(&["trade", &entry]);
        let inside = start.is_none_or(|start| trade.at >= start)
            && end.is_none_or(|end| trade.at <= end)
            && from.is_none_or(|(at, _)| trade.at.micros() <= at)
            && wanted(&products, &product)
            && wanted(&orders, &order)
            && wanted(&trades, &id);
        if !inside {
            continue;
        }
        if from.is_some_and(|(at, _)| trade.at.micros() == at) && skip > 0 {
            skip -= 1;
            continue;
        }
        if rows.len() == limit {
            more = true;
            break;
        }
        let row = json!({"entry_id": entry, "trade_id": id, "order_id": order,
            "trade_time": iso_micros(trade.at), "trade_type": "FILL",
            "price": trade.price.as_str(), "size": trade.qty.as_str(),
            "commission": padded(commission(book, trade), 0), "product_id": product,
            "sequence_timestamp": iso_micros(trade.at),
            "liquidity_indicator": if trade.maker { "MAKER" } else { "TAKER" },
            "size_in_quote": false, "user_id": ids::uuid(&["user", &account.user]),
            "side": if trade.side == Side::Buy { "BUY" } else { "SELL" },
            "retail_portfolio_id": call.portfolio()?});
        rows.push((trade.at, row));
    }
    let cursor = if more { write_cursor(&rows, from) } else { String::new() };
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    told(json!({"fills": rows, "cursor": cursor}))
}

fn read_cursor(text: &str) -> Option<(i64, usize)> {
    let (at, skip) = text.split_once('-')?;
    Some((at.parse().ok()?, skip.parse().ok()?))
}

fn write_cursor(rows: &[(Stamp, Value)], from: Option<(i64, usize)>) -> String {
    let Some((last, _)) = rows.last() else { return String::new() };
    let same = rows.iter().filter(|(at, _)| at == last).count();
    let before = from.filter(|(at, _)| *at == last.micros()).map_or(0, |(_, skip)| skip);
    format!("{}-{}", last.micros(), same + before)
}
