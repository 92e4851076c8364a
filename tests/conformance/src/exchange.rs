//! `conformance exchange`: fixture sets against the connectors the enclave
//! runs. A case holds a request or a reply; the answer is what the connector
//! makes of it, in the fixtures' vocabulary.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a case asks for one sort of fact; every other one is an error"
)]

// The path is spelled out because the connectors' own tests include this file.
#[path = "exchange/sequence.rs"]
mod sequence;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use exchanges::binance::{self, Binance};
use exchanges::kraken::{self, Kraken};
use exchanges::{
    AmountUnit, Answer, Connector, Context, Credentials, ExchangeError, Fact, Fill, FillsFrom,
    IncomeType, Instrument, InstrumentKind, Interval, Kind, Liquidity, Market, Money, Page,
    PositionSide, Query, Reply, Retry, Scheme, Side, Transfer, TransferKind, TransferStatus,
    UnixMillis, Window,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// The answer to one case. An error means that no connector here can answer
/// it.
pub(crate) fn answer(case: &Value) -> Result<Value> {
    let connector = connector(case)?;
    match text(case, "kind")? {
        "parse" => parse(connector.as_ref(), case),
        "permissions" => permissions(connector.as_ref(), case),
        "error" => error(case),
        "sign" => sign(case),
        "sequence" => sequence::sequence(connector.as_ref(), case),
        other => bail!("unknown kind {other}"),
    }
}

fn connector(case: &Value) -> Result<Box<dyn Connector>> {
    let market = case.get("market").and_then(Value::as_str).unwrap_or("spot");
    match text(case, "exchange")? {
        "binance" => Ok(Box::new(Binance::new(market.parse::<Market>()?))),
        "kraken" => Ok(Box::new(Kraken)),
        other => bail!("no connector for {other}"),
    }
}

// ---- replies ------------------------------------------------------------------------------------

/// A reply as it stands in a case.
struct Recorded {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    fn of(response: &Value) -> Result<Self> {
        let status = response.get("status").and_then(Value::as_u64).context("status")?;
        let headers = response.get("headers").and_then(Value::as_object);
        Ok(Self {
            status: u16::try_from(status)?,
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
            body: text(response, "body")?.to_owned(),
        })
    }

    fn reply(&self) -> Reply<'_> {
        Reply { status: self.status, headers: &self.headers, body: self.body.as_bytes() }
    }
}

fn parse(connector: &dyn Connector, case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let query = query(text(case, "method")?, &parameters(case))?;
    let page = connector.read(&query, recorded.reply(), &context(case)?)?;
    facts(&query, &page)
}

