//! The engine: feed it, ask it, seal it.
//!
//! What can no longer change is folded into sums (`carry`); what is newer is
//! in the `window`. A result is the sums, taken on through the window by the
//! code that folds (`walk`): the same whatever order records came in, and
//! however much of them is folded.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::activity::Calendar;
use crate::book::Policy;
use crate::carry::{Carry, Folded};
use crate::config::{Config, ConfigError};
use crate::decimal::{Checked, Money, Native, Overflow, Price};
use crate::digest::DigestKey;
use crate::event::Event;
use crate::ledger::{Fed, FeedError, Ledger};
use crate::result::{AssetLine, Flag, Pnl, Portfolio, Reason, Reasons, ResultSet, UnpricedLine};
use crate::series::{Figures, Series};
use crate::text::Name;
use crate::time::{Day, Timestamp};
use crate::walk::{Ground, Stand, Walk};

/// One portfolio.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) ledger: Ledger,
    pub(crate) folded: Folded,
    /// When to fold again, by the newest delivery.
    pub(crate) fold_at: Option<Timestamp>,
    /// When to value polls again, likewise.
    pub(crate) value_at: Option<Timestamp>,
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
    /// An empty portfolio under `config`; ids are remembered under `key`.
    pub fn new(config: Config, key: DigestKey) -> Result<Self, ConfigError> {
        config.check()?;
        // The engine is asked with a time of its own.
        let config = Config { as_of: None, ..config };
        let mut ledger = Ledger::new(&config, key);
        let mut asset = |asset, field| ledger.asset(asset).map_err(|_| ConfigError { field });
        let base = asset(&config.base_currency, "base_currency")?;
        let pivots =
            config.pivots.iter().map(|pivot| asset(pivot, "pivots")).collect::<Result<_, _>>()?;
        let mut pegs = Vec::new();
        for (one, other) in &config.pegs {
            pegs.push((asset(one, "pegs")?, asset(other, "pegs")?));
        }
        let policy = Policy { base, pivots, pegs, max_age_s: config.price_max_age_s.into() };
        Ok(Self {
            config,
            policy,
            ledger,
            folded: Folded::default(),
            fold_at: None,
            value_at: None,
        })
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes one event in. Events come in the order of their delivery; any
    /// order that keeps equal ids and equal `seen` in theirs, and brings no
    /// event later than the late horizon after its time, gives the same
    /// result, but for the count `out_of_order`.
    ///
    /// An error leaves the engine as it was, but for a count.
    pub fn feed(&mut self, event: &Event) -> Result<Fed, FeedError> {
        let fed = self.ledger.feed(event);
        self.keep_up();
        fed
    }

    /// Takes an account's last closing back, as if it had stayed: polls of its
    /// absence are no valuations, and what happened in it is performance.
    ///
    /// Where the closing is folded, the account is in again from `at` on, with
    /// what it left with: valuations of its absence stay, what its holdings
    /// lost since is performance, and what is more of them came in. `false` if
    /// the account is in or unknown.
    pub fn reopen(&mut self, account: &Name, at: Timestamp) -> bool {
        let Some(account) = self.ledger.accounts.find(account.as_str()) else { return false };
        if self.ledger.window.reopen(account) {
            return true;
        }
        let out = self.folded.members.get(&account) == Some(&false);
        let changed = self.ledger.window.changes.contains_key(&account);
        out && !changed && self.ledger.back(account, at).is_ok()
    }

    /// The newest delivery so far: the earliest time a result can be asked
    /// for.
    pub const fn newest_delivery(&self) -> Option<Timestamp> {
        self.ledger.newest_seen
    }

    pub(crate) const fn ground(&self) -> Ground<'_> {
        Ground {
            folded: &self.folded,
            ledger: &self.ledger,
            config: &self.config,
            policy: &self.policy,
        }
    }

    /// Everything that is known as of `as_of`.
    pub fn result(&self, as_of: Timestamp) -> Result<ResultSet, ResultError> {
        self.report(as_of).map(|(result, _)| result)
    }

    /// The same, and the index day by day, which agrees with it.
    pub fn report(&self, as_of: Timestamp) -> Result<(ResultSet, Series), ResultError> {
        let stand = self.stand(as_of)?;
        let result = self.section(&stand, as_of).map_err(|Overflow| ResultError::Overflow)?;
        let over = [&self.folded.pages.days, &stand.news.days];
        Ok((result, stand.carry.days.finish(over, &self.config, as_of)))
    }

    /// What claims are about: the figures of everything up to `as_of`, or of
    /// the UTC days from the first up to and without the second. `None` where
    /// the index at an end of the period is not known.
    pub fn figures(
        &self,
        days: Option<(Day, Day)>,
        as_of: Timestamp,
    ) -> Result<Option<Figures>, ResultError> {
        let stand = self.stand(as_of)?;
        if let Some(days) = days {
            let over = [&self.folded.pages.days, &stand.news.days];
            let figures = stand.carry.days.figures(over, &self.config, days, as_of);
            return figures.map_err(|Overflow| ResultError::Overflow);
        }
        let result = self.section(&stand, as_of).map_err(|Overflow| ResultError::Overflow)?;
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

    /// The sums, taken on to `as_of`.
    fn stand(&self, as_of: Timestamp) -> Result<Stand, ResultError> {
        if self.ledger.newest_seen.is_some_and(|newest| newest > as_of) {
            return Err(ResultError::BeforeNewestDelivery);
        }
        let walk = Walk::new(self.ground(), as_of, as_of);
        let mut stand = walk.go(as_of);
        walk.rest(&mut stand, as_of).map_err(|Overflow| ResultError::Overflow)?;
        Ok(stand)
    }

    fn section(&self, stand: &Stand, as_of: Timestamp) -> Checked<ResultSet> {
        let (config, ledger, Stand { carry, news, .. }) = (&self.config, &self.ledger, stand);
        let (assets, pages) = (&ledger.assets, &self.folded.pages);
        let mut reasons = Reasons::new();
        let mut flows = pages.flows.clone();
        flows.extend(&news.flows);
        let period = carry.period();
        let returns = crate::returns::finish(
            period,
            &carry.linked,
            &carry.flows,
            &flows,
            config,
            &mut reasons,
        )?;
        let portfolio = self.portfolio(carry)?;
        if portfolio.is_none() {
            reasons.insert("portfolio", Reason::NoCompleteTick);
        }
        let full: [&Calendar; 2] = [&pages.calendar, &news.calendar];
        let pnl = match &carry.last {
            Some(last) => carry.profit.finish(&last.tick, returns.gain, self.ground().rates())?,
            None => Pnl::default(),
        };
        let twr_annualized = returns.twr_annualized;
        let exposure = carry.exposure.clone();
        let since = carry.since(config.session_start);
        let mut result = ResultSet {
            portfolio,
            flows: carry.flows.section(assets),
            activity: carry.totals.activity(period, full, assets)?,
            fees: carry.totals.fees(assets)?,
            income: carry.incomes.section(assets)?,
            pnl,
            returns: returns.section,
            risk: exposure.finish(twr_annualized, config, as_of, &mut reasons)?,
            quality: carry.tally.finish(ledger.counts, since, config, as_of)?,
            flags: BTreeSet::new(),
            reasons,
        };
        result.flags = flags(&result);
        Ok(result)
    }

    fn portfolio(&self, carry: &Carry) -> Checked<Option<Portfolio>> {
        let (Some(first), Some(last)) = (carry.first, &carry.last) else { return Ok(None) };
        let tick = &last.tick;
        let mut by_asset = Vec::new();
        let mut unpriced = Vec::new();
        for (&id, &net) in &tick.held {
            let asset = self.ledger.assets.name(id).to_owned();
            let quantity = Native::new(net);
            match tick.rates.get(&id) {
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
        let by_account = tick.holdings.iter().map(|(account, holding)| {
            (self.ledger.accounts.name(*account).to_owned(), Money::new(holding.value))
        });
        Ok(Some(Portfolio {
            start_time: first.at,
            end_time: tick.at,
            start_value: Money::new(first.value),
            end_value: Money::new(last.worth.value),
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
