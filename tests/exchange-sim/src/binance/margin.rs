//! Cross and isolated margin.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::number::{Number, padded};
use crate::scenario::{Balance, IncomeKind, Market, Side};
use crate::world::{Account, Kind, Pair, Trade, Wallet};

use super::account::Selection;
use super::market::{PLACES, find, listed};
use super::refusal::Refusal;
use super::{Answer, Call, json};

/// What a balance row says, in numbers.
#[derive(Clone, Copy, Default)]
struct Held {
    free: Decimal,
    locked: Decimal,
    borrowed: Decimal,
    interest: Decimal,
}

impl Held {
    fn of(row: &Balance) -> Result<Self, Refusal> {
        let number = |it: &Number| it.decimal().map_err(|_| Refusal::internal());
        Ok(Self {
            free: number(&row.free)?,
            locked: number(&row.locked)?,
            borrowed: number(&row.borrowed)?,
            interest: number(&row.interest)?,
        })
    }

    fn assets(&self) -> Decimal {
        self.free + self.locked
    }

    fn debts(&self) -> Decimal {
        self.borrowed + self.interest
    }
}

/// What an asset is worth in bitcoin, as the venue sums it up: directly or through USDT.
fn in_btc(call: &Call<'_>, asset: &str, amount: Decimal) -> Decimal {
    let price = |base: &str, quote: &str| {
        let track = call.world().price(&(base.to_owned(), quote.to_owned()))?;
        Some(track.at(call.now())?.value)
    };
    let value = if asset == "BTC" {
        Some(amount)
    } else if let Some(rate) = price(asset, "BTC") {
        amount.checked_mul(rate)
    } else {
        let dollars = if asset == "USDT" { Some(Decimal::ONE) } else { price(asset, "USDT") };
        dollars
            .and_then(|rate| amount.checked_mul(rate))
            .and_then(|value| value.checked_div(price("BTC", "USDT")?))
    };
    value.unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct Cross {
    created: bool,
    borrow_enabled: bool,
    margin_level: String,
    collateral_margin_level: String,
    total_asset_of_btc: String,
    total_liability_of_btc: String,
    total_net_asset_of_btc: String,
    trade_enabled: bool,
    transfer_in_enabled: bool,
    transfer_out_enabled: bool,
    account_type: &'static str,
    user_assets: Vec<CrossAsset>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CrossAsset {
    asset: String,
    borrowed: String,
    free: String,
    interest: String,
    locked: String,
    net_asset: String,
}

/// Assets and debts in bitcoin, and one by the other; without debts the venue says 999.
struct Level {
    assets: Decimal,
    debts: Decimal,
}

impl Level {
    fn text(&self) -> String {
        let level = self.assets.checked_div(self.debts);
        padded(level.unwrap_or_else(|| Decimal::from(999)).round_dp(8), 0)
    }
}

fn btc(amount: Decimal) -> String {
    padded(amount.round_dp(8), PLACES)
}

pub(super) fn cross(call: &Call<'_>) -> Answer {
    let account = call.wallet(Wallet::CrossMargin)?.ok_or_else(Refusal::no_margin_account)?;
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let mut level = Level { assets: Decimal::ZERO, debts: Decimal::ZERO };
    let mut user_assets = Vec::new();
    for row in &snapshot.balances {
        let held = Held::of(row)?;
        level.assets += in_btc(call, &row.asset, held.assets());
        level.debts += in_btc(call, &row.asset, held.debts());
        user_assets.push(CrossAsset {
            asset: row.asset.clone(),
            borrowed: row.borrowed.padded(PLACES),
            free: row.free.padded(PLACES),
            interest: row.interest.padded(PLACES),
            locked: row.locked.padded(PLACES),
            net_asset: padded(held.assets() - held.debts(), PLACES),
        });
    }
    json(&Cross {
        created: true,
        borrow_enabled: true,
        margin_level: level.text(),
        collateral_margin_level: level.text(),
        total_asset_of_btc: btc(level.assets),
        total_liability_of_btc: btc(level.debts),
        total_net_asset_of_btc: btc(level.assets - level.debts),
        trade_enabled: true,
        transfer_in_enabled: true,
        transfer_out_enabled: true,
        account_type: "MARGIN_1",
        user_assets,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Isolated {
    assets: Vec<IsolatedPair>,
    #[serde(flatten)]
    totals: Option<Totals>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    total_asset_of_btc: String,
    total_liability_of_btc: String,
    total_net_asset_of_btc: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IsolatedPair {
    base_asset: IsolatedAsset,
    quote_asset: IsolatedAsset,
    symbol: String,
    isolated_created: bool,
    enabled: bool,
    margin_level: String,
    margin_level_status: &'static str,
    margin_ratio: &'static str,
    index_price: String,
    liquidate_price: &'static str,
    liquidate_rate: &'static str,
    trade_enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IsolatedAsset {
    asset: String,
    borrow_enabled: bool,
    borrowed: String,
    free: String,
    interest: String,
    locked: String,
    net_asset: String,
    net_asset_of_btc: String,
    repay_enabled: bool,
    total_asset: String,
}

impl IsolatedAsset {
    fn new(call: &Call<'_>, asset: &str, held: &Held) -> Self {
        let net = held.assets() - held.debts();
        Self {
            asset: asset.to_owned(),
            borrow_enabled: true,
            borrowed: padded(held.borrowed, PLACES),
            free: padded(held.free, PLACES),
            interest: padded(held.interest, PLACES),
            locked: padded(held.locked, PLACES),
            net_asset: padded(net, PLACES),
            net_asset_of_btc: btc(in_btc(call, asset, net)),
            repay_enabled: true,
            total_asset: padded(held.assets(), PLACES),
        }
    }
}

/// Which pair holds what: a scenario's wallet is one list of assets. The pairs are those that
/// its trades name, and an asset of several pairs is in the first.
fn by_pair(call: &Call<'_>, account: &Account) -> Result<BTreeMap<Pair, (Held, Held)>, Refusal> {
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let mut pairs: BTreeMap<Pair, (Held, Held)> = account
        .books(Market::Margin)
        .map(|pair| (pair.clone(), (Held::default(), Held::default())))
        .collect();
    for row in &snapshot.balances {
        let held = Held::of(row)?;
        let base = pairs.iter_mut().find(|((base, _), _)| *base == row.asset);
        if let Some((_, (base, _))) = base {
            *base = held;
        } else if let Some((_, (_, quote))) =
            pairs.iter_mut().find(|((_, quote), _)| *quote == row.asset)
        {
            *quote = held;
        }
    }
    Ok(pairs)
}

pub(super) fn isolated(call: &Call<'_>) -> Answer {
    let wanted: Option<Vec<&str>> = call.params.get("symbols").map(|it| it.split(',').collect());
    if wanted.as_ref().is_some_and(|wanted| wanted.len() > 5) {
        return Err(Refusal::invalid("symbols"));
    }
    let pairs = match call.wallet(Wallet::IsolatedMargin)? {
        Some(account) => by_pair(call, account)?,
        None => BTreeMap::new(),
    };
    let mut all = Level { assets: Decimal::ZERO, debts: Decimal::ZERO };
    let mut assets = Vec::new();
    for (pair, (base, quote)) in &pairs {
        let symbol = format!("{}{}", pair.0, pair.1);
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&symbol.as_str())) {
            continue;
        }
        let level = Level {
            assets: in_btc(call, &pair.0, base.assets()) + in_btc(call, &pair.1, quote.assets()),
            debts: in_btc(call, &pair.0, base.debts()) + in_btc(call, &pair.1, quote.debts()),
        };
        all.assets += level.assets;
        all.debts += level.debts;
        let (_, track) = find(call.world(), &symbol)?;
        assets.push(IsolatedPair {
            base_asset: IsolatedAsset::new(call, &pair.0, base),
            quote_asset: IsolatedAsset::new(call, &pair.1, quote),
            symbol,
            isolated_created: true,
            enabled: true,
            margin_level: level.text(),
            margin_level_status: "NORMAL",
            margin_ratio: "5.00000000",
            index_price: track
                .at(call.now())
                .map_or_else(|| padded(Decimal::ZERO, PLACES), |tick| tick.price.padded(PLACES)),
            liquidate_price: "0.00000000",
            liquidate_rate: "0.00000000",
            trade_enabled: true,
        });
    }
    // Asked for some pairs the venue leaves the sums out.
    let totals = wanted.is_none().then(|| Totals {
        total_asset_of_btc: btc(all.assets),
        total_liability_of_btc: btc(all.debts),
        total_net_asset_of_btc: btc(all.assets - all.debts),
    });
    json(&Isolated { assets, totals })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct Row<'a> {
    commission: String,
    commission_asset: &'a str,
    id: u64,
    is_best_match: bool,
    is_buyer: bool,
    is_maker: bool,
    order_id: u64,
    price: String,
    qty: String,
    symbol: &'a str,
    is_isolated: bool,
    time: u64,
}

pub(super) fn my_trades(call: &Call<'_>) -> Answer {
    let symbol = call.params.mandatory("symbol")?;
    let (pair, _) = find(call.world(), symbol)?;
    let is_isolated = match call.params.get("isIsolated").map(str::to_ascii_uppercase).as_deref() {
        None | Some("FALSE") => false,
        Some("TRUE") => true,
        Some(_) => return Err(Refusal::invalid("isIsolated")),
    };
    let wallet = if is_isolated { Wallet::IsolatedMargin } else { Wallet::CrossMargin };
    let trades = match call.wallet(wallet)? {
        Some(account) => account.trades(Market::Margin, pair, call.now()),
        None if is_isolated => Vec::new(),
        None => return Err(Refusal::no_margin_account()),
    };
    let selection = Selection { hours: 24, limit_default: 500, without_times: Some(24) };
    let rows: Vec<_> = selection
        .of(call, trades)?
        .into_iter()
        .map(|trade| row(symbol, &pair.1, is_isolated, trade))
        .collect();
    json(&rows)
}

fn row<'a>(symbol: &'a str, quote: &'a str, is_isolated: bool, trade: &'a Trade) -> Row<'a> {
    let fee = trade.fee.as_ref();
    Row {
        commission: fee.map_or_else(Number::zero, |fee| fee.amount.clone()).padded(PLACES),
        commission_asset: fee.map_or(quote, |fee| &fee.asset),
        id: trade.id,
        is_best_match: true,
        is_buyer: trade.side == Side::Buy,
        is_maker: trade.maker,
        order_id: trade.order_id,
        price: trade.price.padded(PLACES),
        qty: trade.qty.padded(PLACES),
        symbol,
        is_isolated,
        time: trade.at.millis(),
    }
}

#[derive(Serialize)]
struct Interest {
    rows: Vec<InterestRow>,
    total: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InterestRow {
    tx_id: u64,
    interest_accured_time: u64,
    asset: String,
    raw_asset: String,
    interest: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Newest first; without times the last seven days, with them thirty at most.
pub(super) fn interest(call: &Call<'_>) -> Answer {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let params = call.params;
    let now = call.now().millis();
    let (start, end) = (params.number("startTime")?, params.number("endTime")?);
    let end = end.unwrap_or(now);
    let start = start.unwrap_or_else(|| end.saturating_sub(7 * DAY_MS));
    if end.saturating_sub(start) > 30 * DAY_MS {
        return Err(Refusal::window(30 * 24));
    }
    let (size, current) = (params.limit("size", 10, 100)?, params.limit("current", 1, 1_000_000)?);
    let wallet =
        if params.has("isolatedSymbol") { Wallet::IsolatedMargin } else { Wallet::CrossMargin };
    let income = call.wallet(wallet)?.map(|it| it.income(call.now())).unwrap_or_default();
    let mut rows: Vec<_> = income
        .into_iter()
        .filter(|row| {
            row.kind == Kind::Income(IncomeKind::Interest)
                && (start..=end).contains(&row.at.millis())
                && params.get("asset").is_none_or(|asset| asset == row.asset)
        })
        .collect();
    rows.reverse();
    let total = rows.len();
    let page = rows.into_iter().skip((current - 1) * size).take(size).map(|row| InterestRow {
        tx_id: row.id,
        interest_accured_time: row.at.millis(),
        asset: row.asset.clone(),
        raw_asset: row.asset.clone(),
        interest: padded(-row.amount, PLACES),
        kind: "PERIODIC",
    });
    json(&Interest { rows: page.collect(), total })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarginPair<'a> {
    symbol: String,
    base: &'a str,
    quote: &'a str,
    is_margin_trade: bool,
    is_buy_allowed: bool,
    is_sell_allowed: bool,
}

/// The pairs that somebody trades on margin.
pub(super) fn all_pairs(call: &Call<'_>) -> Answer {
    let asked = call.params.get("symbol");
    let rows: Vec<_> = listed(call.world())
        .filter(|(symbol, pair, _)| {
            call.world().has_margin(pair) && asked.is_none_or(|asked| asked == symbol)
        })
        .map(|(symbol, (base, quote), _)| MarginPair {
            symbol,
            base,
            quote,
            is_margin_trade: true,
            is_buy_allowed: true,
            is_sell_allowed: true,
        })
        .collect();
    json(&rows)
}
