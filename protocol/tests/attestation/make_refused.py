#!/usr/bin/env python3
"""Writes refused.jsonl: documents that each break one rule of docs/verify.md, and accepted ones
at the edges of the same rules.

    pip install cryptography    (48 was used; nothing else but the standard library)
    python3 protocol/tests/attestation/make_refused.py            writes the file
    python3 protocol/tests/attestation/make_refused.py --check    regenerates and compares

None of our code is used: CBOR and DER are written by hand here, so that every malformation can be
written too, and the signatures are OpenSSL's. Deterministic: private keys are hashes of labels,
ECDSA is that of RFC 6979, serials and times are fixed. Every document is signed over what it
says, so that nothing but the rule it breaks can refuse it. README.md has the file's fields.
"""

import base64
import hashlib
import json
import pathlib
import sys
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OUT = pathlib.Path(__file__).resolve().parent / "refused.jsonl"

#: 2026-02-02T02:40:00Z, when the documents are made unless they say otherwise.
NOW = 1_770_000_000
HOUR = 3600
DAY = 24 * HOUR
#: The order of P-384 (SP 800-186, 3.2.1.4).
N384 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


# CBOR (RFC 8949)


def head(major, value, width=None):
    """The head of an item; `width` bytes of argument instead of the fewest."""
    if width is None:
        width = 0 if value < 24 else 1 if value < 2**8 else 2 if value < 2**16 else 4 if value < 2**32 else 8
    info = {0: value, 1: 24, 2: 25, 4: 26, 8: 27}[width]
    return bytes([major << 5 | info]) + (value.to_bytes(width, "big") if width else b"")


def uint(value, width=None):
    return head(0, value, width)


def bstr(data, width=None):
    return head(2, len(data), width) + data


def text(data, width=None):
    data = data.encode() if isinstance(data, str) else data
    return head(3, len(data), width) + data


def array(items, width=None):
    return head(4, len(items), width) + b"".join(items)


def cmap(pairs, width=None):
    return head(5, len(pairs), width) + b"".join(key + value for key, value in pairs)


def indefinite(major, items):
    return bytes([major << 5 | 31]) + b"".join(items) + b"\xff"


def tag(number, item, width=None):
    return head(6, number, width) + item


FALSE, TRUE, NULL, UNDEFINED = b"\xf4", b"\xf5", b"\xf6", b"\xf7"


# DER (X.690)


def der(kind, *contents, long_form=False):
    content = b"".join(contents)
    size = len(content)
    if long_form:
        length = b"\x84" + size.to_bytes(4, "big")
    elif size < 128:
        length = bytes([size])
    elif size < 256:
        length = bytes([0x81, size])
    else:
        length = b"\x82" + size.to_bytes(2, "big")
    return bytes([kind]) + length + content


def sequence(*items, **form):
    return der(0x30, *items, **form)


def integer(value):
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytes([40 * first + second])
    for part in rest:
        septets = [part & 0x7F]
        while part := part >> 7:
            septets.append(part & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return der(0x06, out)


def bits(data, unused=0):
    return der(0x03, bytes([unused]), data)


def octets(data):
    return der(0x04, data)


def utc(at):
    return der(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(at)).encode())


def generalized(at):
    return der(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at)).encode())


def name(common):
    return sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0C, common.encode()))))


DER_TRUE = b"\x01\x01\xff"
ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
ECDSA_SHA384 = sequence(oid("1.2.840.10045.4.3.3"))
ECDSA_SHA512 = sequence(oid("1.2.840.10045.4.3.4"))
EC_KEY = oid("1.2.840.10045.2.1")
P384 = oid("1.3.132.0.34")
BASIC_CONSTRAINTS = "2.5.29.19"
KEY_USAGE = "2.5.29.15"


# keys and certificates


def key(label, curve=None):
    size, order = (48, N384) if curve is None else (32, 2**255)
    number = int.from_bytes(hashlib.sha384(label.encode()).digest()[:size], "big") % (order - 1) + 1
    return ec.derive_private_key(number, curve or ec.SECP384R1())


def point(private, form=PublicFormat.UncompressedPoint):
    return private.public_key().public_bytes(Encoding.X962, form)


