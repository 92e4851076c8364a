//! Futures wallets: equity, positions, trades, income.
//!
//! One-way mode, cross margin. Wallet balances are the scenario's, profit and
//! loss at the mark price comes from its positions; locked amounts are the
//! initial margin.

mod activity;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::number::{Number, padded};
use crate::scenario::Position;
use crate::world::{Account, Instrument, Snapshot, Wallet};

pub(super) use self::activity::{coinm_income, coinm_trades, usdm_income, usdm_trades};
use super::contracts::{self, pair_name};
use super::market::PLACES;
use super::refusal::Refusal;
use super::{Answer, Call, json};

/// The wallet; a user who has none is told what a wrong key is told.
fn opened<'a>(call: &'a Call<'_>, wallet: Wallet) -> Result<&'a Account, Refusal> {
    call.wallet(wallet)?.ok_or_else(Refusal::unknown_key)
}

fn snapshot<'a>(call: &'a Call<'_>, wallet: Wallet) -> Result<&'a Snapshot, Refusal> {
    opened(call, wallet)?.snapshot(call.now()).ok_or_else(Refusal::unavailable)
}

fn number(it: &Number) -> Result<Decimal, Refusal> {
    it.decimal().map_err(|_| Refusal::internal())
}

fn amount(value: Decimal) -> String {
    padded(value, PLACES)
}

/// One asset of the wallet, in numbers.
#[derive(Clone, Copy, Default)]
struct Equity {
    wallet: Decimal,
    margin: Decimal,
    unrealized: Decimal,
}

impl Equity {
    fn total(&self) -> Decimal {
        self.wallet + self.unrealized
    }

    fn available(&self) -> Decimal {
        (self.total() - self.margin).max(Decimal::ZERO)
    }
}

fn equities(snapshot: &Snapshot) -> Result<BTreeMap<&str, Equity>, Refusal> {
    let mut found: BTreeMap<&str, Equity> = BTreeMap::new();
    for row in &snapshot.balances {
        let equity = found.entry(&row.asset).or_default();
        equity.margin = number(&row.locked)?;
        equity.wallet = number(&row.free)? + equity.margin;
    }
    for held in &snapshot.positions {
        found.entry(&held.settle_asset).or_default().unrealized += number(&held.unrealized_pnl)?;
    }
    Ok(found)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asset<'a> {
    asset: &'a str,
    wallet_balance: String,
    unrealized_profit: String,
    margin_balance: String,
    maint_margin: String,
    initial_margin: String,
    position_initial_margin: String,
    open_order_initial_margin: String,
    cross_wallet_balance: String,
    cross_un_pnl: String,
    available_balance: String,
    max_withdraw_amount: String,
    update_time: u64,
}

