//! The worked examples of `docs/metrics.md`, each as a scenario of its own.

use analytics::{Case, ResultSet};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// 2026-01-01 plus so many seconds.
fn at(seconds: u32) -> String {
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    let (month, day) = if day < 31 { (1, day + 1) } else { (2, day - 30) };
    format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn run_with(mut config: Value, end: u32, events: &[Value]) -> ResultSet {
    let fields = config.as_object_mut().unwrap();
    fields.entry("base_currency").or_insert(json!("USD"));
    fields.insert("session_start".into(), json!(at(0)));
    fields.insert("as_of".into(), json!(at(end)));
    let case = json!({"schema": "pa-case/1", "id": "x", "title": "x", "features": [],
        "config": config, "events": events});
    serde_json::from_value::<Case>(case).unwrap().run().unwrap()
}

fn run(end: u32, events: &[Value]) -> ResultSet {
    run_with(json!({}), end, events)
}

fn price(seconds: u32, asset: &str, quote: &str, price: &str) -> Value {
    json!({"type": "price", "t": at(seconds), "asset": asset, "quote": quote, "price": price})
}

fn snapshot(seconds: u32, account: &str, balances: &[(&str, &str)]) -> Value {
    let balances: Vec<Value> =
        balances.iter().map(|(asset, free)| json!({"asset": asset, "free": free})).collect();
    json!({"type": "snapshot", "t": at(seconds), "account": account, "balances": balances})
}

fn flow(seconds: u32, asset: &str, amount: &str) -> Value {
    json!({"type": "flow", "t": at(seconds), "account": "a", "asset": asset, "amount": amount,
        "id": format!("f{seconds}")})
}

fn close(got: Decimal, wanted: &str, digits: u32) {
    let off = (got - wanted.parse::<Decimal>().unwrap()).abs();
    assert!(off <= Decimal::new(1, digits), "{got} is not {wanted}");
}

/// E1: free + locked + earn - borrowed - interest, unrealised profit in the
/// settle asset, and a coin nobody prices.
#[test]
fn value_is_net_and_leaves_out_what_was_never_priced() {
    let mut poll = snapshot(0, "a", &[("USDT", "1200"), ("SPAM", "9")]);
    poll["balances"].as_array_mut().unwrap().push(json!({"asset": "BTC", "free": "0.5",
        "locked": "0.1", "earn": "0.05", "borrowed": "0.2", "interest": "0.001"}));
    poll["positions"] = json!([{"symbol": "X", "qty": "-1", "entry_price": "1", "mark_price": "1",
        "unrealized_pnl": "-37.5", "settle_asset": "USDT"}]);
    let prices = [price(0, "BTC", "USD", "64000"), price(0, "USDT", "USD", "0.9998")];
    let result = run(0, &[prices.to_vec(), vec![poll]].concat());
    let portfolio = result.portfolio.unwrap();
    assert_eq!(portfolio.end_value.to_string(), "29898.26750000");
    assert_eq!(portfolio.by_asset[0].quantity.to_string(), "0.449");
    assert_eq!(portfolio.unpriced[0].asset, "SPAM");
}

/// E2: ETH -> BTC -> USDT -> EUR.
#[test]
fn a_route_may_have_three_legs() {
    let config = json!({"base_currency": "EUR", "pivots": ["BTC", "USDT"]});
    let events = vec![
        price(0, "ETH", "BTC", "0.05"),
        price(0, "BTC", "USDT", "64000"),
        price(0, "EUR", "USDT", "1.0825"),
        snapshot(0, "a", &[("ETH", "1")]),
    ];
    let portfolio = run_with(config, 0, &events).portfolio.unwrap();
    assert_eq!(portfolio.end_value.to_string(), "2956.12009238");
}

/// E3: V = 10000, 10200, 15606, 15450, and 5000 at 40 % of the second.
#[test]
fn returns_link_dietz_sub_periods() {
    let events = vec![
        price(0, "X", "USD", "10000"),
        snapshot(0, "a", &[("X", "1")]),
        price(300, "X", "USD", "10200"),
        snapshot(300, "a", &[("X", "1")]),
        flow(420, "USD", "5000"),
        price(600, "X", "USD", "10606"),
        snapshot(600, "a", &[("X", "1"), ("USD", "5000")]),
        price(900, "X", "USD", "10450"),
        snapshot(900, "a", &[("X", "1"), ("USD", "5000")]),
    ];
    let returns = run(900, &events).returns;
    close(returns.twr.unwrap().get(), "0.0408630422", 10);
    assert_eq!(returns.gain.unwrap().to_string(), "450.00000000");
    close(returns.simple.unwrap().get(), "0.03", 12);
    close(returns.modified_dietz.unwrap().get(), "0.0355263158", 10);
    close(returns.mwr_period.unwrap().get(), "0.0355874690", 10);
}

/// E4: nothing under a year is annualised.
#[test]
fn only_a_year_is_annualised() {
    let over = |end: &str, to: &str| {
        let later = |mut event: Value| {
            event["t"] = json!(end);
            event
        };
        let events = [
            price(0, "X", "USD", "100"),
            snapshot(0, "a", &[("X", "1")]),
            later(price(0, "X", "USD", to)),
            later(snapshot(0, "a", &[("X", "1")])),
        ];
        let config = json!({"base_currency": "USD", "session_start": at(0), "as_of": end});
        let case = json!({"schema": "pa-case/1", "id": "x", "title": "x", "features": [],
            "config": config, "events": events});
        serde_json::from_value::<Case>(case).unwrap().run().unwrap()
    };
    let long = over("2027-02-05T00:00:00Z", "130");
    close(long.returns.twr.unwrap().get(), "0.3", 12);
    close(long.returns.twr_annualized.unwrap().get(), "0.270496", 6);
    close(long.returns.mwr_annualized.unwrap().get(), "0.270496", 6);
    let short = over("2026-01-04T00:00:00Z", "102");
    assert_eq!(short.returns.twr_annualized, None);
    let reasons = serde_json::to_value(&short.reasons).unwrap();
    assert_eq!(reasons["returns.twr_annualized"], "period_shorter_than_one_year");
}

/// E5: almost everything leaves one second after a poll.
#[test]
fn a_withdrawal_after_the_poll_is_no_loss() {
    let events = vec![
        price(0, "X", "USD", "1"),
        snapshot(0, "a", &[("X", "1"), ("USD", "999")]),
        flow(1, "USD", "-999"),
        price(300, "X", "USD", "1.02"),
        snapshot(300, "a", &[("X", "1")]),
    ];
    let returns = run(300, &events).returns;
    close(returns.twr.unwrap().get(), "0.0046189376", 10);
    assert_eq!(returns.fallback_subperiods, Some(0));
}

/// E14: 6000 s without a poll, and 30000 paid in after 1377 s.
#[test]
fn a_large_flow_in_a_gap_is_an_estimate_and_says_so() {
    let events = vec![
        price(0, "X", "USD", "50000"),
        snapshot(0, "a", &[("X", "1")]),
        flow(1377, "USD", "30000"),
        price(6000, "X", "USD", "51500"),
        snapshot(6000, "a", &[("X", "1"), ("USD", "30000")]),
    ];
    let result = run(6000, &events);
    close(result.returns.twr.unwrap().get(), "0.020516", 6);
    assert_eq!(result.returns.estimated_large_flow_subperiods, Some(1));
    let flags = serde_json::to_value(&result.flags).unwrap();
    assert!(flags.as_array().unwrap().contains(&json!("returns.estimated_large_flow")));
}

fn fill(fields: &Value) -> Value {
    let mut fill = json!({"type": "fill", "account": "a", "market": "spot", "order_id": "o"});
    for (name, value) in fields.as_object().unwrap() {
        fill[name] = value.clone();
    }
    fill
}

/// E6: fees in a third asset, in the base, and a rebate.
#[test]
fn fees_are_valued_at_the_fill_and_not_added_raw() {
    let trade = |seconds, base: &str, quote: &str, price: &str, qty: &str, fee: (&str, &str)| {
        fill(&json!({"t": at(seconds), "symbol": format!("{base}{quote}"), "base": base,
            "quote": quote, "side": "buy", "price": price, "qty": qty, "trade_id": at(seconds),
            "fee": {"asset": fee.0, "amount": fee.1}}))
    };
    let events = vec![
        price(0, "USDT", "USD", "0.9998"),
        price(0, "BTC", "USDT", "64000"),
        price(0, "BNB", "USDT", "580"),
        snapshot(0, "a", &[("USDT", "100000")]),
        trade(60, "BTC", "USDT", "64010", "0.05", ("BNB", "0.0041")),
        trade(61, "ETH", "BTC", "0.05", "2", ("ETH", "0.002")),
        trade(62, "BTC", "USDT", "64020", "0.2", ("USDT", "-0.64")),
    ];
    let result = run(70, &events);
    close(result.activity.volume.get(), "22400.0191", 4);
    close(result.fees.paid.get(), "8.7762444", 7);
    close(result.fees.rebates.get(), "0.639872", 7);
    close(result.fees.net.get(), "8.1363724", 7);
    close(result.fees.rate_bps.unwrap().get(), "3.63230601", 8);
    assert_eq!(result.fees.by_asset["USDT"].to_string(), "-0.64");
    assert_eq!(result.fees.by_asset["BNB"].to_string(), "0.0041");
}

/// E8: average entry, linear by price and inverse by 1 / price.
#[test]
fn futures_realise_against_the_average_entry() {
    let trade = |seconds, side: &str, price: &str, qty: &str, inverse: bool| {
        fill(&json!({"t": at(seconds), "market": "futures", "symbol": "F", "base": "BTC",
            "quote": "USD", "settle_asset": if inverse { "BTC" } else { "USD" }, "side": side,
            "price": price, "qty": qty, "trade_id": at(seconds), "inverse": inverse}))
    };
    let linear = run(
        300,
        &[
            snapshot(0, "a", &[("USD", "10000")]),
            trade(10, "buy", "64000", "0.4", false),
            trade(20, "buy", "64500", "0.2", false),
            trade(30, "sell", "63800", "0.6", false),
            snapshot(300, "a", &[("USD", "9780")]),
        ],
    );
    close(linear.pnl.realized_futures.get(), "-220", 8);
    assert_eq!(linear.quality.unreconciled, 0);
    let inverse = run(
        300,
        &[
            price(0, "BTC", "USD", "66000"),
            snapshot(0, "a", &[("BTC", "1")]),
            trade(10, "buy", "64000", "40000", true),
            trade(20, "buy", "65000", "15000", true),
            trade(30, "sell", "66000", "55000", true),
            snapshot(300, "a", &[("BTC", "1.0224358974")]),
        ],
    );
    let in_btc = inverse.pnl.realized_futures.get() / Decimal::from(66_000);
    close(in_btc, "0.0224358974", 10);
    assert_eq!(inverse.quality.unreconciled, 0);
}

/// E12: 100 -> 110 and 300 -> 303 are one portfolio, and 3.25 %.
#[test]
fn accounts_are_one_portfolio() {
    let both = |seconds, one: &str, other: &str| {
        [snapshot(seconds, "a", &[("USD", one)]), snapshot(seconds, "b", &[("USD", other)])]
    };
    let gained = |account: &str, amount: &str| {
        json!({"type": "income", "t": at(100), "account": account, "kind": "reward",
            "asset": "USD", "amount": amount, "id": "1"})
    };
    let income = [gained("a", "10"), gained("b", "3")];
    let events = [both(0, "100", "300"), income, both(300, "110", "303")].concat();
    let result = run(300, &events);
    close(result.returns.twr.unwrap().get(), "0.0325", 12);
    assert_eq!(result.income.total.to_string(), "13.00000000");
}

/// A stablecoin is worth its market price, unless a peg is declared.
#[test]
fn a_peg_is_explicit() {
    let events = || vec![price(0, "USDC", "USD", "0.88"), snapshot(0, "a", &[("USDC", "100")])];
    let value = |result: ResultSet| result.portfolio.unwrap().end_value.to_string();
    assert_eq!(value(run(0, &events())), "88.00000000");
    let pegged = run_with(json!({"pegs": {"USDC": "USD"}}), 0, &events());
    assert_eq!(value(pegged), "100.00000000");
}
