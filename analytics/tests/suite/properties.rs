//! What holds on every scenario, tried on made-up ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Action, World, number};
use analytics::{Config, DigestKey, Engine, Event, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rust_decimal::Decimal;
use serde_json::Value;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec((0_u8..13, any::<u8>(), any::<u8>(), any::<u16>()), 0..120)
}

fn fed<'a>(events: impl IntoIterator<Item = &'a Event>) -> Engine {
    fed_to(World::config(), events, |_, _| {})
}

/// Fed under `config`, with something done after each event.
fn fed_to<'a>(
    config: Config,
    events: impl IntoIterator<Item = &'a Event>,
    mut then: impl FnMut(&mut Engine, usize),
) -> Engine {
    let mut engine = Engine::new(config, DigestKey::PUBLIC).unwrap();
    for (index, event) in events.into_iter().enumerate() {
        engine.feed(event).unwrap();
        then(&mut engine, index);
    }
    engine
}

/// Sealed and restored: the same to the last byte.
fn restored(engine: &Engine) -> Engine {
    let sealed = engine.seal();
    let again = Engine::restore(&sealed, DigestKey::PUBLIC).unwrap();
    assert!(again.seal() == sealed, "a restored state is sealed otherwise");
    again
}

/// Every printed value but the count that depends on the order by definition.
fn comparable(engine: &Engine, as_of: Timestamp) -> BTreeMap<String, Value> {
    let mut result = engine.result(as_of).unwrap();
    result.quality.out_of_order = 0;
    crate::common::leaves(&serde_json::to_value(result).unwrap())
}

/// What differs between two results.
fn unequal(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
    differ.map(|key| format!("{key}: {:?} {:?}", a.get(key), b.get(key))).collect()
}

/// Delivery as a poller sees it: at the first poll at or after the event,
/// sometimes later, sometimes twice.
fn delivered(world: &World, delays: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, event) in world.events.iter().enumerate() {
        let mut event = event.clone();
        let t: Timestamp = event["t"].as_str().unwrap().parse().unwrap();
        let delay = i64::from(delays.get(index % delays.len().max(1)).copied().unwrap_or(0));
        let mut later = |by: i64| {
            let seen = Timestamp::from_micros(t.as_micros() + by * 60_000_000);
            event["seen"] = serde_json::json!(seen.to_string());
            serde_json::from_value::<Event>(event.clone()).unwrap()
        };
        events.push(later(delay));
        let twice = matches!(events.last(), Some(Event::Fill(_) | Event::Flow(_)));
        if twice && delay % 3 == 0 {
            events.push(later(delay + 5));
        }
    }
    events.sort_by_key(Event::seen);
    events
}

/// A random order in which each event still comes after the one before it
/// with the same delivery, and after the one with the same id; of those that
/// may come next, the one whose `rank` is the least.
fn shuffled(events: &[Event], rank: impl Fn(usize) -> i64) -> Vec<&Event> {
    let id = |event: &Event| match event {
        Event::Fill(fill) => Some(fill.trade_id.clone()),
        Event::Flow(flow) => Some(flow.id.clone()),
        Event::Income(income) => Some(income.id.clone()),
        Event::Price(_) | Event::AccountOpen(_) | Event::AccountClose(_) | Event::Snapshot(_) => {
            None
        }
    };
    let mut waits: Vec<Vec<usize>> = Vec::new();
    let mut last_seen = BTreeMap::new();
    let mut last_id = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let mut before: Vec<usize> = last_seen.insert(event.seen(), index).into_iter().collect();
        before.extend(id(event).and_then(|id| last_id.insert(id, index)));
        waits.push(before);
    }
    let mut placed = vec![false; events.len()];
    let mut order = Vec::new();
    while order.len() < events.len() {
        let free = (0..events.len())
            .filter(|&index| !placed[index] && waits[index].iter().all(|&other| placed[other]));
        let next = free.min_by_key(|index| (rank(*index), *index)).unwrap();
        placed[next] = true;
        order.push(&events[next]);
    }
    order
}

