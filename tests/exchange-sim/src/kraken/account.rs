//! Balances, what they are worth, positions, and what a key may do.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::Position;
use crate::worth;

use super::names::{self, names};
use super::{Answer, INVALID, Private, UNAVAILABLE, told};

/// One asset: what is there, and how much of it orders hold.
struct Row {
    balance: Decimal,
    hold: Decimal,
}

/// All assets of the account under the names of the replies.
///
/// What earns is an asset of its own, with a suffix. Kraken lends no assets
/// into the balance, so what a scenario calls borrowed is taken off it.
fn rows(call: &Private<'_>) -> Result<BTreeMap<String, Row>, &'static str> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for account in call.wallets() {
        let snapshot = account.snapshot(call.now()).ok_or(UNAVAILABLE)?;
        for held in &snapshot.balances {
            let [free, hold, earn, borrowed, interest] =
                [&held.free, &held.locked, &held.earn, &held.borrowed, &held.interest]
                    .map(|number| number.decimal().unwrap_or_default());
            let mut add = |name: String, balance: Decimal, hold: Decimal| {
                let row =
                    rows.entry(name).or_insert(Row { balance: Decimal::ZERO, hold: Decimal::ZERO });
                row.balance = row.balance.saturating_add(balance);
                row.hold = row.hold.saturating_add(hold);
            };
            let balance = free.saturating_add(hold) - borrowed - interest;
            add(names::asset(&held.asset).to_owned(), balance, hold);
            if !earn.is_zero() {
                add(format!("{}.F", names::short(&held.asset)), earn, Decimal::ZERO);
            }
        }
    }
    Ok(rows)
}

fn written(name: &str, value: Decimal) -> String {
    padded(value, if name.starts_with('Z') { 4 } else { 10 })
}

pub(super) fn balance(call: &Private<'_>) -> Answer {
    let row = |(name, row): (String, Row)| {
        let text = written(&name, row.balance);
        (name, Value::String(text))
    };
    told(Value::Object(rows(call)?.into_iter().map(row).collect()))
}

pub(super) fn balance_extended(call: &Private<'_>) -> Answer {
    let row = |(name, row): (String, Row)| {
        let value = json!({"balance": written(&name, row.balance),
            "hold_trade": written(&name, row.hold)});
        (name, value)
    };
    told(Value::Object(rows(call)?.into_iter().map(row).collect()))
}

/// The open positions of all wallets.
fn positions<'a>(call: &'a Private<'_>) -> Result<Vec<&'a Position>, &'static str> {
    let mut all = Vec::new();
    for account in call.wallets() {
        all.extend(&account.snapshot(call.now()).ok_or(UNAVAILABLE)?.positions);
    }
    Ok(all)
}

fn amounts(held: &Position) -> [Decimal; 4] {
    [&held.qty, &held.entry_price, &held.mark_price, &held.unrealized_pnl]
        .map(|number| number.decimal().unwrap_or_default())
}

/// A fifth of a position's cost is its margin.
const LEVERAGE: Decimal = Decimal::from_parts(5, 0, 0, false, 0);

/// What everything is worth in one asset: `eb` all currencies, `tb` what margin is drawn on, `m`
/// margin, `n` gain of positions, `e` equity.
pub(super) fn trade_balance(call: &Private<'_>) -> Answer {
    let wanted = call.params().get("asset").unwrap_or("ZUSD");
    let world = call.world();
    let mut every = vec!["USD".to_owned()];
    every.extend(world.pairs().flat_map(|((base, quote), _)| [base.clone(), quote.clone()]));
    let asset = every.iter().find(|asset| names::means(wanted, asset));
    let asset = asset.ok_or("EQuery:Unknown asset")?;
    let price = |of: &str| worth::price(world, of, asset, call.now()).unwrap_or_default();
    let mut total = Decimal::ZERO;
    for account in call.wallets() {
        let snapshot = account.snapshot(call.now()).ok_or(UNAVAILABLE)?;
        for held in &snapshot.balances {
            total = total.saturating_add(worth::net(held).saturating_mul(price(&held.asset)));
        }
    }
    let [mut margin, mut gain, mut cost, mut value] = [Decimal::ZERO; 4];
    for held in positions(call)? {
        let [qty, entry, mark, unrealized] = amounts(held);
        let rate = price(&held.settle_asset);
        cost += (qty * entry).abs() * rate;
        value += (qty * mark).abs() * rate;
        gain += unrealized * rate;
        margin += (qty * entry).abs() * rate / LEVERAGE;
    }
    let text = |amount: Decimal| padded(amount.round_dp(4), 4);
    let equity = total + gain;
    let mut result = json!({"eb": text(total), "tb": text(total), "m": text(margin), "uv": "0.0000",
        "n": text(gain), "c": text(cost), "v": text(value), "e": text(equity),
        "mf": text(equity - margin)});
    if let Some(level) = (equity * Decimal::ONE_HUNDRED).checked_div(margin)
        && let Some(object) = result.as_object_mut()
    {
        object.insert("ml".to_owned(), json!(padded(level.round_dp(2), 2)));
    }
    told(result)
}

