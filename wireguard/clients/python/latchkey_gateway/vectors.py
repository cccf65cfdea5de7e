"""Checks this client against the published vectors: python3 -m latchkey_gateway.vectors FILE [--without-payloads]

Prints what was checked; exits with 1 when anything is not as it must be.
"""

import json
import sys

from . import payload, signing
from .gateway import secret_from


def signature_failures(vectors):
    """Names of the vectors of signatures, times and nonces that do not come out right."""
    for vector in vectors["signatures"]["held"]:
        parts = _parts(vector)
        if signing.signed_text(*parts) != vector["text"]:
            yield "signed text: " + vector["name"]
        if signing.signature_of(secret_from(vector["secret"]), *parts) != vector["signature"]:
            yield "signature: " + vector["name"]
        if not signing.is_signature(secret_from(vector["secret"]), *parts, vector["signature"]):
            yield "signature does not hold: " + vector["name"]
    for vector in vectors["signatures"]["refused"]:
        if signing.is_signature(secret_from(vector["secret"]), *_parts(vector), vector["signature"]):
            yield "signature holds: " + vector["name"]
    for vector in vectors["times"]:
        if signing.is_timely(vector["timestamp"], vector["now"]) is not vector["timely"]:
            yield "time: {!r}".format(vector["timestamp"])
    for vector in vectors["nonces"]:
        if signing.is_nonce(vector["nonce"]) is not vector["good"]:
            yield "nonce: {!r}".format(vector["nonce"])


def payload_failures(vectors):
    """Names of the vectors of payloads that do not come out right."""
    for vector in vectors["payloads"]["held"]:
        secret, plaintext = secret_from(vector["secret"]), vector["plaintext"].encode("utf-8")
        call = _call(vector)
        if payload.payload_key(secret, vector["direction"]).hex() != vector["key"]:
            yield "payload key: " + vector["name"]
        if payload.payload_label(*call) != vector["label"]:
            yield "payload label: " + vector["name"]
        if payload.seal(secret, *call, plaintext, bytes.fromhex(vector["iv"])) != vector["payload"]:
            yield "payload: " + vector["name"]
        if payload.open_sealed(secret, *call, vector["payload"]) != plaintext:
            yield "payload opens as something else: " + vector["name"]
    for vector in vectors["payloads"]["refused"]:
        try:
            payload.open_sealed(secret_from(vector["secret"]), *_call(vector), vector["payload"])
        except payload.PayloadError:
            continue
        yield "payload opens: " + vector["name"]


def _parts(vector):
    names = ("method", "path", "timestamp", "nonce")
    return [vector[name] for name in names] + [vector["body"].encode("utf-8")]


def _call(vector):
    return [vector[name] for name in ("direction", "method", "path", "nonce", "status")]


def main(arguments):
    files = [one for one in arguments if not one.startswith("--")]
    if len(files) != 1 or set(arguments) - set(files) - {"--without-payloads"}:
        print(__doc__, file=sys.stderr)
        return 2
    with open(files[0], encoding="utf-8") as file:
        vectors = json.load(file)
    failures = list(signature_failures(vectors))
    checked = [(name, len(vectors["signatures"][name])) for name in ("held", "refused")]
    words = ["signatures {} {}".format(*one) for one in checked]
    words += ["{} {}".format(name, len(vectors[name])) for name in ("times", "nonces")]
    if "--without-payloads" not in arguments:
        if payload.AESGCM is None:
            print('the package "cryptography" is missing; see --without-payloads', file=sys.stderr)
            return 1
        failures += payload_failures(vectors)
        words += ["payloads {} {}".format(name, len(vectors["payloads"][name])) for name in ("held", "refused")]
    for failure in failures:
        print("not as it must be: " + failure)
    print("{}: {}".format("failed" if failures else "passed", ", ".join(words)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
