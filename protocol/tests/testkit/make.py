#!/usr/bin/env python3
"""Writes every vector of this folder, from the specifications and with other code than ours.

    pip install cryptography    (48 was used)
    python3 protocol/tests/testkit/make.py

Deterministic: a second run writes the same bytes. A vector is a text file of `name: value` lines;
README.md says what the names mean. Each is wrong in one way only, and sealed, signed or MACed
correctly for what it says otherwise, so that no other check can refuse it.
"""

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import shutil
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

HERE = pathlib.Path(__file__).resolve().parent
DOMAIN = b"performance-aggregator/v1/"


def b64(data):
    return base64.b64encode(data).decode()


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sha256(data):
    return hashlib.sha256(data).digest()


def sha384(data):
    return hashlib.sha384(data).digest()


def flip(data, index=-1):
    data = bytearray(data)
    data[index] ^= 1
    return bytes(data)


class Folder:
    """One kind of vector; counts what it writes."""

    def __init__(self, name):
        self.path = HERE / name
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()

    def write(self, name, expect, comment, **fields):
        path = self.path / f"{name}.txt"
        assert not path.exists(), path
        lines = [f"comment: {comment}", f"expect: {expect}"]
        for key, value in fields.items():
            if isinstance(value, bytes):
                value = value.hex()
            assert "\n" not in str(value) and "\r" not in str(value), (path, key)
            lines.append(f"{key}: {value}")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


# --- envelope -----------------------------------------------------------------------------------

# keys of RFC 7748 section 6.1
EPHEMERAL = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ENCLAVE = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
EPHEMERAL_PUB = raw(X25519PrivateKey.from_private_bytes(EPHEMERAL).public_key())
ENCLAVE_PUB = raw(X25519PrivateKey.from_private_bytes(ENCLAVE).public_key())
NONCE = bytes(range(12))
PLAINTEXT = b'{"venue":"kraken"}'
P = 2**255 - 19


def key_id(suite=1, public=ENCLAVE_PUB):
    return sha256(b"performance-aggregator/v1/key-id" + bytes([suite]) + public)


def exchange(ephemeral_pub):
    return X25519PrivateKey.from_private_bytes(ENCLAVE).exchange(
        X25519PublicKey.from_public_bytes(ephemeral_pub)
    )


def derive(shared, salt, purpose, prefix=DOMAIN):
    return HKDF(hashes.SHA256(), 32, salt, prefix + purpose).derive(shared)


def envelope_aad(v=1, suite=1, purpose=b"credentials", id=None):
    return bytes([v, suite, len(purpose)]) + purpose + (key_id() if id is None else id)


def sealed(
    plaintext=PLAINTEXT,
    ephemeral_pub=EPHEMERAL_PUB,
    shared=None,
    salt=None,
    purpose=b"credentials",
    prefix=DOMAIN,
    aad=None,
    nonce=NONCE,
):
    """The parts of an envelope, by DESIGN's formulas."""
    shared = exchange(ephemeral_pub) if shared is None else shared
    salt = ephemeral_pub + ENCLAVE_PUB if salt is None else salt
    key = derive(shared, salt, purpose, prefix)
    out = AESGCM(key).encrypt(nonce, plaintext, envelope_aad() if aad is None else aad)
    return {
        "v": 1,
        "suite": 1,
        "key_id": b64(key_id()),
        "ephemeral_pub": b64(ephemeral_pub),
        "nonce": b64(nonce),
        "ciphertext": b64(out[:-16]),
        "tag": b64(out[-16:]),
    }


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def padded(value, length):
    text = compact(value)
    return text[0] + " " * (length - len(text)) + text[1:]