pub(super) fn open_positions(call: &Private<'_>) -> Answer {
    let calculated = match call.params().get("docalcs") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(INVALID),
    };
    let mut rows = Map::new();
    for held in positions(call)? {
        let [qty, entry, mark, unrealized] = amounts(held);
        let pair =
            call.world().pairs().find(|(pair, _)| format!("{}{}", pair.0, pair.1) == held.symbol);
        let key = pair.map_or_else(
            || held.symbol.clone(),
            |(pair, _)| {
                let [key, ..] = names(pair);
                key
            },
        );
        let id = ids::kraken('T', &["position", &call.key.account, &held.symbol]);
        let text = |amount: Decimal| padded(amount.round_dp(8), 5);
        let mut row = json!({"ordertxid": ids::kraken('O', &["position", &id]),
            "posstatus": "open", "pair": key,
            "time": call.world().started.millis() / 1000,
            "type": if qty.is_sign_negative() { "sell" } else { "buy" }, "ordertype": "market",
            "cost": text((qty * entry).abs()), "fee": "0.00000", "vol": padded(qty.abs(), 8),
            "vol_closed": "0.00000000", "margin": text((qty * entry).abs() / LEVERAGE),
            "terms": "0.0100% per 4 hours", "rollovertm": "0", "misc": "", "oflags": ""});
        if calculated && let Some(object) = row.as_object_mut() {
            object.insert("value".to_owned(), json!(text((qty * mark).abs())));
            object.insert("net".to_owned(), json!(format!("{:+}", unrealized.round_dp(4))));
        }
        rows.insert(id, row);
    }
    told(Value::Object(rows))
}

/// Rights by the words of the simulator's permissions.
const RIGHTS: [(&str, &[&str]); 5] = [
    ("read", &["query-funds", "query-open-trades", "query-closed-trades", "query-ledger"]),
    ("trade", &["modify-trades", "close-trades"]),
    ("withdraw", &["withdraw-funds"]),
    ("internal-transfer", &["deposit-funds"]),
    ("universal-transfer", &["earn-funds"]),
];

pub(super) fn key_info(call: &Private<'_>) -> Answer {
    let granted = &call.key.permissions;
    let known = RIGHTS.iter().filter(|(word, _)| granted.holds(word)).flat_map(|(_, names)| *names);
    let mut rights: Vec<String> = known.map(|name| (*name).to_owned()).collect();
    rights.extend(granted.unheard_of().map(kebab));
    let created = call.world().started.plus_millis(-30 * 24 * 3600 * 1000).millis() / 1000;
    let used = call.call.caller.server_time.millis() / 1000;
    told(json!({"apiKeyName": call.key.account, "apiKey": call.api_key,
        "nonce": call.key.last_nonce().to_string(), "nonceWindow": 0, "permissions": rights,
        "iban": iban(call), "validUntil": "0", "queryFrom": "0", "queryTo": "0",
        "createdTime": created.to_string(), "modifiedTime": created.to_string(),
        "ipAllowlist": [], "lastUsed": used.to_string()}))
}

/// The account's public number.
fn iban(call: &Private<'_>) -> String {
    let user = call.world().account(&call.key.account).map_or("", |account| account.user.as_str());
    let id = ids::kraken('N', &["iban", user]);
    let letters: String = id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let cut = |from: usize| letters.get(from..from + 4).unwrap_or_default();
    format!("AA88 {} {} {}", cut(0), cut(4), cut(8))
}

/// `enableTimeTravel` is `time-travel` here.
fn kebab(word: &str) -> String {
    let bare = word.strip_prefix("enable").or_else(|| word.strip_prefix("permits"));
    let mut name = String::new();
    for letter in bare.unwrap_or(word).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