def spki(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(private, data, algorithm=None):
    return private.sign(data, ec.ECDSA(algorithm or hashes.SHA384(), deterministic_signing=True))


def extension(number, value, critical=False):
    return sequence(oid(number), DER_TRUE if critical else b"", octets(value))


def constraints(ca, path_len=None):
    return sequence(DER_TRUE if ca else b"", integer(path_len) if path_len is not None else b"")


def usage(*numbers):
    value = sum(1 << 15 - number for number in numbers).to_bytes(2, "big")
    value = value.rstrip(b"\0")
    if not value:
        return bits(b"")
    unused = (value[-1] & -value[-1]).bit_length() - 1
    return bits(value, unused)


#: keyUsage bits (RFC 5280, 4.2.1.3)
DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_AGREEMENT, KEY_CERT_SIGN, CRL_SIGN = 0, 1, 4, 5, 6

LEVELS = ["root", "regional", "zonal", "instance", "leaf"]
#: When each is valid, and its pathLen: as AWS has them.
SPAN = {
    "root": (NOW - 2000 * DAY, NOW + 8000 * DAY, None),
    "regional": (NOW - 3 * DAY, NOW + 17 * DAY, 2),
    "zonal": (NOW - 2 * DAY, NOW + 4 * DAY, 1),
    "instance": (NOW - 5 * HOUR, NOW + 19 * HOUR, 0),
    "leaf": (NOW - HOUR, NOW + 2 * HOUR, None),
}
SAME = object()


def certificate(
    level,
    *,
    subject=None,
    issuer,
    signer,
    private,
    serial=None,
    not_before=None,
    not_after=None,
    times=None,
    ca=None,
    path_len=SAME,
    constraints_critical=None,
    constraints_value=None,
    usages=None,
    usage_critical=None,
    usage_value=None,
    more=(),
    extensions=None,
    version=sequence,
    algorithm=None,
    inner=ECDSA_SHA384,
    outer=ECDSA_SHA384,
    key_info=None,
    subject_item=None,
    extensions_item=None,
    serial_der=None,
    tbs_end=b"",
    tbs_long=False,
    outer_long=False,
    sign_as=None,
    signature=None,
    unused=0,
    end=b"",
    after=b"",
):
    """One certificate of the shape of `level`, with whatever is asked to be otherwise."""
    leaf = level == "leaf"
    span = SPAN.get(level, SPAN["instance"])
    ca = not leaf if ca is None else ca
    path_len = span[2] if path_len is SAME else path_len
    if usages is None:
        usages = (DIGITAL_SIGNATURE, NON_REPUDIATION) if leaf else (KEY_CERT_SIGN, CRL_SIGN)
    listed = []
    if constraints_value != "absent":
        value = constraints_value or constraints(ca, path_len)
        critical = True if constraints_critical is None else constraints_critical
        listed.append(extension(BASIC_CONSTRAINTS, value, critical))
    if usages != "absent":
        critical = not leaf if usage_critical is None else usage_critical
        listed.append(extension(KEY_USAGE, usage_value or usage(*usages), critical))
    listed += more
    listed = listed if extensions is None else extensions
    until = span[1] if not_after is None else not_after
    since = span[0] if not_before is None else not_before
    tbs = sequence(
        der(0xA0, integer(2)) if version is sequence else version,
        serial_der or integer(serial or 0x1000 + len(level)),
        inner,
        name(issuer),
        times or sequence(utc(since), utc(until)),
        subject_item or name(subject or level),
        key_info or spki(private),
        extensions_item or der(0xA3, sequence(*listed)),
        tbs_end,
        long_form=tbs_long,
    )
    signed = sign(sign_as or signer, tbs, algorithm)
    if signature is not None:
        signed = signature(signed)
    return sequence(tbs, outer, bits(signed, unused), end, long_form=outer_long) + after


def chain(levels=None, **changes):
    """Certificates from root to leaf. `changes` by level go to `certificate`; a level's `key` is
    the label or the private key it has."""
    levels = levels or LEVELS
    out, issuer, signer = [], None, None
    for level in levels:
        change = dict(changes.get(level, {}))
        private = change.pop("key", level)
        private = key(private) if isinstance(private, str) else private
        subject = change.get("subject") or level
        change.setdefault("issuer", issuer or subject)
        out.append(certificate(level, signer=signer or private, private=private, **change))
        issuer, signer = subject, private
    return out


BASE = chain()
ROOT = BASE[0]


# payload and envelope

NO_PCR = bytes(48)


def pcr(index):
    return hashlib.sha384(b"PCR%d" % index).digest()


#: PCR3 and 4 are not set, as in most enclaves.
PCRS = {0: pcr(0), 1: pcr(1), 2: pcr(2), 3: NO_PCR, 4: NO_PCR}
DEBUG_PCRS = {index: NO_PCR for index in range(5)}
NONCE = hashlib.sha256(b"nonce").digest()
USER_DATA = b"user data of the enclave"
PUBLIC_KEY = hashlib.sha256(b"public key").digest()


def pcr_map(values):
    return cmap([(uint(index), bstr(value)) for index, value in values.items()])


def fields(certificates=None, made=NOW * 1000, registers=None, **changes):
    """The nine fields, encoded, in the device's order. A change is the encoded value, or None to
    leave the field out."""
    certificates = certificates or BASE
    out = {
        "module_id": text("i-0-enc0"),
        "digest": text("SHA384"),
        "timestamp": uint(made),
        "pcrs": pcr_map(registers or PCRS),
        "certificate": bstr(certificates[-1]),
        "cabundle": array([bstr(one) for one in certificates[:-1]]),
        "public_key": bstr(PUBLIC_KEY),
        "user_data": bstr(USER_DATA),
        "nonce": bstr(NONCE),
    }
    out.update(changes)
    return [(text(field), value) for field, value in out.items() if value is not None]


def payload(*args, **kwargs):
    """As devices write it since 2025: an indefinite map."""
    return indefinite(5, [name + value for name, value in fields(*args, **kwargs)])


PROTECTED = bytes.fromhex("a1013822")
LEAF_KEY = key("leaf")


def raw_signature(signature):
    r, s = decode_dss_signature(signature)
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def sig_structure(protected, body, context="Signature1", aad=b""):
    return array([text(context), bstr(protected), bstr(aad), bstr(body)])


def signature_of(body, private=None, protected=PROTECTED, algorithm=None, **structure):
    data = sig_structure(protected, body, **structure)
    return raw_signature(sign(private or LEAF_KEY, data, algorithm))


def cose(body, protected=None, unprotected=None, payload_item=None, signature_item=None, signature=None):
    """The four items, each replaceable by its encoding."""
    return [
        protected or bstr(PROTECTED),
        cmap([]) if unprotected is None else unprotected,
        payload_item or bstr(body),
        signature_item or bstr(signature or signature_of(body)),
    ]


def document(*args, **kwargs):
    return array(cose(payload(*args, **kwargs)))


def of(body, private=None):
    return array(cose(body, signature=signature_of(body, private)))


def of_chain(**changes):
    certificates = chain(**changes)
    return document(certificates)


# cases

CASES = []
#: Byte strings that many documents have, by name: written once.
PARTS = {level: one for level, one in zip(LEVELS, BASE)}
PARTS["registers"] = pcr_map(PCRS)


def b64(data):
    return base64.b64encode(data).decode()


def in_parts(data):
    """`data` as a list of base64 texts and of names of parts behind an @."""
    found = [(data.find(part), part, label) for label, part in PARTS.items()]
    at, part, label = min((one for one in found if one[0] >= 0), default=(-1, b"", ""))
    if at < 0:
        return [b64(data)] if data else []
    return in_parts(data[:at]) + ["@" + label] + in_parts(data[at + len(part) :])


def case(identity, rule, data, step, at=NOW, policy=None, root=ROOT):
    assert all(identity != line["id"] for line in CASES), identity
    line = {"id": identity, "rule": rule, "step": step, "at_unix": at, "policy": policy}
    CASES.append({**line, "root": in_parts(root), "document": in_parts(data)})


def accept(identity, rule, data, **kwargs):
    case(identity, rule, data, None, **kwargs)


def refuse(step, identity, rule, data, **kwargs):
    case(f"{step:02}-{identity}", rule, data, step, **kwargs)


def flip(data, index=-1, mask=1):
    data = bytearray(data)
    data[index] ^= mask
    return bytes(data)


def envelope():
    body = payload()
    good = cose(body)
    whole = array(good)
    accept("base", "an enclave's document as devices write it today", whole)
    accept("tag-18", "2: tag 18 is optional", tag(18, whole))

    refuse(1, "empty", "no byte at all", b"")
    refuse(1, "one-byte-short", "ends one byte early", whole[:-1])
    refuse(1, "half", "ends in the middle", whole[: len(whole) // 2])
    refuse(1, "head-only", "an array's head and nothing more", whole[:1])
    refuse(1, "trailing-byte", "a byte behind the item", whole + b"\0")
    refuse(1, "trailing-break", "a break behind the item", whole + b"\xff")
    refuse(1, "twice", "the document two times", whole + whole)
    refuse(1, "too-large", "larger than any document", whole + bytes(18 * 1024 - len(whole)))
    refuse(1, "reserved-head", "a head that CBOR reserves", b"\x9c" + whole[1:])
    refuse(1, "break-as-item", "a break where the signature belongs", array(good[:3] + [b"\xff"]))
    refuse(1, "payload-beyond-input", "1, 35: the payload declares 2^63 bytes", array([good[0], good[1], head(2, 2**63) + body, good[3]]))
    refuse(1, "payload-beyond-memory", "1, 35: the payload declares 2^64 - 1 bytes", array([good[0], good[1], head(2, 2**64 - 1) + body, good[3]]))

    refuse(2, "tag-17", "tag 17, COSE_Mac0", tag(17, whole))
    refuse(2, "tag-98", "tag 98, COSE_Sign", tag(98, whole))
    refuse(2, "tag-61", "tag 61, CWT", tag(61, tag(18, whole)))
    refuse(2, "tag-self-described", "tag 55799, self-described CBOR", tag(55799, whole))
    refuse(2, "tag-18-twice", "tag 18 twice", tag(18, tag(18, whole)))
    refuse(2, "tag-18-then-other", "tag 18 and another inside", tag(18, tag(24, whole)))
    refuse(2, "tag-nest", "2, 35: tags around tags, ten thousand deep", b"\xc6" * 10_000 + whole)

    refuse(3, "three", "no signature", array(good[:3]))
    refuse(3, "five", "a fifth item", array(good + [NULL]))
    refuse(3, "none", "an empty array", array([]))
    refuse(3, "map", "a map of the four items", cmap(list(zip(map(uint, range(4)), good))))
    refuse(3, "wrapped", "the array inside a byte string", bstr(whole))
    refuse(3, "array-in-array", "the array inside an array", array([whole]))
    refuse(3, "null", "null", NULL)
    refuse(3, "declares-many", "3, 35: an array of 2^64 - 1 items", head(4, 2**64 - 1) + whole[1:])
    refuse(3, "nest", "3, 35: arrays in arrays, ten thousand deep", b"\x81" * 10_000 + b"\x80")

    def protected(identity, rule, data, item=None):
        items = cose(body, protected=item or bstr(data), signature=signature_of(body, protected=data))
        refuse(4, identity, rule, array(items))

    protected("es256", "alg -7, ES256", bytes.fromhex("a10126"))
    protected("es512", "alg -36, ES512", bytes.fromhex("a1013823"))
    protected("ps384", "alg -38, PS384", bytes.fromhex("a1013825"))
    protected("empty-map", "an empty map", b"\xa0")
    protected("empty", "an empty byte string", b"")
    protected("kid", "a second parameter", bytes.fromhex("a2013822044100"))
    protected("crit", "crit, though it names alg only", bytes.fromhex("a20138220281" "01"))
    protected("alg-twice", "alg twice", bytes.fromhex("a2013822013822"))
    protected("trailing-byte", "a byte behind the map", PROTECTED + b"\0")
    protected("long-value", "-35 in two bytes", bytes.fromhex("a101390022"))
    protected("long-label", "label 1 in one byte more", bytes.fromhex("a118013822"))
    protected("indefinite-map", "an indefinite map", bytes.fromhex("bf013822ff"))
    protected("alg-text", "alg as text", cmap([(uint(1), text("ES384"))]))
    protected("positive", "alg 35", bytes.fromhex("a1011823"))
    protected("map-itself", "the map, not in a byte string", PROTECTED, item=PROTECTED)
    protected("text", "a text of the same bytes", PROTECTED, item=b"\x64" + PROTECTED)
    protected("null", "null", b"", item=NULL)

    def unprotected(identity, rule, item):
        refuse(5, identity, rule, array(cose(body, unprotected=item)))

    unprotected("kid", "a key id", cmap([(uint(4), bstr(b"key"))]))
    unprotected("alg", "the algorithm here", PROTECTED)
    unprotected("x5chain", "a certificate", cmap([(uint(33), bstr(b"x"))]))
    unprotected("null", "null", NULL)
    unprotected("array", "an empty array", array([]))
    unprotected("bytes", "an empty byte string", bstr(b""))
    unprotected("many", "5, 35: declares 2^64 - 1 pairs", head(5, 2**64 - 1))

    def whole_payload(identity, rule, item, signed):
        refuse(6, identity, rule, array(cose(signed, payload_item=item)))

    whole_payload("null", "detached: null", NULL, body)
    whole_payload("empty", "an empty byte string", bstr(b""), b"")
    whole_payload("text", "text", text(b"payload"), b"payload")
    whole_payload("map-itself", "the map, not in a byte string", body, body)
    whole_payload("integer", "an integer", uint(1), body)

    def padded(size):
        spare = size - len(payload(module_id=text(b"m" * 300)))
        return payload(module_id=text(b"m" * (300 + spare)))

    assert len(padded(16385)) == 16385
    refuse(6, "16385", "one byte too many", of(padded(16385)))
    accept("payload-16384", "6: as large as may be", of(padded(16384)))

    signature = signature_of(body)
    r, s = signature[:48], signature[48:]

    def form(identity, rule, data, item=None):
        refuse(7, identity, rule, array(cose(body, signature_item=item or bstr(data))))

    form("95", "a byte too few", signature[:-1])
    form("97", "a byte too many", signature + b"\0")
    form("97-front", "a zero in front", b"\0" + signature)
    form("64", "as for P-256", signature[:64])
    form("empty", "empty", b"")
    form("der", "DER, as X.509 has it", sign(LEAF_KEY, sig_structure(PROTECTED, body)))
    form("text", "text", b"", item=text("s" * 96))
    form("null", "null", b"", item=NULL)
    form("array", "an array of 96 integers", b"", item=array([uint(byte) for byte in signature]))
    form("r-zero", "r = 0", bytes(48) + s)
    form("s-zero", "s = 0", r + bytes(48))
    form("zero", "r = s = 0", bytes(96))
    form("r-order", "r = n", N384.to_bytes(48, "big") + s)
    form("s-order", "s = n", r + N384.to_bytes(48, "big"))
    form("s-large", "s = 2^384 - 1", r + b"\xff" * 48)

    def number(data):
        return int.from_bytes(data, "big")

    other_s = (N384 - number(s)).to_bytes(48, "big")
    accept("high-s", "8: the larger s", array(cose(body, signature=r + max(s, other_s))))
    accept("low-s", "8: the smaller s", array(cose(body, signature=r + min(s, other_s))))

    def wrong(identity, rule, data):
        refuse(8, identity, rule, array(cose(body, signature=data)))

    wrong("r-flipped", "a bit of r flipped", flip(signature, 20))
    wrong("s-flipped", "a bit of s flipped", flip(signature, 90))
    wrong("swapped", "s || r", s + r)
    wrong("r-one", "r = s = 1", (bytes(47) + b"\1") * 2)
    wrong("r-less-one", "r = n - 1", (N384 - 1).to_bytes(48, "big") + s)
    wrong("little-endian", "r and s little-endian", r[::-1] + s[::-1])
    wrong("instance-key", "made by the authority above", signature_of(body, key("instance")))
    wrong("stranger", "made by a key of nobody", signature_of(body, key("stranger")))
    wrong("payload-only", "made over the payload alone", raw_signature(sign(LEAF_KEY, body)))
    wrong("aad", "made over other external data", signature_of(body, aad=b"x"))
    wrong("context", "made in the context of COSE_Sign", signature_of(body, context="Signature"))
    wrong("no-header", "made without the protected header", signature_of(body, protected=b""))
    wrong("sha256", "made with SHA-256", signature_of(body, algorithm=hashes.SHA256()))
    wrong("sha512", "made with SHA-512", signature_of(body, algorithm=hashes.SHA512()))
    definite = cmap(fields())
    wrong("re-encoded", "made over the payload with a definite map", signature_of(definite))
    prehash = hashlib.sha384(sig_structure(PROTECTED, body)).digest()
    twice = raw_signature(LEAF_KEY.sign(prehash, ec.ECDSA(hashes.SHA384(), deterministic_signing=True)))
    wrong("hashed-twice", "made over the hash", twice)
    assert raw_signature(LEAF_KEY.sign(prehash, ec.ECDSA(Prehashed(hashes.SHA384()), deterministic_signing=True))) == signature
    changed = body.replace(text("i-0-enc0"), text("i-1-enc0"))
    refuse(8, "changed", "a byte of the payload changed afterwards", array(cose(changed, signature=signature)))

    def malleable(identity, rule, data):
        refuse(9, identity, rule, data)

    malleable("array", "an indefinite array", indefinite(4, good))
    malleable("array-long", "a longer head of the array", array(good, width=1))
    malleable("array-longest", "the longest head of the array", array(good, width=8))
    malleable("tag-long", "a longer head of tag 18", tag(18, whole, width=1))
    for place, what, chunked, longer in [
        (0, "protected", indefinite(2, [good[0]]), bstr(PROTECTED, width=1)),
        (1, "unprotected", indefinite(5, []), cmap([], width=1)),
        (2, "payload", indefinite(2, [bstr(body[:100]), bstr(body[100:])]), bstr(body, width=4)),
        (3, "signature", indefinite(2, [good[3]]), bstr(signature, width=2)),
    ]:
        malleable(what, f"{what} of indefinite length", array(good[:place] + [chunked] + good[place + 1 :]))
        malleable(f"{what}-long", f"a longer head of {what}", array(good[:place] + [longer] + good[place + 1 :]))
    malleable("payload-longest", "the longest head of the payload", array(good[:2] + [bstr(body, width=8)] + good[3:]))


def syntax():
    pairs = fields()
    accept("definite-map", "10: a definite map, as until 2025", of(cmap(pairs)))
    accept("reversed", "11: fields in another order", of(cmap(pairs[::-1])))
    joined = [name + value for name, value in pairs]

    def form(identity, rule, body):
        refuse(10, identity, rule, of(body))

    form("trailing-byte", "a byte behind a definite map", cmap(pairs) + b"\0")
    form("trailing-item", "a null behind an indefinite map", indefinite(5, joined) + NULL)
    form("map-twice", "two maps", cmap(pairs) * 2)
    form("count-large", "declares one pair more", head(5, 10) + b"".join(joined))
    form("count-small", "declares one pair less", head(5, 8) + b"".join(joined))
    form("count-huge", "10, 35: declares 2^64 - 1 pairs", head(5, 2**64 - 1) + b"".join(joined))
    form("no-break", "an indefinite map without its end", b"\xbf" + b"".join(joined))
    form("two-breaks", "an indefinite map that ends twice", indefinite(5, joined) + b"\xff")
    form("break-in-definite", "a break inside a definite map", head(5, 10) + b"".join(joined) + b"\xff")
    form("odd", "a break where a value belongs", b"\xbf" + b"".join(joined[:-1]) + text("nonce") + b"\xff")
    form("array", "an array", array(joined))
    form("wrapped", "the map inside a byte string", bstr(cmap(pairs)))
    form("tagged", "the map under a tag", tag(55799, cmap(pairs)))
    form("null", "null", NULL)
    form("no-cbor", "not CBOR", b"\x1c" * 64)
    form("json", "JSON", b'{"module_id":"i-0-enc0"}')
    form("map-long", "10a: a longer head of the map", cmap(pairs, width=1))

    def inside(identity, rule, **change):
        form(identity, f"10a: {rule}", payload(**change))

    inside("text-chunked", "an indefinite text", module_id=indefinite(3, [text("i-0-"), text("enc0")]))
    inside("bytes-chunked", "an indefinite byte string", user_data=indefinite(2, [bstr(USER_DATA)]))
    inside("certificate-chunked", "an indefinite certificate", certificate=indefinite(2, [bstr(BASE[-1])]))
    inside("authority-chunked", "an indefinite certificate in the bundle", cabundle=array([indefinite(2, [bstr(one)]) for one in BASE[:-1]]))
    inside("pcr-chunked", "an indefinite register", pcrs=cmap([(uint(0), indefinite(2, [bstr(pcr(0))]))]))
    inside("nonce-empty-chunked", "an indefinite byte string of no chunk", nonce=indefinite(2, []))
    inside("text-long", "a longer head of a text", digest=text("SHA384", width=1))
    inside("bytes-long", "a longer head of a byte string", nonce=bstr(NONCE, width=2))
    inside("certificate-long", "a longer head of the certificate", certificate=bstr(BASE[-1], width=4))
    inside("bundle-long", "a longer head of the bundle", cabundle=array([bstr(one) for one in BASE[:-1]], width=1))
    inside("pcrs-long", "a longer head of the registers", pcrs=cmap([(uint(i), bstr(v)) for i, v in PCRS.items()], width=1))
    inside("index-long", "a longer index", pcrs=cmap([(uint(i, width=1), bstr(v)) for i, v in PCRS.items()]))
    inside("index-twice-by-width", "10a, 16: an index twice, in two widths", pcrs=cmap([(uint(0), bstr(pcr(0))), (uint(0, width=1), bstr(pcr(0)))]))
    inside("utf8", "module_id is not UTF-8", module_id=text(b"i-\xff\xfe"))
    inside("utf8-surrogate", "module_id has a surrogate", module_id=text(b"i-\xed\xa0\x80"))
    inside("utf8-overlong", "module_id has a letter in two bytes", module_id=text(b"i-\xc1\xa1"))
    inside("reserved", "a reserved head", nonce=b"\x5c")
    inside("bytes-beyond", "10, 35: user_data declares 2^63 bytes", user_data=head(2, 2**63) + USER_DATA)
    inside("text-beyond", "10, 35: module_id declares 2^64 - 1 bytes", module_id=head(3, 2**64 - 1) + b"i")
    form("key-chunked", "10a: an indefinite key", indefinite(5, joined[:-1] + [indefinite(3, [text("nonce")]) + bstr(NONCE)]))
    form("key-long", "10a: a longer head of a key", indefinite(5, joined[:-1] + [text("nonce", width=1) + bstr(NONCE)]))
    form("key-utf8", "10a: a key is not UTF-8", indefinite(5, joined + [text(b"\xff") + NULL]))

    def keys(identity, rule, *more, body=None):
        refuse(11, identity, rule, of(body or indefinite(5, joined + list(more))))

    for field, value in fields():
        word = field[1:].decode()
        keys(f"twice-{word}", f"{word} twice", field + value)
    keys("twice-null", "a second nonce, null", text("nonce") + NULL)
    keys("twice-null-first", "a null public_key, then one", body=indefinite(5, [text("public_key") + NULL] + joined))
    keys("twice-definite", "digest twice in a definite map", body=cmap(pairs + [(text("digest"), text("SHA384"))]))
    keys("unknown", "an unknown field", text("version") + uint(1))
    keys("unknown-null", "an unknown field, null", text("extra") + NULL)
    keys("empty-key", "an empty key", text("") + NULL)
    keys("case", "Nonce, not nonce", body=payload(nonce=None, Nonce=bstr(NONCE)))
    keys("space", "a space behind a key", body=payload(nonce=None, **{"nonce ": bstr(NONCE)}))
    keys("nul", "a NUL behind a key", body=payload(nonce=None, **{"nonce\0": bstr(NONCE)}))
    keys("bytes-key", "a key as byte string", bstr(b"nonce2") + NULL)
    keys("integer-key", "an integer key", uint(1) + NULL)
    keys("null-key", "a null key", NULL + NULL)
    keys("nest-key", "11, 35: a key of arrays in arrays", b"\x81" * 4000 + b"\x80" + NULL)
    keys("empty-map", "no field at all", body=cmap([]))
    for field in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"]:
        keys(f"missing-{field}", f"{field} is missing", body=payload(**{field: None}))
        refuse(12, field, f"{field} is null", document(**{field: NULL}))
    optional = ["public_key", "user_data", "nonce"]
    accept("nulls", "12: the optional fields are null", document(**dict.fromkeys(optional, NULL)))
    accept("absent", "12: the optional fields are absent", document(**dict.fromkeys(optional)))

    def value(step, identity, rule, **change):
        refuse(step, identity, rule, document(**change))

    value(13, "empty", "empty", module_id=text(""))
    value(13, "bytes", "a byte string", module_id=bstr(b"i-0"))
    value(13, "integer", "an integer", module_id=uint(0))
    value(13, "array", "an array of text", module_id=array([text("i-0")]))
    value(13, "nest", "13, 35: arrays in arrays, ten thousand deep", module_id=b"\x81" * 10_000 + b"\x80")
    accept("module-id-utf8", "13: any text", document(module_id=text("i-\u00e9\U0001f600\0")))

    for word in ["SHA256", "SHA512", "sha384", "SHA-384", "SHA384 ", "SHA384\0", "SHA38", ""]:
        value(14, f"text-{len(word)}-{word.strip(chr(0)) or 'empty'}".replace(" ", "_").lower() + ("-nul" if "\0" in word else ""), f"{word!r}", digest=text(word))
    value(14, "bytes", "a byte string", digest=bstr(b"SHA384"))
    value(14, "integer", "an integer", digest=uint(384))

    value(15, "zero", "zero", timestamp=uint(0))
    value(15, "negative", "negative", timestamp=head(1, NOW * 1000))
    value(15, "float", "a float", timestamp=bytes.fromhex("fb4279bf0d8c000000"))
    value(15, "text", "a text", timestamp=text(str(NOW * 1000)))
    value(15, "tagged", "under tag 1", timestamp=tag(1, uint(NOW)))
    value(15, "bignum", "a bignum", timestamp=tag(2, bstr((NOW * 1000).to_bytes(8, "big"))))
    value(15, "bytes", "a byte string", timestamp=bstr((NOW * 1000).to_bytes(8, "big")))
    value(15, "true", "true", timestamp=TRUE)

    def registers(identity, rule, item):
        value(16, identity, rule, pcrs=item)

    zero = (uint(0), bstr(pcr(0)))
    registers("empty", "no register", cmap([]))
    registers("33", "33 registers", cmap([(uint(i), bstr(pcr(0))) for i in range(33)]))
    registers("index-32", "an index of 32", cmap([zero, (uint(32), bstr(pcr(0)))]))
    registers("index-256", "an index of 256", cmap([zero, (uint(256), bstr(pcr(0)))]))
    registers("index-2-32", "an index of 2^32", cmap([zero, (uint(2**32), bstr(pcr(0)))]))
    registers("index-2-64", "an index of 2^64 - 1", cmap([zero, (uint(2**64 - 1), bstr(pcr(0)))]))
    registers("index-negative", "an index of -1", cmap([zero, (head(1, 0), bstr(pcr(0)))]))
    registers("index-text", "a text index", cmap([(text("0"), bstr(pcr(0)))]))
    registers("index-bytes", "a byte string as index", cmap([(bstr(b"\0"), bstr(pcr(0)))]))
    registers("index-null", "a null index", cmap([(NULL, bstr(pcr(0)))]))
    registers("index-twice", "an index twice with one value", cmap([zero, zero]))
    registers("index-twice-other", "an index twice with two values", cmap([zero, (uint(1), bstr(pcr(1))), (uint(0), bstr(pcr(2)))]))
    registers("array", "an array", array([bstr(pcr(0))] * 3))
    registers("bytes", "a byte string", bstr(pcr(0)))
    registers("many", "16, 35: declares 2^64 - 1 registers", head(5, 2**64 - 1) + zero[0] + zero[1])
    for size in [0, 32, 47, 49, 64]:
        registers(f"length-{size}", f"16a: a register of {size} bytes", cmap([zero, (uint(1), bstr(bytes(size)))]))
    registers("value-null", "a null register", cmap([zero, (uint(1), NULL)]))
    registers("value-text", "a text register", cmap([zero, (uint(1), text("0" * 48))]))
    registers("value-array", "a register as 48 integers", cmap([(uint(0), array([uint(1)] * 48))]))
    accept("pcrs-one", "16: one register", document(registers={0: pcr(0)}))
    accept("pcrs-one-last", "16: one register, the last", document(registers={31: pcr(0)}))
    accept("pcrs-32", "16: every register there is", document(registers={i: pcr(i) for i in range(32)}))
    accept("pcrs-reversed", "16: registers in another order", document(registers={i: pcr(i) for i in (4, 2, 0, 1)}))

    def grown(level, size):
        """The chain with a certificate of `level` of `size` bytes; signatures differ in length."""
        spare = size - len(BASE[LEVELS.index(level)])
        for filler in range(spare - 40, spare):
            more = [extension("1.3.6.1.4.1.1", bytes(filler))]
            for serial in range(1, 5):
                certificates = chain(**{level: {"more": more, "serial": serial}})
                if len(certificates[LEVELS.index(level)]) == size:
                    return certificates
        raise AssertionError(size)

    value(17, "empty", "empty", certificate=bstr(b""))
    value(17, "1025", "a byte too long", certificates=grown("leaf", 1025))
    value(17, "text", "a text", certificate=text("certificate"))
    value(17, "array", "an array", certificate=array([bstr(BASE[-1])]))
    value(17, "integers", "an array of integers", certificate=array([uint(byte) for byte in BASE[-1]]))
    accept("certificate-1024", "17: as long as may be", document(grown("leaf", 1024)))

    above = [bstr(one) for one in BASE[:-1]]
    value(18, "empty", "an empty array", cabundle=array([]))
    value(18, "entry-empty", "an empty entry", cabundle=array(above[:3] + [bstr(b"")]))
    value(18, "entry-1025", "an entry a byte too long", certificates=grown("instance", 1025))
    value(18, "entry-null", "a null entry", cabundle=array(above + [NULL]))
    value(18, "entry-text", "a text entry", cabundle=array(above[:3] + [text("certificate")]))
    value(18, "entry-array", "an array in the array", cabundle=array([array(above)]))
    value(18, "map", "a map", cabundle=cmap(list(zip(map(uint, range(4)), above))))
    value(18, "bytes", "one byte string", cabundle=bstr(b"".join(BASE[:-1])))
    value(18, "many", "18, 35: declares 2^64 - 1 entries", cabundle=head(4, 2**64 - 1) + b"".join(above))
    accept("authority-1024", "18: an entry as long as may be", document(grown("instance", 1024)))

    def option(step, field, word):
        value(step, f"{word}-1025", f"{field} is a byte too long", **{field: bstr(bytes(1025))})
        value(step, f"{word}-text", f"{field} is a text", **{field: text("x" * 32)})
        value(step, f"{word}-array", f"{field} is an array of integers", **{field: array([uint(1)] * 32)})
        value(step, f"{word}-undefined", f"{field} is undefined", **{field: UNDEFINED})
        value(step, f"{word}-false", f"{field} is false", **{field: FALSE})
        value(step, f"{word}-zero", f"{field} is an integer", **{field: uint(0)})
        accept(f"{field}-1024", f"{step}: as long as may be", document(**{field: bstr(bytes(1024))}))
        accept(f"{field}-513", f"{step}: longer than one of AWS's texts says", document(**{field: bstr(bytes(513))}))
        accept(f"{field}-empty", f"{step}: empty", document(**{field: bstr(b"")}))

    option(19, "public_key", "key")
    option(20, "user_data", "user-data")
    option(20, "nonce", "nonce")
    accept("optionals-1024", "20: all three as long as may be", document(**dict.fromkeys(optional, bstr(bytes(1024)))))

    refuse(21, "tpm", "nitrotpm_pcrs in place of pcrs", document(pcrs=None, nitrotpm_pcrs=pcr_map(PCRS)))
    tpm = fields(pcrs=None)
    tpm.insert(3, (text("nitrotpm_pcrs"), pcr_map({i: pcr(i) for i in range(24)})))
    refuse(21, "tpm-definite", "the same in a definite map, 24 registers", of(cmap(tpm)))
    refuse(11, "tpm-and-pcrs", "nitrotpm_pcrs beside pcrs", of(payload(nitrotpm_pcrs=pcr_map(PCRS))))


def certificates():
    stranger = {"root": {"key": "another root"}}
    others = chain(**stranger)
    refuse(22, "stranger", "the same names under another root", document(others))
    refuse(22, "other-root-pinned", "another root is pinned", document(), root=others[0])
    again = chain(root={"serial": 7})
    refuse(22, "issued-again", "another certificate of the root's key", document(again))
    refuse(22, "signature", "a bit of the root's own signature flipped", document([flip(ROOT)] + BASE[1:]))
    refuse(22, "longer", "a byte behind the root", document([ROOT + b"\0"] + BASE[1:]))
    refuse(22, "missing", "the bundle begins below the root", document(BASE[1:]))
    refuse(22, "reversed", "the bundle ends with the root", document(BASE[3::-1] + BASE[4:]))
    refuse(22, "second", "the root is in second place", document([BASE[1], BASE[0]] + BASE[2:]))
    accept("other-root", "22: another root, pinned", document(others), root=others[0])

    root, regional, zonal, instance, leaf = BASE
    free = {level: {"path_len": None} for level in LEVELS}
    f_root, f_regional, f_zonal, f_instance, f_leaf = loose = chain(**free)
    PARTS.update({f"free {level}": one for level, one in zip(LEVELS, loose)})
    accept("no-path-len", "26: no pathLen anywhere", document(loose), root=f_root)

    def order(identity, rule, certificates, root=f_root):
        refuse(23, identity, rule, document(certificates), root=root)

    order("swapped-middle", "regional and zonal swapped", [f_root, f_zonal, f_regional, f_instance, f_leaf])
    order("swapped-last", "zonal and instance swapped", [f_root, f_regional, f_instance, f_zonal, f_leaf])
    order("swapped-shaped", "the same with AWS's pathLens", [root, zonal, regional, instance, leaf], root=root)
    order("rotated", "all but the root rotated", [f_root, f_instance, f_regional, f_zonal, f_leaf])
    order("root-twice", "the root twice", [f_root, f_root, f_regional, f_zonal, f_instance, f_leaf])
    order("regional-twice", "regional twice", [f_root, f_regional, f_regional, f_zonal, f_instance, f_leaf])
    order("instance-twice", "instance twice", [f_root, f_regional, f_zonal, f_instance, f_instance, f_leaf])
    order("root-at-end", "the root once more at the end", [f_root, f_regional, f_zonal, f_instance, f_root, f_leaf])
    order("target-in-bundle", "the target in the bundle as well", [f_root, f_regional, f_zonal, f_instance, f_leaf, f_leaf])
    order("no-regional", "regional is missing", [root, zonal, instance, leaf], root=root)
    order("no-zonal", "zonal is missing", [root, regional, instance, leaf], root=root)
    order("no-instance", "instance is missing", [root, regional, zonal, leaf], root=root)
    order("root-alone", "nothing between root and target", [root, leaf], root=root)
    sibling = chain(**{**free, "instance": {"path_len": None, "key": "sibling", "subject": "sibling"}})[3]
    order("extra-end", "another authority at the end", [f_root, f_regional, f_zonal, f_instance, sibling, f_leaf])
    order("extra-middle", "another authority in the middle", [f_root, f_regional, f_zonal, sibling, f_instance, f_leaf])
    foreign = chain(root={"key": "stranger", "subject": "stranger", "path_len": None})[0]
    order("extra-foreign", "a stranger's root in the middle", [f_root, f_regional, foreign, f_zonal, f_instance, f_leaf])
    order("extra-foreign-second", "a stranger's root behind the root", [f_root, foreign, f_regional, f_zonal, f_instance, f_leaf])
    order("other-instance", "another instance in place of the signer's", [f_root, f_regional, f_zonal, sibling, f_leaf])
    accept("three", "23: a shorter chain", document(chain(["root", "instance", "leaf"])))
    accept("two", "23: the shortest chain", document(chain(["root", "leaf"])))

    forms()
    validity()
    constraints_and_usage()

    free5 = {level: {"path_len": None} for level in ["root", "a", "b", "c", "d", "e", "f", "g", "h", "i"]}

    def length(identity, rule, levels):
        long = chain(["root", *levels, "leaf"], **free5)
        refuse(35, identity, rule, document(long), root=long[0])

    deep = chain(["root", "regional", "zonal", "instance", "extra", "leaf"])
    refuse(26, "instance-path-len-below", "instance: pathLen 0 above a fifth authority", document(deep), root=deep[0])
    length("five", "five authorities, each in its place", "abcd")
    length("eight", "eight authorities", "abcdefg")
    length("ten", "ten authorities", "abcdefghi")
    unread = array([bstr(one) for one in loose[:-1]] + [bstr(bytes([i, 0])) for i in range(200)])
    refuse(35, "two-hundred", "two hundred entries that are no certificates", document(cabundle=unread), root=f_root)


def forms():
    """24: every certificate one DER object of one kind, each signed by the one before."""

    def form(identity, rule, **changes):
        refuse(24, identity, rule, of_chain(**changes))

    for level in ["regional", "instance", "leaf"]:
        form(f"{level}-trailing-byte", f"{level}: a byte behind it", **{level: {"after": b"\0"}})
        form(f"{level}-end", f"{level}: an item behind the signature", **{level: {"end": b"\x05\x00"}})
        form(f"{level}-v1", f"{level}: version 1", **{level: {"version": b""}})
        form(f"{level}-v2", f"{level}: version 2", **{level: {"version": der(0xA0, integer(1))}})
        form(f"{level}-v4", f"{level}: version 4", **{level: {"version": der(0xA0, integer(3))}})
        form(f"{level}-issuer", f"{level}: another issuer's name, rightly signed", **{level: {"issuer": "somebody"}})
        form(f"{level}-signature", f"{level}: a bit of the signature flipped", **{level: {"signature": lambda s: flip(s)}})
        form(f"{level}-stranger", f"{level}: signed by a stranger", **{level: {"sign_as": key("stranger")}})
        form(f"{level}-self-signed", f"{level}: signed by itself", **{level: {"sign_as": key(level)}})
        form(f"{level}-sha256", f"{level}: ecdsa-with-SHA256", **{level: {"inner": ECDSA_SHA256, "outer": ECDSA_SHA256, "algorithm": hashes.SHA256()}})
        form(f"{level}-sha512", f"{level}: ecdsa-with-SHA512", **{level: {"inner": ECDSA_SHA512, "outer": ECDSA_SHA512, "algorithm": hashes.SHA512()}})
        form(f"{level}-inner", f"{level}: another algorithm inside", **{level: {"inner": ECDSA_SHA256}})
        form(f"{level}-outer", f"{level}: another algorithm outside", **{level: {"outer": ECDSA_SHA256}})
        form(f"{level}-unused-bits", f"{level}: a signature with unused bits", **{level: {"unused": 4, "signature": lambda s: s + b"\0"}})
    form("zonal-signed-by-root", "zonal: signed by the root", zonal={"sign_as": key("root")})
    form("leaf-signed-by-root", "leaf: signed by the root", leaf={"sign_as": key("root")})
    form("claims-sha256", "SHA-256 claimed, SHA-384 used", leaf={"inner": ECDSA_SHA256, "outer": ECDSA_SHA256})
    form("claims-sha384", "SHA-384 claimed, SHA-256 used", leaf={"algorithm": hashes.SHA256()})
    null = sequence(oid("1.2.840.10045.4.3.3"), b"\x05\x00")
    form("null-parameters", "parameters of null", leaf={"inner": null, "outer": null})
    form("null-inner", "parameters of null inside only", leaf={"inner": null})
    form("null-outer", "parameters of null outside only", leaf={"outer": null})
    rsa = sequence(oid("1.2.840.113549.1.1.12"), b"\x05\x00")
    form("rsa-claimed", "sha384WithRSAEncryption claimed", leaf={"inner": rsa, "outer": rsa})

    form("p256-authority", "an authority on P-256", regional={"key": key("p256", ec.SECP256R1())})
    form("p521-authority", "an authority on P-521", regional={"key": key("p521", ec.SECP521R1())})
    form("p256-instance", "the last authority on P-256", instance={"key": key("p256", ec.SECP256R1())})
    form("k1-authority", "an authority on secp256k1", zonal={"key": key("k1", ec.SECP256K1())})
    for level in ["zonal", "leaf"]:
        private = key(level)
        compressed = sequence(sequence(EC_KEY, P384), bits(point(private, PublicFormat.CompressedPoint)))
        form(f"{level}-compressed", f"{level}: a compressed point", **{level: {"key_info": compressed}})
        hybrid = bytes([6 + point(private)[-1] % 2]) + point(private)[1:]
        form(f"{level}-hybrid", f"{level}: a hybrid point", **{level: {"key_info": sequence(sequence(EC_KEY, P384), bits(hybrid))}})
        form(f"{level}-ecdh", f"{level}: a key for ECDH only", **{level: {"key_info": sequence(sequence(oid("1.3.132.1.12"), P384), bits(point(private)))}})
        form(f"{level}-curve-absent", f"{level}: a key without its curve", **{level: {"key_info": sequence(sequence(EC_KEY), bits(point(private)))}})
        form(f"{level}-curve-claimed", f"{level}: P-256 claimed for a point of P-384", **{level: {"key_info": sequence(sequence(EC_KEY, oid("1.2.840.10045.3.1.7")), bits(point(private)))}})
        form(f"{level}-key-trailing", f"{level}: a byte behind the point", **{level: {"key_info": sequence(sequence(EC_KEY, P384), bits(point(private) + b"\0"))}})
    form("off-curve", "an authority's point off the curve", instance={"key_info": sequence(sequence(EC_KEY, P384), bits(flip(point(key("instance")))))})
    form("infinity", "an authority's point at infinity", instance={"key_info": sequence(sequence(EC_KEY, P384), bits(b"\0"))})
    form("other-key", "an authority with another's key", instance={"key_info": spki(key("stranger"))})

    form("tbs-end", "an item behind the extensions", leaf={"tbs_end": b"\x05\x00"})
    form("tbs-end-octets", "an authority with an item behind the extensions", zonal={"tbs_end": octets(b"x")})
    form("outer-long", "BER: a longer length of the whole", leaf={"outer_long": True})
    form("tbs-long", "BER: a longer length of the signed part", leaf={"tbs_long": True})
    form("serial-long", "BER: a serial with a zero in front", leaf={"serial_der": der(0x02, b"\0\x11")})
    form("serial-empty", "an empty serial", leaf={"serial_der": der(0x02)})
    form("serial-text", "a serial as text", leaf={"serial_der": der(0x0C, b"17")})
    form("boolean", "BER: true as 1", leaf={"constraints_critical": False, "more": [sequence(oid("1.3.6.1.4.1.1"), b"\x01\x01\x01", octets(b""))]})
    whole_extension = extension(BASIC_CONSTRAINTS, constraints(False), True), extension(KEY_USAGE, usage(DIGITAL_SIGNATURE))
    listed = sequence(*whole_extension)
    form("extensions-end", "an item behind the list of extensions", leaf={"extensions_item": der(0xA3, listed, b"\x05\x00")})
    form("extensions-twice", "the list of extensions twice", leaf={"tbs_end": der(0xA3, listed)})
    form("extensions-bare", "extensions in no list", leaf={"extensions_item": der(0xA3, *whole_extension)})
    odd = [
        ("end", "an item behind an extension's value", sequence(oid("1.3.6.1.4.1.1"), octets(b""), b"\x05\x00")),
        ("value-twice", "an extension with two values", sequence(oid("1.3.6.1.4.1.1"), octets(b""), octets(b""))),
        ("value-missing", "an extension without a value", sequence(oid("1.3.6.1.4.1.1"))),
        ("critical-integer", "an extension critical by an integer", sequence(oid("1.3.6.1.4.1.1"), integer(1), octets(b""))),
        ("oid-missing", "an extension without its name", sequence(octets(b""))),
    ]
    for word, rule, one in odd:
        form(f"extension-{word}", rule, leaf={"more": [one]})
    moments = utc(SPAN["leaf"][0]), utc(SPAN["leaf"][1])
    form("validity-end", "an item behind the end of validity", leaf={"times": sequence(*moments, b"\x05\x00")})
    form("validity-third", "three times of validity", leaf={"times": sequence(*moments, moments[1])})
    form("key-end", "an item behind the key", leaf={"key_info": sequence(sequence(EC_KEY, P384), bits(point(key("leaf"))), b"\x05\x00")})
    form("name-item", "a name of something else", leaf={"subject_item": sequence(integer(1))})
    form("name-end", "a name with an item behind a value", leaf={"subject_item": sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0C, b"leaf"), b"\x05\x00")))})
    nested = b""
    for _ in range(40):
        nested = sequence(nested)
    form("nest", "24, 35: forty sequences in one another", leaf={"tbs_end": nested})
    indefinite_length = BASE[-1]
    tbs_length = len(sequence(indefinite_length[4:])) - 4
    assert tbs_length == len(indefinite_length) - 4
    refuse(24, "indefinite", "BER: of indefinite length", document(BASE[:-1] + [b"\x30\x80" + indefinite_length[4:] + b"\0\0"]))

    def whole(identity, rule, data):
        refuse(24, identity, rule, document(BASE[:-1] + [data]))

    whole("twice", "two certificates", BASE[-1] * 2)
    whole("short", "a byte short", BASE[-1][:-1])
    whole("front", "a byte in front", b"\0" + BASE[-1])
    whole("empty-sequence", "an empty sequence", sequence())
    whole("pem", "PEM", b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(BASE[-1]) + b"-----END CERTIFICATE-----\n")
    whole("no-der", "not DER", b"\xff" * 500)
    whole("long-declared", "24, 35: declares 4 GiB", b"\x30\x84\xff\xff\xff\xff" + BASE[-1][4:])
    whole("signature-missing", "without its signature", sequence(BASE[-1][4:-120]))
    refuse(24, "authority-short", "an authority a byte short", document(BASE[:3] + [BASE[3][:-1]] + BASE[4:]))
    refuse(24, "authority-no-der", "an authority that is not DER", document(BASE[:3] + [b"\xff" * 400] + BASE[4:]))

    def long_r(signature):
        r, s = decode_dss_signature(signature)
        first = der(0x02, b"\0" + integer(r)[2:])
        return sequence(first, integer(s))

    form("signature-long-r", "BER: a signature with a zero too many", leaf={"signature": long_r})
    form("signature-trailing", "a signature with a byte behind it", leaf={"signature": lambda s: s + b"\0"})
    form("signature-fixed", "a signature as r || s", leaf={"signature": raw_signature})
    form("signature-empty", "an empty signature", leaf={"signature": lambda _: b""})
    form("signature-zero", "a signature of zeros", leaf={"signature": lambda _: encode_dss_signature(0, 0)})
    form("signature-one", "a signature of ones", leaf={"signature": lambda _: encode_dss_signature(1, 1)})

    since, until, _ = SPAN["leaf"]
    form("time-no-seconds", "BER: a time without seconds", leaf={"times": sequence(der(0x17, time.strftime("%y%m%d%H%MZ", time.gmtime(since)).encode()), utc(until))})
    form("time-zone", "BER: a time in another zone", leaf={"times": sequence(utc(since), der(0x17, time.strftime("%y%m%d%H%M%S+0000", time.gmtime(until)).encode()))})
    form("time-fraction", "a time with a fraction", leaf={"times": sequence(generalized(since), der(0x18, time.strftime("%Y%m%d%H%M%S.5Z", time.gmtime(until)).encode()))})
    form("time-month-13", "a thirteenth month", leaf={"times": sequence(utc(since), der(0x17, b"261301000000Z"))})
    form("time-text", "a time as text", leaf={"times": sequence(utc(since), der(0x0C, b"260202000000Z"))})
    form("time-alone", "no end of validity", leaf={"times": sequence(utc(since))})
    accept("generalized-time", "24: times after 2049 have four digits", of_chain(instance={"times": sequence(utc(NOW - HOUR), generalized(4_000_000_000))}))
    accept("no-end", "25: 9999-12-31T23:59:59Z, which RFC 5280 writes for no end", of_chain(instance={"times": sequence(utc(NOW - HOUR), generalized(253_402_300_799))}))

    def other_s(signature):
        r, s = decode_dss_signature(signature)
        return encode_dss_signature(r, N384 - s)

    accept("chain-other-s", "24: the other s in a certificate", of_chain(leaf={"signature": other_s}, zonal={"signature": other_s}))
    accept("serial-20", "24: a serial of 20 bytes", of_chain(leaf={"serial": 2**158 + 1}))


