//! Input that nobody should send: each kind has its own answer, and none of
//! them a panic.

use analytics::{
    Config, DigestKey, Engine, Event, Fed, FeedError, ResultError, ResultSet, Timestamp,
};
use serde_json::{Value, json};

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-01-01T00:10:00Z";

fn event(fields: Value) -> Event {
    serde_json::from_value(fields).unwrap()
}

fn engine() -> Engine {
    let config = Config::new("USD".parse().unwrap(), START.parse().unwrap());
    let mut engine = Engine::new(config, DigestKey::PUBLIC).unwrap();
    for (t, price) in [(START, "100"), ("2026-01-01T00:05:00Z", "110"), (END, "121")] {
        engine
            .feed(&event(json!({"type": "price", "t": t, "asset": "X", "quote": "USD",
                "price": price})))
            .unwrap();
    }
    engine
}

fn snapshot(t: &str, free: &str) -> Event {
    event(json!({"type": "snapshot", "t": t, "account": "a",
        "balances": [{"asset": "X", "free": free}]}))
}

fn fill(change: &[(&str, Value)]) -> Event {
    let mut fill = json!({"type": "fill", "t": "2026-01-01T00:01:00Z", "account": "a",
        "market": "spot", "symbol": "XUSD", "base": "X", "quote": "USD", "side": "buy",
        "price": "100", "qty": "1", "trade_id": "1", "order_id": "1",
        "seen": "2026-01-01T00:01:00Z"});
    for (name, value) in change {
        fill[*name] = value.clone();
    }
    event(fill)
}

fn result(engine: &Engine) -> ResultSet {
    engine.result(END.parse().unwrap()).unwrap()
}

#[test]
fn the_checks_come_in_their_order() {
    let mut engine = engine();
    engine.feed(&snapshot(START, "1")).unwrap();
    engine.feed(&snapshot(END, "1")).unwrap();
    let late = json!("2026-01-03T00:01:01Z");
    for (change, fed) in [
        (vec![], Fed::Accepted),
        (vec![], Fed::Duplicate),
        (vec![("seen", json!("2026-01-01T00:02:00Z"))], Fed::Duplicate),
        (vec![("price", json!("100.000"))], Fed::Duplicate),
        (vec![("qty", json!("2"))], Fed::Conflict),
        // A known id comes before the quantity, the horizon before both.
        (vec![("qty", json!("0"))], Fed::Conflict),
        (vec![("seen", late.clone())], Fed::Late),
        (vec![("seen", late), ("trade_id", json!("new")), ("qty", json!("0"))], Fed::Late),
        (vec![("trade_id", json!("2")), ("qty", json!("0"))], Fed::Rejected),
        (vec![("trade_id", json!("2")), ("price", json!("0.00"))], Fed::Rejected),
        (vec![("trade_id", json!("2")), ("contract_size", json!("0"))], Fed::Rejected),
        // What was rejected is not known.
        (vec![("trade_id", json!("2"))], Fed::Accepted),
        (vec![("trade_id", json!("2")), ("symbol", json!("YUSD"))], Fed::Accepted),
        (vec![("trade_id", json!("2")), ("market", json!("margin"))], Fed::Accepted),
        (vec![("trade_id", json!("2")), ("account", json!("b"))], Fed::Accepted),
    ] {
        assert_eq!(engine.feed(&fill(&change)), Ok(fed), "{change:?}");
    }
    let flow = |id: &str, status: &str| {
        event(json!({"type": "flow", "t": "2026-01-01T00:01:00Z", "account": "a", "asset": "X",
            "amount": "1", "id": id, "status": status}))
    };
    for (status, fed) in [
        ("pending", Fed::NotCompleted),
        ("failed", Fed::NotCompleted),
        ("canceled", Fed::NotCompleted),
        ("completed", Fed::Accepted),
        ("completed", Fed::Duplicate),
        ("pending", Fed::NotCompleted),
    ] {
        assert_eq!(engine.feed(&flow("1", status)), Ok(fed), "{status}");
    }
    let income = |kind: &str| {
        event(json!({"type": "income", "t": "2026-01-01T00:01:00Z", "account": "a",
            "kind": kind, "asset": "X", "amount": "1", "id": "1"}))
    };
    for (kind, fed) in
        [("funding", Fed::Accepted), ("funding", Fed::Duplicate), ("reward", Fed::Accepted)]
    {
        assert_eq!(engine.feed(&income(kind)), Ok(fed), "{kind}");
    }
    let quality = engine.result("2026-01-03T00:01:01Z".parse().unwrap()).unwrap().quality;
    let counts = (quality.duplicates, quality.conflicts, quality.late_rejected, quality.rejected);
    assert_eq!(counts, (5, 2, 2, 3));
    assert_eq!(quality.not_completed, 4);
}