def envelopes():
    folder = Folder("envelope")
    good = sealed()
    tag = base64.b64decode(good["tag"])

    def write(name, expect, comment, message=None, text=None, plaintext=None, **more):
        text = compact(message) if text is None else text
        if expect == "opens":
            plaintext = PLAINTEXT if plaintext is None else plaintext
            if len(plaintext) > 1000:
                more["plaintext_sha256"] = sha256(plaintext)
            else:
                more["plaintext"] = plaintext
        folder.write(name, expect, comment, enclave_priv=ENCLAVE, envelope=text, **more)

    def opens(name, comment, message=None, **more):
        write(name, "opens", comment, message, **more)

    def fails(name, expect, comment, message=None, text=None):
        write(name, expect, comment, message, text)

    # accepted
    salt = EPHEMERAL_PUB + ENCLAVE_PUB
    opens(
        "opens",
        "keys of RFC 7748 6.1, and the two keys that outlive the envelope",
        good,
        reply_key=derive(exchange(EPHEMERAL_PUB), salt, b"reply"),
        request_key=derive(exchange(EPHEMERAL_PUB), salt, b"request"),
    )
    opens("empty_plaintext", "zero bytes are a message", sealed(b""), plaintext=b"")
    opens("any_field_order", "fields in reverse", dict(reversed(good.items())))
    opens("white_space", "between tokens it is JSON's business", text=json.dumps(good))
    slashed = sealed(b"\xff" * 30, nonce=b"\xff" * 12)
    opens(
        "escaped_slash",
        "JSON escapes are undone before base64 is read",
        text=compact(slashed).replace("/", "\\/"),
        plaintext=b"\xff" * 30,
    )
    at_limit = b"x" * 65536
    opens("at_limit", "exactly 65536 bytes of plaintext", sealed(at_limit), plaintext=at_limit)
    high = EPHEMERAL_PUB[:31] + bytes([EPHEMERAL_PUB[31] | 0x80])
    assert exchange(high) == exchange(EPHEMERAL_PUB)
    opens("high_bit_masked", "RFC 7748 5: top bit ignored by X25519, kept in the salt", sealed(ephemeral_pub=high))
    unreduced = (P + 9).to_bytes(32, "little")
    assert exchange(unreduced) == exchange((9).to_bytes(32, "little"))
    opens("unreduced_point", "RFC 7748 5: u = p + 9 is u = 9, kept as sent in the salt", sealed(ephemeral_pub=unreduced))

    # JSON
    fails("truncated_json", "malformed", "the last brace is missing", text=compact(good)[:-1])
    fails("trailing_bytes", "malformed", "another value follows", text=compact(good) + "{}")
    fails("byte_order_mark", "malformed", "U+FEFF first", text="\ufeff" + compact(good))
    fails("array", "malformed", "the values as a list", text=compact(list(good.values())))
    fails("json_null", "malformed", "null", text="null")
    fails("nested_deeply", "malformed", "a value nested past the limit", text=compact({**good, "v": 0}).replace(":0", ":" + "[" * 40 + "]" * 40, 1))
    fails("unknown_field", "malformed", "one field more", {**good, "kid": "1"})
    for name in good:
        fails(f"missing_{name}", "malformed", f"no {name}", {k: v for k, v in good.items() if k != name})
        fails(
            f"duplicate_{name}",
            "malformed",
            f"{name} twice, with the same value",
            text=compact(good)[:-1] + "," + compact({name: good[name]})[1:],
        )
    fails("field_case", "malformed", "`Nonce` for `nonce`", text=compact(good).replace('"nonce"', '"Nonce"'))
    for name, text in [("string", '"1"'), ("float", "1.0"), ("exponent", "1e0"), ("bool", "true"), ("null", "null"), ("too_big", "257")]:
        fails(f"v_{name}", "malformed", f"v is {text}", text=compact(good).replace('"v":1', f'"v":{text}'))
        fails(f"suite_{name}", "malformed", f"suite is {text}", text=compact(good).replace('"suite":1', f'"suite":{text}'))
    for value in (0, 2, 255):
        fails(f"v_{value}", "unsupported_version", "sealed for the version it names", {**sealed(aad=envelope_aad(v=value)), "v": value})
        fails(
            f"suite_{value}",
            "unsupported_suite",
            "sealed for the suite it names, with that suite's key id",
            {**sealed(aad=envelope_aad(suite=value, id=key_id(value))), "suite": value, "key_id": b64(key_id(value))},
        )
    fails("tag_is_number", "malformed", "a number for base64", {**good, "tag": 1})
    fails("tag_is_null", "malformed", "null for base64", {**good, "tag": None})

    # base64
    url = compact(slashed).replace("/", "_").replace("+", "-")
    assert url != compact(slashed)
    fails("base64_url_alphabet", "malformed", "RFC 4648 5 for 4", text=url)
    fails("base64_no_padding", "malformed", "= cut off", {**good, "tag": good["tag"].rstrip("=")})
    fails("base64_half_padding", "malformed", "one = of two", {**good, "tag": good["tag"][:-1]})
    fails("base64_more_padding", "malformed", "one = more", {**good, "tag": good["tag"] + "="})
    assert good["tag"].endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bits = alphabet[alphabet.index(good["tag"][-3]) | 1]
    assert base64.b64decode(good["tag"][:-3] + bits + "==") == tag
    fails("base64_trailing_bits", "malformed", "unused bits are not zero", {**good, "tag": good["tag"][:-3] + bits + "=="})
    trailing = good["ciphertext"]
    fails("base64_space", "malformed", "a space inside", {**good, "ciphertext": trailing[:4] + " " + trailing[4:]})
    fails("base64_newline", "malformed", "a line break inside, as MIME has it", {**good, "ciphertext": trailing[:4] + "\n" + trailing[4:]})
    fails("base64_leading_space", "malformed", "a space before", {**good, "nonce": " " + good["nonce"]})
    fails("base64_final_newline", "malformed", "a line break after", {**good, "nonce": good["nonce"] + "\n"})
    fails("base64_is_hex", "malformed", "hexadecimal for base64", {**good, "nonce": NONCE.hex()})

    # lengths
    for name, data in [("key_id", key_id()), ("ephemeral_pub", EPHEMERAL_PUB), ("nonce", NONCE), ("tag", tag)]:
        fails(f"short_{name}", "malformed", f"{name} one byte short", {**good, name: b64(data[:-1])})
        fails(f"long_{name}", "malformed", f"{name} one byte long", {**good, name: b64(data + b"\0")})
        fails(f"empty_{name}", "malformed", f"{name} empty", {**good, name: ""})
    cut = sealed(PLAINTEXT)
    joined = base64.b64decode(cut["ciphertext"]) + tag
    fails("tag_in_ciphertext", "malformed", "the tag left at the end of the ciphertext", {**good, "ciphertext": b64(joined), "tag": ""})
    fails("too_long", "too_long", "65537 bytes of plaintext, otherwise valid", sealed(at_limit + b"x"))
    fails("too_long_json", "too_long", "98305 bytes of JSON, of which most is white space", text=padded(good, 98305))
    opens("json_at_limit", "98304 bytes of JSON, of which most is white space", text=padded(good, 98304))

    # keys
    fails("wrong_key_id", "wrong_key", "sealed to another enclave", {**sealed(aad=envelope_aad(id=key_id(public=EPHEMERAL_PUB))), "key_id": b64(key_id(public=EPHEMERAL_PUB))})
    fails("key_id_of_suite_2", "wrong_key", "the same key's id under another suite", {**sealed(aad=envelope_aad(id=key_id(2))), "key_id": b64(key_id(2))})
    fails("key_id_is_plain_hash", "wrong_key", "SHA-256 of the public key alone", {**sealed(aad=envelope_aad(id=sha256(ENCLAVE_PUB))), "key_id": b64(sha256(ENCLAVE_PUB))})

    # cryptography
    for name in ("ciphertext", "tag", "nonce"):
        fails(f"flipped_{name}", "crypto", f"last bit of {name} inverted", {**good, name: b64(flip(base64.b64decode(good[name])))})
    fails("flipped_ephemeral_pub", "crypto", "a bit of ephemeral_pub inverted", {**good, "ephemeral_pub": b64(flip(EPHEMERAL_PUB, 0))})
    fails("high_bit_set_later", "crypto", "the same point in other bytes than it was sealed with", {**good, "ephemeral_pub": b64(high)})
    fails("empty_ciphertext", "crypto", "the ciphertext removed", {**good, "ciphertext": ""})
    fails("truncated_ciphertext", "crypto", "the last byte removed", {**good, "ciphertext": b64(base64.b64decode(good["ciphertext"])[:-1])})
    fails("aad_empty", "crypto", "sealed without AAD", sealed(aad=b""))
    fails("aad_version", "crypto", "AAD of version 2", sealed(aad=envelope_aad(v=2)))
    fails("aad_suite", "crypto", "AAD of suite 2", sealed(aad=envelope_aad(suite=2)))
    fails("aad_purpose", "crypto", "AAD of another purpose", sealed(aad=envelope_aad(purpose=b"reply")))
    fails("aad_key_id", "crypto", "AAD of another key id", sealed(aad=envelope_aad(id=key_id(2))))
    fails("aad_no_key_id", "crypto", "AAD without the key id", sealed(aad=envelope_aad(id=b"")))
    fails("aad_no_length", "crypto", "AAD without the purpose's length", sealed(aad=b"\1\1credentials" + key_id()))
    fails("key_of_reply", "crypto", "sealed under the reply key", sealed(purpose=b"reply"))
    fails("key_of_request", "crypto", "sealed under the request key", sealed(purpose=b"request"))
    fails("all_of_reply", "crypto", "key and AAD of purpose reply", sealed(purpose=b"reply", aad=envelope_aad(purpose=b"reply")))
    fails("info_without_prefix", "crypto", "HKDF info is the bare purpose", sealed(prefix=b""))
    fails("info_empty", "crypto", "HKDF info is empty", sealed(prefix=b"", purpose=b""))
    fails("salt_swapped", "crypto", "enclave_pub || ephemeral_pub", sealed(salt=ENCLAVE_PUB + EPHEMERAL_PUB))
    fails("salt_empty", "crypto", "no salt", sealed(salt=b""))
    fails("shared_without_hkdf", "crypto", "the shared secret as the key", raw_key(exchange(EPHEMERAL_PUB)))
    # the seven points whose exchange gives zero, canonical and not, sealed under the key that
    # zero gives: only the check for a contributory exchange refuses them
    small = {
        "zero": bytes(32),
        "one": (1).to_bytes(32, "little"),
        "order_8_a": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        "order_8_b": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        "p_minus_1": (P - 1).to_bytes(32, "little"),
        "p": P.to_bytes(32, "little"),
        "p_plus_1": (P + 1).to_bytes(32, "little"),
    }
    for name, point in small.items():
        try:
            exchange(point)
            raise AssertionError(name)
        except ValueError:
            pass  # OpenSSL refuses it too
        fails(f"low_order_{name}", "crypto", "sealed under the key that a zero shared secret gives", sealed(ephemeral_pub=point, shared=bytes(32)))


def raw_key(key):
    out = AESGCM(key).encrypt(NONCE, PLAINTEXT, envelope_aad())
    return {**sealed(), "ciphertext": b64(out[:-16]), "tag": b64(out[-16:])}


