//! `conformance exchange`: fixture sets against the connectors the enclave
//! runs. A case holds a request or a reply; the answer is what the connector
//! makes of it, in the fixtures' vocabulary.
//!
//! What differs between exchanges is an [`Adapter`], one file each.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a case asks for one sort of fact; every other one is an error"
)]

// The paths are spelled out because the connectors' own tests include this file.
#[path = "exchange/binance.rs"]
mod binance;
#[path = "exchange/bybit.rs"]
mod bybit;
#[path = "exchange/case.rs"]
mod case;
#[path = "exchange/coinbase.rs"]
mod coinbase;
#[path = "exchange/facts.rs"]
mod facts;
#[path = "exchange/ftx.rs"]
mod ftx;
#[path = "exchange/kraken.rs"]
mod kraken;
#[path = "exchange/kraken_futures.rs"]
mod kraken_futures;
#[path = "exchange/okx.rs"]
mod okx;
#[path = "exchange/sequence.rs"]
mod sequence;
#[path = "exchange/signing.rs"]
mod signing;

use anyhow::{Context as _, Result, bail};
use exchanges::{
    Answer, Connector, Context, Credentials, ExchangeError, Fact, Interval, Kind, Market, Query,
    Reply, Retry, UnixMillis, Window,
};
use serde_json::{Value, json};

use case::{Asked, Recorded, text};
use sequence::Start;

pub(crate) use case::context;

/// What differs between exchanges.
trait Adapter: Sync {
    /// The connector of one market; an error where there is none.
    fn connector(&self, market: Market) -> Result<Box<dyn Connector>>;

    /// The query that the request of a `parse` case asks.
    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        common_query(method, asked)
    }

    /// The connector's reading of a refusal.
    fn classify(&self, reply: &Reply<'_>) -> Option<Answer>;

    /// The answer to a `sign` case, whose `request` this is.
    fn sign(&self, request: &Value) -> Result<Value>;

    /// What the fixtures call its list of [`Query::FuturesBalances`].
    fn futures_balances(&self) -> &'static str {
        "futures_balances"
    }

    /// What the fixtures call its list of [`Query::Ledger`].
    fn ledger(&self) -> &'static str {
        "ledger"
    }

    /// What a `sequence` case begins with; the pages that follow are asked for
    /// by the connector.
    fn first_queries(
        &self,
        _connector: &dyn Connector,
        case: &Value,
        _start: &Start,
    ) -> Result<Vec<Query>> {
        bail!("unknown method {}", text(case, "method")?)
    }

    /// Something that signs the requests of a sequence.
    fn credentials(&self) -> Credentials<'static> {
        Credentials { key: "key", secret: b"secret", passphrase: None }
    }
}

fn adapter(case: &Value) -> Result<&'static dyn Adapter> {
    Ok(match text(case, "exchange")? {
        "binance" => &binance::Of,
        "bitget" => &signing::Signer::Bitget,
        "bybit" => &bybit::Of,
        "coinbase" => &coinbase::Of,
        "ftx" => &ftx::Of,
        "gate" => &signing::Signer::Gate,
        "kucoin" => &signing::Signer::Kucoin,
        "okx" => &okx::Of,
        "kraken" => &kraken::Of,
        "krakenfutures" => &kraken_futures::Of,
        other => bail!("no connector for {other}"),
    })
}

/// The answer to one case. An error means that no connector here can answer
/// it.
pub(crate) fn answer(case: &Value) -> Result<Value> {
    let adapter = adapter(case)?;
    match text(case, "kind")? {
        "parse" => parse(adapter, case),
        "permissions" => permissions(case),
        "error" => error(adapter, case),
        "sign" => adapter.sign(case.get("request").context("request")?),
        "sequence" => sequence::sequence(adapter, connector(case)?.as_ref(), case),
        other => bail!("unknown kind {other}"),
    }
}

/// The connector of a case.
pub(crate) fn connector(case: &Value) -> Result<Box<dyn Connector>> {
    let market = case.get("market").and_then(Value::as_str).unwrap_or("spot");
    adapter(case)?.connector(market.parse::<Market>()?)
}

/// The query that the request of a `parse` or `permissions` case asks.
pub(crate) fn query(case: &Value) -> Result<Query> {
    match text(case, "method")? {
        "check_key_permissions" => Ok(Query::Permissions),
        method => adapter(case)?.query(method, &Asked::of(case)),
    }
}

fn parse(adapter: &dyn Adapter, case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let query = query(case)?;
    let page = connector(case)?.read(&query, recorded.reply(), &context(case)?)?;
    facts::facts(adapter, &query, &page)
}

/// The query of methods that mean the same everywhere.
fn common_query(method: &str, asked: &Asked) -> Result<Query> {
    let symbol = || asked.parameter("symbol").or_else(|| asked.parameter("pair"));
    let symbol = || symbol().unwrap_or_default();
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    let limit = u16::try_from(asked.number("limit", 1000)).unwrap_or(1000);
    Ok(match method {
        "fetch_fills" => Query::account_fills(window, limit),
        "fetch_balances" => Query::balances(),
        "fetch_futures_balances" => Query::FuturesBalances,
        "fetch_positions" => Query::Positions,
        "fetch_deposits" => Query::deposits(window),
        "fetch_withdrawals" => Query::withdrawals(window),
        "fetch_transfers" => Query::transfers(None, window),
        "fetch_ledger" => Query::ledger(window),
        "fetch_account_valuation" => Query::AccountValuation,
        "fetch_candles" => {
            let interval = Interval::Minute;
            Query::Candles { symbol: symbol(), interval, window: None, limit }
        }
        "fetch_ticker" => Query::Ticker { symbol: symbol() },
        "fetch_prices" => Query::Prices { symbols: Vec::new() },
        "fetch_server_time" => Query::ServerTime,
        other => bail!("unknown method {other}"),
    })
}

fn permissions(case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let page = connector(case)?.read(&Query::Permissions, recorded.reply(), &Context::default());
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

fn error(adapter: &dyn Adapter, case: &Value) -> Result<Value> {
    let recorded = Recorded::of(case.get("response").context("response")?)?;
    let verdict = adapter.classify(&recorded.reply());
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

/// The answer for credentials that cannot be a key of the exchange.
fn refused() -> Value {
    json!({ "error": "invalid_credentials" })
}