#[test]
fn numbers_past_the_range_are_refused_and_counted() {
    let mut engine = engine();
    engine.feed(&snapshot(START, "1")).unwrap();
    let huge = "9".repeat(60);
    let refused = |field| Err(FeedError::OutOfRange { field });
    assert_eq!(engine.feed(&fill(&[("price", json!(huge))])), refused("price"));
    assert_eq!(engine.feed(&fill(&[("qty", json!(huge))])), refused("qty"));
    let large = "9000000000000000000000";
    let product = [("price", json!(large)), ("qty", json!(large))];
    assert_eq!(engine.feed(&fill(&product)), refused("price"));
    let fee = [("fee", json!({"asset": "X", "amount": format!("-{huge}")}))];
    assert_eq!(engine.feed(&fill(&fee)), refused("fee"));
    // A snapshot that cannot be read is a poll that failed.
    assert_eq!(engine.feed(&snapshot("2026-01-01T00:05:00Z", &huge)), refused("free"));
    engine.feed(&snapshot(END, "1")).unwrap();
    let result = result(&engine);
    assert_eq!(result.quality.rejected, 5);
    assert_eq!((result.quality.complete_ticks, result.quality.incomplete_ticks), (2, 1));
    assert_eq!(result.returns.twr.unwrap().to_string(), "0.210000000000");
}

#[test]
fn an_overflow_costs_the_poll_it_happens_in() {
    let mut engine = engine();
    engine.feed(&snapshot(START, "1")).unwrap();
    // Fits as a quantity, and as a value it does not.
    engine.feed(&snapshot("2026-01-01T00:05:00Z", "9000000000000000000000")).unwrap();
    engine.feed(&snapshot(END, "1")).unwrap();
    let result = result(&engine);
    assert_eq!((result.quality.complete_ticks, result.quality.incomplete_ticks), (2, 1));
    assert_eq!(result.returns.gain.unwrap().to_string(), "21.00000000");
}

#[test]
fn a_return_that_overflows_costs_the_poll_it_ends_in() {
    let mut config = Config::new("USD".parse().unwrap(), START.parse().unwrap());
    config.min_capital = "0".parse().unwrap();
    config.recon_tolerance = "9000000000000000000000".parse().unwrap();
    let mut engine = Engine::new(config, DigestKey::PUBLIC).unwrap();
    for (t, free) in [
        (START, "0.000000000000000000000001"),
        ("2026-01-01T00:05:00Z", "90000000000000000000"),
        (END, "0.000000000000000000000002"),
    ] {
        engine
            .feed(&event(json!({"type": "snapshot", "t": t, "account": "a",
                "balances": [{"asset": "USD", "free": free}]})))
            .unwrap();
    }
    let result = result(&engine);
    assert_eq!((result.quality.complete_ticks, result.quality.incomplete_ticks), (2, 1));
    assert_eq!(result.returns.twr.unwrap().to_string(), "1.000000000000");
}

