//! Executions and the ledger: lists of 50 rows, newest first, that go on at an
//! offset.
//!
//! A row that is added while the pages are read moves the others towards
//! later pages: it makes rows come twice and never lets one slip.

use super::assets;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, BookingClass, Fact, Fill, LedgerEntry, Liquidity, Money, Page};
use crate::json::{Object, malformed};
use crate::limits;
use crate::query::{Cursor, Query};

/// Rows in one reply.
const PAGE: usize = 50;

pub(super) fn fills(
    result: &Object<'_>,
    context: &Context,
    cursor: Option<&Cursor>,
    go_on: impl Fn(Cursor) -> Query,
) -> Result<Page, ExchangeError> {
    let rows = result.need("trades")?.object("trades")?;
    let mut facts = Vec::new();
    for (id, row) in rows.fields() {
        facts.push(Fact::Fill(fill(checked(id)?, &row.object("trades")?, context)?));
    }
    page(result, facts, cursor, go_on)
}

pub(super) fn ledger(
    result: &Object<'_>,
    context: &Context,
    cursor: Option<&Cursor>,
    go_on: impl Fn(Cursor) -> Query,
) -> Result<Page, ExchangeError> {
    let rows = result.need("ledger")?.object("ledger")?;
    let mut facts = Vec::new();
    for (id, row) in rows.fields() {
        facts.push(Fact::LedgerEntry(entry(checked(id)?, &row.object("ledger")?, context)?));
    }
    page(result, facts, cursor, go_on)
}

/// `count` is the length of the whole list. A page that is empty before its
/// end was cut.
fn page(
    result: &Object<'_>,
    facts: Vec<Fact>,
    cursor: Option<&Cursor>,
    go_on: impl Fn(Cursor) -> Query,
) -> Result<Page, ExchangeError> {
    let count = match result.get("count") {
        Some(count) => {
            Some(u64::try_from(count.integer("count")?).map_err(|_| malformed("count"))?)
        }
        None => None,
    };
    let offset = cursor.map_or(Ok(0), Cursor::to_offset)?;
    let rows = u32::try_from(facts.len()).map_err(|_| malformed("result"))?;
    let read = offset.checked_add(rows).ok_or_else(|| malformed("result"))?;
    let more = count.map_or(facts.len() >= PAGE, |count| u64::from(read) < count);
    if more && facts.is_empty() {
        return Err(malformed("count"));
    }
    let next = more.then(|| go_on(Cursor::offset(read)));
    Ok(Page { count, ..Page::new(facts, next) })
}

/// Ids are the names of fields here.
fn checked(id: &str) -> Result<String, ExchangeError> {
    if id.is_empty() || id.len() > limits::TEXT_LEN_MAX || id.chars().any(char::is_control) {
        return Err(malformed("id"));
    }
    Ok(id.to_owned())
}

fn fill(id: String, row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = assets::traded_pair(&row.text("pair")?, context)?;
    let fee = row.maybe_decimal("fee")?;
    let maker = match row.get("maker") {
        Some(maker) => Some(maker.flag("maker")?),
        None => None,
    };
    Ok(Fill {
        id,
        trade_id: row.maybe_id("trade_id")?,
        fill_type: None,
        order_id: row.id("ordertxid")?,
        side: row.side("type", ["buy", "sell"])?,
        price: row.decimal("price")?,
        amount: row.decimal("vol")?,
        amount_unit: AmountUnit::Base,
        notional_quote: row.decimal("cost")?,
        fee: fee.map(|amount| Money { asset: instrument.quote.clone(), amount }),
        realized_pnl: None,
        liquidity: maker.map(|maker| if maker { Liquidity::Maker } else { Liquidity::Taker }),
        at: row.time("time")?,
        instrument,
    })
}

fn entry(id: String, row: &Object<'_>, context: &Context) -> Result<LedgerEntry, ExchangeError> {
    let raw_type = row.text("type")?;
    let raw_subtype = row.maybe_text("subtype")?;
    let (asset, wallet) = assets::asset(&row.text("asset")?, context);
    let amount = row.decimal("amount")?;
    let fee = row.maybe_decimal("fee")?.unwrap_or_default();
    let change = amount.checked_sub(fee).ok_or_else(|| malformed("fee"))?;
    Ok(LedgerEntry {
        id,
        ref_id: row.id("refid")?,
        class: class(&raw_type, raw_subtype.as_deref()),
        raw_type,
        raw_subtype,
        asset,
        wallet: wallet.to_owned(),
        amount,
        fee,
        balance_change: change.normalize(),
        at: row.time("time")?,
    })
}

/// Moves between the wallets of one account.
const INTERNAL: [&str; 6] = [
    "spottofutures",
    "spotfromfutures",
    "spottostaking",
    "spotfromstaking",
    "stakingtospot",
    "stakingfromspot",
];

fn class(raw_type: &str, subtype: Option<&str>) -> BookingClass {
    match (raw_type, subtype) {
        ("trade" | "spend" | "receive", _) => BookingClass::Trade,
        ("deposit", _) => BookingClass::Deposit,
        ("withdrawal", _) => BookingClass::Withdrawal,
        ("margin" | "settled", _) => BookingClass::Margin,
        ("rollover", _) => BookingClass::MarginFee,
        ("staking", _) | ("earn", Some("reward")) => BookingClass::Reward,
        ("earn", _) => BookingClass::InternalTransfer,
        ("transfer", Some(subtype)) if INTERNAL.contains(&subtype) => {
            BookingClass::InternalTransfer
        }
        ("transfer", _) => BookingClass::Transfer,
        ("adjustment", _) => BookingClass::Adjustment,
        _ => BookingClass::Other,
    }
}