def validity():
    """25: each certificate's edges are inclusive, to the second."""
    from_, to = NOW - 600, NOW + 600
    for level in LEVELS:
        certificates = chain(**{level: {"not_before": from_, "not_after": to}})
        data = document(certificates)
        root = certificates[0]
        accept(f"{level}-from", f"25: {level}, its first second", data, at=from_, root=root)
        accept(f"{level}-to", f"25: {level}, its last second", data, at=to, root=root)
        refuse(25, f"{level}-before", f"{level}, a second before its first", data, at=from_ - 1, root=root)
        refuse(25, f"{level}-after", f"{level}, a second after its last", data, at=to + 1, root=root)
    for word, at in [("epoch", 0), ("negative", -1), ("far", 2**40), ("overflow", 2**63 - 1), ("underflow", -(2**63)), ("milliseconds", NOW * 1000)]:
        refuse(25, f"at-{word}", f"asked for {at}", document(), at=at)
    refuse(25, "instance-expired", "instance expired while the leaf lives", of_chain(instance={"not_after": NOW - 1}))
    refuse(25, "zonal-backwards", "zonal ends before it begins", of_chain(zonal={"not_before": NOW + 1, "not_after": NOW - 1}))
    refuse(25, "leaf-not-yet", "leaf begins a second later", of_chain(leaf={"not_before": NOW + 1}))
    accept("one-second", "25: a leaf that lives one second", of_chain(leaf={"not_before": NOW, "not_after": NOW}))
    since, until, _ = SPAN["leaf"]

    def own(step, identity, rule, timestamp):
        data = document(made=timestamp)
        if step:
            refuse(step, identity, f"25a: {rule}", data)
        else:
            accept(identity, f"25a: {rule}", data)

    own(None, "made-from", "made in the leaf's first millisecond", since * 1000)
    own(None, "made-to", "made in the leaf's last millisecond", until * 1000 + 999)
    own(25, "made-before", "made a millisecond before the leaf", since * 1000 - 1)
    own(25, "made-after", "made a millisecond after the leaf", (until + 1) * 1000)
    own(25, "made-in-seconds", "the timestamp is in seconds", NOW)
    own(25, "made-in-micros", "the timestamp is in microseconds", NOW * 1_000_000)
    own(25, "made-one", "the timestamp is 1", 1)
    own(25, "made-max", "the timestamp is 2^64 - 1", 2**64 - 1)
    own(25, "made-i64", "the timestamp is 2^63", 2**63)


