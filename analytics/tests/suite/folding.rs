//! What is left after the window: sums, and nothing that was a trade.

use analytics::limits::FLOWS_MAX;
use analytics::{Config, DigestKey, Engine, Event, Fed, ResultSet, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::world::number;

const START: i64 = 1_767_225_600;
const DAY: i64 = 86_400;
const POLL: i64 = 300;

fn at(seconds: i64) -> String {
    Timestamp::from_micros((START + seconds) * 1_000_000).to_string()
}

fn engine() -> Engine {
    let config = Config::new("USD".parse().unwrap(), at(0).parse().unwrap());
    Engine::new(config, DigestKey::from_bytes([7; 16])).unwrap()
}

fn feed(engine: &mut Engine, event: Value) -> Fed {
    engine.feed(&serde_json::from_value::<Event>(event).unwrap()).unwrap()
}

fn price(engine: &mut Engine, seconds: i64, asset: &str, price: &str) -> Fed {
    feed(
        engine,
        json!({"type": "price", "t": at(seconds), "asset": asset, "quote": "USD", "price": price}),
    )
}

fn snapshot(engine: &mut Engine, seconds: i64, account: &str, held: &[(&str, &str)]) -> Fed {
    let balances: Vec<Value> =
        held.iter().map(|(asset, free)| json!({"asset": asset, "free": free})).collect();
    feed(
        engine,
        json!({"type": "snapshot", "t": at(seconds), "account": account, "balances": balances}),
    )
}

fn fill(seconds: i64, id: &str, order: &str) -> Value {
    json!({"type": "fill", "t": at(seconds), "account": "a", "market": "spot",
        "symbol": "CANARYPAIR", "base": "X", "quote": "USD", "side": "buy",
        "price": "98.76543210123", "qty": "0.00123456789", "trade_id": id, "order_id": order})
}

fn flow(seconds: i64, id: &str, amount: &str) -> Value {
    json!({"type": "flow", "t": at(seconds), "account": "a", "asset": "USD", "amount": amount,
        "id": id})
}

/// Polls of one account that holds the same, every five minutes.
fn idle(engine: &mut Engine, from: i64, to: i64) {
    for poll in from / POLL..to / POLL {
        price(engine, poll * POLL, "X", "100");
        snapshot(engine, poll * POLL, "a", &[("X", "1"), ("USD", "500")]);
    }
}

fn result(engine: &Engine) -> ResultSet {
    engine.result(engine.newest_delivery().unwrap()).unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn traded(fills: usize) -> Engine {
    let mut engine = engine();
    idle(&mut engine, 0, POLL);
    for n in 0..fills {
        let (id, order) = (format!("canary-trade-{n}"), format!("canary-order-{n}"));
        assert_eq!(feed(&mut engine, fill(POLL - 1, &id, &order)), Fed::Accepted);
    }
    for (id, qty) in [("1", "0.00123456789"), ("2", "0.5")] {
        let future = json!({"type": "fill", "t": at(POLL - 1), "account": "a",
            "market": "futures", "symbol": "CANARYPERP", "base": "X", "quote": "USD",
            "settle_asset": "USD", "side": "sell", "price": "98.76543210123", "qty": qty,
            "trade_id": format!("canary-trade-{id}"), "order_id": "canary-order"});
        assert_eq!(feed(&mut engine, future), Fed::Accepted);
    }
    engine
}

#[test]
fn no_id_and_no_symbol_is_ever_in_the_sealed_state() {
    let mut engine = traded(50);
    idle(&mut engine, POLL, 2 * POLL);
    let sealed = engine.seal();
    for canary in ["canary", "CANARY"] {
        assert!(!contains(&sealed, canary.as_bytes()), "{canary}");
    }
    assert_eq!(Engine::restore(&sealed, DigestKey::from_bytes([7; 16])).unwrap().seal(), sealed);
}

#[test]
fn no_fill_is_in_the_sealed_state_after_the_window_however_many_there_were() {
    let sizes = [10, 5_000].map(|fills| {
        let mut engine = traded(fills);
        // Three days until it is folded, and two more in which an order may go on.
        idle(&mut engine, POLL, 6 * DAY);
        engine.fold();
        let sealed = engine.seal();
        for digits in ["9876543210123", "123456789"] {
            let digits = digits.parse::<u64>().unwrap().to_le_bytes();
            let len = digits.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            assert!(!contains(&sealed, &digits[..len]), "a price or a quantity of a fill is left");
        }
        assert_eq!(result(&engine).activity.trades, u64::try_from(fills + 2).unwrap());
        engine.sealed_sizes()
    });
    // The same but for the bytes of two counts in each of a few buckets.
    assert!(sizes[1].aggregates <= sizes[0].aggregates + 10, "{sizes:?}");
    assert!(sizes[1].hours <= sizes[0].hours + 1, "{sizes:?}");
    assert_eq!(sizes[1].window, sizes[0].window);
}

#[test]
fn nothing_is_taken_in_for_a_time_that_is_folded() {
    let mut engine = engine();
    idle(&mut engine, 0, 4 * DAY);
    engine.fold();
    let before = result(&engine);
    let seen = at(4 * DAY);
    for event in [
        json!({"type": "price", "t": at(POLL), "asset": "X", "quote": "USD", "price": "1"}),
        json!({"type": "account_open", "t": at(POLL), "account": "b"}),
        json!({"type": "account_close", "t": at(POLL), "account": "a"}),
        json!({"type": "snapshot", "t": at(POLL), "account": "a", "balances": []}),
        json!({"type": "snapshot", "t": at(POLL), "seen": seen, "account": "a", "balances": []}),
        fill(POLL, "1", "1"),
        flow(POLL, "1", "1"),
    ] {
        assert_eq!(feed(&mut engine, event.clone()), Fed::Late, "{event}");
    }
    let after = result(&engine);
    assert_eq!(after.quality.late_rejected, 7);
    assert_eq!((after.portfolio, after.returns), (before.portfolio, before.returns));
}

#[test]
fn an_order_that_goes_on_after_the_horizon_counts_again() {
    let mut engine = engine();
    idle(&mut engine, 0, DAY);
    for (day, id) in [(1, "1"), (2, "2"), (4, "3"), (7, "4")] {
        idle(&mut engine, (day - 1) * DAY + POLL, day * DAY + POLL);
        feed(&mut engine, fill(day * DAY + 1, id, "same"));
    }
    let activity = result(&engine).activity;
    assert_eq!((activity.trades, activity.orders), (4, 2));
}

#[test]
fn an_id_is_known_for_as_long_as_its_time_can_come() {
    let mut engine = engine();
    idle(&mut engine, 0, DAY);
    let delivered = |id, seen| {
        let mut event = fill(DAY - 1, id, "o");
        event["seen"] = json!(at(seen));
        event
    };
    assert_eq!(feed(&mut engine, delivered("1", DAY)), Fed::Accepted);
    assert_eq!(feed(&mut engine, delivered("1", 3 * DAY - 1)), Fed::Duplicate);
    assert_eq!(feed(&mut engine, delivered("1", 3 * DAY)), Fed::Late);
}

/// Two accounts, one of which is away from the second day on.
fn away(back_after: i64, held_when_back: &str) -> ResultSet {
    let mut engine = engine();
    let name = "b".parse().unwrap();
    let poll = |engine: &mut Engine, seconds: i64, x: &str, b: Option<&str>| {
        price(engine, seconds, "X", x);
        snapshot(engine, seconds, "a", &[("USD", "1000")]);
        if let Some(held) = b {
            snapshot(engine, seconds, "b", &[("X", held)]);
        }
    };
    for n in 0..288 {
        poll(&mut engine, n * POLL, "100", Some("10"));
    }
    feed(&mut engine, json!({"type": "account_close", "t": at(DAY - 1), "account": "b"}));
    for n in 288..288 * back_after {
        poll(&mut engine, n * POLL, "90", None);
    }
    let back = back_after * DAY - 1;
    assert!(engine.reopen(&name, at(back).parse().unwrap()));
    assert!(!engine.reopen(&name, at(back).parse().unwrap()));
    for n in 288 * back_after..288 * back_after + 2 {
        poll(&mut engine, n * POLL, "80", Some(held_when_back));
    }
    result(&engine)
}

#[test]
fn who_leaves_and_comes_back_keeps_the_loss_folded_or_not() {
    for (days, kept) in [(2, false), (9, true)] {
        let result = away(days, "10");
        assert_eq!(result.returns.gain.unwrap().get(), number("-200"), "after {days} days");
        assert_eq!(result.pnl.residual.get(), Decimal::ZERO);
        // Unfolded, the leaving is undone and its polls are a gap; folded, they stay.
        assert_eq!(result.quality.incomplete_ticks == 0, kept);
        assert_eq!(result.flows.net.get(), Decimal::ZERO);
    }
}

#[test]
fn what_comes_back_with_more_brought_it_and_with_less_lost_it() {
    // A deposit of two that nobody saw, at 80.
    let more = away(9, "12");
    assert_eq!(more.returns.gain.unwrap().get(), number("-200"));
    assert_eq!(more.quality.unexplained_in.get(), number("160"));
    let less = away(9, "7");
    assert_eq!(less.returns.gain.unwrap().get(), number("-440"));
    assert_eq!(less.quality.unexplained_out.get(), number("240"));
    assert_eq!((more.pnl.residual.get(), less.pnl.residual.get()), Default::default());
}

#[test]
fn a_coin_that_loses_its_price_on_its_way_costs_the_tick_and_not_the_value() {
    let mut engine = engine();
    let both = |engine: &mut Engine, n: i64, x: Option<&str>, a: &str, b: &str| {
        if let Some(x) = x {
            price(engine, n * POLL, "X", x);
        }
        snapshot(engine, n * POLL, "a", &[("X", a), ("USD", "100")]);
        snapshot(engine, n * POLL, "b", &[("X", b), ("USD", "100")]);
    };
    let leg = |t: i64, account: &str, amount: &str| {
        json!({"type": "flow", "t": at(t), "account": account, "asset": "X", "amount": amount,
            "id": account})
    };
    both(&mut engine, 0, Some("100"), "5", "0");
    both(&mut engine, 1, None, "5", "0");
    feed(&mut engine, leg(POLL + 1, "a", "-5"));
    // Past the age of the last price, with nothing of it in any wallet.
    for n in 2..6 {
        both(&mut engine, n, None, "0", "0");
    }
    feed(&mut engine, leg(6 * POLL - 1, "b", "5"));
    both(&mut engine, 6, Some("110"), "0", "5");
    let result = result(&engine);
    assert_eq!((result.quality.complete_ticks, result.quality.incomplete_ticks), (5, 2));
    assert_eq!(result.returns.gain.unwrap().get(), number("50"));
    assert_eq!((result.flows.internal_transfers, result.flows.count), (1, 0));
    assert_eq!(result.pnl.residual.get(), Decimal::ZERO);
}

#[test]
fn many_flows_are_summed_by_day_and_the_return_hardly_moves() {
    let flows = FLOWS_MAX * 2;
    let mut engine = engine();
    let mut held = 10_000_i64;
    let mut paid = Vec::new();
    for n in 0..i64::try_from(flows).unwrap() {
        snapshot(&mut engine, n * 3_600, "a", &[("USD", &held.to_string())]);
        let (amount, earned) = (if n % 3 == 0 { -40 } else { 25 }, n % 5);
        feed(&mut engine, flow(n * 3_600 + 1, &n.to_string(), &amount.to_string()));
        feed(
            &mut engine,
            json!({"type": "income", "t": at(n * 3_600 + 2), "account": "a", "kind": "reward",
                "asset": "USD", "amount": earned.to_string(), "id": n.to_string()}),
        );
        held += amount + earned;
        paid.push((amount, n * 3_600 + 1));
    }
    let end = i64::try_from(flows).unwrap() * 3_600;
    snapshot(&mut engine, end, "a", &[("USD", &held.to_string())]);
    let returns = result(&engine).returns;
    // What is left of V0 x + sum F x^w = V1 at the return, every flow by itself.
    let to_f64 = |number: Decimal| number.to_string().parse::<f64>().unwrap();
    let x = 1.0 + to_f64(returns.mwr_period.unwrap().get());
    let weight = |at: i64| to_f64(Decimal::from(end - at) / Decimal::from(end));
    let grown: f64 =
        paid.iter().map(|(value, at)| to_f64((*value).into()) * x.powf(weight(*at))).sum();
    let off = 10_000.0 * x + grown - to_f64(held.into());
    assert!(off.abs() < 0.01, "{off}");
    assert_eq!(
        returns.gain.unwrap().get(),
        number(&(0..flows).map(|n| n % 5).sum::<usize>().to_string())
    );
}

/// Twenty assets in five accounts, one of which trades.
#[test]
fn a_month_of_ticks_folds_into_a_few_kilobytes() {
    let mut engine = engine();
    let assets: Vec<String> = (0..20).map(|n| format!("ASSET{n}")).collect();
    for n in 0..30 * 288 {
        for (place, asset) in assets.iter().enumerate() {
            let worth = 100 + (n * 7 + i64::try_from(place).unwrap() * 13) % 19;
            price(&mut engine, n * POLL, asset, &worth.to_string());
        }
        let held: Vec<(&str, &str)> = assets.iter().map(|asset| (asset.as_str(), "1.5")).collect();
        for account in ["a", "b", "c", "d", "e"] {
            snapshot(&mut engine, n * POLL, account, &held);
        }
    }
    engine.fold();
    let sizes = engine.sealed_sizes();
    // A year has 365 rows of at most 90 bytes, and as many full days of activity.
    assert!(sizes.aggregates < 12 * 1024, "{sizes:?}");
}

proptest! {
    /// Whatever bytes: an error, or an engine that goes on without a panic.
    #[test]
    fn hostile_states_do_no_harm(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut engine = traded(3);
        idle(&mut engine, POLL, 3 * POLL);
        feed(&mut engine, flow(POLL + 1, "f", "-3"));
        let mut sealed = engine.seal();
        for (place, bits) in &flips {
            let place = place.index(sealed.len());
            sealed[place] ^= bits;
        }
        if let Some(cut) = cut {
            sealed.truncate(cut.index(sealed.len()));
        }
        if let Ok(mut engine) = Engine::restore(&sealed, DigestKey::from_bytes([7; 16])) {
            idle(&mut engine, 3 * POLL, 5 * POLL);
            engine.fold();
            let newest = engine.newest_delivery().unwrap_or_default();
            // Both answer, or both have the same reason not to.
            let result = engine.result(newest).map(|_| ());
            prop_assert!(result.is_err() || engine.report(newest).is_ok());
        }
    }
}

#[test]
fn a_state_cut_short_or_with_more_behind_it_is_refused() {
    let sealed = traded(3).seal();
    for len in 0..sealed.len() {
        assert!(Engine::restore(&sealed[..len], DigestKey::PUBLIC).is_err(), "{len}");
    }
    assert!(Engine::restore(&[sealed, vec![0]].concat(), DigestKey::PUBLIC).is_err());
}
