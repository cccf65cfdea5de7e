"""Payloads that only gateway and hub can read: AES-256-GCM, the key by HKDF-SHA-256."""

import base64
import binascii
import hashlib
import hmac
import secrets

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:  # plain payloads need neither
    AESGCM = None

IV_BYTES = 12
TAG_BYTES = 16


class PayloadError(Exception):
    """A payload was altered, or sealed for another call, another way, or with another secret."""


def payload_key(secret, direction):
    """HKDF (RFC 5869) with no salt; 32 bytes are one block, so its expansion is one HMAC."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    info = "latchkey gateway payload 1|{}".format(direction).encode("ascii")
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def payload_label(direction, method, path, nonce, status):
    """What is bound to the ciphertext; `status` is None in a request."""
    parts = ["1", direction, method, path, nonce] + ([] if status is None else [str(status)])
    if any("\n" in part or "\r" in part for part in parts):
        raise ValueError("a part of a call holds the end of a line")
    return "\n".join(parts)


def seal(secret, direction, method, path, nonce, status, plaintext, iv=None):
    """Base64 of IV, ciphertext and tag. `iv` is for tests alone: one that comes twice gives everything away."""
    iv = secrets.token_bytes(IV_BYTES) if iv is None else iv
    label = payload_label(direction, method, path, nonce, status).encode("utf-8")
    box = iv + _cipher(secret, direction).encrypt(iv, plaintext, label)
    return base64.b64encode(box).decode("ascii")


def open_sealed(secret, direction, method, path, nonce, status, text):
    """The bytes that were sealed for the same call. Raises PayloadError."""
    try:
        box = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise PayloadError("the payload is not base64") from None
    if len(box) < IV_BYTES + TAG_BYTES or base64.b64encode(box).decode("ascii") != text:
        raise PayloadError("the payload is not base64 of IV, ciphertext and tag")
    label = payload_label(direction, method, path, nonce, status).encode("utf-8")
    try:
        return _cipher(secret, direction).decrypt(box[:IV_BYTES], box[IV_BYTES:], label)
    except InvalidTag:
        raise PayloadError("the payload does not open") from None


def _cipher(secret, direction):
    if AESGCM is None:
        raise PayloadError('sealed payloads need the package "cryptography" (Debian: python3-cryptography)')
    return AESGCM(payload_key(secret, direction))
