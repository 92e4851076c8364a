//! Scenarios made up for a test, and what the analytics say of them.

use analytics::Case;
use protocol::time::UnixMillis;
use serde_json::{Value, json};

/// Buys a little bitcoin between any two polls, of 300 seconds each.
pub(crate) struct Story {
    /// Polls after the first.
    pub(crate) polls: u64,
    /// Seconds between polls.
    pub(crate) interval: u64,
    pub(crate) accounts: Vec<&'static str>,
}

impl Story {
    pub(crate) const fn new(polls: u64) -> Self {
        Self { polls, interval: 300, accounts: Vec::new() }
    }

    /// When poll number `poll` is.
    pub(crate) fn at(&self, poll: u64) -> UnixMillis {
        UnixMillis(START_MS + poll * self.interval * 1000)
    }

    pub(crate) fn time(&self, poll: u64, secs: u64) -> String {
        let at = self.at(poll).0 / 1000 + secs;
        let (hours, rest) = (at % 86_400 / 3600, at % 3600);
        let day = 1 + (at - START_MS / 1000) / 86_400;
        format!("2026-02-{day:02}T{hours:02}:{:02}:{:02}Z", rest / 60, rest % 60)
    }

    /// The scenario, with more events.
    pub(crate) fn with(&self, more: impl IntoIterator<Item = Value>) -> Value {
        let mut events = Vec::new();
        let accounts: &[&str] =
            if self.accounts.is_empty() { &["binance-spot"] } else { &self.accounts };
        for poll in 0..=self.polls {
            let t = self.time(poll, 0);
            let price = 60_000 + 50 * (poll % 7);
            for (asset, quote, price) in
                [("BTC", "USDT", price.to_string()), ("USDT", "USD", "0.9995".to_owned())]
            {
                events.push(json!({"type": "price", "t": t, "asset": asset, "quote": quote,
                    "price": price}));
            }
            for account in accounts {
                // 0.001 at 60000 before each poll; the fee is in the quote.
                let (btc, usdt) = (1000 + poll, 100_000 - 61 * poll);
                events.push(json!({"type": "snapshot", "t": t, "account": account, "balances": [
                    {"asset": "BTC", "free": format!("{}.{:03}", btc / 1000, btc % 1000)},
                    {"asset": "USDT", "free": usdt.to_string()}]}));
            }
            if poll == self.polls {
                break;
            }
            for account in accounts {
                events.push(json!({"type": "fill", "t": self.time(poll, 60), "account": account,
                    "market": "spot", "symbol": "BTCUSDT", "base": "BTC", "quote": "USDT",
                    "side": "buy", "price": "60000", "qty": "0.001",
                    "trade_id": (1000 + 10 * poll).to_string(), "order_id": (7000 + poll).to_string(),
                    "fee": {"asset": "USDT", "amount": "1"}}));
            }
        }
        events.extend(more);
        json!({"schema": "pa-case/1", "id": "story", "title": "story", "features": [],
            "config": {"base_currency": "USD", "session_start": self.time(0, 0),
                "as_of": self.time(self.polls, 0), "poll_interval_s": self.interval},
            "events": events})
    }

    pub(crate) fn told(&self) -> Value {
        self.with([])
    }
}

/// 2026-02-01T00:00:00Z.
const START_MS: u64 = 1_769_904_000_000;

/// What the analytics make of a scenario that is told to them directly.
pub(crate) fn results(scenario: &Value) -> Value {
    let mut scenario = scenario.clone();
    scenario.as_object_mut().unwrap().remove("expected");
    let case: Case = serde_json::from_value(scenario).unwrap();
    serde_json::to_value(case.run().unwrap()).unwrap()
}
