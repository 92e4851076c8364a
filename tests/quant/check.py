#!/usr/bin/env python3
"""Compares the metrics engine with libraries that nobody here wrote.

Makes portfolios out of a seed: prices, holdings, deposits and withdrawals. Their values, flows and
returns are worked out here, in floats, and given to quantstats, empyrical-reloaded and pyxirr; the
same portfolios go to the engine as events. Every figure has to be the same.

    check.py [--scenarios N] --engine 'target/release/conformance analytics'
"""

import argparse
import datetime
import json
import math
import random
import subprocess
import sys
import warnings
from decimal import Decimal

import empyrical
import pandas
import pyxirr
import quantstats

DAY = 86_400
START = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
# The engine prints twelve digits of a ratio; a float of this size is as good.
TOLERANCE = 1e-9


def stamp(seconds):
    return (START + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Portfolio:
    """A coin and cash in one account, valued several times a day."""

    def __init__(self, seed):
        draw = random.Random(seed)
        # A year and more for the annualised figures, weeks for the others.
        self.days = draw.choice([20, 45, 90, 370, 400])
        self.polls_a_day = draw.choice([1, 4])
        self.rate = draw.choice(["0", "0.02", "0.045"])
        coins = Decimal(draw.randint(5, 400)) / 100
        cash = Decimal(draw.randint(1_000, 40_000))
        price = draw.uniform(20_000, 90_000)
        step = DAY // self.polls_a_day
        self.values, self.flows, self.events = [], [], []
        for number in range(self.days * self.polls_a_day + 1):
            at = number * step
            if number:
                price *= math.exp(draw.gauss(0.0004, 0.02 / math.sqrt(self.polls_a_day)))
                flow = self.draw_flow(draw, cash) if draw.random() < 0.04 else 0
                if flow:
                    cash += flow
                    self.flows.append((at, float(flow)))
                    self.events.append(
                        {"type": "flow", "t": stamp(at), "account": "one", "asset": "USD",
                         "amount": str(flow), "id": f"flow-{number}"}
                    )
            quoted = Decimal(f"{price:.2f}")
            self.values.append(float(coins * quoted + cash))
            self.events += [
                {"type": "price", "t": stamp(at), "asset": "BTC", "quote": "USD", "price": str(quoted)},
                {"type": "snapshot", "t": stamp(at), "account": "one",
                 "balances": [{"asset": "BTC", "free": str(coins)}, {"asset": "USD", "free": str(cash)}]},
            ]
        self.step = step
        self.end = self.days * DAY

    @staticmethod
    def draw_flow(draw, cash):
        if draw.random() < 0.5:
            return Decimal(draw.randint(100, 9_000))
        return -min(Decimal(draw.randint(100, 5_000)), cash // 2)

    def case(self):
        config = {"base_currency": "USD", "session_start": stamp(0), "as_of": stamp(self.end),
                  "poll_interval_s": self.step, "price_max_age_s": self.step,
                  "risk_free_annual": self.rate, "boundary_max_age_s": 0}
        return {"schema": "pa-case/1", "id": "Q", "title": "drawn", "features": [], "notes": "",
                "config": config, "events": self.events}

    def returns(self):
        """Of each poll, net of what came in at its end."""
        flows = dict(self.flows)
        return pandas.Series([
            (now - flows.get(number * self.step, 0.0)) / before - 1
            for number, (before, now) in enumerate(zip(self.values, self.values[1:]), start=1)
        ])

    def daily(self):
        polls = self.returns()
        days = [polls[day * self.polls_a_day:(day + 1) * self.polls_a_day] for day in range(self.days)]
        index = pandas.date_range("2025-01-01", periods=self.days)
        return pandas.Series([float((1 + day).prod() - 1) for day in days], index=index)


def figures(portfolio):
    """What the libraries say, by the key of the result; one or more for each."""
    polls, daily = portfolio.returns(), portfolio.daily()
    rate = float(portfolio.rate)
    daily_rate = (1 + rate) ** (1 / 365) - 1
    year = portfolio.days >= 365
    stats = quantstats.stats
    dated = [(START + datetime.timedelta(seconds=at), -amount) for at, amount in portfolio.flows]
    dated = [(START, -portfolio.values[0]), *dated,
             (START + datetime.timedelta(seconds=portfolio.end), portfolio.values[-1])]
    expected = {
        "returns.twr": [empyrical.cum_returns_final(daily), stats.comp(daily)],
        "risk.volatility": [empyrical.annual_volatility(daily, annualization=365),
                            stats.volatility(daily, periods=365)],
        "risk.sharpe": [empyrical.sharpe_ratio(daily, risk_free=daily_rate, annualization=365),
                        stats.sharpe(daily, rf=rate, periods=365)],
        "risk.sortino": [empyrical.sortino_ratio(daily, required_return=daily_rate, annualization=365),
                         stats.sortino(daily, rf=rate, periods=365)],
        "risk.max_drawdown_daily": [-empyrical.max_drawdown(daily)],
        "risk.max_drawdown": [-empyrical.max_drawdown(polls)],
        "risk.best_day": [stats.best(daily)],
        "risk.worst_day": [stats.worst(daily)],
        "risk.win_rate_days": [stats.win_rate(daily)],
        "risk.profit_factor_days": [stats.profit_factor(daily)],
        "returns.twr_annualized": [empyrical.cagr(daily, annualization=365) if year else None],
        "risk.calmar": [empyrical.cagr(daily, annualization=365) / -empyrical.max_drawdown(polls)
                        if year else None],
    }
    # Their dates have no hours.
    if all(at % DAY == 0 for at, _ in portfolio.flows):
        annual = pyxirr.xirr(dated)
        expected["returns.mwr_period"] = [(1 + annual) ** (portfolio.days / 365) - 1]
        expected["returns.mwr_annualized"] = [annual if year else None]
    return expected


def ask(engine, case):
    done = subprocess.run(engine, input=json.dumps(case), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the engine failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def differs(ours, theirs):
    if ours is None or theirs is None:
        return ours is not theirs
    return not math.isclose(float(ours), float(theirs), rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--scenarios", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    compared, failed, seen = 0, 0, set()
    for seed in range(options.scenarios):
        portfolio = Portfolio(seed)
        result = ask(options.engine.split(), portfolio.case())
        for key, answers in figures(portfolio).items():
            section, name = key.split(".")
            ours = result[section][name]
            seen.add((key, ours is None))
            for theirs in answers:
                compared += 1
                if differs(ours, theirs):
                    failed += 1
                    print(f"FAIL scenario {seed}: {key} is {ours}, the library says {theirs}")
    # A figure that was null in every scenario has not been compared.
    for key in sorted({key for key, _ in seen} - {key for key, null in seen if not null}):
        failed += 1
        print(f"FAIL {key} was never anything but null")
    print(f"{compared - failed} figures equal, {failed} differ")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