/// The query that the request of a case asks.
fn query(method: &str, parameters: &BTreeMap<String, String>) -> Result<Query> {
    let get = |name: &str| parameters.get(name).cloned();
    let number = |name: &str, default: u64| {
        get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let symbol = get("symbol").or_else(|| get("pair")).unwrap_or_default();
    let limit = u16::try_from(number("limit", 1000)).unwrap_or(1000);
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    Ok(match method {
        "fetch_fills" => Query::Fills { symbol, from: FillsFrom::Id(number("fromId", 0)), limit },
        "fetch_balances" => Query::Balances,
        "fetch_futures_balances" => Query::FuturesBalances,
        "fetch_positions" => Query::Positions,
        "fetch_deposits" => Query::Deposits { window, offset: 0 },
        "fetch_withdrawals" => Query::Withdrawals { window, offset: 0 },
        "fetch_fiat_orders" => {
            let out = get("transactionType").as_deref() == Some("1");
            let kind = if out { TransferKind::Withdrawal } else { TransferKind::Deposit };
            Query::FiatOrders { kind, window, page: 1 }
        }
        "fetch_income" => Query::Income { start: None, end: None, page: 1, limit },
        "fetch_candles" => {
            Query::Candles { symbol, interval: Interval::Minute, window: None, limit }
        }
        "fetch_ticker" => Query::Ticker { symbol },
        "fetch_prices" => Query::Prices { symbols: Vec::new() },
        "fetch_server_time" => Query::ServerTime,
        other => bail!("unknown method {other}"),
    })
}

/// The parameters in the address of the case's request.
fn parameters(case: &Value) -> BTreeMap<String, String> {
    let url = case.pointer("/request/url").and_then(Value::as_str).unwrap_or_default();
    pairs(url.split_once('?').map_or("", |(_, query)| query))
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let escape = (byte == b'%').then(|| ahead.next().zip(ahead.next())).flatten();
        let value = escape.and_then(|(high, low)| {
            u8::from_str_radix(std::str::from_utf8(&[high, low]).ok()?, 16).ok()
        });
        if value.is_some() {
            rest = ahead;
        }
        bytes.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn context(case: &Value) -> Result<Context> {
    let Some(context) = case.get("context") else { return Ok(Context::default()) };
    let list = |name: &str| context.get(name).and_then(Value::as_array).into_iter().flatten();
    let instruments: Vec<Instrument> =
        list("instruments").map(instrument).collect::<Result<_>>()?;
    let assets = list("known_assets").filter_map(Value::as_str);
    Ok(Context::new(instruments).with_assets(assets))
}

fn instrument(row: &Value) -> Result<Instrument> {
    let own = |name: &str| text(row, name).map(str::to_owned);
    let aliases = row.get("aliases").and_then(Value::as_array).into_iter().flatten();
    Ok(Instrument {
        raw: own("raw")?,
        aliases: aliases.filter_map(Value::as_str).map(str::to_owned).collect(),
        symbol: own("symbol")?,
        base: own("base")?,
        quote: own("quote")?,
        settle: row.get("settle").and_then(Value::as_str).map(str::to_owned),
        kind: match text(row, "kind")? {
            "spot" => InstrumentKind::Spot,
            "perp" => InstrumentKind::Perpetual,
            "future" => InstrumentKind::Future,
            other => bail!("unknown kind of instrument {other}"),
        },
        contract_size: match row.get("contract_size") {
            Some(Value::Null) | None => Decimal::ONE,
            Some(size) => exchanges::decimal::parse(&plain(size)).context("contract_size")?,
        },
        inverse: row.get("inverse").and_then(Value::as_bool).unwrap_or(false),
    })
}

// ---- facts --------------------------------------------------------------------------------------

fn facts(query: &Query, page: &Page) -> Result<Value> {
    let mut rows = Vec::new();
    let mut net_by_asset: BTreeMap<String, Decimal> = BTreeMap::new();
    let mut prices = Map::new();
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
            // Comes along with balances; no row of this answer.
            Fact::Identity(_) => {}
            other => rows.push(row(other)?),
        }
    }
    Ok(match query {
        Query::Prices { .. } => json!({ "prices": prices }),
        Query::Balances => {
            let sums: Map<String, Value> = net_by_asset
                .into_iter()
                .filter(|(_, sum)| !sum.is_zero())
                .map(|(asset, sum)| (asset, json!(sum.normalize().to_string())))
                .collect();
            json!({ "balances": rows, "net_by_asset": sums })
        }
        _ => {
            let name = match query {
                Query::Fills { .. } => "fills",
                Query::FuturesBalances => "futures_balances",
                Query::Positions => "positions",
                Query::Deposits { .. } | Query::Withdrawals { .. } | Query::FiatOrders { .. } => {
                    "transfers"
                }
                Query::Income { .. } => "income",
                Query::Candles { .. } => "candles",
                Query::Ticker { .. } => "tickers",
                other => bail!("no answer for {}", other.name()),
            };
            json!({ name: rows })
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
            "last": ticker.last.to_string(),
            "bid": ticker.bid.map(|price| price.to_string()),
            "ask": ticker.ask.map(|price| price.to_string()),
            "ts_ms": ticker.at.map(|at| at.0),
        }),
        other => bail!("no row for {other:?}"),
    })
}

