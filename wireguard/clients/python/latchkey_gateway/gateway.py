"""The calls of a gateway to its hub."""

import base64
import binascii
import http.client
import json
import os
import stat
import time
import urllib.parse
from collections import namedtuple

from . import payload, signing

SignedRequest = namedtuple("SignedRequest", "method path headers body nonce")


class GatewayError(Exception):
    """A refusal: `status` and `code` as the hub has them (`IP_TAKEN`), `answer` all that it said."""

    def __init__(self, status, answer):
        code = answer.get("code", "UNKNOWN")
        super().__init__("{} {}: {}".format(status, code, answer.get("error", "the hub refused")))
        self.status, self.code, self.answer = status, code, answer


class Gateway:
    """Signs and sends; `clock` answers seconds since 1970. Keeps no connection and tries nothing again by itself.

    A request that got no answer may have been carried out all the same: look before it is sent again. `sealed` seals every
    payload, and takes no success that is not sealed.
    """

    def __init__(self, url, name, secret, sealed=False, clock=time.time, timeout=15):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError("the URL of a hub is http://HOST:PORT or https://HOST, without a path")
        if len(secret) != 32:
            raise ValueError("the secret of a gateway is 32 bytes")
        self._where, self._name, self._secret = parts, name, secret
        self._sealed, self._clock, self._timeout = sealed, clock, timeout

    def create(self, **order):
        """Makes a peer: publicKey, name, address, allowedIPs, presharedKey, keepalive, expiresAt, client, all optional."""
        return self.call("POST", "/api/v1/configurations/", order)

    def enable(self, public_key):
        return self.call("PUT", self._path_of(public_key) + "/status", {"enabled": True})

    def disable(self, public_key):
        return self.call("PUT", self._path_of(public_key) + "/status", {"enabled": False})

    def delete(self, public_key):
        return self.call("DELETE", self._path_of(public_key))

    def ip_usage(self):
        return self.call("GET", "/api/v1/ip-usage")

    def status(self, limit=100, after=None):
        return self.call("GET", self._page("/api/v1/server/status", limit, after))

    def metrics(self, limit=100, after=None):
        return self.call("GET", self._page("/api/v1/server/metrics", limit, after))

    def peers(self):
        """Every peer of this gateway, page by page."""
        after = None
        while True:
            page = self.status(limit=1000, after=after)
            yield from page["peers"]
            after = page["next"]
            if after is None:
                return

    def call(self, method, path, body=None):
        """What the hub answers. Raises GatewayError for a refusal, PayloadError for an answer that is not its own."""
        return self.send(self.sign(method, path, body))

    def sign(self, method, path, body=None):
        """A request that is good once, and for 300 seconds."""
        nonce = signing.new_nonce()
        timestamp = str(int(self._clock()))
        sent = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8")
        if self._sealed and body is not None:
            sealed = payload.seal(self._secret, "request", method, path, nonce, None, sent)
            sent = json.dumps({"payload": sealed}).encode("ascii")
        headers = {
            "X-Gateway": self._name,
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Signature": signing.signature_of(self._secret, method, path, timestamp, nonce, sent),
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        return SignedRequest(method, path, headers, sent, nonce)

    def send(self, request):
        status, text = self._exchange(request)
        try:
            answer = json.loads(text.decode("utf-8"))
        except ValueError:
            raise GatewayError(status, {"error": "the answer is no JSON: is this a hub?"}) from None
        is_sealed = isinstance(answer, dict) and set(answer) == {"payload"}
        if is_sealed:
            call = (request.method, request.path, request.nonce, status)
            answer = json.loads(payload.open_sealed(self._secret, "response", *call, answer["payload"]))
        if not 200 <= status < 300:
            raise GatewayError(status, answer if isinstance(answer, dict) else {})
        if self._sealed and not is_sealed:
            raise payload.PayloadError("the answer is not sealed")
        return answer

    def _exchange(self, request):
        kind = http.client.HTTPSConnection if self._where.scheme == "https" else http.client.HTTPConnection
        line = kind(self._where.hostname, self._where.port, timeout=self._timeout)
        try:
            line.request(request.method, request.path, request.body or None, request.headers)
            response = line.getresponse()
            return response.status, response.read()
        finally:
            line.close()

    @staticmethod
    def _path_of(public_key):
        # base64 has "/", which would end the part of a path
        return "/api/v1/configurations/" + urllib.parse.quote(public_key, safe="")

    @staticmethod
    def _page(path, limit, after):
        query = {"limit": limit} if after is None else {"limit": limit, "after": after}
        return path + "?" + urllib.parse.urlencode(query)


def secret_from(text):
    """The 32 bytes that `wghub gateway add` shows as base64url."""
    try:
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != 32 or base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii") != text:
        raise ValueError("the secret of a gateway is 43 characters of base64url")
    return secret


def read_secret(path):
    """The secret in a file that only its owner may read, as `wghub gateway add --out` writes it."""
    with open(path, encoding="ascii") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if os.name == "posix" and mode & 0o077:
            raise PermissionError("{} can be read by others: chmod 600 it".format(path))
        return secret_from(file.read().rstrip("\n"))
