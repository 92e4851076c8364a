//! The engine: feed it, ask it.
//!
//! A result is calculated from the records that were accepted, in the order
//! they happened: the same whatever order they came in. The steps:
//!
//! 1. value every poll (`valuation`);
//! 2. sort out which records count (`scope`);
//! 3. match own transfers, and add what is on the way (`transfer`);
//! 4. replay fills (`effect`), reconcile balances (`reconcile`);
//! 5. list the external flows (`flow`);
//! 6. returns, and every other section.
//!
//! Where a number overflows in 1, 3 or 6, the poll is not a valuation, and the
//! calculation starts again without it.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::activity::{Incomes, Totals, worths};
use crate::book::{Policy, Rates};
use crate::config::{Config, ConfigError};
use crate::decimal::{Checked, Money, Native, Overflow, Price};
use crate::effect::effects;
use crate::event::Event;
use crate::flow::border;
use crate::ledger::{Fed, FeedError, Ledger};
use crate::limits::OVERFLOWED_POLLS_MAX;
use crate::pnl::{Sources, pnl};
use crate::quality::quality;
use crate::reconcile::{Recorded, reconcile};
use crate::result::{AssetLine, Flag, Portfolio, Reason, Reasons, ResultSet, UnpricedLine};
use crate::returns::{Failure, returns};
use crate::risk::risk;
use crate::scope::scope;
use crate::series::{Days, Figures, Series};
use crate::text::Name;
use crate::time::{Day, Timestamp};
use crate::transfer::matched;
use crate::valuation::{Valuation, add_in_transit, value};

/// One portfolio.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    policy: Policy,
    ledger: Ledger,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// Something fed was delivered after `as_of`, where it is unknown.
    #[error("an event was delivered after the time asked for")]
    BeforeNewestDelivery,
    /// A sum left the range of decimals, or too many polls did.
    #[error("numbers left the range of 28-digit decimals")]
    Overflow,
}

impl Engine {
    /// An empty portfolio under `config`.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let mut ledger = Ledger::new(&config);
        let mut asset = |asset, field| ledger.asset(asset).map_err(|_| ConfigError { field });
        let base = asset(&config.base_currency, "base_currency")?;
        let pivots =
            config.pivots.iter().map(|pivot| asset(pivot, "pivots")).collect::<Result<_, _>>()?;
        let mut pegs = Vec::new();
        for (one, other) in &config.pegs {
            pegs.push((asset(one, "pegs")?, asset(other, "pegs")?));
        }
        let policy = Policy { base, pivots, pegs, max_age_s: config.price_max_age_s.into() };
        Ok(Self { config, policy, ledger })
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes one event in. Events come in the order of their delivery; any
    /// order that keeps equal ids and equal `seen` in theirs gives the same
    /// result, but for the count `out_of_order`.
    ///
    /// An error leaves the engine as it was, but for a count.
    pub fn feed(&mut self, event: &Event) -> Result<Fed, FeedError> {
        self.ledger.feed(event)
    }

    /// Takes an account's last closing back, as if it had stayed: polls of its
    /// absence are no valuations, and what happened in it is performance.
    /// `false` if the account is open or unknown.
    pub fn reopen(&mut self, account: &Name) -> bool {
        self.ledger.reopen(account)
    }

    /// The newest delivery so far: the earliest time a result can be asked
    /// for.
    pub const fn newest_delivery(&self) -> Option<Timestamp> {
        self.ledger.newest_seen
    }

    /// Everything that is known as of `as_of`.
    pub fn result(&self, as_of: Timestamp) -> Result<ResultSet, ResultError> {
        self.calculated(as_of).map(|(result, _)| result)
    }

    /// The index day by day, as of `as_of`. Agrees with [`Engine::result`].
    pub fn series(&self, as_of: Timestamp) -> Result<Series, ResultError> {
        self.calculated(as_of).map(|(_, days)| days.finish(&self.config, as_of))
    }

    /// What claims are about: the figures of everything up to `as_of`, or of
    /// the UTC days from the first up to and without the second. `None` where
    /// the index at an end of the period is not known.
    pub fn figures(
        &self,
        days: Option<(Day, Day)>,
        as_of: Timestamp,
    ) -> Result<Option<Figures>, ResultError> {
        let (result, series) = self.calculated(as_of)?;
        if let Some(days) = days {
            let figures = series.figures(&self.config, days, as_of);
            return figures.map_err(|Overflow| ResultError::Overflow);
        }
        let (returns, risk) = (&result.returns, &result.risk);
        Ok(result.portfolio.as_ref().map(|portfolio| Figures {
            start: portfolio.start_time,
            end: portfolio.end_time,
            coverage: result.quality.coverage,
            twr: returns.twr,
            max_drawdown: risk.max_drawdown,
            volatility: risk.volatility,
            sharpe: risk.sharpe,
            sortino: risk.sortino,
            win_rate_days: risk.win_rate_days,
        }))
    }

    fn calculated(&self, as_of: Timestamp) -> Result<(ResultSet, Days), ResultError> {
        if self.ledger.newest_seen.is_some_and(|newest| newest > as_of) {
            return Err(ResultError::BeforeNewestDelivery);
        }
        let mut dropped = BTreeSet::new();
        while dropped.len() <= OVERFLOWED_POLLS_MAX {
            match self.calculate(as_of, &dropped) {
                Ok(result) => return Ok(result),
                Err(Failure::Tick(at)) if dropped.insert(at) => {}
                Err(Failure::Tick(_) | Failure::Overflow) => return Err(ResultError::Overflow),
            }
        }
        Err(ResultError::Overflow)
    }