/// Cases of a property, and more where the environment asks for more. Seeds of
/// what failed once are kept beside the tests.
fn cases(least: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let seeds = FileFailurePersistence::Direct("proptest-regressions/properties.txt");
    ProptestConfig {
        cases: default.cases.max(least),
        failure_persistence: Some(Box::new(seeds)),
        ..default
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// `gain` is fully explained, whatever happened: trades, flows, transfers
    /// in transit, accounts that join and leave, outages, gifts, skews, first
    /// prices; and however much of it is folded.
    #[test]
    fn gain_is_explained_to_the_last_cent(actions in actions(), pause in 7_i64..60) {
        let world = World::play_slowly(&actions, pause);
        let engine = fed_to(World::brisk(), &world.events(), |_, _| {});
        let result = engine.result(world.end).unwrap();
        let residual = result.pnl.residual.get().abs();
        prop_assert!(residual < number("0.0001"), "residual {residual}: {:#?}", result);
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Folding as soon as can be gives what never folding gives, in any order
    /// of delivery within the horizon, with the state sealed and restored on
    /// the way.
    #[test]
    fn folding_and_sealing_change_nothing(
        actions in actions(),
        delays in prop::collection::vec(0_u8..9, 1..20),
        keys in prop::collection::vec(0_i64..300, 1..50),
        cuts in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let world = World::play_slowly(&actions, 45);
        let events = delivered(&world, &delays);
        let end = events.iter().map(Event::seen).max().unwrap();
        let patient = Config { late_horizon_s: 172_800, ..World::brisk() };
        let unfolded = fed_to(patient, &events, |_, _| {});
        let whole = comparable(&unfolded, end);

        let rank = |index: usize| {
            events[index].seen().as_micros() + keys[index % keys.len()] * 1_000_000
        };
        let order = shuffled(&events, rank);
        let engine = fed_to(World::brisk(), order, |engine, index| {
            engine.fold();
            if cuts[index % cuts.len()] {
                *engine = restored(engine);
            }
        });
        let differ = unequal(&comparable(&engine, end), &whole);
        prop_assert!(differ.is_empty(), "{}", differ.join("\n"));
        prop_assert_eq!(engine.report(end).unwrap().1, unfolded.report(end).unwrap().1);
    }

    /// Nothing is unexplained where everything is recorded.
    #[test]
    fn a_recorded_world_reconciles(actions in actions()) {
        let recorded = |action: &Action| !matches!(action.0 % 13, 7 | 8 | 10);
        let actions: Vec<Action> = actions.into_iter().filter(recorded).collect();
        let world = World::play(&actions);
        let quality = fed(&world.events()).result(world.end).unwrap().quality;
        prop_assert_eq!((quality.unreconciled, quality.skew_pairs), (0, 0));
        prop_assert_eq!((quality.duplicates, quality.conflicts, quality.rejected), (0, 0, 0));
    }

    /// Records may come in any order that keeps one delivery's in theirs.
    #[test]
    fn order_of_feeding_does_not_matter(
        actions in actions(),
        delays in prop::collection::vec(0_u8..9, 1..20),
        keys in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let world = World::play(&actions);
        let events = delivered(&world, &delays);
        let end = events.iter().map(Event::seen).max().unwrap();
        let again = shuffled(&events, |index| keys[index % keys.len()].into());
        let straight = comparable(&fed(&events), end);
        let differ = unequal(&comparable(&fed(again), end), &straight);
        prop_assert!(differ.is_empty(), "{}", differ.join("\n"));
    }

    /// Asking on the way changes nothing, and what is asked on the way is what
    /// an engine says that never heard of the rest.
    #[test]
    fn asking_on_the_way_changes_nothing(
        actions in actions(),
        delays in prop::collection::vec(0_u8..9, 1..20),
        cut in 0.0_f64..1.0,
    ) {
        let world = World::play(&actions);
        let events = delivered(&world, &delays);
        let end = events.iter().map(Event::seen).max().unwrap();
        let whole = comparable(&fed(&events), end);
        let mut engine = Engine::new(World::config(), DigestKey::PUBLIC).unwrap();
        let mut asked = None;
        for (index, event) in events.iter().enumerate() {
            engine.feed(event).unwrap();
            let share = Decimal::from(index) / Decimal::from(events.len());
            if asked.is_none() && share >= Decimal::try_from(cut).unwrap() {
                let now = event.seen();
                asked = Some((now, index, comparable(&engine, now)));
            }
        }
        prop_assert_eq!(comparable(&engine, end), whole);
        if let Some((now, index, answer)) = asked {
            prop_assert_eq!(comparable(&fed(&events[..=index]), now), answer);
        }
    }
}
