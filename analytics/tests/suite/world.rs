//! A made-up market with three accounts, played from a list of small numbers.
//!
//! It keeps its own books, so that what the engine derives from events can be
//! compared with what really happened. Account `a` is a spot wallet that is
//! always there, `b` joins and leaves, `f` holds linear futures.

use std::collections::BTreeMap;

use analytics::{Config, Event, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// What to do, to whom, with what, how much.
pub(crate) type Action = (u8, u8, u8, u16);

/// Seconds between polls.
const POLL: i64 = 300;
const START: i64 = 1_767_225_600;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) events: Vec<Value>,
    pub(crate) end: Timestamp,
    now: i64,
    next_poll: i64,
    wallets: BTreeMap<(&'static str, &'static str), Decimal>,
    prices: BTreeMap<&'static str, Decimal>,
    /// Arrivals of coins: when, account, asset, amount.
    coming: Vec<(i64, &'static str, &'static str, Decimal)>,
    /// Balance changes that show at the poll after the next one.
    unbooked: Vec<(i64, &'static str, &'static str, Decimal)>,
    contracts: Decimal,
    entry: Decimal,
    b_open: bool,
    out: Option<(&'static str, bool)>,
    ids: u32,
}

const ASSETS: [&str; 4] = ["USDT", "BTC", "ETH", "RARE"];

pub(crate) fn number(text: &str) -> Decimal {
    text.parse().unwrap_or_default()
}

impl World {
    /// Seven seconds an action.
    pub(crate) fn play(actions: &[Action]) -> Self {
        Self::play_slowly(actions, 7)
    }

    pub(crate) fn play_slowly(actions: &[Action], pause: i64) -> Self {
        let prices = [("USDT", "0.9997"), ("BTC", "64000"), ("ETH", "3200")];
        let mut world = Self {
            events: vec![json!({"type": "account_open", "t": time(START - 60), "account": "b"})],
            end: Timestamp::from_micros(0),
            now: START,
            next_poll: START,
            wallets: BTreeMap::new(),
            prices: prices.iter().map(|(asset, price)| (*asset, number(price))).collect(),
            coming: Vec::new(),
            unbooked: Vec::new(),
            contracts: Decimal::ZERO,
            entry: Decimal::ZERO,
            b_open: true,
            out: None,
            ids: 0,
        };
        for (account, asset, amount) in [
            ("a", "USDT", "20000"),
            ("a", "BTC", "0.75"),
            ("a", "RARE", "400"),
            ("b", "USDT", "9000"),
            ("b", "ETH", "4"),
            ("f", "USDT", "12000"),
        ] {
            world.wallets.insert((account, asset), number(amount));
        }
        world.poll();
        for action in actions {
            world.act(*action);
            world.now += pause;
            if world.now + pause >= world.next_poll {
                world.poll();
            }
        }
        world.poll();
        world.poll();
        let times = world.events.iter().filter_map(|event| event["t"].as_str()?.parse().ok());
        world.end = times.max().unwrap_or_default();
        world
    }

    pub(crate) fn config() -> Config {
        Config::new("USD".parse().unwrap(), time(START).parse().unwrap())
    }