def constraints_and_usage():
    def rule26(identity, rule, level, **change):
        certificates = chain(**{level: change})
        refuse(26, f"{level}-{identity}", f"{level}: {rule}", document(certificates), root=certificates[0])

    for level in LEVELS[:-1]:
        rule26("not-critical", "basicConstraints is not critical", level, constraints_critical=False)
        rule26("no-ca", "no authority", level, ca=False, path_len=None)
        rule26("no-ca-path-len", "no authority, with pathLen", level, ca=False, path_len=3)
        rule26("absent", "no basicConstraints", level, constraints_value="absent")
    rule26("path-len", "pathLen 2 above three", "root", path_len=2)
    rule26("path-len-0", "pathLen 0 above three", "root", path_len=0)
    rule26("path-len", "pathLen 1 above two", "regional", path_len=1)
    rule26("path-len-0", "pathLen 0 above two", "regional", path_len=0)
    rule26("path-len", "pathLen 0 above one", "zonal", path_len=0)
    rule26("path-len-negative", "pathLen -1", "instance", constraints_value=sequence(DER_TRUE, der(0x02, b"\xff")))
    rule26("trailing", "26: an item behind pathLen", "instance", constraints_value=sequence(DER_TRUE, integer(0), b"\x05\x00"))
    rule26("trailing-byte", "26: a byte behind the value", "instance", constraints_value=constraints(True, 0) + b"\0")
    rule26("empty-value", "26: an empty value", "instance", constraints_value=b"\x05\x00")
    rule26("ca", "an authority", "leaf", ca=True)
    rule26("ca-path-len", "an authority with pathLen 0", "leaf", ca=True, path_len=0)
    rule26("path-len", "pathLen on the target", "leaf", path_len=0)
    rule26("absent", "26a: no basicConstraints on the target", "leaf", constraints_value="absent")
    rule26("ca-uncritical", "an authority, not critical", "leaf", ca=True, constraints_critical=False)

    def fine(identity, rule, **changes):
        certificates = chain(**changes)
        accept(identity, rule, document(certificates), root=certificates[0])

    fine("root-path-len-3", "26: a root with pathLen 3", root={"path_len": 3})
    fine("root-path-len-9", "26: a root with pathLen 9", root={"path_len": 9})
    fine("instance-no-path-len", "26: no pathLen at the end", instance={"path_len": None})
    fine("zonal-path-len-5", "26: a pathLen larger than needed", zonal={"path_len": 5})
    fine("leaf-constraints-uncritical", "26: not critical on the target", leaf={"constraints_critical": False})

    def rule27(identity, rule, level, **change):
        certificates = chain(**{level: change})
        refuse(27, f"{level}-{identity}", f"{level}: {rule}", document(certificates), root=certificates[0])

    for level in LEVELS[:-1]:
        rule27("crl-only", "cRLSign only", level, usages=(CRL_SIGN,))
        rule27("signs-only", "digitalSignature only", level, usages=(DIGITAL_SIGNATURE,))
        rule27("absent", "27a: no keyUsage", level, usages="absent")
        rule27("empty", "no usage at all", level, usages=())
    rule27("certifies-only", "keyCertSign only", "leaf", usages=(KEY_CERT_SIGN,))
    rule27("non-repudiation", "nonRepudiation only", "leaf", usages=(NON_REPUDIATION,))
    rule27("agreement", "keyAgreement only", "leaf", usages=(KEY_AGREEMENT,))
    rule27("empty", "no usage at all", "leaf", usages=())
    rule27("absent", "27a: no keyUsage", "leaf", usages="absent")
    rule27("critical", "keyAgreement only, critical", "leaf", usages=(KEY_AGREEMENT,), usage_critical=True)
    rule27("octets", "a value that is no bit string", "leaf", usage_value=octets(b"\x80"))
    rule27("trailing-byte", "a byte behind the value", "leaf", usage_value=usage(DIGITAL_SIGNATURE) + b"\0")
    fine("leaf-usage-critical", "27: critical on the target", leaf={"usage_critical": True})
    fine("leaf-signs-only", "27: digitalSignature alone", leaf={"usages": (DIGITAL_SIGNATURE,)})
    fine("leaf-many-usages", "27: further usages", leaf={"usages": (DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_AGREEMENT)})
    fine("instance-certifies-only", "27: keyCertSign alone", instance={"usages": (KEY_CERT_SIGN,)})
    fine("zonal-usage-uncritical", "27: not critical on an authority", zonal={"usage_critical": False})

    eku = sequence(oid("1.3.6.1.5.5.7.3.2"))
    subtree = der(0xA0, sequence(der(0xA4, name("leaf"))))
    known = [
        ("eku", "extendedKeyUsage", "2.5.29.37", eku),
        ("names", "nameConstraints", "2.5.29.30", sequence(subtree)),
        ("policies", "certificatePolicies", "2.5.29.32", sequence(sequence(oid("2.5.29.32.0")))),
        ("policy-constraints", "policyConstraints", "2.5.29.36", sequence(der(0x80, b"\0"))),
        ("any-policy", "inhibitAnyPolicy", "2.5.29.54", integer(0)),
        ("alt-name", "subjectAltName", "2.5.29.17", sequence(der(0x82, b"enclave"))),
        ("key-id", "subjectKeyIdentifier", "2.5.29.14", octets(bytes(20))),
        ("crl", "cRLDistributionPoints", "2.5.29.31", sequence(sequence(der(0xA0, der(0xA0, der(0x86, b"http://crl.test/"))))))
    ]

    def rule28(identity, rule, level, *more, **change):
        certificates = chain(**{level: {"more": list(more), **change}})
        refuse(28, identity, f"{level}: {rule}", document(certificates), root=certificates[0])

    for level in LEVELS:
        rule28(f"{level}-unknown", "an unknown critical extension", level, extension("1.3.6.1.4.1.1", b"\x05\x00", True))
    for word, called, number, value in known:
        rule28(f"leaf-{word}", f"28a: critical {called}", "leaf", extension(number, value, True))
        rule28(f"twice-{word}", f"28a: {called} twice", "leaf", extension(number, value), extension(number, value))
    rule28("authority-names", "28a: critical nameConstraints", "regional", extension("2.5.29.30", sequence(subtree), True))
    rule28("authority-eku", "28a: critical extendedKeyUsage", "instance", extension("2.5.29.37", eku, True))
    rule28("root-names", "28a: critical nameConstraints", "root", extension("2.5.29.30", sequence(subtree), True))
    rule28("unknown-twice", "28a: an unknown extension twice", "zonal", extension("1.3.6.1.4.1.1", b"a"), extension("1.3.6.1.4.1.1", b"b"))
    for level, ca in [("leaf", False), ("instance", True)]:
        same = constraints(ca, 0 if ca else None)
        rule28(f"{level}-constraints-twice", "28a: basicConstraints twice", level, extension(BASIC_CONSTRAINTS, same, True))
        purpose = usage(KEY_CERT_SIGN) if ca else usage(DIGITAL_SIGNATURE)
        rule28(f"{level}-usage-twice", "28a: keyUsage twice", level, extension(KEY_USAGE, purpose))
    plain = [extension(number, value) for _, _, number, value in known]
    fine("leaf-extensions", "28, 29: every known extension, none critical", leaf={"more": plain})
    fine("authority-extensions", "28, 29: the same on an authority", regional={"more": plain})
    fine("unknown-extension", "28: an unknown extension, not critical", leaf={"more": [extension("1.3.6.1.4.1.1", b"anything")]})


