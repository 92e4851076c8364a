//! Fills, and the account log, which knows every change of money.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::form::Form;
use crate::ids;
use crate::number::Number;
use crate::scenario::{IncomeKind, Side, Stamp};
use crate::wire::{self, decimal, iso_millis, number};
use crate::world::{Account, Book, Instrument, Kind, Trade};
use crate::worth;

use super::contracts::{self, code};
use super::{Answer, Call, Refusal, told};

/// Fills of one reply.
const FILLS: usize = 100;

fn trade_id(account: &Account, book: &Book, trade: &Trade) -> String {
    ids::uuid(&["fill", &account.user, &book.symbol, &trade.trade_ref])
}

/// The hundred newest, or the hundred before `lastFillTime`.
pub(super) fn fills(call: &Call<'_>) -> Answer {
    let before = match call.params.get("lastFillTime") {
        Some(text) => Some(
            wire::from_iso(text).ok_or(Refusal::Word("invalidArgument: lastFillTime"))?.millis(),
        ),
        None => None,
    };
    let mut rows = Vec::new();
    for account in call.wallets() {
        for (book, trade) in account.all_trades(call.now()) {
            if let Some(contract) = call.world().instrument(&book.symbol)
                && before.is_none_or(|before| trade.at.millis() < before)
            {
                rows.push((trade.at, fill(account, book, trade, contract)));
            }
        }
    }
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let rows: Vec<Value> = rows.into_iter().take(FILLS).map(|(_, row)| row).collect();
    told(json!({ "fills": rows }))
}

fn fill(account: &Account, book: &Book, trade: &Trade, contract: &Instrument) -> Value {
    let size = contracts::size(contract, trade.qty.decimal().unwrap_or_default());
    json!({"fill_id": trade_id(account, book, trade), "symbol": contracts::symbol(contract),
        "side": if trade.side == Side::Buy { "buy" } else { "sell" },
        "order_id": ids::uuid(&["order", &account.user, &trade.order_ref]),
        "size": decimal(size), "price": number(trade.price.as_str()),
        "fillTime": iso_millis(trade.at),
        "fillType": if trade.maker { "maker" } else { "taker" }})
}

/// One change of one balance.
struct Booking {
    at: Stamp,
    visible: Stamp,
    info: &'static str,
    /// Lower case.
    asset: String,
    margin_account: String,
    contract: Option<String>,
    execution: Option<String>,
    price: Option<Number>,
    fee: Option<Decimal>,
    realized: Option<Decimal>,
    funding: Option<Decimal>,
    change: Decimal,
}

impl Booking {
    fn new(at: Stamp, visible: Stamp, info: &'static str, asset: String, change: Decimal) -> Self {
        Self {
            at,
            visible,
            info,
            asset,
            margin_account: String::new(),
            contract: None,
            execution: None,
            price: None,
            fee: None,
            realized: None,
            funding: None,
            change,
        }
    }
}

/// Everything that is ever booked, in the order in which it becomes known.
fn bookings(call: &Call<'_>) -> Vec<Booking> {
    let mut all = Vec::new();
    let whole = Stamp::from_micros(i64::MAX);
    for account in call.wallets() {
        for (book, trade) in account.all_trades(whole) {
            if let Some(contract) = call.world().instrument(&book.symbol) {
                traded(account, book, trade, contract, &mut all);
            }
        }
        for row in account.income(whole) {
            let info = match row.kind {
                Kind::Commission | Kind::RealizedPnl => continue,
                Kind::Transfer => "cross-exchange transfer",
                Kind::Income(IncomeKind::Funding) => "funding rate change",
                Kind::Income(IncomeKind::Interest | IncomeKind::Reward) => "interest payment",
                Kind::Income(IncomeKind::Rebate | IncomeKind::Other) => "admin transfer",
            };
            let asset = code(&row.asset).to_ascii_lowercase();
            let mut booking = Booking::new(row.at, row.visible, info, asset, row.amount);
            let contract = call.world().instrument(&row.symbol);
            booking.margin_account =
                contract.map_or_else(|| home(account, &row.asset), contracts::margin_account);
            if row.kind == Kind::Income(IncomeKind::Funding) {
                booking.funding = Some(row.amount);
                booking.contract = contract.map(|it| contracts::symbol(it).to_ascii_lowercase());
            }
            all.push(booking);
        }
    }
    all.sort_by(|a, b| (a.visible, a.at, &a.execution).cmp(&(b.visible, b.at, &b.execution)));
    all
}

fn home(account: &Account, asset: &str) -> String {
    if account.wallet == crate::world::Wallet::InverseFutures {
        contracts::cash_account(asset)
    } else {
        "flex".to_owned()
    }
}