    fn calculate(
        &self,
        as_of: Timestamp,
        dropped: &BTreeSet<Timestamp>,
    ) -> Result<(ResultSet, Days), Failure> {
        let (config, ledger) = (&self.config, &self.ledger);
        let rates = Rates { book: &ledger.book, policy: &self.policy };
        let mut valuation = value(ledger, rates, config.session_start, as_of, dropped);

        let (fills, fills_outside) = scope(&ledger.fills, &valuation, as_of);
        let (flows, flows_outside) = scope(&ledger.flows, &valuation, as_of);
        let (incomes, incomes_outside) = scope(&ledger.incomes, &valuation, as_of);
        let pre_baseline = fills_outside + flows_outside + incomes_outside;

        let transfers = matched(&flows, config);
        add_in_transit(&mut valuation.ticks, &transfers, rates).map_err(Failure::Tick)?;

        let effects = effects(&fills, &valuation)?;
        let recorded =
            Recorded { fills: &fills, effects: &effects, flows: &flows, incomes: &incomes };
        let reconciled = reconcile(&valuation, recorded, config, rates)?;
        let border = border(&valuation, &flows, &transfers, &reconciled, rates)?;

        let mut reasons = Reasons::new();
        let performance = returns(&valuation, &border, config, &mut reasons)?;
        let worths = worths(&fills, rates);
        let totals = Totals::of(&fills, &worths)?;
        let incomes = Incomes::of(&incomes, rates)?;
        let sources = Sources {
            valuation: &valuation,
            fills: &fills,
            effects: &effects,
            worths: &worths,
            incomes: &incomes.valued,
            border: &border,
            reconciled: &reconciled,
            gain: performance.gain,
        };
        let times: Vec<Timestamp> = valuation.ticks.iter().map(|tick| tick.at).collect();
        let mut series = Days::default();
        for (at, index) in times.iter().zip(&performance.index) {
            series.advance(config, *at, *index)?;
        }
        let portfolio = self.portfolio(&valuation)?;
        if portfolio.is_none() {
            reasons.insert("portfolio", Reason::NoCompleteTick);
        }
        let mut result = ResultSet {
            portfolio,
            flows: border.section(ledger)?,
            activity: totals.activity(&valuation, ledger)?,
            fees: totals.fees(ledger)?,
            income: incomes.section(ledger)?,
            pnl: pnl(sources, rates)?,
            risk: risk(&times, &performance, config, as_of, &mut reasons)?,
            quality: quality(&valuation, ledger.counts, pre_baseline, &reconciled, config, as_of)?,
            returns: performance.section,
            flags: BTreeSet::new(),
            reasons,
        };
        result.flags = flags(&result);
        Ok((result, series))
    }

    fn portfolio(&self, valuation: &Valuation<'_>) -> Checked<Option<Portfolio>> {
        let (Some(first), Some(last)) = (valuation.ticks.first(), valuation.ticks.last()) else {
            return Ok(None);
        };
        let mut by_asset = Vec::new();
        let mut unpriced = Vec::new();
        for (&id, &net) in &last.held {
            let asset = self.ledger.assets.name(id).to_owned();
            let quantity = Native::new(net);
            match last.rates.get(&id) {
                Some(rate) => by_asset.push(AssetLine {
                    asset,
                    quantity,
                    price: Price::new(rate.of(Decimal::ONE)?),
                    value: Money::new(rate.of(net)?),
                }),
                None => unpriced.push(UnpricedLine { asset, quantity }),
            }
        }
        by_asset.sort_by(|a, b| a.asset.cmp(&b.asset));
        unpriced.sort_by(|a, b| a.asset.cmp(&b.asset));
        let by_account = last.holdings.values().map(|holding| {
            (self.ledger.accounts.name(holding.account).to_owned(), Money::new(holding.value))
        });
        Ok(Some(Portfolio {
            start_time: first.at,
            end_time: last.at,
            start_value: Money::new(first.value),
            end_value: Money::new(last.value),
            by_asset,
            by_account: by_account.collect(),
            in_transit: Money::new(last.in_transit),
            unpriced,
        }))
    }
}

fn flags(result: &ResultSet) -> BTreeSet<Flag> {
    let some = |count: Option<u64>| count.is_some_and(|count| count > 0);
    let returns = &result.returns;
    let unpriced = result.portfolio.as_ref().is_some_and(|p| !p.unpriced.is_empty());
    [
        (Flag::UnconvertedVolume, !result.activity.unconverted.is_empty()),
        (Flag::UnconvertedFees, !result.fees.unconverted.is_empty()),
        (Flag::UnpricedAssets, unpriced),
        (Flag::TimingSkew, result.quality.skew_pairs > 0),
        (Flag::Unreconciled, result.quality.unreconciled > 0),
        (Flag::DenominatorFallback, some(returns.fallback_subperiods)),
        (Flag::EstimatedLargeFlow, some(returns.estimated_large_flow_subperiods)),
        (Flag::WipedOut, returns.wiped_out == Some(true)),
        (Flag::InsufficientHistory, result.risk.days < INSUFFICIENT_DAYS),
    ]
    .into_iter()
    .filter_map(|(flag, holds)| holds.then_some(flag))
    .collect()
}

/// Fewer days than this say little about risk.
const INSUFFICIENT_DAYS: u64 = 30;