def policies():
    base = document()

    def hexed(values):
        return {str(index): value.hex() for index, value in values.items()}

    def ask(step, identity, rule, data=base, at=NOW, **policy):
        policy = {key: hexed(value) if key == "pcrs" else value for key, value in policy.items()}
        if step:
            refuse(step, identity, rule, data, policy=policy, at=at)
        else:
            accept(identity, rule, data, policy=policy, at=at)

    signer = document(registers={**PCRS, 8: pcr(8), 16: NO_PCR})
    ask(None, "policy-empty", "32a: a policy that asks nothing")
    ask(None, "pcrs-match", "30: every register", pcrs=PCRS)
    ask(None, "pcr3-zero", "31a: zero may be expected from PCR3 on", pcrs={3: NO_PCR, 4: NO_PCR})
    ask(None, "pcr8-match", "30: the signer's register", signer, pcrs={8: pcr(8)})
    ask(None, "pcr16-zero", "31a: a register that is there and zero", signer, pcrs={16: NO_PCR})
    for index in [0, 1, 2]:
        ask(30, f"pcr{index}", f"PCR{index} is another", pcrs={index: pcr(9)})
    ask(30, "pcr2-of-three", "PCR2 is another, 0 and 1 are right", pcrs={0: pcr(0), 1: pcr(1), 2: pcr(1)})
    ask(30, "pcr3", "PCR3 is zero", pcrs={3: pcr(3)})
    ask(30, "pcr8", "PCR8 is another", signer, pcrs={8: pcr(9)})
    ask(30, "missing", "PCR8 is not there", pcrs={8: pcr(8)})
    ask(30, "missing-zero", "PCR16 is not there, zeros are expected", pcrs={16: NO_PCR})
    ask(30, "missing-last", "PCR31 is not there", pcrs={31: pcr(31)})
    ask(30, "missing-all", "no register but PCR4 is there", document(registers={4: pcr(4)}), pcrs={0: pcr(0)})
    ask(30, "beyond", "an index that no document has", pcrs={32: pcr(0)})
    ask(30, "far-beyond", "an index beyond a byte", pcrs={256: pcr(0)})
    ask(30, "short", "expected a byte short", pcrs={0: pcr(0)[:-1]})
    ask(30, "short-32", "expected the first 32 bytes", pcrs={0: pcr(0)[:32]})
    ask(30, "long", "expected a byte more", pcrs={0: pcr(0) + b"\0"})
    ask(30, "empty", "expected nothing", pcrs={0: b""})
    ask(30, "missing-empty", "expected nothing of what is not there", pcrs={8: b""})
    ask(30, "last-bit", "the last bit differs", pcrs={1: flip(pcr(1))})
    ask(30, "swapped", "PCR0 and PCR1 swapped", pcrs={0: pcr(1), 1: pcr(0)})
    ask(30, "zero-expected", "zeros are expected of an enclave not in debug mode", pcrs={0: NO_PCR}, allow_debug=True)

    debug = document(registers=DEBUG_PCRS)
    later = document(registers={**DEBUG_PCRS, 3: pcr(3), 4: pcr(4), 8: pcr(8)})
    part = document(registers={**PCRS, 0: NO_PCR})
    zeros = {0: NO_PCR, 1: NO_PCR, 2: NO_PCR}
    accept("debug-no-policy", "34a: a debug document without a policy", debug)
    ask(None, "debug-allowed", "31: allowed", debug, allow_debug=True)
    ask(None, "debug-zeros", "31a: allowed, zeros are expected", debug, allow_debug=True, pcrs=zeros)
    ask(None, "debug-allowed-else", "31: allowed, not in debug mode", allow_debug=True, pcrs={0: pcr(0)})
    ask(None, "part-zero", "31: PCR0 alone is zero, nothing is expected of it", part, pcrs={1: pcr(1)})
    ask(31, "debug", "debug mode", debug)
    ask(31, "debug-false", "debug mode, refused by name", debug, allow_debug=False)
    ask(31, "debug-null", "debug mode, said nothing of", debug, allow_debug=None)
    ask(31, "debug-expected", "debug mode, zeros are expected", debug, pcrs=zeros)
    ask(31, "debug-pcr3", "debug mode, PCR3 is right", debug, pcrs={3: NO_PCR})
    ask(31, "debug-later", "debug mode, later registers are set", later, pcrs={3: pcr(3), 8: pcr(8)})
    ask(31, "part-expected", "PCR0 alone is zero, and expected so", part, pcrs={0: NO_PCR})
    ask(30, "debug-measured", "debug mode is allowed, a measurement is expected", debug, allow_debug=True, pcrs={0: pcr(0)})

    def same(step, field, other, value):
        """32 and 33: compared in full, absent is not empty."""
        empty, null, absent = (document(**{field: item}) for item in (bstr(b""), NULL, None))
        short = field.replace("_", "-")
        ask(None, f"{short}-match", f"{step}: the same", **{field: value.hex()})
        ask(None, f"{short}-empty-match", f"{step}a: empty and there", empty, **{field: ""})
        ask(None, f"{short}-not-asked", f"32a: null asks nothing", **{field: None})
        ask(None, f"{short}-absent-not-asked", f"32a: nothing asked, nothing there", null, **{field: None})
        ask(step, f"{short}-other", "another", **{field: other.hex()})
        ask(step, f"{short}-short", "a byte short", **{field: value[:-1].hex()})
        ask(step, f"{short}-long", "a byte more", **{field: value.hex() + "00"})
        ask(step, f"{short}-last-bit", "the last bit differs", **{field: flip(value).hex()})
        ask(step, f"{short}-first-bit", "the first bit differs", **{field: flip(value, 0, 0x80).hex()})
        ask(step, f"{short}-empty", "empty is expected", **{field: ""})
        ask(step, f"{short}-null", "null", null, **{field: value.hex()})
        ask(step, f"{short}-absent", "not there", absent, **{field: value.hex()})
        ask(step, f"{short}-is-empty", "empty", empty, **{field: value.hex()})
        ask(step, f"{short}-null-empty", f"{step}a: null, empty is expected", null, **{field: ""})
        ask(step, f"{short}-absent-empty", f"{step}a: not there, empty is expected", absent, **{field: ""})

    same(32, "nonce", USER_DATA, NONCE)
    same(33, "user_data", NONCE, USER_DATA)

    early, late = document(made=NOW * 1000 - 1), document(made=NOW * 1000 + 1)
    ask(None, "future-5", "34a: five seconds ahead", at=NOW - 5)
    ask(34, "future-6", "six seconds ahead", at=NOW - 6)
    ask(34, "future-5001", "five seconds and a millisecond ahead", late, at=NOW - 5)
    ask(None, "future-4999", "34a: a millisecond less than five seconds ahead", early, at=NOW - 5)
    ask(None, "skew-0", "34a: no skew, the same moment", max_clock_skew_s=0)
    ask(34, "skew-0-ms", "no skew, a millisecond ahead", late, max_clock_skew_s=0)
    ask(34, "skew-0-second", "no skew, a second ahead", at=NOW - 1, max_clock_skew_s=0)
    ask(None, "skew-60", "34a: a minute of skew, a minute ahead", at=NOW - 60, max_clock_skew_s=60)
    ask(34, "skew-60-ms", "a minute of skew, a millisecond more ahead", late, at=NOW - 60, max_clock_skew_s=60)
    ask(34, "skew-null", "skew said nothing of, six seconds ahead", at=NOW - 6, max_clock_skew_s=None)
    ask(None, "skew-max", "34a: 2^64 - 1 seconds of skew", at=NOW - 600, max_clock_skew_s=2**64 - 1)
    ask(None, "skew-u63", "34a: 2^63 seconds of skew", at=NOW - 600, max_clock_skew_s=2**63)
    ask(None, "skew-overflow", "34a: a skew whose milliseconds are 2^64", at=NOW - 600, max_clock_skew_s=2**64 // 1000 + 1)
    ask(None, "age-300", "34a: as old as may be", at=NOW + 300, max_age_s=300)
    ask(34, "age-300-ms", "a millisecond too old", early, at=NOW + 300, max_age_s=300)
    ask(None, "age-300-less", "34a: a millisecond less", late, at=NOW + 300, max_age_s=300)
    ask(34, "age-301", "a second too old", at=NOW + 301, max_age_s=300)
    ask(None, "age-0", "34a: no age, the same moment", max_age_s=0)
    ask(34, "age-0-ms", "no age, a millisecond old", early, max_age_s=0)
    ask(None, "age-0-future", "34a: no age, within the skew ahead", at=NOW - 5, max_age_s=0)
    ask(None, "age-null", "34a: age said nothing of", at=NOW + 2 * HOUR, max_age_s=None)
    ask(None, "age-max", "34a: 2^64 - 1 seconds of age", at=NOW + 600, max_age_s=2**64 - 1)
    ask(None, "age-overflow", "34a: an age whose milliseconds are 2^64", at=NOW + 600, max_age_s=2**64 // 1000 + 1)
    ask(34, "future-with-age", "ahead, whatever the age", at=NOW - 6, max_age_s=2**64 - 1)
    ask(34, "old-with-skew", "old, whatever the skew", at=NOW + 600, max_age_s=1, max_clock_skew_s=2**64 - 1)
    accept("future-no-policy", "34a: ahead, without a policy", base, at=NOW - HOUR)
    everything = {"pcrs": {0: pcr(0), 1: pcr(1), 2: pcr(2), 3: NO_PCR}, "nonce": NONCE.hex(), "user_data": USER_DATA.hex(), "allow_debug": False, "max_age_s": 300, "max_clock_skew_s": 5}
    ask(None, "everything", "30 to 34: all at once", at=NOW + 60, **everything)


def main():
    envelope()
    syntax()
    certificates()
    policies()
    parts = [{"part": label, "bytes": b64(part)} for label, part in PARTS.items()]
    lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in parts + CASES)
    assert {line["step"] for line in CASES} == {None, *range(1, 36)} - {29}
    if sys.argv[1:] == ["--check"]:
        if OUT.read_text() != lines:
            sys.exit(f"{OUT.name} is not what this script writes")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        OUT.write_text(lines)
    accepted = sum(line["step"] is None for line in CASES)
    print(f"{len(CASES)} cases, {accepted} of them accepted, {len(lines)} bytes")


if __name__ == "__main__":
    main()