# --- sealed replies -----------------------------------------------------------------------------

REPLY_KEY = derive(exchange(EPHEMERAL_PUB), EPHEMERAL_PUB + ENCLAVE_PUB, b"reply")
REQUEST_KEY = derive(exchange(EPHEMERAL_PUB), EPHEMERAL_PUB + ENCLAVE_PUB, b"request")
REQUEST_NONCE = bytes(range(0x20, 0x30))
ANSWER = b'{"v":1,"ended":"revoked","at":1768464000000}'


def replies():
    folder = Folder("reply")

    def aad(purpose=b"reply", id=None, ephemeral=EPHEMERAL_PUB, nonce=REQUEST_NONCE, v=1, suite=1):
        return envelope_aad(v, suite, purpose, id) + ephemeral + nonce

    def reply(plaintext=ANSWER, key=REPLY_KEY, aad=aad()):
        out = AESGCM(key).encrypt(NONCE, plaintext, aad)
        return {"v": 1, "nonce": b64(NONCE), "ciphertext": b64(out[:-16]), "tag": b64(out[-16:])}

    def write(name, expect, comment, message=None, text=None, plaintext=ANSWER):
        more = {"plaintext": plaintext} if expect == "opens" else {}
        folder.write(
            name,
            expect,
            comment,
            reply_key=REPLY_KEY,
            key_id=key_id(),
            ephemeral_pub=EPHEMERAL_PUB,
            request_nonce=REQUEST_NONCE,
            sealed=compact(message) if text is None else text,
            **more,
        )

    good = reply()
    write("opens", "opens", "an answer to the request with this nonce", good)
    write("empty_plaintext", "opens", "zero bytes are an answer", reply(b""), plaintext=b"")
    write("any_field_order", "opens", "fields in reverse", dict(reversed(good.items())))
    write("other_request", "crypto", "an answer to another request", reply(aad=aad(nonce=bytes(16))))
    write("other_session", "crypto", "AAD of another envelope", reply(aad=aad(ephemeral=ENCLAVE_PUB)))
    write("other_key_id", "crypto", "AAD of another enclave key", reply(aad=aad(id=key_id(2))))
    write("other_purpose", "crypto", "AAD of purpose credentials", reply(aad=aad(purpose=b"credentials")))
    write("other_version", "crypto", "AAD of version 2", reply(aad=aad(v=2)))
    write("other_suite", "crypto", "AAD of suite 2", reply(aad=aad(suite=2)))
    write("aad_of_envelope", "crypto", "AAD without ephemeral_pub and request nonce", reply(aad=envelope_aad(purpose=b"reply")))
    write("key_of_request", "crypto", "sealed under the request key", reply(key=REQUEST_KEY))
    for name in ("ciphertext", "tag", "nonce"):
        write(f"flipped_{name}", "crypto", f"last bit of {name} inverted", {**good, name: b64(flip(base64.b64decode(good[name])))})
    write("v_2", "malformed", "version 2", {**good, "v": 2})
    write("unknown_field", "malformed", "a suite, which replies do not have", {**good, "suite": 1})
    for name in good:
        write(f"missing_{name}", "malformed", f"no {name}", {k: v for k, v in good.items() if k != name})
        write(f"duplicate_{name}", "malformed", f"{name} twice", text=compact(good)[:-1] + "," + compact({name: good[name]})[1:])
    write("array", "malformed", "the values as a list", text=compact(list(good.values())))
    write("short_tag", "malformed", "a tag of 15 bytes", {**good, "tag": b64(base64.b64decode(good["tag"])[:-1])})
    write("short_nonce", "malformed", "a nonce of 11 bytes", {**good, "nonce": b64(NONCE[:-1])})
    write("base64_no_padding", "malformed", "= cut off", {**good, "tag": good["tag"].rstrip("=")})
    write("trailing_bytes", "malformed", "another value follows", text=compact(good) + "0")


# --- request authentication ---------------------------------------------------------------------

SESSION = bytes(range(0x40, 0x60))
TIMESTAMP = 1768464000000


def request_mac(fields, key=REQUEST_KEY, domain=DOMAIN + b"request", length=">I"):
    message = domain + b"".join(struct.pack(length, len(field)) + field for field in fields)
    return hmac.digest(key, message, "sha256")


def requests():
    folder = Folder("request_auth")

    def fields(method=b"GET", path=b"/v1/session?x=1", session=SESSION, nonce=REQUEST_NONCE, stamp=None, body=b""):
        stamp = struct.pack(">Q", TIMESTAMP) if stamp is None else stamp
        return [method, path, session, nonce, stamp, sha256(body)]

    def write(name, expect, comment, mac=None, method="GET", path="/v1/session?x=1", body=b"", **headers):
        texts = {
            "session": b64(SESSION),
            "nonce": b64(REQUEST_NONCE),
            "timestamp": str(TIMESTAMP),
            "mac": b64(request_mac(fields()) if mac is None else mac),
            **headers,
        }
        folder.write(name, expect, comment, request_key=REQUEST_KEY, method=method, path=path, body=body, **texts)

    write("verifies", "verifies", "no body")
    body = b'{"v":1}'
    write("verifies_body", "verifies", "with a body", request_mac(fields(b"POST", b"/v1/x", body=body)), "POST", "/v1/x", body)
    zero = {"session": b64(bytes(32)), "nonce": b64(bytes(16)), "timestamp": "0"}
    write("verifies_zeros", "verifies", "zeros are values like others", request_mac(fields(session=bytes(32), nonce=bytes(16), stamp=bytes(8))), **zero)
    write("last_timestamp", "verifies", "2^64 - 1", request_mac(fields(stamp=b"\xff" * 8)), timestamp=str(2**64 - 1))
    write("other_method", "refused", "DELETE for GET", method="DELETE")
    write("method_case", "refused", "get for GET", method="get")
    write("other_path", "refused", "another path", path="/v1/session/report?x=1")
    write("other_query", "refused", "another query", path="/v1/session?x=2")
    write("query_left_out", "refused", "the MAC is over the path without its query", request_mac(fields(path=b"/v1/session")))
    write("other_body", "refused", "a body that was not authenticated", body=b"{}")
    write("other_session", "refused", "another session id", session=b64(flip(SESSION)))
    write("other_nonce", "refused", "another request nonce", nonce=b64(flip(REQUEST_NONCE)))
    write("other_timestamp", "refused", "one millisecond later", timestamp=str(TIMESTAMP + 1))
    write("other_key", "refused", "MAC under the reply key", request_mac(fields(), REPLY_KEY))
    write("flipped_mac", "refused", "last bit of the MAC inverted", flip(request_mac(fields())))
    write("no_domain", "refused", "without the domain", request_mac(fields(), domain=b""))
    write("little_endian", "refused", "lengths in the other byte order", request_mac(fields(), length="<I"))
    write("no_lengths", "refused", "fields without lengths", hmac.digest(REQUEST_KEY, DOMAIN + b"request" + b"".join(fields()), "sha256"))
    write("moved_boundary", "refused", "the same bytes, divided elsewhere", request_mac(fields()), method="GET/", path="v1/session?x=1")
    write("timestamp_in_text", "refused", "the timestamp as decimal text", request_mac(fields(stamp=str(TIMESTAMP).encode())))
    write("timestamp_little_endian", "refused", "the timestamp in the other byte order", request_mac(fields(stamp=struct.pack("<Q", TIMESTAMP))))
    write("body_not_hashed", "refused", "the body itself for its hash", request_mac(fields()[:-1] + [b""]))
    for name, text in [("zero", "01768464000000"), ("plus", "+1768464000000"), ("minus", "-1768464000000"), ("space", " 1768464000000"), ("float", "1768464000000.0"), ("exponent", "1e12"), ("hex", "0x19bbf5be400"), ("empty", ""), ("too_big", str(2**64))]:
        write(f"timestamp_{name}", "malformed", f"{text!r}", timestamp=text)
    mac = b64(request_mac(fields()))
    for name, header, text in [
        ("mac_no_padding", "mac", mac.rstrip("=")),
        ("mac_hex", "mac", request_mac(fields()).hex()),
        ("mac_short", "mac", b64(request_mac(fields())[:-1])),
        ("session_short", "session", b64(SESSION[:-1])),
        ("session_hex", "session", SESSION.hex()),
        ("nonce_short", "nonce", b64(REQUEST_NONCE[:-1])),
        ("nonce_long", "nonce", b64(REQUEST_NONCE + b"\0")),
        ("nonce_empty", "nonce", ""),
    ]:
        texts = {"session": b64(SESSION), "nonce": b64(REQUEST_NONCE), "timestamp": str(TIMESTAMP), "mac": mac, header: text}
        folder.write(name, "malformed", f"{header} is not base64 of its length", request_key=REQUEST_KEY, method="GET", path="/v1/session?x=1", body=b"", **texts)


