//! Balances, executions, deposits, withdrawals, and what a key may do.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::{FlowStatus, Market, Side};
use crate::worth;

use super::{Answer, Call, Refusal, symbol, told};

pub(super) fn key_info(call: &Call<'_>) -> Answer {
    let (api_key, key) = call.key.ok_or_else(Refusal::key)?;
    let granted = &key.permissions;
    let when = |words: &[&str], name: &'static str| {
        words.iter().any(|word| granted.holds(word)).then_some(name)
    };
    let wallet: Vec<&str> = [
        when(&["internal-transfer", "universal-transfer"], "AccountTransfer"),
        when(&["withdraw"], "Withdraw"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let spot: Vec<&str> = when(&["trade"], "SpotTrade").into_iter().collect();
    let derivatives: Vec<&str> = when(&["futures"], "DerivativesTrade").into_iter().collect();
    let unheard: Vec<&str> = granted.unheard_of().collect();
    let writes = [&wallet, &spot, &derivatives, &unheard].iter().any(|list| !list.is_empty());
    let day = 24 * 3600 * 1000;
    let at = |days: i64| call.world().started.plus_millis(days * day).format("%Y-%m-%dT%H:%M:%SZ");
    let account = call.account()?;
    Ok(json!({"id": account.uid.to_string(), "note": "", "apiKey": api_key,
        "readOnly": u8::from(!writes), "secret": "",
        "permissions": {"ContractTrade": [], "Spot": spot, "Wallet": wallet, "Options": [],
            "Derivatives": derivatives, "CopyTrading": [], "BlockTrade": [], "Exchange": unheard,
            "NFT": [], "Affiliate": []},
        "ips": ["*"], "type": 1, "deadlineDay": 83, "expiredAt": at(90), "createdAt": at(-30),
        "uta": 1, "userID": account.uid, "isMaster": true}))
}

/// Everything but what earns, with what it is worth in dollars.
pub(super) fn unified(call: &Call<'_>) -> Answer {
    if call.params.get("accountType") != Some("UNIFIED") {
        return Err(Refusal::params("accountType only support UNIFIED."));
    }
    let snapshot = call.account()?.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let mut whole = Decimal::ZERO;
    let mut coins = Vec::new();
    for held in &snapshot.balances {
        let [free, locked, borrowed, interest] =
            [&held.free, &held.locked, &held.borrowed, &held.interest]
                .map(|number| number.decimal().unwrap_or_default());
        let equity = free + locked - borrowed - interest;
        let price = worth::price(call.world(), &held.asset, "USD", call.now());
        let dollars = equity.saturating_mul(price.unwrap_or_default()).round_dp(8);
        whole = whole.saturating_add(dollars);
        let text = |amount: Decimal| padded(amount, 0);
        coins.push(json!({"coin": held.asset, "equity": text(equity), "usdValue": text(dollars),
            "walletBalance": text(equity), "locked": text(locked), "borrowAmount": text(borrowed),
            "accruedInterest": text(interest), "unrealisedPnl": "0", "cumRealisedPnl": "0",
            "bonus": "0", "spotHedgingQty": "0", "totalOrderIM": "0", "totalPositionIM": "0",
            "totalPositionMM": "0", "marginCollateral": true, "collateralSwitch": true,
            "availableToWithdraw": "", "availableToBorrow": ""}));
    }
    let whole = padded(whole, 0);
    Ok(json!({"list": [{"accountType": "UNIFIED", "totalEquity": whole,
        "totalWalletBalance": whole, "totalMarginBalance": whole, "totalAvailableBalance": whole,
        "totalPerpUPL": "0", "totalInitialMargin": "0", "totalMaintenanceMargin": "0",
        "accountIMRate": "0", "accountMMRate": "0", "accountLTV": "0", "coin": coins}]}))
}

/// What earns is in the funding wallet.
pub(super) fn funding(call: &Call<'_>) -> Answer {
    if call.params.get("accountType") != Some("FUND") {
        return Err(Refusal::params("accountType only support FUND."));
    }
    let account = call.account()?;
    let snapshot = account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    let rows = snapshot.balances.iter().filter(|held| !held.earn.is_zero()).map(|held| {
        json!({"coin": held.asset, "transferBalance": held.earn.as_str(),
            "walletBalance": held.earn.as_str(), "bonus": ""})
    });
    Ok(json!({"memberId": account.uid.to_string(), "accountType": "FUND",
        "balance": rows.collect::<Vec<_>>()}))
}

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Start and end in milliseconds: `days` long unless told, and no longer.
fn window(call: &Call<'_>, days: u64) -> Result<(u64, u64), Refusal> {
    let (start, end) = (call.millis("startTime")?, call.millis("endTime")?);
    let long = days * DAY_MS;
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, start.saturating_add(long)),
        (None, Some(end)) => (end.saturating_sub(long), end),
        (None, None) => {
            let now = call.now().millis();
            (now.saturating_sub(long), now)
        }
    };
    if start > end || end - start > long {
        return Err(Refusal::params(&format!("the time range exceeds {days} days")));
    }
    Ok((start, end))
}

