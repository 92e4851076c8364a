//! What every target does with its input, and what must hold of it.
//!
//! An input is a question, a status, a place in a list and a body:
//!
//! ```text
//! u8 question | u8 status | u8 length of place (0 to 31) | place | body
//! ```
//!
//! Beyond "no panic" (debug assertions and overflow checks are on): reading twice gives the same,
//! and no error repeats a piece of the body.

mod seeds;

use std::sync::LazyLock;

pub use seeds::seeds;

use exchanges::binance::Binance;
use exchanges::{
    Connector, Context, Cursor, FillsFrom, Instrument, InstrumentKind, Interval, Market, Query,
    Reply, TransferKind, UnixMillis, Window,
};

/// A connector under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    BinanceSpot,
    BinanceUsdm,
    BinanceCoinm,
    Coinbase,
    Kraken,
    KrakenFutures,
    Okx,
    Bybit,
    Ftx,
}

impl Target {
    /// The folder of recorded replies, and the market its cases are of where there are several.
    const fn recorded(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::BinanceSpot => ("binance", Some("spot")),
            Self::BinanceUsdm => ("binance", Some("usdm")),
            Self::BinanceCoinm => ("binance", Some("coinm")),
            Self::Coinbase => ("coinbase", None),
            Self::Kraken => ("kraken", None),
            Self::KrakenFutures => ("krakenfutures", None),
            Self::Okx => ("okx", None),
            Self::Bybit => ("bybit", None),
            Self::Ftx => ("ftx", None),
        }
    }

    fn connector(self) -> &'static dyn Connector {
        static SPOT: Binance = Binance::new(Market::Spot);
        static USDM: Binance = Binance::new(Market::UsdM);
        static COINM: Binance = Binance::new(Market::CoinM);
        match self {
            Self::BinanceSpot => &SPOT,
            Self::BinanceUsdm => &USDM,
            Self::BinanceCoinm => &COINM,
            Self::Coinbase => &exchanges::coinbase::Coinbase,
            Self::Kraken => &exchanges::kraken::Kraken,
            Self::KrakenFutures => &exchanges::kraken_futures::KrakenFutures,
            Self::Okx => &exchanges::okx::Okx,
            Self::Bybit => &exchanges::bybit::Bybit,
            Self::Ftx => &exchanges::ftx::Ftx,
        }
    }
}

/// Statuses that readers treat differently.
const STATUSES: [u16; 10] = [200, 400, 401, 403, 404, 410, 418, 429, 500, 503];

/// How many questions there are.
const QUESTIONS: u8 = 20;

/// The question of a number, at a place in its list.
fn question(number: u8, place: Option<Cursor>) -> Query {
    let window = Window::new(UnixMillis(1), UnixMillis(4_000_000_000_000));
    let symbol = || "BTCUSDT".to_owned();
    match number % QUESTIONS {
        0 => Query::ServerTime,
        1 => Query::SystemStatus,
        2 => Query::Instruments,
        3 => Query::Prices { symbols: Vec::new() },
        4 => Query::Ticker { symbol: symbol() },
        5 => Query::Candles { symbol: symbol(), interval: Interval::Hour, window: None, limit: 2 },
        6 => Query::Permissions,
        7 => Query::AccountIdentity,
        8 => Query::Balances { cursor: place },
        9 => Query::AccountValuation,
        10 => Query::AccountFills { window, cursor: place, limit: 1 },
        11 => Query::Ledger { window, cursor: place },
        12 => Query::Transfers { account: Some("wallet".to_owned()), window, cursor: place },
        13 => Query::Fills { symbol: symbol(), from: FillsFrom::Id(7), limit: 1 },
        14 => Query::Deposits { window, cursor: place },
        15 => Query::Withdrawals { window, cursor: place },
        16 => Query::FiatOrders { kind: TransferKind::Deposit, window, page: 1 },
        17 => Query::FuturesBalances,
        18 => Query::Positions,
        _ => Query::Income { start: Some(UnixMillis(1)), end: None, page: 1, limit: 1 },
    }
}

/// Pairs and contracts by the names the recorded replies use.
static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    let spot = [
        ("BTCUSDT", "BTC", "USDT"),
        ("ETHUSDT", "ETH", "USDT"),
        ("BTC-USD", "BTC", "USD"),
        ("BTC-USDT", "BTC", "USDT"),
        ("XXBTZUSD", "BTC", "USD"),
        ("XETHXXBT", "ETH", "BTC"),
    ]
    .map(|(raw, base, quote)| Instrument::spot(raw, base, quote));
    let contract = |raw: &str, inverse| {
        let mut contract = Instrument::spot(raw, "BTC", "USD");
        contract.settle = Some(if inverse { "BTC" } else { "USD" }.to_owned());
        contract.kind = InstrumentKind::Perpetual;
        contract.inverse = inverse;
        contract
    };
    let contracts =
        [contract("BTCUSD_PERP", true), contract("PI_XBTUSD", true), contract("PF_XBTUSD", false)];
    Context::new(spot.into_iter().chain(contracts)).with_assets(["BNB", "EUR", "XRP"])
});

/// An input of these parts; the place is cut to what fits.
fn input(question: u8, status: u16, place: &str, body: &[u8]) -> Vec<u8> {
    let status = STATUSES.iter().position(|known| *known == status).unwrap_or(0);
    let place = place.get(..place.len().min(31)).unwrap_or_default();
    let head =
        [question, u8::try_from(status).unwrap_or(0), u8::try_from(place.len()).unwrap_or(0)];
    [&head, place.as_bytes(), body].concat()
}

/// Reads one input as `target`'s reply, and checks what must hold.
pub fn read(target: Target, data: &[u8]) {
    let [number, status, length, rest @ ..] = data else { return };
    let Some((place, body)) = rest.split_at_checked(usize::from(length % 32)) else { return };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let place = std::str::from_utf8(place).ok().and_then(|text| text.parse().ok());
    let query = question(*number, place);
    let reply = Reply { status, headers: &[], body };
    let read = || target.connector().read(&query, reply, &CONTEXT);
    let first = read();
    assert_eq!(format!("{first:?}"), format!("{:?}", read()), "reading has no memory");
    if let Err(error) = first {
        let said = format!("{error} {error:?}");
        for piece in body.windows(PIECE).step_by(PIECE / 2) {
            if let Ok(piece) = std::str::from_utf8(piece) {
                let telling = piece.bytes().filter(u8::is_ascii_alphanumeric).count() > PIECE / 2;
                assert!(!telling || !said.contains(piece), "an error repeats the reply");
            }
        }
    }
}

/// As many bytes of a body in an error are a leak; our own field names are shorter.
const PIECE: usize = 24;