# --- portfolio signatures -----------------------------------------------------------------------

L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SEED = bytes(range(0x60, 0x80))
IDENTITY = (1).to_bytes(32, "little")


def ed25519_scalar(seed):
    a = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return (a & (2**254 - 8)) | 2**254


def on_curve(y):
    """Whether some x with -x^2 + y^2 = 1 + D x^2 y^2 exists."""
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    return xx == 0 or pow(xx, (P - 1) // 2, P) == 1


def portfolios():
    folder = Folder("portfolio")
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = raw(key.public_key())
    body = b'{"v":1,"action":"open"}'

    def message(action=b"open", id=None, ephemeral=EPHEMERAL_PUB, at=struct.pack(">Q", TIMESTAMP), body=body):
        return DOMAIN + action + b"\0" + (key_id() if id is None else id) + ephemeral + at + sha256(body)

    def write(name, expect, comment, signature, public=public, action="open"):
        folder.write(
            name,
            expect,
            comment,
            public_key=public,
            action=action,
            key_id=key_id(),
            ephemeral_pub=EPHEMERAL_PUB,
            attested_at=TIMESTAMP,
            body=body,
            signature=signature,
        )

    good = key.sign(message())
    write("open", "verifies", "allows to open", good)
    for action in ("renew", "claim", "erase"):
        write(action, "verifies", f"allows to {action}", key.sign(message(action.encode())), action=action)
        write(f"open_for_{action}", "refused", f"allows to open, shown to {action}", good, action=action)
    write("other_key_id", "refused", "for another enclave", key.sign(message(id=key_id(2))))
    write("other_envelope", "refused", "for another envelope", key.sign(message(ephemeral=ENCLAVE_PUB)))
    write("other_time", "refused", "for another attestation", key.sign(message(at=struct.pack(">Q", TIMESTAMP + 1))))
    write("time_little_endian", "refused", "the time in the other byte order", key.sign(message(at=struct.pack("<Q", TIMESTAMP))))
    write("other_body", "refused", "for another body", key.sign(message(body=b"{}")))
    write("body_not_hashed", "refused", "the body itself for its hash", key.sign(message()[:-32] + body))
    write("no_separator", "refused", "without the zero after the action", key.sign(message().replace(b"open\0", b"open", 1)))
    write("no_domain", "refused", "without the domain", key.sign(message()[len(DOMAIN) :]))
    write("other_signer", "refused", "by another key", Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(message()))
    write("flipped_r", "refused", "first bit inverted", flip(good, 0))
    write("flipped_s", "refused", "a bit of s inverted", flip(good, 32))
    s = int.from_bytes(good[32:], "little")
    write("s_plus_order", "refused", "s + L: the same equation, another encoding", good[:32] + (s + L).to_bytes(32, "little"))
    write("all_zero", "refused", "64 zero bytes", bytes(64))
    # R of small order, the equation fulfilled: s = H(R, A, M) a
    for name, r in [("canonical", IDENTITY), ("not_canonical", (P + 1).to_bytes(32, "little"))]:
        k = int.from_bytes(hashlib.sha512(r + public + message()).digest(), "little")
        s = k * ed25519_scalar(SEED) % L
        write(f"small_order_r_{name}", "refused", "R is the identity and the equation holds", r + s.to_bytes(32, "little"))
    # keys of small order: R = identity, s = 0 verifies wherever H(R, A, M) A is the identity
    order8 = int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little")
    assert on_curve(order8)
    small = {
        "identity": 1,
        "order_2": P - 1,
        "order_4": 0,
        "order_8": order8,
        "identity_not_canonical": P + 1,
        "order_4_not_canonical": P,
    }
    for name, y in small.items():
        write(f"key_{name}", "key_refused", "a key of small order, under which zero signs", IDENTITY + bytes(32), y.to_bytes(32, "little"))
    write("key_identity_negative_zero", "key_refused", "x = 0 with the sign bit set", IDENTITY + bytes(32), (1 | 1 << 255).to_bytes(32, "little"))
    unreduced = next(P + y for y in range(2, 19) if on_curve(y))
    write("key_not_canonical", "key_refused", "y past the field's prime", good, unreduced.to_bytes(32, "little"))
    off = next(y for y in range(2, 100) if not on_curve(y))
    write("key_off_curve", "key_refused", "no such point", good, off.to_bytes(32, "little"))


# --- opening messages ---------------------------------------------------------------------------

API_SECRET = "-----BEGIN KEY-----\nc2VjcmV0/+==\n-----END KEY-----\n"


def openings():
    folder = Folder("opening")
    key = Ed25519PrivateKey.from_private_bytes(SEED)

    def account(label="main", credentials=None, **more):
        credentials = {} if credentials is None else credentials
        return {
            "label": label,
            "venue": "binance",
            "market": "spot",
            "credentials": {"api_key": "example-api-key", "api_secret": "NotASecret/example==", "passphrase": None, **credentials},
            "symbols": ["BTCUSDT", "ETHUSDT"],
            **more,
        }

    def body(**more):
        return {
            "v": 1,
            "request_nonce": b64(REQUEST_NONCE),
            "attested_at": TIMESTAMP,
            "ttl_secs": 3600,
            "base_currency": "USD",
            "portfolio_key": b64(raw(key.public_key())),
            "action": "open",
            "accounts": [account()],
            **more,
        }

    def write(name, expect, comment, message=None, text=None, action=None, id=None, at=None, **more):
        text = compact(message) if text is None else text
        action = (json.loads(text).get("action", "open") if action is None and expect != "malformed" else action) or "open"
        at = json.loads(text)["attested_at"] if at is None and expect != "malformed" else at
        signed = (
            DOMAIN
            + action.encode()
            + b"\0"
            + (key_id() if id is None else id)
            + EPHEMERAL_PUB
            + struct.pack(">Q", TIMESTAMP if at is None else at)
            + sha256(text.encode())
        )
        folder.write(
            name,
            expect,
            comment,
            key_id=key_id(),
            ephemeral_pub=EPHEMERAL_PUB,
            signature=key.sign(signed),
            body=text,
            **more,
        )

    good = body()
    write("opens", "opens", "one account", good, accounts=1, secret=good["accounts"][0]["credentials"]["api_secret"].encode())
    write("any_field_order", "opens", "fields in reverse", dict(reversed(good.items())), accounts=1)
    write("white_space", "opens", "between tokens it is JSON's business", text=json.dumps(good), accounts=1)
    write("sixteen_accounts", "opens", "as many as there may be", body(accounts=[account(f"a{n}") for n in range(16)]), accounts=16)
    pem = body(accounts=[account(credentials={"api_secret": API_SECRET, "passphrase": "two words \"\\"})])
    write("escapes", "opens", "a PEM key, and a passphrase with a quote and a backslash", pem, accounts=1, secret=API_SECRET.encode(), passphrase=b'two words "\\')
    escaped = compact(good).replace("NotA", "\\u004e\\u006f\\u0074\\u0041")
    write("unicode_escapes", "opens", "the same secret in other JSON", text=escaped, accounts=1, secret=good["accounts"][0]["credentials"]["api_secret"].encode())
    write("slash_escape", "opens", "a slash escaped, as PHP does", text=compact(pem).replace("/", "\\/"), accounts=1, secret=API_SECRET.encode())
    write("no_symbols", "opens", "an exchange that needs none", body(accounts=[account(symbols=[])]), accounts=1)
    write("shortest_ttl", "opens", "five minutes", body(ttl_secs=300), accounts=1)
    write("longest_ttl", "opens", "seven days", body(ttl_secs=604800), accounts=1)
    limits = account("l" * 32, {"api_key": "k" * 256, "api_secret": "s" * 4096, "passphrase": "p" * 256}, venue="v" * 24, market="m" * 24, symbols=[f"S{n:031}" for n in range(128)])
    write("at_every_limit", "opens", "every text as long as it may be", body(accounts=[limits], base_currency="A" * 12), accounts=1)

    # schema
    write("unknown_field", "malformed", "one field more", body(note=""))
    for name in good:
        write(f"missing_{name}", "malformed", f"no {name}", {k: v for k, v in good.items() if k != name})
        write(f"duplicate_{name}", "malformed", f"{name} twice", text=compact(good)[:-1] + "," + compact({name: good[name]})[1:])
    for name in account():
        write(f"account_missing_{name}", "malformed", f"no {name}", body(accounts=[{k: v for k, v in account().items() if k != name}]))
    for name in account()["credentials"]:
        credentials = {k: v for k, v in account()["credentials"].items() if k != name}
        write(f"credentials_missing_{name}", "malformed", f"no {name}", body(accounts=[account(credentials=None) | {"credentials": credentials}]))
        text = compact(good).replace('"api_key"', f'"{name}":{compact(account()["credentials"][name])},"api_key"', 1)
        write(f"credentials_duplicate_{name}", "malformed", f"{name} twice", text=text)
    write("account_unknown_field", "malformed", "one field more in an account", body(accounts=[account(testnet=False)]))
    write("credentials_unknown_field", "malformed", "one field more in credentials", body(accounts=[account(credentials={"uid": "1"})]))
    write("account_as_list", "malformed", "an account's values as a list", body(accounts=[list(account().values())]))
    write("credentials_as_list", "malformed", "credentials' values as a list", body(accounts=[account() | {"credentials": list(account()["credentials"].values())}]))
    write("v_2", "malformed", "version 2", body(v=2))
    write("unknown_action", "malformed", "an action nobody knows", body(action="close"))
    write("action_as_object", "malformed", "an action as an object", body(action={"open": None}))
    write("api_key_is_number", "malformed", "a number for a text", body(accounts=[account(credentials={"api_key": 1})]))
    write("api_key_is_null", "malformed", "null for a text", body(accounts=[account(credentials={"api_key": None})]))
    write("api_secret_is_object", "malformed", "an object for a text", body(accounts=[account(credentials={"api_secret": {}})]))
    write("secret_not_ascii", "malformed", "an escape past ASCII in a secret", text=compact(good).replace("NotA", "\\u00e4"))
    write("secret_surrogates", "malformed", "surrogates in a secret", text=compact(good).replace("NotA", "\\ud83d\\ude00"))
    write("portfolio_key_small", "malformed", "a portfolio key of small order", body(portfolio_key=b64(IDENTITY)))
    write("portfolio_key_url", "malformed", "a portfolio key in the URL alphabet", body(portfolio_key=b64(raw(key.public_key())).replace("/", "_").replace("+", "-")))
    write("negative_time", "malformed", "attested_at below zero", body(attested_at=-1))
    write("float_ttl", "malformed", "ttl_secs is 3600.0", text=compact(good).replace("3600", "3600.0"))
    write("trailing_bytes", "malformed", "another value follows", text=compact(good) + "{}")
    write("nested_deeply", "malformed", "a value nested past the limit", text=compact(good).replace('"USD"', "[" * 40 + "]" * 40))

    # signature
    write("other_action_signed", "signature", "signed to erase, says open", good, action="erase")
    write("other_key_id_signed", "signature", "signed for another enclave", good, id=key_id(2))
    write("other_time_signed", "signature", "signed for another attestation", good, at=TIMESTAMP + 1)
    other = raw(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    write("other_portfolio", "signature", "names the portfolio of somebody else", body(portfolio_key=b64(other)))

    # bounds
    def out(name, field, comment, message):
        write(name, f"out_of_bounds {field}", comment, message)

    for action in ("renew", "claim", "erase"):
        out(f"action_{action}", "action", "signed, and not for opening", body(action=action))
    out("ttl_too_short", "ttl_secs", "a second short of five minutes", body(ttl_secs=299))
    out("ttl_too_long", "ttl_secs", "a second past seven days", body(ttl_secs=604801))
    out("ttl_zero", "ttl_secs", "no time at all", body(ttl_secs=0))
    out("no_accounts", "accounts", "an empty list", body(accounts=[]))
    out("seventeen_accounts", "accounts", "one too many", body(accounts=[account(f"a{n}") for n in range(17)]))
    for name, text in [("empty", ""), ("short", "U"), ("lower_case", "usd"), ("long", "A" * 13), ("other", "US D")]:
        out(f"base_currency_{name}", "base_currency", repr(text), body(base_currency=text))
    for name, text in [("empty", ""), ("long", "l" * 33), ("space_first", " a"), ("space_last", "a "), ("control", "a\u001bb"), ("not_ascii", "k\u00f6nto"), ("slash", "a/b"), ("markup", "<b>")]:
        out(f"label_{name}", "label", repr(text), body(accounts=[account(text)]))
    out("label_twice", "label", "two accounts of one label", body(accounts=[account(), account()]))
    for name, text in [("empty", ""), ("upper_case", "Binance"), ("dot", "api.binance.com"), ("long", "v" * 25)]:
        out(f"venue_{name}", "venue", repr(text), body(accounts=[account(venue=text)]))
        out(f"market_{name}", "market", repr(text), body(accounts=[account(market=text)]))
    for name, symbols in [("empty", [""]), ("long", ["S" * 33]), ("twice", ["BTCUSDT", "BTCUSDT"]), ("query", ["A&b=c"]), ("many", [f"S{n}" for n in range(129)])]:
        out(f"symbol_{name}", "symbols", "a symbol that is no symbol, or too many", body(accounts=[account(symbols=symbols)]))
    for field, long, bad in [("api_key", 257, ["", "two words", "line\nbreak", "k\u007f"]), ("api_secret", 4097, ["", "tab\tstop", "carriage\rreturn"]), ("passphrase", 257, ["", "line\nbreak"])]:
        out(f"{field}_long", field, "one byte too long", body(accounts=[account(credentials={field: "k" * long})]))
        for n, text in enumerate(bad):
            out(f"{field}_bad_{n}", field, repr(text), body(accounts=[account(credentials={field: text})]))


# --- signed reports -----------------------------------------------------------------------------

N384 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
PAYLOAD_TYPE = "application/vnd.performance-aggregator.report+json"
ISSUED_AT = 1768464000
REPORT_SEED = bytes(range(0x80, 0xA0))
DEPLOYMENT = {
    "v": 1,
    "venues": ["binance"],
    "max_sessions": 100,
    "trust": {
        "kms_key_arn": None,
        "kms_region": None,
        "escrow": False,
        "allow_trading_keys": False,
        "allow_unreadable_permissions": False,
        "operator_can_read": False,
        "role_root_key": None,
    },
}
PCRS = {n: sha384(b"pcr%d" % n) if n < 3 else bytes(48) for n in range(16)}


def head(major, value):
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << 8 * size:
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise ValueError(value)


def cbor(value):
    """RFC 8949, shortest heads, definite lengths, maps in the order given."""
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    raise TypeError(value)


class Pki:
    """Shaped like AWS's: root, region, zone, instance, enclave; P-384 throughout."""

    NAMES = ("root", "region", "zone", "instance", "enclave")

    def __init__(self, seed):
        self.keys = [
            ec.derive_private_key(int.from_bytes(sha384(seed + n.encode()), "big") % (N384 - 1) + 1, ec.SECP384R1())
            for n in self.NAMES
        ]
        start = datetime.datetime.fromtimestamp(ISSUED_AT, datetime.timezone.utc) - datetime.timedelta(hours=1)
        lives = (3650, 20, 6, 1, 0.125)
        self.certificates = [self.certificate(n, start, datetime.timedelta(days=lives[n]), seed) for n in range(5)]

    def certificate(self, n, start, life, seed):
        name = lambda n: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {self.NAMES[n]}")])
        ca = n < 4
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(n))
            .issuer_name(name(max(n - 1, 0)))
            .public_key(self.keys[n].public_key())
            .serial_number(int.from_bytes(sha256(seed + bytes([n]))[:8], "big") | 1)
            .not_valid_before(start)
            .not_valid_after(start + life)
            .add_extension(x509.BasicConstraints(ca, None if n in (0, 4) else 3 - n), critical=True)
            .add_extension(
                x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=ca
            )
        )
        signer = self.keys[max(n - 1, 0)]
        signed = builder.sign(signer, hashes.SHA384(), ecdsa_deterministic=True)
        return signed.public_bytes(Encoding.DER)

    def document(self, low_s=True, **fields):
        payload = {
            "module_id": "i-0000000000000000a-enc0000000000000000",
            "digest": "SHA384",
            "timestamp": ISSUED_AT * 1000,
            "pcrs": PCRS,
            "certificate": self.certificates[4],
            "cabundle": self.certificates[:4],
            "public_key": None,
            "user_data": None,
            "nonce": None,
            **fields,
        }
        body = b"\xbf" + b"".join(cbor(k) + cbor(v) for k, v in payload.items()) + b"\xff"
        protected = cbor({1: None}).replace(b"\xf6", b"\x38\x22")
        signed = cbor(["Signature1", protected, b"", body])
        algorithm = ec.ECDSA(hashes.SHA384(), deterministic_signing=True)
        r, s = decode_dss_signature(self.keys[4].sign(signed, algorithm))
        s = min(s, N384 - s) if low_s else max(s, N384 - s)
        signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        return b"\x84" + cbor(protected) + b"\xa0" + cbor(body) + cbor(signature)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pae(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def reports():
    folder = Folder("report")
    pki = Pki(b"reports")
    portfolio = raw(Ed25519PrivateKey.from_private_bytes(SEED).public_key())
    good_payload = {
        "schema": "performance-aggregator/report/1",
        "simulated": True,
        "issued_at": "2026-01-15T08:00:00Z",
        "release": "0.1.0",
        "portfolio_id": sha256(portfolio).hex(),
        "portfolio_key": b64(portfolio),
        "base_currency": "USD",
        "session": {"started_at": "2026-01-15T07:00:00Z", "expires_at": "2026-01-16T07:00:00Z"},
        "period": {"start": "2026-01-15T07:00:00Z", "end": "2026-01-15T07:55:00Z"},
        "accounts": [
            {
                "id": "binance-spot",
                "label": "main",
                "venue": "binance",
                "market": "spot",
                "identity": {"kind": "uid", "value": "354937868"},
                "opened_at": "2026-01-15T07:00:00Z",
                "closed_at": None,
                "end_reason": None,
            }
        ],
        "rate_sources": [{"pair": "USDT/USD", "source": "kraken"}],
        "results": {
            "returns": {"twr": "-0.015539429223", "subperiods": 20, "twr_annualized": None, "wiped_out": False},
            "portfolio": {"by_asset": [{"asset": "BTC", "quantity": "0.25"}]},
            "flags": ["risk.insufficient_history"],
        },
        "series": {
            "days": [
                {"day": "2026-01-14", "index": None, "drawdown": None, "expected_ticks": 4, "complete_ticks": 0},
                {
                    "day": "2026-01-15",
                    "index": "0.984460570777",
                    "drawdown": "0.015539429223",
                    "expected_ticks": 97,
                    "complete_ticks": 96,
                },
            ]
        },
        "methods": {"returns.twr": {"id": "twr/dietz-tick/1", "unit": "ratio"}},
    }

    def report(
        payload=good_payload,
        payload_bytes=None,
        payload_type=PAYLOAD_TYPE,
        deployment=DEPLOYMENT,
        deployment_bytes=None,
        purpose="report",
        user=None,
        fields=None,
        bundle=None,
        nonce=None,
        signer=REPORT_SEED,
        signed=None,
        low_s=True,
        pki=pki,
        wrap=lambda document: document,
        **more,
    ):
        payload = canonical(payload) if payload_bytes is None else payload_bytes
        deployment = json.dumps(deployment, indent=1).encode() if deployment_bytes is None else deployment_bytes
        key = Ed25519PrivateKey.from_private_bytes(REPORT_SEED)
        to_sign = pae(payload_type, payload)
        user_data = {
            "v": 1,
            "purpose": purpose,
            "ed25519": raw(key.public_key()),
            "tls_spki_sha256": sha256(b"tls"),
            "deployment_sha256": sha256(deployment),
            "post_quantum_sha256": None,
            "log": None,
            **(user or {}),
        }
        document = pki.document(
            low_s,
            **{
                "pcrs": {**PCRS, 16: sha384(bytes(48) + sha384(deployment))},
                "public_key": ENCLAVE_PUB,
                "user_data": cbor(user_data),
                "nonce": sha256(to_sign) if nonce is None else nonce,
                **(fields or {}),
            },
        )
        return {
            "attestation": b64(wrap(document)),
            "dsse": {
                "payload": b64(payload),
                "payloadType": payload_type,
                "signatures": [{"sig": b64(Ed25519PrivateKey.from_private_bytes(signer).sign(to_sign if signed is None else signed))}],
            },
            "key_bundle": {"v": 1, "x25519": b64(ENCLAVE_PUB), "ed25519": b64(raw(key.public_key())), "deployment": b64(deployment), **(bundle or {})},
            "log": None,
            "v": 1,
            **more,
        }

    def write(name, expect, comment, message=None, text=None):
        folder.write(name, expect, comment, report=canonical(message).decode() if text is None else text)

    def payload(**more):
        return {**good_payload, **more}

    good = report()
    write("verifies", "verifies", "a report", good)
    (folder.path / "report.json").write_bytes(canonical(good))
    (folder.path / "root.der").write_bytes(pki.certificates[0])
    (folder.path / "measurements.json").write_text(
        json.dumps({"v": 1, "version": "0.1.0", "simulated": True, **{f"pcr{n}": PCRS[n].hex() for n in range(3)}}) + "\n"
    )
    write("issued_minute_before", "verifies", "issued exactly 60 s before the document", report(payload(issued_at="2026-01-15T07:59:00Z")))
    write("issued_minute_after", "verifies", "issued exactly 60 s after the document", report(payload(issued_at="2026-01-15T08:01:00Z")))
    write("other_text", "verifies", "texts past ASCII in the results, sorted by UTF-16", text=json.dumps(report(payload_bytes=unicode_payload(good_payload)), sort_keys=True, separators=(",", ":")))

    # the file
    write("white_space", "canonical", "spaces between tokens", text=json.dumps(good, sort_keys=True))
    write("other_order", "canonical", "fields in another order", text=compact(dict(reversed(sorted(good.items())))))
    write("escaped_slash", "canonical", "JSON's other escape", text=canonical(good).decode().replace("application/", "application\\/"))
    write("escaped_letter", "canonical", "a letter as an escape", text=canonical(good).decode().replace("application/", "\\u0061pplication/"))
    write("unknown_field", "canonical", "one field more", {**good, "note": ""})
    write("duplicate_field", "canonical", "v twice", text=canonical(good).decode()[:-1] + ',"v":1}')
    write("key_id", "canonical", "a keyid, which nothing would sign", {**good, "dsse": {**good["dsse"], "signatures": [{"keyid": "", **good["dsse"]["signatures"][0]}]}})
    write("two_signatures", "canonical", "the signature twice", {**good, "dsse": {**good["dsse"], "signatures": good["dsse"]["signatures"] * 2}})
    write("no_signature", "canonical", "no signature", {**good, "dsse": {**good["dsse"], "signatures": []}})
    write("log_object", "canonical", "a log where there is none", {**good, "log": {}})
    write("log_missing", "canonical", "no log field", {k: v for k, v in good.items() if k != "log"})
    write("v_2", "canonical", "version 2", {**good, "v": 2})
    assert set("+/") & set(good["dsse"]["signatures"][0]["sig"]), "nothing to write in the other alphabet"
    write("sig_url_alphabet", "canonical", "RFC 4648 5 for 4", text=canonical(good).decode().replace(good["dsse"]["signatures"][0]["sig"], good["dsse"]["signatures"][0]["sig"].replace("/", "_").replace("+", "-")))
    padded = next(text for text in (canonical(report(payload(release="0.1.0" + "-" * n))).decode() for n in range(3)) if '==","payloadType"' in text)
    write("payload_no_padding", "canonical", "= cut off", text=padded.replace('==","payloadType"', '","payloadType"'))
    write("other_payload_type", "payload_type", "signed and attested under another type", report(payload_type="application/json"))

    # the document
    write("tagged", "document_form", "the document in a COSE tag", report(wrap=lambda document: b"\xd2" + document))
    write("high_s", "document_form", "the other signature of the same document", report(low_s=False))
    write("other_root", "document 22", "under another root", report(pki=Pki(b"others")))
    write("other_pcr0", "document 30", "another image", report(fields={"pcrs": {**PCRS, 0: sha384(b"other"), 16: sha384(bytes(48) + sha384(json.dumps(DEPLOYMENT, indent=1).encode()))}}))
    write("debug", "document 31", "debug mode: PCR0 to PCR2 are zero", report(fields={"pcrs": {**{n: bytes(48) for n in range(16)}, 16: sha384(bytes(48) + sha384(json.dumps(DEPLOYMENT, indent=1).encode()))}}))
    write("document_trailing", "document 1", "zeros after the document", report(wrap=lambda document: document + bytes(48)))
    write("leaf_expired", "document 25", "made after its certificate ended", report(payload(issued_at="2026-01-15T12:00:00Z"), fields={"timestamp": (ISSUED_AT + 4 * 3600) * 1000}))
    write("purpose_session", "document 33", "a document for sessions", report(purpose="session"))
    write("nonce_of_other", "document 32", "the document of another report", report(nonce=sha256(b"other")))
    write("nonce_missing", "document 32", "a document without a nonce", report(fields={"nonce": None}))
    write("nonce_of_payload", "document 32", "SHA-256 of the payload, not of its PAE", report(nonce=sha256(canonical(good_payload))))

    # the keys and the configuration
    other = raw(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    write("other_signing_key", "signing_key", "signed by the bundle's key, which is not the document's", report(bundle={"ed25519": b64(other)}, signer=bytes(32)))
    write("other_encryption_key", "encryption_key", "the bundle's key is not the document's", report(bundle={"x25519": b64(EPHEMERAL_PUB)}))
    write("other_deployment", "document 33", "another configuration", report(user={"deployment_sha256": sha256(b"other")}))
    write("other_pcr16", "document 33", "PCR16 of another configuration", report(fields={"pcrs": {**PCRS, 16: sha384(b"other")}}))
    write("no_pcr16", "document 33", "no PCR16", report(fields={"pcrs": PCRS}))
    trust = DEPLOYMENT["trust"]
    for name in ("allow_trading_keys", "allow_unreadable_permissions", "operator_can_read"):
        write(f"forbidden_{name}", f"forbidden {name}", "a configuration that is not accepted by default", report(deployment={**DEPLOYMENT, "trust": {**trust, name: True}}))
    write("forbidden_escrow", "forbidden escrow", "a configuration that is not accepted by default", report(deployment={**DEPLOYMENT, "trust": {**trust, "escrow": True, "operator_can_read": True}}))
    for name, deployment in [
        ("unknown_field", {**DEPLOYMENT, "debug": True}),
        ("escrow_unread", {**DEPLOYMENT, "trust": {**trust, "escrow": True}}),
        ("region_alone", {**DEPLOYMENT, "trust": {**trust, "kms_region": "eu-central-1"}}),
        ("no_venues", {**DEPLOYMENT, "venues": []}),
        ("trust_incomplete", {**DEPLOYMENT, "trust": {k: v for k, v in trust.items() if k != "escrow"}}),
    ]:
        write(f"deployment_{name}", "deployment", "a configuration of another schema, or in contradiction", report(deployment=deployment))

    # the signature
    write("other_signer", "signature", "signed by another key", report(signer=bytes(32)))
    write("payload_signed_bare", "signature", "the payload signed without PAE", report(signed=canonical(good_payload)))
    sig = base64.b64decode(good["dsse"]["signatures"][0]["sig"])
    again = sig[:32] + (int.from_bytes(sig[32:], "little") + L).to_bytes(32, "little")
    write("s_plus_order", "signature", "s + L: the same equation, another encoding", {**good, "dsse": {**good["dsse"], "signatures": [{"sig": b64(again)}]}})
    write("zero_signature", "signature", "64 zero bytes", {**good, "dsse": {**good["dsse"], "signatures": [{"sig": b64(bytes(64))}]}})

    # the payload: signed and attested all the same
    write("payload_white_space", "payload", "spaces in the payload", report(payload_bytes=json.dumps(good_payload, sort_keys=True).encode()))
    write("payload_order", "payload", "the payload's fields in another order", report(payload_bytes=compact(dict(reversed(sorted(good_payload.items())))).encode()))
    write("payload_unknown_field", "payload", "one field more in the payload", report(payload(note="")))
    write("payload_duplicate", "payload", "a key twice in the results", report(payload_bytes=canonical(good_payload).replace(b'"wiped_out":false', b'"wiped_out":false,"wiped_out":false')))
    write("payload_float", "payload", "a float in the results", report(payload(results={"twr": 0.5})))
    write("payload_big_integer", "payload", "an integer past 2^53 - 1", report(payload(results={"trades": 2**53})))
    write("payload_results_list", "payload", "results that are no object", report(payload(results=[])))
    write("payload_schema", "payload", "another schema", report(payload(schema="performance-aggregator/report/2")))
    write("payload_time", "payload", "another text of the same instant", report(payload(issued_at="2026-01-15T08:00:00.000Z")))
    write("payload_time_zone", "payload", "an instant in another zone", report(payload(issued_at="2026-01-15T09:00:00+01:00")))
    write("payload_portfolio_id", "payload", "not the hash of the key", report(payload(portfolio_id=sha256(b"other").hex())))
    write("payload_portfolio_key", "payload", "a key of small order", report(payload(portfolio_key=b64(IDENTITY), portfolio_id=sha256(IDENTITY).hex())))
    write("payload_hex_case", "payload", "upper-case hexadecimal", report(payload(portfolio_id=sha256(portfolio).hex().upper())))
    account = good_payload["accounts"][0]
    write("payload_account_twice", "payload", "one account id twice", report(payload(accounts=[account, account])))
    write("payload_account_closed", "payload", "closed without a reason", report(payload(accounts=[{**account, "closed_at": "2026-01-15T07:30:00Z"}])))
    write("payload_control", "payload", "a control character in a label", report(payload(accounts=[{**account, "label": "a\u001bb"}])))
    write("payload_period", "payload", "a period that ends before it starts", report(payload(period={"start": "2026-01-15T07:00:00Z", "end": "2026-01-15T06:00:00Z"})))
    write("payload_method_twice", "payload", "a method twice", report(payload_bytes=canonical(good_payload).replace(b'"methods":{', b'"methods":{"returns.twr":{"id":"x","unit":"x"},')))
    write("payload_session", "payload", "a session that ends as it starts", report(payload(session={"started_at": "2026-01-15T07:00:00Z", "expires_at": "2026-01-15T07:00:00Z"})))
    write("payload_base_currency", "payload", "no asset code", report(payload(base_currency="usd")))
    write("payload_release", "payload", "an empty release", report(payload(release="")))
    write("payload_rate", "payload", "a control character in a rate source", report(payload(rate_sources=[{"pair": "A/B\n", "source": "x"}])))
    write("payload_rate_source", "payload", "an empty rate source", report(payload(rate_sources=[{"pair": "A/B", "source": ""}])))
    write("payload_method_unit", "payload", "a method without a unit", report(payload(methods={"a": {"id": "x", "unit": ""}})))
    write("payload_identity", "payload", "an identity of a kind nobody knows", report(payload(accounts=[{**account, "identity": {"kind": "name", "value": "x"}}])))
    write("payload_many_methods", "payload", "257 methods", report(payload(methods={f"m{n}": {"id": "x", "unit": "x"} for n in range(257)})))
    empty, full = good_payload["series"]["days"]
    for name, says, days in [
        ("gap", "a day left out of the series", [{**empty, "day": "2026-01-13"}, full]),
        ("order", "a series that goes back", [full, empty]),
        ("twice", "a day twice in the series", [empty, empty]),
        ("day", "a day that is not in the calendar", [{**full, "day": "2026-02-30"}]),
        ("day_form", "a day in another form", [{**full, "day": "20260115"}]),
        ("sign", "an index below zero", [{**full, "index": "-0.984460570777"}]),
        ("exponent", "an index with an exponent", [{**full, "index": "9.8e-1"}]),
        ("number", "an index that is no string", [{**full, "index": 1}]),
        ("long", "an index longer than a decimal", [{**full, "index": "0." + "1" * 30}]),
        ("half", "an index without a drawdown", [{**full, "drawdown": None}]),
        ("no_ticks", "an index on a day without a complete tick", [{**full, "complete_ticks": 0}]),
        ("unknown_field", "a field more in a day", [{**full, "note": ""}]),
    ]:
        write("payload_series_" + name, "payload", says, report(payload(series={"days": days})))
    write("payload_series_missing", "payload", "no series", report({k: v for k, v in good_payload.items() if k != "series"}))
    write("payload_deep", "payload", "nested past the limit", report(payload_bytes=canonical(payload(results={"a": 0})).replace(b'"a":0', b'"a":' + b"[" * 20 + b"]" * 20)))
    write("payload_not_utf8", "payload", "a byte that is not UTF-8", report(payload_bytes=canonical(good_payload).replace(b"main", b"ma\xffn")))

    write("payload_not_simulated", "simulated", "under a simulator's root, and does not say so", report(payload(simulated=False)))

    # the moment
    write("issued_too_early", "issued_at", "issued 60.001 s before the document", report(payload(issued_at="2026-01-15T07:58:59.999Z")))
    write("issued_too_late", "issued_at", "issued 60.001 s after the document", report(payload(issued_at="2026-01-15T08:01:00.001Z")))


def unicode_payload(payload):
    """U+1F600 is above U+FF21 by code point and below it by UTF-16 code unit (RFC 8785 3.2.3)."""
    results = '{"A\u00e9":"\u00e9","\U0001f600":1,"\uff21":2}'
    return canonical({**payload, "results": "X"}).replace(b'"X"', results.encode(), 1)


# --- a live document ----------------------------------------------------------------------------


def live():
    """What `GET /attestation` answers, for the test that seals to it."""
    folder = Folder("live")
    pki = Pki(b"live")
    signing_key = raw(Ed25519PrivateKey.from_private_bytes(REPORT_SEED).public_key())
    for name, trust in [("reply", {}), ("reply_operator_can_read", {"operator_can_read": True})]:
        deployment = compact({**DEPLOYMENT, "trust": {**DEPLOYMENT["trust"], **trust}}).encode()
        document = pki.document(
            pcrs={**PCRS, 16: sha384(bytes(48) + sha384(deployment))},
            public_key=ENCLAVE_PUB,
            user_data=cbor(
                {
                    "v": 1,
                    "purpose": "session",
                    "ed25519": signing_key,
                    "tls_spki_sha256": sha256(b"tls"),
                    "deployment_sha256": sha256(deployment),
                    "post_quantum_sha256": None,
                    "log": None,
                }
            ),
            nonce=REQUEST_NONCE,
        )
        bundle = {"v": 1, "x25519": b64(ENCLAVE_PUB), "ed25519": b64(signing_key), "deployment": b64(deployment)}
        reply = compact({"document": b64(document), "key_bundle": bundle})
        (folder.path / f"{name}.json").write_text(reply + "\n")
    (folder.path / "root.der").write_bytes(pki.certificates[0])


if __name__ == "__main__":
    envelopes()
    replies()
    requests()
    portfolios()
    openings()
    reports()
    live()