fn fill_row(fill: &Fill) -> Value {
    json!({
        "id": fill.id,
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

// ---- permissions, errors ------------------------------------------------------------------------

fn permissions(connector: &dyn Connector, case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let page = connector.read(&Query::Permissions, recorded.reply(), &Context::default());
    let found = match page {
        Err(ExchangeError::Unsupported) => bail!("no permission check"),
        // Whatever else went wrong, the reply proves nothing.
        Err(_) => None,
        Ok(page) => page.facts.into_iter().find_map(|fact| match fact {
            Fact::Permissions(found) => Some(found),
            _ => None,
        }),
    };
    Ok(match found {
        None => json!({
            "can_read": null, "can_trade": null, "can_withdraw": null,
            "can_transfer_internal": null, "unknown_grants": [], "accept": false,
        }),
        Some(found) => json!({
            "can_read": found.can_read(),
            "can_trade": found.can_trade(),
            "can_withdraw": found.can_withdraw(),
            "can_transfer_internal": found.can_transfer_internal(),
            "unknown_grants": found.unknown_grants(),
            "accept": found.clone().confirm().is_ok(),
        }),
    })
}

fn error(case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let reply = recorded.reply();
    let verdict = match text(case, "exchange")? {
        "binance" => binance::classify(&reply),
        "kraken" => kraken::classify(&reply),
        other => bail!("no error table for {other}"),
    };
    // A reply that is no refusal can still be cut short: as good as none.
    let whole = serde_json::from_str::<serde::de::IgnoredAny>(&recorded.body).is_ok();
    let answer = verdict.unwrap_or(Answer {
        kind: if whole { Kind::Unknown } else { Kind::Unavailable },
        status: recorded.status,
        code: None,
        retry_after: None,
    });
    Ok(json!({
        "category": answer.kind.name(),
        "retryable": answer.retry() != Retry::Never,
        "retry_after_s": answer.retry_after.map(|wait| wait.as_secs()),
    }))
}

// ---- requests -----------------------------------------------------------------------------------

fn sign(case: &Value) -> Result<Value> {
    if text(case, "exchange")? != "binance" {
        bail!("no signer for this exchange");
    }
    let request = case.get("request").context("request")?;
    let get = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let credentials =
        Credentials { key: get("api_key"), secret: get("api_secret").as_bytes(), passphrase: None };
    let query = pair_list(request.get("query_params"))?;
    let body = pair_list(request.get("body_params"))?;
    let refused = || Ok(json!({ "error": "invalid_credentials" }));
    let signed = match binance::sign(&credentials, &query, &body) {
        Err(ExchangeError::InvalidCredentials) => return refused(),
        other => other?,
    };
    let announced = match get("key_type") {
        "" => Some(signed.scheme),
        "hmac" => Some(Scheme::HmacSha256),
        "ed25519" => Some(Scheme::Ed25519),
        "rsa" => Some(Scheme::RsaSha256),
        _ => None,
    };
    if announced != Some(signed.scheme) {
        return refused();
    }
    let separator = if signed.query.is_empty() { "" } else { "?" };
    let url = ["https://", get("host"), get("path"), separator, signed.query.as_str()].concat();
    let mut answer = json!({
        "signed_payload": signed.payload.as_str(),
        "signature": signed.signature.as_str(),
        "headers": { "X-MBX-APIKEY": credentials.key },
        "url": url,
    });
    if !body.is_empty() {
        answer["body"] = json!(signed.body.as_str());
    }
    Ok(answer)
}

fn pair_list(list: Option<&Value>) -> Result<Vec<(String, String)>> {
    let rows = list.and_then(Value::as_array).into_iter().flatten();
    rows.map(|row| match row.as_array().map(Vec::as_slice) {
        Some([name, value]) => Ok((plain(name), plain(value))),
        _ => Err(anyhow!("a parameter is no pair")),
    })
    .collect()
}

// ---- JSON ---------------------------------------------------------------------------------------

fn text<'a>(from: &'a Value, name: &str) -> Result<&'a str> {
    from.get(name).and_then(Value::as_str).with_context(|| format!("no `{name}`"))
}

/// A string's text, anything else's JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
