//! What an account holds.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::Product;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, Balance, Fact, FuturesBalance, Position, PositionSide};
use crate::json::{Object, Value, malformed};

/// The wallets of spot and margin accounts.
pub(super) fn wallets(
    market: Product,
    document: Value<'_>,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let body = document.object("body")?;
    let mut facts = Vec::new();
    match market {
        Product::Spot => {
            for row in body.list("balances")? {
                let row = row.object("balances")?;
                let asset = row.text("asset")?;
                let (asset, wallet) = spot_asset(&asset, context);
                let none = Owed { borrowed: Decimal::ZERO, interest: Decimal::ZERO };
                facts.extend(balance(&row, asset.into_owned(), wallet.to_owned(), &none)?);
            }
        }
        Product::MarginCross => {
            for row in body.list("userAssets")? {
                let row = row.object("userAssets")?;
                facts.extend(margin_balance(&row, "margin_cross".to_owned())?);
            }
        }
        Product::MarginIsolated => {
            for pair in body.list("assets")? {
                let pair = pair.object("assets")?;
                let wallet = format!("margin_isolated:{}", pair.text("symbol")?);
                for side in ["baseAsset", "quoteAsset"] {
                    let row = pair.need(side)?.object(side)?;
                    facts.extend(margin_balance(&row, wallet.clone())?);
                }
            }
        }
        Product::UsdM | Product::CoinM => return Err(ExchangeError::Unsupported),
    }
    Ok(facts.into_iter().map(Fact::Balance).collect())
}

/// Flexible savings show up in the spot account as `LD` and the asset. Some
/// assets begin with these letters by themselves.
fn spot_asset<'a>(asset: &'a str, context: &Context) -> (Cow<'a, str>, &'static str) {
    let saved = asset
        .strip_prefix("LD")
        .filter(|saved| !context.knows_asset(asset) && context.knows_asset(saved));
    match saved {
        Some(saved) => (Cow::Borrowed(saved), "earn"),
        None => (Cow::Borrowed(asset), "main"),
    }
}

struct Owed {
    borrowed: Decimal,
    interest: Decimal,
}

fn margin_balance(row: &Object<'_>, wallet: String) -> Result<Option<Balance>, ExchangeError> {
    let owed = Owed { borrowed: row.decimal("borrowed")?, interest: row.decimal("interest")? };
    balance(row, row.text("asset")?, wallet, &owed)
}

/// `None` if the row is zero throughout.
fn balance(
    row: &Object<'_>,
    asset: String,
    wallet: String,
    owed: &Owed,
) -> Result<Option<Balance>, ExchangeError> {
    let free = row.decimal("free")?;
    let used = row.decimal("locked")?;
    let Owed { borrowed, interest } = *owed;
    if [free, used, borrowed, interest].iter().all(Decimal::is_zero) {
        return Ok(None);
    }
    let total = free.checked_add(used).ok_or_else(|| malformed("free"))?;
    let net = total
        .checked_sub(borrowed)
        .and_then(|rest| rest.checked_sub(interest))
        .ok_or_else(|| malformed("borrowed"))?;
    Ok(Some(Balance { asset, wallet, free, used, total, borrowed, interest, net }))
}

/// Collateral. Assets that only could be used, and hold nothing, are left out.
pub(super) fn futures(market: Product, document: Value<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let wallet = match market {
        Product::UsdM => "usdm",
        Product::CoinM => "coinm",
        Product::Spot | Product::MarginCross | Product::MarginIsolated => {
            return Err(ExchangeError::Unsupported);
        }
    };
    let mut facts = Vec::new();
    for row in document.object("body")?.list("assets")? {
        let row = row.object("assets")?;
        let wallet_balance = row.decimal("walletBalance")?;
        let unrealized_pnl = row.decimal("unrealizedProfit")?;
        if wallet_balance.is_zero() && unrealized_pnl.is_zero() {
            continue;
        }
        facts.push(Fact::FuturesBalance(FuturesBalance {
            asset: row.text("asset")?,
            wallet,
            wallet_balance,
            unrealized_pnl,
            equity: wallet_balance
                .checked_add(unrealized_pnl)
                .ok_or_else(|| malformed("walletBalance"))?,
            available: row.decimal("availableBalance")?,
        }));
    }
    Ok(facts)
}

/// Open positions; empty ones are left out.
pub(super) fn positions(
    market: Product,
    document: Value<'_>,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let amount_unit = match market {
        Product::UsdM => AmountUnit::Base,
        Product::CoinM => AmountUnit::Contract,
        Product::Spot | Product::MarginCross | Product::MarginIsolated => {
            return Err(ExchangeError::Unsupported);
        }
    };
    let mut facts = Vec::new();
    for row in document.list("body")? {
        let row = row.object("body")?;
        let signed = row.decimal("positionAmt")?;
        if signed.is_zero() {
            continue;
        }
        let symbol = row.text("symbol")?;
        let instrument = context.instrument(&symbol).ok_or(ExchangeError::UnknownInstrument)?;
        let side = match row.maybe_text("positionSide")?.as_deref() {
            Some("SHORT") => PositionSide::Short,
            Some("BOTH") | None if signed.is_sign_negative() => PositionSide::Short,
            Some("LONG" | "BOTH") | None => PositionSide::Long,
            Some(_) => return Err(malformed("positionSide")),
        };
        facts.push(Fact::Position(Position {
            instrument: std::sync::Arc::clone(instrument),
            side,
            amount: signed.abs(),
            amount_unit,
            entry_price: row.decimal("entryPrice")?,
            mark_price: row.maybe_decimal("markPrice")?,
            unrealized_pnl: row.maybe_decimal("unRealizedProfit")?,
            unrealized_funding: None,
            settle: row.maybe_text("marginAsset")?.or_else(|| instrument.settle.clone()),
        }));
    }
    Ok(facts)
}
