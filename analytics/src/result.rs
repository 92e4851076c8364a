//! The result: closed lists of keys, decimal strings, RFC 3339 times.
//!
//! Undefined is `null` with a reason in `reasons`, never 0, NaN or a missing
//! key. Money has 8 decimals, ratios 12, quantities all they have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decimal::{Money, Native, Price, Ratio};
use crate::event::IncomeKind;
use crate::time::Timestamp;

/// Everything that is known about a portfolio up to a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResultSet {
    /// `None` while there is no complete tick.
    pub portfolio: Option<Portfolio>,
    pub flows: Flows,
    pub returns: Returns,
    pub activity: Activity,
    pub fees: Fees,
    pub income: Income,
    pub pnl: Pnl,
    pub risk: Risk,
    pub quality: Quality,
    pub flags: BTreeSet<Flag>,
    pub reasons: Reasons,
}

/// Key of a value that is `null`, or of a section, and why.
pub type Reasons = BTreeMap<&'static str, Reason>;

/// What the portfolio was worth at the first and the last complete tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Portfolio {
    pub start_time: Timestamp,
    pub end_time: Timestamp,
    pub start_value: Money,
    pub end_value: Money,
    /// Priced and not zero, sorted by asset.
    pub by_asset: Vec<AssetLine>,
    pub by_account: BTreeMap<String, Money>,
    /// Own coins on the way between accounts.
    pub in_transit: Money,
    /// Held and never priced; not in any value.
    pub unpriced: Vec<UnpricedLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssetLine {
    pub asset: String,
    pub quantity: Native,
    pub price: Price,
    pub value: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnpricedLine {
    pub asset: String,
    pub quantity: Native,
}

/// What made an external flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    Deposit,
    Withdrawal,
    AccountJoined,
    AccountLeft,
    FirstPriced,
    UnexplainedIn,
    TimingSkew,
}

/// What crossed the portfolio's border.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flows {
    /// Timing skews left out, as in `outflow` and `count`.
    pub inflow: Money,
    pub outflow: Money,
    /// Timing skews in it.
    pub net: Money,
    pub count: u64,
    pub by_kind: BTreeMap<FlowKind, Money>,
    /// Pairs.
    pub internal_transfers: u64,
    pub transfer_fees: Money,
    pub unvalued: BTreeMap<String, Native>,
}

/// Net of transaction costs, gross of management fees. All `None` with fewer
/// than two complete ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Returns {
    pub gain: Option<Money>,
    pub twr: Option<Ratio>,
    pub twr_annualized: Option<Ratio>,
    pub modified_dietz: Option<Ratio>,
    pub simple: Option<Ratio>,
    pub mwr_period: Option<Ratio>,
    pub mwr_annualized: Option<Ratio>,
    pub subperiods: Option<u64>,
    pub unfunded_subperiods: Option<u64>,
    pub fallback_subperiods: Option<u64>,
    pub estimated_large_flow_subperiods: Option<u64>,
    pub wiped_out: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub trades: u64,
    pub orders: u64,
    pub volume: Money,
    pub average_trade: Option<Money>,
    pub turnover: Option<Ratio>,
    pub buckets: Buckets,
    pub unconverted: BTreeMap<String, Native>,
}

/// Activity by UTC calendar; only buckets that have some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Buckets {
    pub hour: Vec<Bucket>,
    pub day: Vec<Bucket>,
    /// From Monday 00:00.
    pub week: Vec<Bucket>,
    pub month: Vec<Bucket>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub start: Timestamp,
    pub volume: Money,
    pub trades: u64,
    pub fees: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fees {
    pub net: Money,
    pub paid: Money,
    pub rebates: Money,
    pub by_asset: BTreeMap<String, Native>,
    /// Basis points of the volume.
    pub rate_bps: Option<Ratio>,
    pub unconverted: BTreeMap<String, Native>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Income {
    pub total: Money,
    pub by_kind: BTreeMap<IncomeKind, Money>,
    pub unconverted: BTreeMap<String, Native>,
}

/// Where the gain came from, between the first and the last complete tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pnl {
    pub realized_spot: Money,
    pub realized_futures: Money,
    pub unrealized: Money,
    pub unrealized_futures_change: Money,
    pub fees: Money,
    pub income: Money,
    pub transfer_fees: Money,
    pub unexplained_out: Money,
    /// The gain less all of the above. Zero, but for what exchanges round.
    pub residual: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub max_drawdown: Option<Ratio>,
    pub max_drawdown_peak: Option<Timestamp>,
    pub max_drawdown_trough: Option<Timestamp>,
    pub max_drawdown_recovered: Option<Timestamp>,
    pub current_drawdown: Option<Ratio>,
    pub days: u64,
    pub days_excluded: u64,
    pub volatility: Option<Ratio>,
    pub sharpe: Option<Ratio>,
    pub sortino: Option<Ratio>,
    pub calmar: Option<Ratio>,
    pub best_day: Option<Ratio>,
    pub worst_day: Option<Ratio>,
    pub win_rate_days: Option<Ratio>,
    pub profit_factor_days: Option<Ratio>,
    pub max_drawdown_daily: Option<Ratio>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quality {
    pub expected_ticks: u64,
    pub complete_ticks: u64,
    pub incomplete_ticks: u64,
    /// Complete ticks of the expected ones.
    pub coverage: Ratio,
    pub duplicates: u64,
    pub conflicts: u64,
    pub late_rejected: u64,
    pub out_of_order: u64,
    pub rejected: u64,
    pub pre_baseline: u64,
    pub not_completed: u64,
    pub max_gap_s: u64,
    pub unexplained_in: Money,
    pub unexplained_out: Money,
    /// Accounts times ticks.
    pub unreconciled: u64,
    pub skew_pairs: u64,
}

/// What a reader of the result must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Flag {
    #[serde(rename = "activity.unconverted_volume")]
    UnconvertedVolume,
    #[serde(rename = "fees.unconverted")]
    UnconvertedFees,
    #[serde(rename = "portfolio.unpriced_assets")]
    UnpricedAssets,
    #[serde(rename = "quality.timing_skew")]
    TimingSkew,
    #[serde(rename = "quality.unreconciled")]
    Unreconciled,
    #[serde(rename = "returns.denominator_fallback")]
    DenominatorFallback,
    #[serde(rename = "returns.estimated_large_flow")]
    EstimatedLargeFlow,
    #[serde(rename = "returns.wiped_out")]
    WipedOut,
    #[serde(rename = "risk.insufficient_history")]
    InsufficientHistory,
}

/// Why a value is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NoCompleteTick,
    FewerThanTwoCompleteTicks,
    PeriodShorterThanOneYear,
    WipedOut,
    NoCapital,
    IrrNoRoot,
    IrrAmbiguous,
    FewerThanTwoFullDays,
    ZeroVolatility,
    NoDownside,
    NoDrawdown,
}
