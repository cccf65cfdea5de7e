"""What a gateway signs, and how."""

import hashlib
import hmac
import re
import secrets

WINDOW_SECONDS = 300
NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


def signed_text(method, path, timestamp, nonce, body):
    """One part a line: `path` with its query as it is sent, `body` the bytes as they are sent, by their SHA-256."""
    for part in (method, path, timestamp, nonce):
        if "\n" in part or "\r" in part:
            raise ValueError("a signed part holds the end of a line")
    return "\n".join(["latchkey-gateway-1", method, path, timestamp, nonce, hashlib.sha256(body).hexdigest()])


def signature_of(secret, method, path, timestamp, nonce, body):
    """The X-Signature: HMAC-SHA-256 (RFC 2104) in hex."""
    text = signed_text(method, path, timestamp, nonce, body)
    return hmac.new(secret, text.encode("utf-8"), hashlib.sha256).hexdigest()


def is_signature(secret, method, path, timestamp, nonce, body, given):
    """In constant time; anything but 64 lower-case hex digits is wrong."""
    if not SIGNATURE.fullmatch(given):
        return False
    return hmac.compare_digest(signature_of(secret, method, path, timestamp, nonce, body), given)


def is_timely(timestamp, now):
    """Whether a timestamp is good for a hub at `now`; both in seconds, one of them as text."""
    return bool(TIMESTAMP.fullmatch(timestamp)) and abs(now - int(timestamp)) <= WINDOW_SECONDS


def is_nonce(text):
    return bool(NONCE.fullmatch(text))


def new_nonce():
    """192 random bits: never the same twice."""
    return secrets.token_urlsafe(24)
