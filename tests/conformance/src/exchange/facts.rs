//! Facts in the fixtures' vocabulary.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use exchanges::{
    AmountUnit, Fact, Fill, IncomeType, Liquidity, Money, Page, PositionSide, Query, Side,
    Transfer, TransferKind, TransferStatus,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::Adapter;

/// The answer to a `parse` case.
pub(super) fn facts(adapter: &dyn Adapter, query: &Query, page: &Page) -> Result<Value> {
    let mut rows = Vec::new();
    let mut net_by_asset: BTreeMap<String, Decimal> = BTreeMap::new();
    let mut prices = Map::new();
    let mut pool = None;
    let mut next_cursor = None;
    if let Some(Query::Balances { cursor }) = &page.next {
        next_cursor = cursor.as_ref().map(|cursor| cursor.as_str().to_owned());
    }
    for fact in &page.facts {
        match fact {
            Fact::ServerTime(at) => return Ok(json!({ "server_time_ms": at.0 })),
            Fact::Price(price) => {
                prices.insert(price.symbol.clone(), json!(price.price.to_string()));
            }
            Fact::Balance(balance) => {
                let sum = net_by_asset.entry(balance.asset.clone()).or_default();
                *sum = sum.checked_add(balance.net).context("net")?;
                rows.push(json!({
                    "asset": balance.asset,
                    "wallet": balance.wallet,
                    "free": balance.free.to_string(),
                    "used": balance.used.to_string(),
                    "total": balance.total.to_string(),
                    "borrowed": balance.borrowed.to_string(),
                    "interest": balance.interest.to_string(),
                    "net": balance.net.to_string(),
                }));
            }
            Fact::AccountValuation(found) => {
                return Ok(json!({ "trade_balance": {
                    "equivalent_balance": found.equivalent_balance.to_string(),
                    "trade_balance": found.trade_balance.to_string(),
                    "margin_used": found.margin_used.to_string(),
                    "unrealized_pnl": found.unrealized_pnl.to_string(),
                    "equity": found.equity.to_string(),
                    "floating_valuation": found.floating_valuation.to_string(),
                }}));
            }
            Fact::CollateralPool(found) => {
                pool = Some(json!({
                    "balance_value_usd": found.balance_value_usd.to_string(),
                    "portfolio_value_usd": found.portfolio_value_usd.to_string(),
                    "unrealized_pnl_usd": found.unrealized_pnl_usd.to_string(),
                    "unrealized_funding_usd": found.unrealized_funding_usd.to_string(),
                    "equity_usd": found.equity_usd.to_string(),
                }));
            }
            // Comes along with balances; no row of this answer.
            Fact::Identity(_) | Fact::Wallet(_) => {}
            other => rows.push(row(other)?),
        }
    }
    Ok(match query {
        Query::Prices { .. } => json!({ "prices": prices }),
        Query::Balances { .. } => {
            let sums: Map<String, Value> = net_by_asset
                .into_iter()
                .filter(|(_, sum)| !sum.is_zero())
                .map(|(asset, sum)| (asset, json!(sum.normalize().to_string())))
                .collect();
            json!({ "balances": rows, "net_by_asset": sums, "next_cursor": next_cursor })
        }
        _ => {
            let name = match query {
                Query::Fills { .. } | Query::AccountFills { .. } => "fills",
                Query::FuturesBalances => adapter.futures_balances(),
                Query::Positions => "positions",
                Query::Deposits { .. }
                | Query::Withdrawals { .. }
                | Query::Transfers { .. }
                | Query::FiatOrders { .. } => "transfers",
                Query::Ledger { .. } => adapter.ledger(),
                Query::Income { .. } => "income",
                Query::Candles { .. } => "candles",
                Query::Ticker { .. } => "tickers",
                other => bail!("no answer for {}", other.name()),
            };
            json!({
                name: rows,
                "flex": pool,
                "count": page.count,
                "last_committed_ms": page.last_committed.map(|at| at.0),
            })
        }
    })
}