impl<'a> Asset<'a> {
    fn new(asset: &'a str, equity: &Equity, updated: u64) -> Self {
        Self {
            asset,
            wallet_balance: amount(equity.wallet),
            unrealized_profit: amount(equity.unrealized),
            margin_balance: amount(equity.total()),
            maint_margin: amount(Decimal::ZERO),
            initial_margin: amount(equity.margin),
            position_initial_margin: amount(equity.margin),
            open_order_initial_margin: amount(Decimal::ZERO),
            cross_wallet_balance: amount(equity.wallet),
            cross_un_pnl: amount(equity.unrealized),
            available_balance: amount(equity.available()),
            max_withdraw_amount: amount(equity.available().min(equity.wallet)),
            update_time: updated,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsdmAccount<'a> {
    total_initial_margin: String,
    total_maint_margin: String,
    total_wallet_balance: String,
    total_unrealized_profit: String,
    total_margin_balance: String,
    total_position_initial_margin: String,
    total_open_order_initial_margin: String,
    total_cross_wallet_balance: String,
    total_cross_un_pnl: String,
    available_balance: String,
    max_withdraw_amount: String,
    assets: Vec<Asset<'a>>,
    positions: Vec<UsdmHeld<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsdmHeld<'a> {
    symbol: &'a str,
    position_side: &'static str,
    position_amt: &'a str,
    unrealized_profit: String,
    isolated_margin: &'static str,
    notional: String,
    isolated_wallet: &'static str,
    initial_margin: &'static str,
    maint_margin: &'static str,
    update_time: u64,
}

/// Positions and what they are worth in the quote asset.
fn open(snapshot: &Snapshot) -> Result<Vec<(&Position, Decimal)>, Refusal> {
    let mut rows = Vec::new();
    for held in snapshot.positions.iter().filter(|held| !held.qty.is_zero()) {
        let notional = number(&held.qty)?.checked_mul(number(&held.mark_price)?);
        rows.push((held, notional.ok_or_else(Refusal::internal)?));
    }
    Ok(rows)
}

/// The sums at the top are those of single-asset mode: of USDT alone.
pub(super) fn usdm_account(call: &Call<'_>) -> Answer {
    let snapshot = snapshot(call, Wallet::LinearFutures)?;
    let equities = equities(snapshot)?;
    let dollars = equities.get("USDT").copied().unwrap_or_default();
    let updated = snapshot.at.millis();
    let positions = open(snapshot)?.into_iter().map(|(held, notional)| UsdmHeld {
        symbol: &held.symbol,
        position_side: "BOTH",
        position_amt: held.qty.as_str(),
        unrealized_profit: held.unrealized_pnl.padded(PLACES),
        isolated_margin: "0.00000000",
        notional: amount(notional),
        isolated_wallet: "0",
        initial_margin: "0",
        maint_margin: "0",
        update_time: updated,
    });
    json(&UsdmAccount {
        total_initial_margin: amount(dollars.margin),
        total_maint_margin: amount(Decimal::ZERO),
        total_wallet_balance: amount(dollars.wallet),
        total_unrealized_profit: amount(dollars.unrealized),
        total_margin_balance: amount(dollars.total()),
        total_position_initial_margin: amount(dollars.margin),
        total_open_order_initial_margin: amount(Decimal::ZERO),
        total_cross_wallet_balance: amount(dollars.wallet),
        total_cross_un_pnl: amount(dollars.unrealized),
        available_balance: amount(dollars.available()),
        max_withdraw_amount: amount(dollars.available().min(dollars.wallet)),
        assets: equities.iter().map(|(asset, it)| Asset::new(asset, it, updated)).collect(),
        positions: positions.collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CoinmAccount<'a> {
    assets: Vec<Asset<'a>>,
    positions: Vec<CoinmHeld<'a>>,
    can_deposit: bool,
    can_trade: bool,
    can_withdraw: bool,
    fee_tier: u32,
    update_time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CoinmHeld<'a> {
    symbol: &'a str,
    position_amt: &'a str,
    initial_margin: &'static str,
    maint_margin: &'static str,
    unrealized_profit: String,
    position_initial_margin: &'static str,
    open_order_initial_margin: &'static str,
    leverage: &'static str,
    isolated: bool,
    position_side: &'static str,
    entry_price: &'a str,
    break_even_price: &'a str,
    max_qty: &'static str,
    update_time: u64,
    notional_value: &'static str,
}

pub(super) fn coinm_account(call: &Call<'_>) -> Answer {
    let snapshot = snapshot(call, Wallet::InverseFutures)?;
    let updated = snapshot.at.millis();
    let equities = equities(snapshot)?;
    let positions = snapshot.positions.iter().map(|held| CoinmHeld {
        symbol: &held.symbol,
        position_amt: held.qty.as_str(),
        initial_margin: "0",
        maint_margin: "0",
        unrealized_profit: held.unrealized_pnl.padded(PLACES),
        position_initial_margin: "0",
        open_order_initial_margin: "0",
        leverage: "20",
        isolated: false,
        position_side: "BOTH",
        entry_price: held.entry_price.as_str(),
        break_even_price: held.entry_price.as_str(),
        max_qty: "50",
        update_time: updated,
        notional_value: "0",
    });
    json(&CoinmAccount {
        assets: equities.iter().map(|(asset, it)| Asset::new(asset, it, updated)).collect(),
        positions: positions.collect(),
        can_deposit: true,
        can_trade: true,
        can_withdraw: true,
        fee_tier: 0,
        update_time: 0,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    account_alias: String,
    asset: &'a str,
    balance: String,
    cross_wallet_balance: String,
    cross_un_pnl: String,
    available_balance: String,
    update_time: u64,
}

fn balance(call: &Call<'_>, wallet: Wallet) -> Answer {
    let snapshot = snapshot(call, wallet)?;
    let alias = opened(call, wallet)?.uid.to_string();
    let equities = equities(snapshot)?;
    let rows = equities.iter().map(|(asset, equity)| Row {
        account_alias: alias.clone(),
        asset,
        balance: amount(equity.wallet),
        cross_wallet_balance: amount(equity.wallet),
        cross_un_pnl: amount(equity.unrealized),
        available_balance: amount(equity.available()),
        update_time: snapshot.at.millis(),
    });
    json(&rows.collect::<Vec<_>>())
}

pub(super) fn usdm_balance(call: &Call<'_>) -> Answer {
    balance(call, Wallet::LinearFutures)
}

pub(super) fn coinm_balance(call: &Call<'_>) -> Answer {
    balance(call, Wallet::InverseFutures)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsdmPosition<'a> {
    symbol: &'a str,
    position_side: &'static str,
    position_amt: &'a str,
    entry_price: &'a str,
    break_even_price: &'a str,
    mark_price: String,
    un_realized_profit: String,
    liquidation_price: &'static str,
    isolated_margin: &'static str,
    notional: String,
    margin_asset: &'a str,
    isolated_wallet: &'static str,
    initial_margin: &'static str,
    maint_margin: &'static str,
    position_initial_margin: &'static str,
    open_order_initial_margin: &'static str,
    adl: u32,
    bid_notional: &'static str,
    ask_notional: &'static str,
    update_time: u64,
}

/// Open positions only.
pub(super) fn usdm_positions(call: &Call<'_>) -> Answer {
    let wanted = call.params.get("symbol");
    if let Some(symbol) = wanted {
        contracts::find(call.world(), Wallet::LinearFutures, symbol)?;
    }
    let snapshot = snapshot(call, Wallet::LinearFutures)?;
    let rows = open(snapshot)?.into_iter();
    let rows = rows.filter(|(held, _)| wanted.is_none_or(|wanted| wanted == held.symbol));
    let rows = rows.map(|(held, notional)| UsdmPosition {
        symbol: &held.symbol,
        position_side: "BOTH",
        position_amt: held.qty.as_str(),
        entry_price: held.entry_price.as_str(),
        break_even_price: held.entry_price.as_str(),
        mark_price: held.mark_price.padded(PLACES),
        un_realized_profit: held.unrealized_pnl.padded(PLACES),
        liquidation_price: "0",
        isolated_margin: "0",
        notional: amount(notional),
        margin_asset: &held.settle_asset,
        isolated_wallet: "0",
        initial_margin: "0",
        maint_margin: "0",
        position_initial_margin: "0",
        open_order_initial_margin: "0",
        adl: 2,
        bid_notional: "0",
        ask_notional: "0",
        update_time: snapshot.at.millis(),
    });
    json(&rows.collect::<Vec<_>>())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CoinmPosition<'a> {
    symbol: &'a str,
    position_amt: &'a str,
    entry_price: &'a str,
    break_even_price: &'a str,
    mark_price: String,
    un_realized_profit: String,
    liquidation_price: &'static str,
    leverage: &'static str,
    max_qty: &'static str,
    margin_type: &'static str,
    isolated_margin: &'static str,
    is_auto_add_margin: &'static str,
    position_side: &'static str,
    notional_value: &'static str,
    isolated_wallet: &'static str,
    update_time: u64,
}

/// Every contract, held or not.
pub(super) fn coinm_positions(call: &Call<'_>) -> Answer {
    let (asset, pair) = (call.params.get("marginAsset"), call.params.get("pair"));
    if asset.is_some() && pair.is_some() {
        return Err(Refusal::combination());
    }
    let snapshot = snapshot(call, Wallet::InverseFutures)?;
    let rows = contracts::listed(call.world(), Wallet::InverseFutures)
        .filter(|it| asset.is_none_or(|asset| asset == it.settle))
        .filter(|it| pair.is_none_or(|pair| pair == pair_name(it)))
        .map(|it| {
            let held = snapshot.positions.iter().find(|held| held.symbol == it.symbol);
            coinm_position(it, held, snapshot)
        });
    json(&rows.collect::<Vec<_>>())
}

fn coinm_position<'a>(
    it: &'a Instrument,
    held: Option<&'a Position>,
    snapshot: &Snapshot,
) -> CoinmPosition<'a> {
    let zero = || amount(Decimal::ZERO);
    CoinmPosition {
        symbol: &it.symbol,
        position_amt: held.map_or("0", |held| held.qty.as_str()),
        entry_price: held.map_or("0.0", |held| held.entry_price.as_str()),
        break_even_price: held.map_or("0.0", |held| held.entry_price.as_str()),
        mark_price: held.map_or_else(zero, |held| held.mark_price.padded(PLACES)),
        un_realized_profit: held.map_or_else(zero, |held| held.unrealized_pnl.padded(PLACES)),
        liquidation_price: "0",
        leverage: "20",
        max_qty: "50",
        margin_type: "cross",
        isolated_margin: "0.00000000",
        is_auto_add_margin: "false",
        position_side: "BOTH",
        notional_value: "0",
        isolated_wallet: "0",
        update_time: held.map_or(0, |_| snapshot.at.millis()),
    }
}
