#!/usr/bin/env python3
"""Signing vectors by an implementation that shares nothing with ours.

Needs the Python package `cryptography`. The RSA key was made for this folder
by `openssl genpkey`, the Ed25519 seed is RFC 8032's first test key; neither
has ever belonged to an account. The HMAC secret is the one Binance prints in
its documentation, and so are the first two signatures.
"""
import base64
import hashlib
import hmac
import json
import pathlib
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

HERE = pathlib.Path(__file__).parent
HMAC_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


def encode(text):
    return quote(text.encode(), safe="-_.~")


def query(pairs):
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)


def sign_hmac(payload):
    return hmac.new(HMAC_SECRET.encode(), payload, hashlib.sha256).hexdigest()


def sign_ed25519(payload):
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    return base64.b64encode(key.sign(payload)).decode()


def sign_rsa(payload):
    key = serialization.load_pem_private_key((HERE / "rsa-pkcs8.pem").read_bytes(), None)
    return base64.b64encode(key.sign(payload, padding.PKCS1v15(), hashes.SHA256())).decode()


def ed25519_pem():
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


KEYS = {
    "hmac": (HMAC_SECRET, sign_hmac),
    "ed25519": (ed25519_pem(), sign_ed25519),
    "rsa": ((HERE / "rsa-pkcs8.pem").read_text(), sign_rsa),
    "rsa-pkcs1": ((HERE / "rsa-pkcs1.pem").read_text(), sign_rsa),
}

ORDER = [["symbol", "LTCBTC"], ["side", "BUY"], ["type", "LIMIT"], ["timeInForce", "GTC"]]
REST = [["quantity", "1"], ["price", "0.1"], ["recvWindow", "5000"], ["timestamp", "1499827319559"]]
FULL_WIDTH = [["symbol", "１２３４５６"], *ORDER[1:], *REST]
ACCOUNT = [["omitZeroBalances", "true"], ["recvWindow", "5000"], ["timestamp", "1700000000000"]]
ODD = [["symbols", '["BTCUSDT","ETHUSDT"]'], ["note", "a b+c%20d&e=f/~-_.é"], ["empty", ""]]

VECTORS = [
    ("hmac", ORDER + REST, []),
    ("hmac", FULL_WIDTH, []),
    ("hmac", ORDER, REST),
    ("hmac", [], ORDER + REST),
    ("hmac", ODD, []),
    ("ed25519", ACCOUNT, []),
    ("ed25519", ODD, []),
    ("ed25519", [], []),
    ("rsa", ACCOUNT, []),
    ("rsa", ODD, []),
    ("rsa-pkcs1", ACCOUNT, []),
]

TEXTS = [
    "", "abcXYZ019", "-_.~", " ", "+", "%", "%20", "&=?#/", "!*'()", ";:@,$", "[]{}|\\^`\"<>",
    "a b", "é", "１２３４５６", "😀", "\x7f", "中文USDT", "a\u0301",
]


def main():
    vectors = []
    for kind, parameters, form in VECTORS:
        secret, sign = KEYS[kind]
        head, tail = query(parameters), query(form)
        signature = sign((head + tail).encode())
        with_signature = lambda text: text + ("&" if text else "") + "signature=" + encode(signature)
        vectors.append({
            "kind": kind,
            "secret": secret,
            "query_params": parameters,
            "body_params": form,
            "payload": head + tail,
            "signature": signature,
            "query": head if form else with_signature(head),
            "body": with_signature(tail) if form else "",
        })
    encodings = [[text, encode(text)] for text in TEXTS]
    out = {"signing": vectors, "percent_encoding": encodings}
    (HERE / "vectors.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
