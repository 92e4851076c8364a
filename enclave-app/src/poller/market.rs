//! Public data of the exchanges, fetched once for all sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use exchanges::{Connector, Context, Fact, Instrument, Market, Price, Query, Venue};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use tokio::sync::Mutex;

use super::ask::{AskError, Desk, Signed};
use super::plan::Plan;
use crate::egress::{Egress, Http};

/// Prices this fresh serve another portfolio's round as well.
const PRICES_AGE_MAX: Duration = Duration::from_secs(10);
/// Rounds of prices that are kept: as long as a price may be old.
const PRICES_KEPT: usize = 4;
/// Exchanges list and remove pairs every day.
const INSTRUMENTS_AGE_MAX: Duration = Duration::from_hours(24);
/// The clock of an exchange is read again after this long.
const CLOCK_AGE_MAX: Duration = Duration::from_hours(1);
/// Past this distance it is read in every round: it may have been set right.
const CLOCK_DISTANCE_MS_MAX: u64 = 1000;
/// Pairs of the reference source: what exchanges do not list against fiat money.
const REFERENCE_PAIRS: [&str; 1] = ["USDTUSD"];

/// Prices of one moment.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    pub(super) at: UnixMillis,
    pub(super) all: Arc<[Price]>,
}

/// One exchange's public data.
#[derive(Debug)]
pub(super) struct PublicData {
    http: Http,
    connector: &'static dyn Connector,
    /// What to price: everything if empty.
    pairs: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    context: Arc<Context>,
    context_at: Option<UnixMillis>,
    clock_at: Option<UnixMillis>,
    prices: VecDeque<Prices>,
    marks: Option<(UnixMillis, Arc<Marks>)>,
}

/// The mark price of each contract, by our name of it.
pub(super) type Marks = BTreeMap<String, Decimal>;

impl PublicData {
    pub(super) fn new(http: Http, connector: &'static dyn Connector, pairs: Vec<String>) -> Self {
        Self { http, connector, pairs, state: Mutex::default() }
    }

    /// Instruments and known assets: read again daily, or when they are older than `age_max`
    /// and something is missing in them.
    pub(super) async fn context(
        &self,
        desk: &Desk,
        age_max: Option<Duration>,
    ) -> Result<Arc<Context>, AskError> {
        let mut state = self.state.lock().await;
        let now = desk.clock.now();
        let age_max = age_max.unwrap_or(INSTRUMENTS_AGE_MAX);
        if state.context_at.is_some_and(|at| now.since(at) < age_max || at == now) {
            return Ok(Arc::clone(&state.context));
        }
        let facts = self.ask(desk, Query::Instruments).await?;
        let instruments = facts.into_iter().filter_map(|fact| {
            if let Fact::Instrument(instrument) = fact { Some(instrument) } else { None }
        });
        state.context = Arc::new(Context::new(instruments));
        state.context_at = Some(now);
        Ok(Arc::clone(&state.context))
    }