/// One page; the cursor is how many rows to skip.
fn page(call: &Call<'_>, rows: Vec<Value>, limit: usize) -> Result<(Vec<Value>, String), Refusal> {
    let skip = match call.params.get("cursor") {
        None => 0,
        Some(cursor) => {
            let skip = cursor.strip_prefix("page:").and_then(|skip| skip.parse::<usize>().ok());
            skip.ok_or_else(|| Refusal::params("cursor is invalid"))?
        }
    };
    let more = rows.len() > skip.saturating_add(limit);
    let next = if more { format!("page%3A{}", skip + limit) } else { String::new() };
    Ok((rows.into_iter().skip(skip).take(limit).collect(), next))
}

pub(super) fn executions(call: &Call<'_>) -> Answer {
    let spot = match call.params.get("category") {
        Some("spot") => true,
        Some("linear" | "inverse" | "option") => false,
        _ => return Err(Refusal::params("category is invalid")),
    };
    let limit = call.limit(50, 100)?;
    let (start, end) = window(call, 7)?;
    let wanted = call.params.get("symbol");
    let account = call.account()?;
    let mut trades = account.all_trades(call.now());
    trades.reverse();
    let rows = trades.into_iter().filter(|(book, trade)| {
        spot && book.market == Market::Spot
            && (start..=end).contains(&trade.at.millis())
            && wanted.is_none_or(|wanted| symbol(&book.pair) == wanted)
    });
    let rows: Vec<Value> = rows
        .map(|(book, trade)| {
            let symbol = symbol(&book.pair);
            let fee = trade.fee.as_ref();
            json!({"symbol": symbol, "orderId": ids::uuid(&["order", &account.user, &trade.order_ref]),
                "orderLinkId": "", "side": if trade.side == Side::Buy { "Buy" } else { "Sell" },
                "orderPrice": trade.price.as_str(), "orderQty": trade.qty.as_str(),
                "orderType": "Limit", "execId": ids::uuid(&["fill", &account.user, &symbol, &trade.trade_ref]),
                "execPrice": trade.price.as_str(), "execQty": trade.qty.as_str(),
                "execValue": padded(trade.quote_qty, 0), "execType": "Trade",
                "execFee": fee.map_or("0", |fee| fee.amount.as_str()),
                "feeCurrency": fee.map_or("", |fee| fee.asset.as_str()), "feeRate": "",
                "execTime": trade.at.millis().to_string(), "isMaker": trade.maker,
                "closedSize": "", "seq": trade.id})
        })
        .collect();
    let (rows, next) = page(call, rows, limit)?;
    Ok(json!({"category": call.params.get("category"), "list": rows, "nextPageCursor": next}))
}

fn transfers(call: &Call<'_>, deposit: bool) -> Answer {
    let limit = call.limit(50, 50)?;
    let (start, end) = window(call, 30)?;
    let account = call.account()?;
    let wanted = call.params.get("coin");
    let known = account.transfers(call.now()).into_iter().filter(|(transfer, _)| {
        transfer.deposit == deposit
            && (start..=end).contains(&transfer.created.millis())
            && wanted.is_none_or(|coin| coin == transfer.asset)
    });
    let rows: Vec<Value> = known
        .map(|(transfer, state)| {
            let id = ids::uuid(&["transfer", &account.user, &transfer.id]);
            let created = transfer.created.millis().to_string();
            let txid = state.txid.as_deref().unwrap_or_default();
            if deposit {
                let status = match state.status {
                    FlowStatus::Pending => 1,
                    FlowStatus::Completed => 3,
                    FlowStatus::Failed | FlowStatus::Canceled => 4,
                };
                json!({"id": id, "coin": transfer.asset, "chain": transfer.asset,
                    "amount": padded(state.amount, 0), "txID": txid, "status": status,
                    "toAddress": "", "tag": "", "depositFee": "", "successAt": created,
                    "confirmations": "1", "txIndex": "0", "blockHash": "", "depositType": "0"})
            } else {
                let status = match state.status {
                    FlowStatus::Pending => "Pending",
                    FlowStatus::Completed => "success",
                    FlowStatus::Failed => "Fail",
                    FlowStatus::Canceled => "CancelByUser",
                };
                json!({"withdrawId": id, "coin": transfer.asset, "chain": transfer.asset,
                    "amount": padded(state.amount, 0), "txID": txid, "status": status,
                    "toAddress": "", "tag": "", "withdrawFee": padded(state.fee, 0),
                    "createTime": created, "updateTime": state.at.millis().to_string(),
                    "withdrawType": 0})
            }
        })
        .collect();
    let (rows, next) = page(call, rows, limit)?;
    Ok(json!({"rows": rows, "nextPageCursor": next}))
}

pub(super) fn deposits(call: &Call<'_>) -> Answer {
    transfers(call, true)
}

pub(super) fn withdrawals(call: &Call<'_>) -> Answer {
    match call.params.number("withdrawType") {
        Ok(None | Some(0..=2)) => transfers(call, false),
        _ => Err(Refusal::params("withdrawType is invalid")),
    }
}

/// Every deposit of a scenario comes from outside.
pub(super) fn internal_deposits(call: &Call<'_>) -> Answer {
    call.limit(50, 50)?;
    told(json!({"rows": [], "nextPageCursor": ""}))
}