fn row(fact: &Fact) -> Result<Value> {
    Ok(match fact {
        Fact::Fill(fill) => fill_row(fill),
        Fact::Transfer(transfer) => transfer_row(transfer),
        Fact::FuturesBalance(balance) => json!({
            "asset": balance.asset,
            "wallet": balance.wallet,
            "wallet_balance": balance.wallet_balance.to_string(),
            "unrealized_pnl": balance.unrealized_pnl.to_string(),
            "equity": balance.equity.to_string(),
            "available": balance.available.to_string(),
        }),
        Fact::Position(position) => json!({
            "symbol": position.instrument.symbol,
            "side": match position.side {
                PositionSide::Long => "long",
                PositionSide::Short => "short",
            },
            "amount": position.amount.to_string(),
            "amount_unit": amount_unit(position.amount_unit),
            "entry_price": position.entry_price.to_string(),
            "mark_price": position.mark_price.map(|price| price.to_string()),
            "unrealized_pnl": position.unrealized_pnl.map(|profit| profit.to_string()),
            "unrealized_funding": position.unrealized_funding.map(|funding| funding.to_string()),
        }),
        Fact::Income(income) => json!({
            "key": income.key,
            "type": income_type(income.kind),
            "raw_type": income.raw_type,
            "asset": income.asset,
            "amount": income.amount.to_string(),
            "symbol": income.symbol,
            "ts_ms": income.at.0,
        }),
        Fact::Candle(candle) => json!([
            candle.open_at.0,
            candle.open.to_string(),
            candle.high.to_string(),
            candle.low.to_string(),
            candle.close.to_string(),
            candle.volume.to_string(),
        ]),
        Fact::Ticker(ticker) => json!({
            "symbol": ticker.symbol,
            "last": ticker.last.map(|price| price.to_string()),
            "bid": ticker.bid.map(|price| price.to_string()),
            "ask": ticker.ask.map(|price| price.to_string()),
            "mark": ticker.mark.map(|price| price.to_string()),
            "ts_ms": ticker.at.map(|at| at.0),
        }),
        Fact::LedgerEntry(entry) => json!({
            "id": entry.id,
            "ref_id": entry.ref_id,
            "class": entry.class.name(),
            "raw_type": entry.raw_type,
            "raw_subtype": entry.raw_subtype,
            "asset": entry.asset,
            "wallet": entry.wallet,
            "amount": entry.amount.to_string(),
            "fee": entry.fee.to_string(),
            "balance_change": entry.balance_change.to_string(),
            "ts_ms": entry.at.0,
        }),
        Fact::AccountLogEntry(entry) => json!({
            "id": entry.id,
            "booking_uid": entry.booking_uid,
            "class": entry.class.name(),
            "raw_type": entry.raw_type,
            "asset": entry.asset,
            "balance_change": entry.balance_change.to_string(),
            "fee": entry.fee.map(|amount| amount.to_string()),
            "funding": entry.funding.map(|amount| amount.to_string()),
            "realized_pnl": entry.realized_pnl.map(|amount| amount.to_string()),
            "symbol": entry.symbol,
            "ts_ms": entry.at.0,
        }),
        Fact::Collateral(held) => {
            let mut row = json!({
                "asset": held.asset,
                "wallet": held.wallet,
                "quantity": held.quantity.to_string(),
                "available": held.available.to_string(),
            });
            let own = [
                ("portfolio_value", held.portfolio_value),
                ("unrealized_pnl", held.unrealized_pnl),
            ];
            for (name, value) in own {
                if let Some(value) = value {
                    row[name] = json!(value.to_string());
                }
            }
            row
        }
        other => bail!("no row for {other:?}"),
    })
}

fn fill_row(fill: &Fill) -> Value {
    json!({
        "id": fill.id,
        "trade_id": fill.trade_id,
        "fill_type": fill.fill_type,
        "order_id": fill.order_id,
        "symbol": fill.instrument.symbol,
        "side": match fill.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        },
        "price": fill.price.to_string(),
        "amount": fill.amount.to_string(),
        "amount_unit": amount_unit(fill.amount_unit),
        "notional_quote": fill.notional_quote.to_string(),
        "fee": fill.fee.as_ref().map(money),
        "realized_pnl": fill.realized_pnl.as_ref().map(money),
        "liquidity": fill.liquidity.map(|liquidity| match liquidity {
            Liquidity::Maker => "maker",
            Liquidity::Taker => "taker",
        }),
        "ts_ms": fill.at.0,
    })
}

fn transfer_row(transfer: &Transfer) -> Value {
    json!({
        "id": transfer.id,
        "kind": match transfer.kind {
            TransferKind::Deposit => "deposit",
            TransferKind::Withdrawal => "withdrawal",
        },
        "asset": transfer.asset,
        "amount": transfer.amount.to_string(),
        "fee": transfer.fee.as_ref().map(money),
        "status": match transfer.status {
            TransferStatus::Ok => "ok",
            TransferStatus::Pending => "pending",
            TransferStatus::Failed => "failed",
            TransferStatus::Canceled => "canceled",
            TransferStatus::Unknown => "unknown",
        },
        "txid": transfer.txid,
        "network": transfer.network,
        "internal": transfer.internal,
        "ts_ms": transfer.at.0,
    })
}

fn money(money: &Money) -> Value {
    json!({ "asset": money.asset, "amount": money.amount.to_string() })
}

const fn amount_unit(unit: AmountUnit) -> &'static str {
    match unit {
        AmountUnit::Base => "base",
        AmountUnit::Contract => "contract",
    }
}

const fn income_type(kind: IncomeType) -> &'static str {
    match kind {
        IncomeType::Funding => "funding",
        IncomeType::RealizedPnl => "realized_pnl",
        IncomeType::Commission => "commission",
        IncomeType::Transfer => "transfer",
        IncomeType::Rebate => "rebate",
        IncomeType::Conversion => "conversion",
        IncomeType::LiquidationFee => "liquidation_fee",
        IncomeType::Bonus => "bonus",
        IncomeType::Other => "other",
    }
}
