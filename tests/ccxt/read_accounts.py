"""Reads an account with ccxt, a client nobody here wrote, from the simulator on loopback.

Standard input, one JSON object:

    venue     binance | coinbase | kraken | krakenfutures
    market    spot | margin_cross | margin_isolated | usdm | coinm
    address   where the simulator listens, 127.0.0.1:PORT
    ca        file with the root certificate of the simulator
    key, secret
    symbols   unified symbols to ask trades and tickers of

Standard output, one JSON object: `ccxt` (its version), `balances`, `trades`, `deposits`,
`withdrawals`, `tickers`, and `cannot`, the methods that ccxt's `has` denies. Numbers are the
texts ccxt made of them; none has been a float. Every name resolves to the simulator, so nothing
leaves the machine.
"""

import json
import socket
import sys
from urllib.parse import urlsplit, urlunsplit

import ccxt
from requests.adapters import HTTPAdapter

ask = json.load(sys.stdin)
address, port = ask["address"].rsplit(":", 1)
resolve = socket.getaddrinfo


def on_loopback(host, _port, *rest, **named):
    return resolve(address, int(port), *rest, **named)


socket.getaddrinfo = on_loopback


class Simulator(HTTPAdapter):
    """Trusts the simulator's root and nothing else."""

    def cert_verify(self, conn, url, verify, cert):
        super().cert_verify(conn, url, ask["ca"], cert)


def ported(urls):
    """The same addresses at the simulator's port."""
    if isinstance(urls, dict):
        return {name: ported(url) for name, url in urls.items()}
    if isinstance(urls, str) and urls.startswith("https://"):
        parts = urlsplit(urls)
        return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))
    return urls


OPTIONS = {
    ("binance", "spot"): {"defaultType": "spot"},
    ("binance", "margin_cross"): {"defaultType": "margin"},
    ("binance", "margin_isolated"): {"defaultType": "margin"},
    ("binance", "usdm"): {"defaultType": "swap", "defaultSubType": "linear"},
    ("binance", "coinm"): {"defaultType": "swap", "defaultSubType": "inverse"},
}
PARAMS = {"margin_isolated": {"marginMode": "isolated"}, "margin_cross": {"marginMode": "cross"}}

venue, market = ask["venue"], ask["market"]
exchange = getattr(ccxt, venue)({"apiKey": ask["key"], "secret": ask["secret"]})
exchange.number = str
exchange.timeout = 20_000
exchange.urls["api"] = ported(exchange.urls["api"])
exchange.session.mount("https://", Simulator())
exchange.options.update(OPTIONS.get((venue, market), {}))
if exchange.has["fetchTime"] and venue != "kraken":
    # The scenario's clock is not this machine's, and it stands still. Kraken's nonce must not.
    now = exchange.fetch_time()
    exchange.milliseconds = lambda: now
    exchange.seconds = lambda: now // 1000
    # Else the throttle waits until the scenario has caught up with the last real request.
    exchange.lastRestRequestTimestamp = 0
exchange.load_markets()
params = PARAMS.get(market, {})


def fields(row, names):
    return {name: row[name] for name in names}


def balances():
    reply = exchange.fetch_balance(dict(params))
    return {asset: row for asset, row in reply.items() if isinstance(row, dict) and "free" in row}


def trades():
    names = ["id", "order", "symbol", "side", "price", "amount", "takerOrMaker", "timestamp", "fee"]
    rows = []
    if venue == "kraken":
        # One list of all pairs; ccxt reads a page of it at a time.
        while len(rows) % 50 == 0:
            page = exchange.fetch_my_trades(None, None, None, {"ofs": len(rows)})
            rows += page
            if not page:
                break
        return [fields(row, names) for row in rows if row["symbol"] in ask["symbols"]]
    for symbol in ask["symbols"]:
        rows += exchange.fetch_my_trades(symbol, None, None, dict(params))
    return [fields(row, names) for row in rows]


def transfers(method):
    names = ["id", "txid", "currency", "amount", "status", "timestamp", "fee"]
    return [fields(row, names) for row in method()]


def tickers():
    names = ["symbol", "last", "bid", "ask", "timestamp"]
    rows = [exchange.fetch_ticker(symbol) for symbol in ask["symbols"]]
    if exchange.has["fetchTickers"]:
        # ccxt asks for one sort of contract at a time.
        every, sorts = {}, {}
        for symbol in ask["symbols"]:
            sorts.setdefault(exchange.market(symbol)["type"], []).append(symbol)
        for symbols in sorts.values():
            every.update(exchange.fetch_tickers(symbols))
        assert every == {row["symbol"]: row for row in rows}, "fetchTickers and fetchTicker differ"
    return [fields(row, names) for row in rows]


QUESTIONS = {
    "balances": ("fetchBalance", balances),
    "trades": ("fetchMyTrades", trades),
    "deposits": ("fetchDeposits", lambda: transfers(exchange.fetch_deposits)),
    "withdrawals": ("fetchWithdrawals", lambda: transfers(exchange.fetch_withdrawals)),
    "tickers": ("fetchTicker", tickers),
}
told = {"ccxt": ccxt.__version__, "cannot": []}
for name in ask.get("questions", QUESTIONS):
    method, question = QUESTIONS[name]
    if exchange.has[method]:
        told[name] = question()
    else:
        told["cannot"].append(method)
json.dump(told, sys.stdout)
