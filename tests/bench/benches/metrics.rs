//! The metrics engine: fills taken in and folded, one tick of 20 assets in 5 accounts, a result over
//! a full window, and the bytes of a sealed state after a year of ticks.
//!
//! ```text
//! cargo bench -p bench --bench metrics
//! ```

use std::hint::black_box;
use std::io::{self, Write};

use analytics::event::{Balance, Fee, FillEvent, Market, PriceEvent, Side, SnapshotEvent};
use analytics::text::{Asset, Name};
use analytics::{Config, DigestKey, Engine, Event, Timestamp};
use criterion::{BatchSize, Criterion, Throughput};

const START: i64 = 1_767_225_600_000_000;
const POLL: i64 = 300_000_000;
const ACCOUNTS: usize = 5;
const ASSETS: usize = 20;

/// Days of fills that one measurement takes in, and fills from one poll to the next.
const DAYS: i64 = 10;
const FILLS: i64 = 100;

/// How often the measurement by CPU time is made; the fastest counts.
const TURNS: usize = 5;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(START + micros)
}

fn asset(n: usize) -> Asset {
    format!("ASSET{n}").parse().expect("an asset")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn number(value: i64) -> analytics::decimal::Number {
    rust_decimal::Decimal::new(value, 2).into()
}

fn engine() -> Engine {
    let config = Config::new("USD".parse().expect("an asset"), at(0));
    Engine::new(config, DigestKey::from_bytes([7; 16])).expect("a configuration")
}

/// Prices and snapshots of one poll.
fn round(poll: i64) -> Vec<Event> {
    let t = at(poll * POLL);
    let mut events = Vec::new();
    for n in 0..ASSETS {
        let place = i64::try_from(n).expect("few assets");
        let price = number(10_000 + (poll * 7 + place * 13) % 1_900);
        let (asset, quote) = (asset(n), "USD".parse().expect("an asset"));
        events.push(Event::Price(PriceEvent { t, seen: None, asset, quote, price }));
    }
    for account in 0..ACCOUNTS {
        let balance = |n| Balance {
            asset: asset(n),
            free: number(150),
            locked: number(0),
            earn: number(0),
            borrowed: number(0),
            interest: number(0),
        };
        events.push(Event::Snapshot(SnapshotEvent {
            t,
            seen: None,
            account: name(&format!("account-{account}")),
            balances: (0..ASSETS).map(balance).collect(),
            positions: Vec::new(),
            complete: true,
        }));
    }
    events
}

fn fill(poll: i64, n: i64) -> Event {
    let base = asset(usize::try_from(n).expect("a small number") % ASSETS);
    Event::Fill(Box::new(FillEvent {
        t: at(poll * POLL + 1 + n * (POLL / (FILLS + 1))),
        seen: None,
        account: name("account-0"),
        market: Market::Spot,
        symbol: name(&format!("{base}USD")),
        base: base.clone(),
        quote: "USD".parse().expect("an asset"),
        settle_asset: None,
        side: if n % 2 == 0 { Side::Buy } else { Side::Sell },
        price: number(10_050 + n),
        qty: number(1 + n % 90),
        contract_size: None,
        inverse: false,
        trade_id: name(&format!("{poll}-{n}")),
        order_id: name(&format!("{poll}-{}", n / 3)),
        liquidity: None,
        fee: Some(Fee { asset: "USD".parse().expect("an asset"), amount: number(n % 7) }),
    }))
}

fn feed<'a>(engine: &mut Engine, events: impl IntoIterator<Item = &'a Event>) {
    for event in events {
        engine.feed(event).expect("room for an event");
    }
}

/// All polls of a measurement, with fills or without.
fn history(fills: i64) -> Vec<Event> {
    let day = |poll| round(poll).into_iter().chain((0..fills).map(move |n| fill(poll, n)));
    (0..DAYS * 288).flat_map(day).collect()
}

fn fills(criterion: &mut Criterion) {
    let events = history(FILLS);
    let polls = DAYS * 288;
    let mut group = criterion.benchmark_group("metrics");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::try_from(polls * FILLS).expect("a count")));
    group.bench_function("fills_folded", |bencher| {
        bencher.iter(|| {
            let mut engine = engine();
            feed(&mut engine, &events);
            engine.fold();
            black_box(engine)
        });
    });
    group.finish();
}

fn ticks(criterion: &mut Criterion) {
    let mut engine = engine();
    let mut poll = 0;
    while poll < 4 * 288 {
        feed(&mut engine, &round(poll));
        poll += 1;
    }
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("tick", |bencher| {
        bencher.iter_batched(
            || {
                poll += 1;
                round(poll - 1)
            },
            |events| feed(&mut engine, &events),
            BatchSize::NumIterations(288),
        );
    });
    let newest = engine.newest_delivery().expect("an event");
    group.bench_function("result", |bencher| {
        bencher.iter(|| black_box(engine.result(newest)).expect("a result"));
    });
    group.bench_function("seal", |bencher| bencher.iter(|| black_box(engine.seal())));
    group.finish();
}

/// The same by the time the processor gave this thread: other work of the machine is not in it.
fn by_cpu_time(out: &mut impl Write) -> io::Result<()> {
    let (with, without) = (history(FILLS), history(0));
    let mut fastest = [f64::MAX; 2];
    for _ in 0..TURNS {
        for (events, fastest) in [&with, &without].into_iter().zip(&mut fastest) {
            let before = cpu_seconds()?;
            let mut engine = engine();
            feed(&mut engine, events);
            engine.fold();
            *fastest = fastest.min(cpu_seconds()? - before);
        }
    }
    let [both, ticks] = fastest;
    let polls = f64::from(i32::try_from(DAYS * 288).expect("a count"));
    let fills = polls * f64::from(i32::try_from(FILLS).expect("a count"));
    writeln!(
        out,
        "by CPU time: {:.0} fills a second with the ticks between them, {:.0} without; a tick {:.1} us",
        fills / both,
        fills / (both - ticks),
        ticks / polls * 1e6
    )
}

/// Nanoseconds on the processor are the first number of the file.
fn cpu_seconds() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    Ok(nanos.expect("the kernel writes a number") / 1e9)
}

/// A year of ticks, with trades in every hour.
fn year(out: &mut impl Write) -> io::Result<()> {
    let mut engine = engine();
    for poll in 0..365 * 288 {
        feed(&mut engine, &round(poll));
        if poll % 4 == 0 {
            feed(&mut engine, &[fill(poll, poll % FILLS)]);
        }
    }
    engine.fold();
    let sizes = engine.sealed_sizes();
    writeln!(
        out,
        "sealed after a year: aggregates {} B, {} hours of {} B, window {} B",
        sizes.aggregates,
        365 * 24,
        sizes.hours / (365 * 24),
        sizes.window
    )
}

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    fills(&mut criterion);
    ticks(&mut criterion);
    criterion.final_summary();
    by_cpu_time(&mut io::stdout())?;
    year(&mut io::stdout())
}