/// A trade is booked twice: the contract, and the money that it made and cost.
fn traded(
    account: &Account,
    book: &Book,
    trade: &Trade,
    contract: &Instrument,
    all: &mut Vec<Booking>,
) {
    let info = "futures trade";
    let symbol = contracts::symbol(contract).to_ascii_lowercase();
    let size = contracts::size(contract, trade.qty.decimal().unwrap_or_default());
    let signed = if trade.side == Side::Buy { size } else { -size };
    let settle = contracts::settle(contract);
    let realized = trade.contract.as_ref().map(|it| it.realized).unwrap_or_default();
    let fee = trade.fee.as_ref().map(|fee| {
        (code(&fee.asset).to_ascii_lowercase(), fee.amount.decimal().unwrap_or_default())
    });
    let own = fee.as_ref().filter(|(asset, _)| *asset == settle).map(|(_, amount)| *amount);
    let mut rows = vec![
        Booking::new(trade.at, trade.visible, info, symbol.clone(), signed),
        Booking::new(
            trade.at,
            trade.visible,
            info,
            settle.clone(),
            realized - own.unwrap_or_default(),
        ),
    ];
    if let Some(money) = rows.last_mut() {
        money.realized = Some(realized);
        money.fee = Some(own.unwrap_or_default());
    }
    // A fee in another collateral is a booking of its own.
    if let Some((asset, amount)) = fee.filter(|(asset, _)| *asset != settle) {
        let mut row = Booking::new(trade.at, trade.visible, info, asset, -amount);
        row.fee = Some(amount);
        rows.push(row);
    }
    for row in &mut rows {
        row.margin_account = contracts::margin_account(contract);
        row.contract = Some(symbol.clone());
        row.execution = Some(trade_id(account, book, trade));
        row.price = Some(trade.price.clone());
    }
    all.extend(rows);
}

/// What was there at the beginning, by account and asset.
fn opening(call: &Call<'_>) -> (BTreeMap<(String, String), Decimal>, Stamp) {
    let mut held = BTreeMap::new();
    let mut from = call.world().started;
    for account in call.wallets() {
        let Some(first) = account.first_snapshot() else { continue };
        from = first.at;
        for row in &first.balances {
            let asset = code(&row.asset).to_ascii_lowercase();
            held.insert((home(account, &row.asset), asset), worth::net(row));
        }
        for position in &first.positions {
            if let Some(contract) = call.world().instrument(&position.symbol) {
                let size = contracts::size(contract, position.qty.decimal().unwrap_or_default());
                let symbol = contracts::symbol(contract).to_ascii_lowercase();
                held.insert((contracts::margin_account(contract), symbol), size);
            }
        }
    }
    (held, from)
}

/// Rows of one reply: as many as asked, 500 unless told.
const LOG_ROWS: u64 = 500;
const LOG_ROWS_MAX: u64 = 100_000;

fn log_rows(params: &Form) -> Result<u64, Refusal> {
    let wrong = Refusal::Status(400, "invalid count");
    let count = params.number("count").map_err(|_| wrong)?.unwrap_or(LOG_ROWS);
    if (1..=LOG_ROWS_MAX).contains(&count) { Ok(count) } else { Err(wrong) }
}

/// Tokens by the number of rows that are asked for.
pub(super) fn log_cost(params: &Form) -> Result<u32, Refusal> {
    Ok(match log_rows(params)? {
        ..=25 => 1,
        26..=50 => 2,
        51..=1_000 => 3,
        1_001..=5_000 => 6,
        _ => 10,
    })
}

pub(super) fn account_log(call: &Call<'_>) -> Answer {
    let wrong = |_| Refusal::Status(400, "invalid argument");
    let bound = |name: &str| call.params.number(name).map_err(wrong);
    let (since, before) = (bound("since")?, bound("before")?);
    let (from, to) = (bound("from")?, bound("to")?);
    let ascending = match call.params.get("sort") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(Refusal::Status(400, "invalid sort")),
    };
    let info = call.params.get("info").map(str::to_ascii_lowercase);
    let count = usize::try_from(log_rows(call.params)?).unwrap_or(usize::MAX);
    let (mut held, opened) = opening(call);
    let mut rows = Vec::new();
    for (id, booking) in (1u64..).zip(bookings(call)) {
        let place = (booking.margin_account.clone(), booking.asset.clone());
        let balance = held.entry(place).or_default();
        let old = *balance;
        if booking.at > opened {
            *balance = balance.saturating_add(booking.change);
        }
        let new = if booking.at > opened { *balance } else { old.saturating_add(booking.change) };
        let at = booking.at.millis();
        let inside = booking.visible <= call.now()
            && since.is_none_or(|since| at >= since)
            && before.is_none_or(|before| at < before)
            && from.is_none_or(|from| id >= from)
            && to.is_none_or(|to| id <= to)
            && info.as_ref().is_none_or(|info| info == booking.info);
        if inside {
            rows.push(row(call, id, &booking, old, new));
        }
    }
    if !ascending {
        rows.reverse();
    }
    rows.truncate(count);
    told(json!({"accountUid": super::account::account_uid(call), "logs": rows}))
}

fn row(call: &Call<'_>, id: u64, booking: &Booking, old: Decimal, new: Decimal) -> Value {
    let maybe = |amount: Option<Decimal>| amount.map_or(Value::Null, decimal);
    let price = booking.price.as_ref().map_or(Value::Null, |price| number(price.as_str()));
    json!({"id": id, "date": iso_millis(booking.at), "asset": booking.asset, "info": booking.info,
        "booking_uid": ids::uuid(&["booking", call.user(), &id.to_string()]),
        "margin_account": booking.margin_account, "contract": booking.contract,
        "execution": booking.execution, "old_balance": decimal(old), "new_balance": decimal(new),
        "old_average_entry_price": null, "new_average_entry_price": null, "trade_price": price,
        "mark_price": price, "realized_pnl": maybe(booking.realized), "fee": maybe(booking.fee),
        "realized_funding": maybe(booking.funding), "funding_rate": null, "collateral": null,
        "conversion_spread_percentage": null})
}