    /// The exchange.
    pub(super) fn venue(&self) -> &'static str {
        self.connector.venue().name()
    }

    /// Asks for the exchange's time, once.
    pub(super) async fn ping(&self, desk: &Desk) -> Result<(), AskError> {
        desk.read_clock(&self.http, self.connector).await.map(drop)
    }

    /// Reads the exchange's clock if that was long ago, or it was wrong.
    pub(super) async fn keep_clock(&self, desk: &Desk) -> Result<(), AskError> {
        let mut state = self.state.lock().await;
        let now = desk.clock.now();
        let off = desk.clock_distance_ms(self.venue()) > CLOCK_DISTANCE_MS_MAX;
        let due = state.clock_at.is_none_or(|at| now.since(at) >= CLOCK_AGE_MAX);
        if due || (off && state.clock_at != Some(now)) {
            desk.read_clock(&self.http, self.connector).await?;
            state.clock_at = Some(now);
        }
        Ok(())
    }

    /// Prices of now, and those of the rounds before that may still count.
    pub(super) async fn prices(
        &self,
        desk: &Desk,
        context: &Context,
    ) -> Result<Vec<Prices>, AskError> {
        let mut state = self.state.lock().await;
        let now = desk.clock.now();
        if state.prices.back().is_none_or(|last| now.since(last.at) > PRICES_AGE_MAX) {
            let query = Query::Prices { symbols: self.pairs.clone() };
            let facts =
                desk.all(&self.http, self.connector, query, Signed::Nobody, context).await?;
            let all = facts
                .into_iter()
                .filter_map(|fact| if let Fact::Price(price) = fact { Some(price) } else { None })
                .filter(|price| !price.price.is_zero())
                .collect();
            state.prices.push_back(Prices { at: now, all });
            while state.prices.len() > PRICES_KEPT {
                state.prices.pop_front();
            }
        }
        Ok(state.prices.iter().cloned().collect())
    }

    /// Mark prices of all contracts, as fresh as prices are.
    pub(super) async fn marks(
        &self,
        desk: &Desk,
        context: &Context,
    ) -> Result<Arc<Marks>, AskError> {
        let mut state = self.state.lock().await;
        let now = desk.clock.now();
        if let Some((at, marks)) = &state.marks
            && now.since(*at) <= PRICES_AGE_MAX
        {
            return Ok(Arc::clone(marks));
        }
        let query = Query::Ticker { symbol: String::new() };
        let facts = desk.all(&self.http, self.connector, query, Signed::Nobody, context).await?;
        let marks = facts.into_iter().filter_map(|fact| {
            let Fact::Ticker(ticker) = fact else { return None };
            Some((ticker.symbol, ticker.mark?))
        });
        let marks = Arc::new(marks.collect::<Marks>());
        state.marks = Some((now, Arc::clone(&marks)));
        Ok(marks)
    }

    async fn ask(&self, desk: &Desk, query: Query) -> Result<Vec<Fact>, AskError> {
        let context = Context::default();
        desk.all(&self.http, self.connector, query, Signed::Nobody, &context).await
    }
}

/// The public data of every exchange that is served, and the reference source.
#[derive(Debug)]
pub(super) struct Markets {
    venues: BTreeMap<(Venue, Market), PublicData>,
    /// Exchanges that are not served, and whose prices value what others hold.
    sources: BTreeMap<(Venue, Market), PublicData>,
    /// Kraken's public ticker.
    pub(super) reference: Option<PublicData>,
}

impl Markets {
    pub(super) fn new(egress: &Egress, offered: &[(Venue, Market)]) -> Self {
        let data = |venue, market, pairs| {
            exchanges::connector(venue, market)
                .map(|connector| PublicData::new(egress.http(connector.hosts()), connector, pairs))
        };
        let of = |(venue, market): (Venue, Market)| {
            Some(((venue, market), data(venue, market, Vec::new())?))
        };
        let venues = offered.iter().copied().filter_map(of).collect();
        let plans = offered.iter().filter_map(|(venue, market)| Plan::of(*venue, *market));
        let sources = plans.map(Plan::source).filter(|source| !offered.contains(source));
        let sources = sources.filter_map(of).collect();
        let pairs = REFERENCE_PAIRS.map(str::to_owned).to_vec();
        Self { venues, sources, reference: data(Venue::Kraken, Market::Spot, pairs) }
    }

    /// Every exchange that is served.
    pub(super) fn served(&self) -> impl Iterator<Item = &PublicData> {
        self.venues.values()
    }

    pub(super) fn of(&self, venue: Venue, market: Market) -> Option<&PublicData> {
        self.venues.get(&(venue, market))
    }

    /// Where a plan's prices come from.
    pub(super) fn source(&self, venue: Venue, market: Market) -> Option<&PublicData> {
        self.of(venue, market).or_else(|| self.sources.get(&(venue, market)))
    }

    /// Whether `data` is the reference source.
    pub(super) fn is_reference(&self, data: &PublicData) -> bool {
        self.reference.as_ref().is_some_and(|reference| std::ptr::eq(reference, data))
    }
}

/// The pairs that fills may be found in: those the customer named, those seen before, and every
/// listed pair of two held assets.
pub(super) fn watched(
    context: &Context,
    named: &BTreeSet<String>,
    held: &BTreeSet<String>,
) -> BTreeMap<String, Arc<Instrument>> {
    let both_held = |instrument: &Instrument| {
        held.contains(&instrument.base) && held.contains(&instrument.quote)
    };
    let listed = context
        .instruments()
        .filter(|(name, instrument)| *name == instrument.raw && both_held(instrument))
        .map(|(name, instrument)| (name.to_owned(), Arc::clone(instrument)));
    let named =
        named.iter().filter_map(|name| Some((name.clone(), Arc::clone(context.instrument(name)?))));
    listed.chain(named).collect()
}
