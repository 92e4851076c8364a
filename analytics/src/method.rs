//! Which method each value follows, and the unit it is in.
//!
//! A key prefix names a value or all values below it; of several the longest
//! counts. Elements of a list have the key of the list. A method's number
//! goes up when its definition changes, so that two reports with one method
//! id can be compared.

/// A definition and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Name, variant, version.
    pub id: &'static str,
    pub unit: &'static str,
}

/// The method for every key of a result.
pub const fn methods() -> &'static [(&'static str, Method)] {
    METHODS
}

/// The method for one key, written with dots.
pub fn method(key: &str) -> Option<Method> {
    let below = |prefix: &str| {
        key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let matching = METHODS.iter().filter(|(prefix, _)| below(prefix));
    matching.max_by_key(|(prefix, _)| prefix.len()).map(|(_, method)| *method)
}

const fn row(key: &'static str, id: &'static str, unit: &'static str) -> (&'static str, Method) {
    (key, Method { id, unit })
}

const METHODS: &[(&str, Method)] = &[
    row("portfolio", "value/net-market/1", "money"),
    row("portfolio.start_time", "tick/complete/1", "time"),
    row("portfolio.end_time", "tick/complete/1", "time"),
    row("portfolio.by_asset.asset", "value/net-market/1", "asset"),
    row("portfolio.by_asset.quantity", "quantity/net/1", "quantity"),
    row("portfolio.by_asset.price", "rate/route/1", "price"),
    row("portfolio.in_transit", "transfer/greedy/1", "money"),
    row("portfolio.unpriced.asset", "value/net-market/1", "asset"),
    row("portfolio.unpriced.quantity", "quantity/net/1", "quantity"),
    row("flows", "flow/external/1", "money"),
    row("flows.count", "flow/external/1", "count"),
    row("flows.internal_transfers", "transfer/greedy/1", "count"),
    row("flows.transfer_fees", "transfer/greedy/1", "money"),
    row("flows.unvalued", "flow/external/1", "quantity"),
    row("returns.gain", "gain/total/1", "money"),
    row("returns.twr", "twr/dietz-tick/1", "ratio"),
    row("returns.twr_annualized", "twr/dietz-tick-annualized/1", "ratio"),
    row("returns.modified_dietz", "dietz/period/1", "ratio"),
    row("returns.simple", "simple/gain-over-inflow/1", "ratio"),
    row("returns.mwr_period", "mwr/period-scan/1", "ratio"),
    row("returns.mwr_annualized", "mwr/period-scan-annualized/1", "ratio"),
    row("returns.subperiods", "twr/dietz-tick/1", "count"),
    row("returns.unfunded_subperiods", "twr/dietz-tick/1", "count"),
    row("returns.fallback_subperiods", "twr/dietz-tick/1", "count"),
    row("returns.estimated_large_flow_subperiods", "twr/dietz-tick/1", "count"),
    row("returns.wiped_out", "twr/dietz-tick/1", "flag"),
    row("activity.trades", "activity/fills/1", "count"),
    row("activity.orders", "activity/fills/1", "count"),
    row("activity.volume", "volume/notional-at-fill/1", "money"),
    row("activity.average_trade", "volume/notional-at-fill/1", "money"),
    row("activity.turnover", "turnover/time-weighted/1", "ratio"),
    row("activity.buckets", "volume/utc-calendar/1", "money"),
    row("activity.buckets.hour.start", "volume/utc-calendar/1", "time"),
    row("activity.buckets.hour.trades", "volume/utc-calendar/1", "count"),
    row("activity.buckets.day.start", "volume/utc-calendar/1", "time"),
    row("activity.buckets.day.trades", "volume/utc-calendar/1", "count"),
    row("activity.buckets.week.start", "volume/utc-calendar/1", "time"),
    row("activity.buckets.week.trades", "volume/utc-calendar/1", "count"),
    row("activity.buckets.month.start", "volume/utc-calendar/1", "time"),
    row("activity.buckets.month.trades", "volume/utc-calendar/1", "count"),
    row("activity.unconverted", "volume/notional-at-fill/1", "quantity"),
    row("fees", "fees/value-at-fill/1", "money"),
    row("fees.by_asset", "fees/native/1", "quantity"),
    row("fees.rate_bps", "fees/rate-of-volume/1", "basis points"),
    row("fees.unconverted", "fees/native/1", "quantity"),
    row("income", "income/value-at-event/1", "money"),
    row("income.unconverted", "income/value-at-event/1", "quantity"),
    row("pnl", "pnl/average-cost/1", "money"),
    row("risk.max_drawdown", "drawdown/tick/1", "ratio"),
    row("risk.max_drawdown_peak", "drawdown/tick/1", "time"),
    row("risk.max_drawdown_trough", "drawdown/tick/1", "time"),
    row("risk.max_drawdown_recovered", "drawdown/tick/1", "time"),
    row("risk.current_drawdown", "drawdown/tick/1", "ratio"),
    row("risk.days", "days/utc-midnight/1", "count"),
    row("risk.days_excluded", "days/utc-midnight/1", "count"),
    row("risk.volatility", "volatility/daily-365/1", "ratio"),
    row("risk.sharpe", "sharpe/daily-365/1", "ratio"),
    row("risk.sortino", "sortino/daily-365/1", "ratio"),
    row("risk.calmar", "calmar/annualized-twr/1", "ratio"),
    row("risk.best_day", "days/utc-midnight/1", "ratio"),
    row("risk.worst_day", "days/utc-midnight/1", "ratio"),
    row("risk.win_rate_days", "days/utc-midnight/1", "ratio"),
    row("risk.profit_factor_days", "days/utc-midnight/1", "ratio"),
    row("risk.max_drawdown_daily", "drawdown/daily/1", "ratio"),
    row("quality", "quality/counts/1", "count"),
    row("quality.coverage", "quality/coverage/1", "ratio"),
    row("quality.max_gap_s", "quality/coverage/1", "seconds"),
    row("quality.unexplained_in", "reconcile/net-per-tick/1", "money"),
    row("quality.unexplained_out", "reconcile/net-per-tick/1", "money"),
    row("quality.unreconciled", "reconcile/net-per-tick/1", "count"),
    row("quality.skew_pairs", "reconcile/timing-skew/1", "count"),
    row("series.days.day", "days/utc-midnight/1", "day"),
    row("series.days.index", "twr/dietz-tick/1", "ratio"),
    row("series.days.drawdown", "drawdown/tick/1", "ratio"),
    row("series.days.expected_ticks", "quality/coverage/1", "count"),
    row("series.days.complete_ticks", "quality/coverage/1", "count"),
    row("flags", "flags/closed-list/1", "flag"),
    row("reasons", "reasons/closed-list/1", "reason"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts_and_prefixes_end_at_dots() {
        let unit = |key| method(key).map(|method| method.unit);
        assert_eq!(unit("fees.by_asset.BTC"), Some("quantity"));
        assert_eq!(unit("fees.net"), Some("money"));
        assert_eq!(unit("risk.max_drawdown_peak"), Some("time"));
        assert_eq!(unit("risk.unheard_of"), None);
        assert_eq!(unit("activity.buckets.hour.volume"), Some("money"));
    }

    #[test]
    fn no_key_is_listed_twice() {
        let keys: std::collections::BTreeSet<_> = METHODS.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), METHODS.len());
    }
}