#[test]
fn fills_without_a_rate_are_listed_and_not_zero() {
    let mut engine = engine();
    engine.feed(&snapshot(START, "1")).unwrap();
    let fee = json!({"asset": "W", "amount": "0.1"});
    let unknown = [("quote", json!("Z")), ("base", json!("W")), ("fee", fee)];
    engine.feed(&fill(&unknown)).unwrap();
    let result = result(&engine);
    assert_eq!(result.activity.unconverted["Z"].to_string(), "100");
    assert_eq!(result.fees.unconverted["W"].to_string(), "0.1");
    assert_eq!(
        (result.activity.trades, result.activity.volume.to_string()),
        (1, "0.00000000".into())
    );
    let flags = serde_json::to_value(&result.flags).unwrap();
    assert!(flags.as_array().unwrap().contains(&json!("activity.unconverted_volume")));
    assert!(flags.as_array().unwrap().contains(&json!("fees.unconverted")));
}

#[test]
fn times_out_of_range_are_refused() {
    for (t, good) in [
        ("1969-12-31T23:59:59.999999Z", false),
        ("1970-01-01T00:00:00Z", true),
        ("2200-01-01T00:00:00Z", true),
        ("2200-01-01T00:00:00.000001Z", false),
        ("9999-12-31T23:59:59Z", false),
    ] {
        let fed = engine().feed(&snapshot(t, "1"));
        let wanted =
            if good { Ok(Fed::Accepted) } else { Err(FeedError::OutOfRange { field: "t" }) };
        assert_eq!(fed, wanted, "{t}");
    }
    let seen = [("seen", json!("9999-12-31T23:59:59Z"))];
    assert_eq!(engine().feed(&fill(&seen)), Err(FeedError::OutOfRange { field: "seen" }));
}

#[test]
fn an_empty_portfolio_has_reasons_and_no_numbers() {
    let engine = engine();
    let none = serde_json::to_value(result(&engine)).unwrap();
    assert_eq!(none["portfolio"], Value::Null);
    assert_eq!(none["reasons"]["portfolio"], "no_complete_tick");
    assert_eq!(none["reasons"]["returns"], "fewer_than_two_complete_ticks");
    assert_eq!(none["reasons"]["risk"], "fewer_than_two_full_days");
    assert_eq!(none["returns"]["twr"], Value::Null);
    assert_eq!(none["quality"]["expected_ticks"], 3);
    assert_eq!(none["quality"]["coverage"], "0.000000000000");
    assert_eq!(none["quality"]["max_gap_s"], 600);
}

#[test]
fn a_result_is_not_given_for_a_time_before_the_newest_delivery() {
    let engine = engine();
    let before: Timestamp = "2026-01-01T00:09:59.999999Z".parse().unwrap();
    assert_eq!(engine.result(before), Err(ResultError::BeforeNewestDelivery));
    assert!(engine.result(END.parse().unwrap()).is_ok());
}

#[test]
fn losing_everything_is_for_good() {
    let mut engine = engine();
    let futures = |t: &str, usd: &str, unrealized: &str| {
        event(json!({"type": "snapshot", "t": t, "account": "a",
            "balances": [{"asset": "USD", "free": usd}],
            "positions": [{"symbol": "F", "qty": "1", "entry_price": "1", "mark_price": "1",
                "unrealized_pnl": unrealized, "settle_asset": "USD"}]}))
    };
    engine.feed(&futures(START, "1000", "0")).unwrap();
    engine.feed(&futures("2026-01-01T00:05:00Z", "1000", "-1000.5")).unwrap();
    engine.feed(&futures(END, "1000", "0")).unwrap();
    let returns = result(&engine).returns;
    assert_eq!(returns.wiped_out, Some(true));
    assert_eq!(returns.twr.unwrap().to_string(), "-1.000000000000");
    assert_eq!(returns.unfunded_subperiods, Some(1));
}

#[test]
fn the_number_of_accounts_is_bounded() {
    let mut engine = engine();
    let of = |account: usize| {
        event(json!({"type": "account_open", "t": START, "account": format!("a{account}")}))
    };
    for account in 0..analytics::limits::ACCOUNTS_MAX {
        engine.feed(&of(account)).unwrap();
    }
    let full = engine.feed(&of(analytics::limits::ACCOUNTS_MAX));
    assert_eq!(full, Err(FeedError::Full { what: "accounts" }));
}
