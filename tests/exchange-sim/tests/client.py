"""Reads the simulator as a stranger would: standard library only, nothing of ours.

Usage: client.py FOLDER, where FOLDER holds exchange-sim.json and exchange-root.pem.
"""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import sys
import urllib.parse
from pathlib import Path

folder = Path(sys.argv[1])
told = json.loads((folder / "exchange-sim.json").read_text())
context = ssl.create_default_context(cafile=folder / "exchange-root.pem")


class Venue(http.client.HTTPSConnection):
    """Dials the simulator and keeps the venue's name in TLS and Host."""

    def connect(self):
        address, port = told["listen"].rsplit(":", 1)
        plain = socket.create_connection((address, int(port)), timeout=20)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


def get(host, path, headers=None):
    venue = Venue(host)
    venue.request("GET", path, headers=headers or {})
    reply = venue.getresponse()
    return reply.status, json.loads(reply.read())


def signed(path, secret, **params):
    query = urllib.parse.urlencode({**params, "timestamp": now})
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return get("api.binance.com", f"{path}?{query}&signature={signature}", {"X-MBX-APIKEY": key["api_key"]})


control = http.client.HTTPConnection(told["control"], timeout=20)
control.request("GET", "/clock")
start = json.loads(control.getresponse().read())
control.request("POST", "/clock/round", json.dumps({"tick_ms": start["now_ms"]}))
clock = json.loads(control.getresponse().read())

now = get("api.binance.com", "/api/v3/time")[1]["serverTime"]
key = told["keys"][0]
trades = signed("/api/v3/myTrades", key["api_secret"], symbol="BTCUSDT")[1]
status, refused = signed("/api/v3/account", "x" * 64)
tether = get("api.kraken.com", "/0/public/Ticker?pair=USDTUSD")[1]["result"]["USDTZUSD"]
print(
    json.dumps(
        {
            "clock": clock,
            "server_time": now,
            "trades": [[row["id"], row["price"]] for row in trades],
            "wrong_secret": [status, refused["code"]],
            "tether": tether["c"][0],
        }
    )
)