    /// As `config`, with windows of minutes: most of a world can be folded.
    pub(crate) fn brisk() -> Config {
        Config {
            late_horizon_s: 1_200,
            transfer_window_s: 600,
            recon_grace_s: 600,
            ..Self::config()
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.iter().map(|event| serde_json::from_value(event.clone()).unwrap()).collect()
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("i{}", self.ids)
    }

    /// Some orders have several fills.
    fn order(&self) -> String {
        format!("o{}", self.ids / 4)
    }

    fn add(&mut self, account: &'static str, asset: &'static str, amount: Decimal) {
        *self.wallets.entry((account, asset)).or_default() += amount;
    }

    fn act(&mut self, (what, who, which, size): Action) {
        let account = ["a", "b", "f"][usize::from(who % 3)];
        let spot = if who % 2 == 0 || !self.b_open { "a" } else { "b" };
        let asset = ASSETS[usize::from(which % 3)];
        let coin = ASSETS[usize::from(1 + which % 2)];
        let size = Decimal::from(size % 1_000 + 1);
        let buys = which % 4 < 2;
        match what % 13 {
            0 => {
                let factor = Decimal::ONE + (size - Decimal::from(500)) / Decimal::from(5_000);
                let price = self.prices.entry(asset).or_insert(Decimal::ONE);
                *price = (*price * factor).round_dp(6).max(Decimal::new(1, 2));
            }
            1 => self.trade(spot, coin, buys, size / Decimal::from(1_000)),
            2 | 3 => {
                let account = if account == "b" && !self.b_open { "a" } else { account };
                let asset = if account == "f" { "USDT" } else { asset };
                let sign = if buys { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
                let amount = sign * self.amount(asset, size);
                self.flow(account, asset, amount, None);
                self.add(account, asset, amount);
            }
            4 => self.transfer(spot, asset, size, which),
            5 => {
                let account = if account == "b" && !self.b_open { "f" } else { account };
                let asset = if account == "f" { "USDT" } else { asset };
                let sign = if buys { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
                let amount = sign * self.amount(asset, size) / Decimal::from(20);
                let (t, id) = (time(self.now), self.id());
                let kind = ["funding", "interest", "reward", "rebate"][usize::from(which % 4)];
                self.events.push(json!({"type": "income", "t": t, "account": account,
                    "kind": kind, "asset": asset, "amount": amount.to_string(), "id": id}));
                self.add(account, asset, amount);
            }
            6 => self.futures(buys, size / Decimal::from(500)),
            7 => {
                let sign = if buys { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
                let amount = sign * self.amount(asset, size);
                self.add(spot, asset, amount);
            }
            8 => {
                let amount = self.amount(asset, size);
                self.flow("a", asset, amount, None);
                self.unbooked.push((self.next_poll + POLL - 1, "a", asset, amount));
            }
            9 => self.out = Some((account, buys)),
            10 => self.add(spot, "RARE", size),
            11 => {
                if self.prices.remove("RARE").is_none() {
                    self.prices.insert("RARE", size / Decimal::from(100));
                }
            }
            _ => {
                let kind = if self.b_open { "account_close" } else { "account_open" };
                self.events.push(json!({"type": kind, "t": time(self.now), "account": "b"}));
                self.b_open = !self.b_open;
            }
        }
    }

    /// About 20 units of base currency for each unit of size.
    fn amount(&self, asset: &str, size: Decimal) -> Decimal {
        let price = self.prices.get(asset).copied().unwrap_or(Decimal::ONE);
        (size * Decimal::from(20) / price).round_dp(8)
    }

    fn flow(&mut self, account: &str, asset: &str, amount: Decimal, txid: Option<&str>) {
        let (t, id) = (time(self.now), self.id());
        let mut flow = json!({"type": "flow", "t": t, "account": account, "asset": asset,
            "amount": amount.to_string(), "id": id});
        if let Some(txid) = txid {
            flow["txid"] = json!(txid);
        }
        self.events.push(flow);
    }

    fn trade(&mut self, account: &'static str, coin: &'static str, buys: bool, qty: Decimal) {
        let quote = self.prices.get("USDT").copied().unwrap_or(Decimal::ONE);
        let price = (self.prices.get(coin).copied().unwrap_or(Decimal::ONE) / quote).round_dp(2);
        let sign = if buys { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let (fee_asset, fee) = match self.ids % 4 {
            0 => ("USDT", qty * price / Decimal::from(1_000)),
            1 => (coin, qty / Decimal::from(2_000)),
            2 => ("ETH", Decimal::new(1, 4)),
            _ => ("USDT", -qty * price / Decimal::from(10_000)),
        };
        let (t, id, order) = (time(self.now), self.id(), self.order());
        self.events.push(json!({"type": "fill", "t": t, "account": account, "market": "spot",
            "symbol": format!("{coin}USDT"), "base": coin, "quote": "USDT",
            "side": if buys { "buy" } else { "sell" }, "price": price.to_string(),
            "qty": qty.to_string(), "trade_id": id, "order_id": order,
            "fee": {"asset": fee_asset, "amount": fee.to_string()}}));
        self.add(account, coin, sign * qty);
        self.add(account, "USDT", -sign * qty * price);
        self.add(account, fee_asset, -fee);
    }

    fn futures(&mut self, buys: bool, qty: Decimal) {
        let price = self.prices["BTC"].round_dp(1);
        let signed = if buys { qty } else { -qty };
        let fee = (qty * price / Decimal::from(2_000)).round_dp(8);
        let (t, id) = (time(self.now), self.id());
        self.events.push(json!({"type": "fill", "t": t, "account": "f", "market": "futures",
            "symbol": "BTCUSDT-PERP", "base": "BTC", "quote": "USDT", "settle_asset": "USDT",
            "side": if buys { "buy" } else { "sell" }, "price": price.to_string(),
            "qty": qty.to_string(), "trade_id": id, "order_id": id,
            "fee": {"asset": "USDT", "amount": fee.to_string()}}));
        self.add("f", "USDT", -fee);
        let held = self.contracts;
        if held.is_zero() || held.is_sign_negative() == signed.is_sign_negative() {
            self.entry = (self.entry * held + price * signed) / (held + signed);
        } else {
            let closed = if signed.abs() < held.abs() { -signed } else { held };
            self.add("f", "USDT", (price - self.entry) * closed);
            if signed.abs() > held.abs() {
                self.entry = price;
            }
        }
        self.contracts += signed;
    }

    fn transfer(&mut self, from: &'static str, asset: &'static str, size: Decimal, which: u8) {
        if !self.b_open {
            return;
        }
        let to = if from == "a" { "b" } else { "a" };
        let amount = self.amount(asset, size);
        let lost = (amount * Decimal::from(which % 5) / Decimal::from(600)).round_dp(8);
        let txid = self.id();
        self.flow(from, asset, -amount, Some(&txid));
        self.add(from, asset, -amount);
        let arrives = self.now + i64::from(which) * 4 + 1;
        self.coming.push((arrives, to, asset, amount - lost));
        // The other leg's record, at its own time.
        let (now, id) = (self.now, self.id());
        self.now = arrives;
        self.events.push(json!({"type": "flow", "t": time(arrives), "account": to,
            "asset": asset, "amount": (amount - lost).to_string(), "id": id, "txid": txid}));
        self.now = now;
    }

    fn poll(&mut self) {
        let at = self.next_poll;
        let due = |(when, ..): &(i64, &str, &str, Decimal)| *when <= at;
        let coming = std::mem::take(&mut self.coming);
        let unbooked = std::mem::take(&mut self.unbooked);
        let (now, later): (Vec<_>, Vec<_>) = coming.into_iter().partition(due);
        self.coming = later;
        let (booked, later): (Vec<_>, Vec<_>) = unbooked.into_iter().partition(due);
        self.unbooked = later;
        for (_, account, asset, amount) in now.into_iter().chain(booked) {
            self.add(account, asset, amount);
        }
        for (asset, price) in &self.prices {
            self.events.push(json!({"type": "price", "t": time(at), "asset": asset,
                "quote": "USD", "price": price.to_string()}));
        }
        let out = self.out.take();
        for account in ["a", "b", "f"] {
            if (account == "b" && !self.b_open) || out == Some((account, true)) {
                continue;
            }
            let balances: Vec<Value> = ASSETS
                .iter()
                .filter_map(|asset| {
                    let held = self.wallets.get(&(account, *asset))?;
                    Some(json!({"asset": asset, "free": held.to_string()}))
                })
                .collect();
            let mut snapshot = json!({"type": "snapshot", "t": time(at), "account": account,
                "balances": balances, "complete": out != Some((account, false))});
            if account == "f" && !self.contracts.is_zero() {
                let mark = self.prices["BTC"];
                let unrealized = (mark - self.entry) * self.contracts;
                snapshot["positions"] = json!([{"symbol": "BTCUSDT-PERP",
                    "qty": self.contracts.to_string(), "entry_price": self.entry.to_string(),
                    "mark_price": mark.to_string(), "unrealized_pnl": unrealized.to_string(),
                    "settle_asset": "USDT"}]);
            }
            self.events.push(snapshot);
        }
        self.now = at + 1;
        self.next_poll = at + POLL;
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_micros(seconds * 1_000_000).to_string()
}
