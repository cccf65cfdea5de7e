"""A client of the key server in another language, written from the wire protocol page alone (Python's standard library, and
openssl for keys and requests, which that library cannot make).

Reads {"url", "ca", "code", "grant"} on standard input, plays the calls one after the other and prints one JSON line for
each: {"step", "status", "body"}. It judges nothing; wire-client.test.ts does.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

KEY_ID = "master_1c3e56e0.privateKey"
BOOT_ID = "5f2b1c9e-8f4b-4a55-9f65-6a5e2d6f2f11"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def totp(secret, at):
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(at // 30)), hashlib.sha1).digest()
    offset = digest[19] & 15
    return "%06d" % ((struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6)


class Pair:
    """A key of one's own in a folder nobody else may enter, and the certificate to it."""

    def __init__(self, folder, name):
        self.key = os.path.join(folder, name + ".key")
        self.certificate = os.path.join(folder, name + ".crt")
        make = "openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=wire -keyout".split()
        self.csr = subprocess.run([*make, self.key], check=True, capture_output=True, text=True).stdout

    def keep(self, certificate):
        with open(self.certificate, "w", encoding="ascii") as file:
            file.write(certificate)


class Client:
    def __init__(self, invitation):
        self.where = urllib.parse.urlsplit(invitation["url"])
        self.connect(invitation["ca"], None)
        self.last_time = 0
        self.headers = {}
        self.totp_secret = None

    def connect(self, ca, pair):
        tls = ssl.create_default_context(cadata=ca)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        if pair is not None:
            tls.load_cert_chain(pair.certificate, pair.key)
        self.line = http.client.HTTPSConnection(self.where.hostname, self.where.port, context=tls, timeout=10)

    def time(self):
        self.last_time = max(self.last_time + 1, int(time.time() * 1000))
        return self.last_time

    def call(self, step, method, path, body=None, headers=None):
        sent = dict(self.headers if headers is None else headers)
        data = None
        if body is not None:
            data = json.dumps(body)
            sent["Content-Type"] = "application/json"
        self.line.request(method, path, data, sent)
        answer = self.line.getresponse()
        text = answer.read()
        result = json.loads(text) if text else None
        print(json.dumps({"step": step, "status": answer.status, "body": result}), flush=True)
        return result

    def with_code(self):
        if self.totp_secret is None:
            return self.headers
        return {**self.headers, "X-TOTP": totp(self.totp_secret, time.time())}

    def open(self, step, link, at=None, **changed):
        body = {"link": link, "time": at or self.time(), "fingerprint": None, "bootId": None, "reason": "cold", "seen": None}
        return self.call(step, "POST", "/v1/open", {**body, **changed}, self.with_code())

    def release(self, step, opened, keys):
        body = {"session": opened["session"], "link": opened["next"], "time": self.time(), "keys": keys}
        return self.call(step, "POST", "/v1/release", body)

    def heartbeat(self, step, link, notice=None):
        raw = decode(link)
        link_id = hashlib.sha256(b"id" + raw).hexdigest()[:16]
        at = self.time()
        message = "%s|%d|%s" % (link_id, at, BOOT_ID)
        if notice is not None:
            message += "|%s|%d|%s|%s" % (notice["code"], notice["at"], notice.get("from", ""), notice.get("to", ""))
        proof = hmac.new(hashlib.sha256(raw).digest(), message.encode(), hashlib.sha256).hexdigest()
        body = {"linkId": link_id, "time": at, "bootId": BOOT_ID, "uptime": 12, "proof": proof}
        if notice is not None:
            body["notice"] = notice
        self.call(step, "POST", "/v1/heartbeat", body)


def main():
    with tempfile.TemporaryDirectory() as folder:
        play(json.load(sys.stdin), Pair(folder, "first"), Pair(folder, "second"))


def play(invitation, pair, later):
    client = Client(invitation)
    client.call("health", "GET", "/health", headers={})
    client.call("enroll with a wrong request", "POST", "/v1/enroll", {"code": invitation["code"], "csr": "none"})
    enrolled = client.call("enroll", "POST", "/v1/enroll", {"code": invitation["code"], "csr": pair.csr})
    client.call("enroll again", "POST", "/v1/enroll", {"code": invitation["code"]})
    client.headers = {"X-Client": enrolled["clientId"], "X-Auth-Token": enrolled["token"]}
    client.totp_secret = enrolled["totpSecret"]
    pair.keep(enrolled["certificate"])
    client.open("without the certificate", enrolled["link"])
    client.connect(enrolled["ca"], pair)

    key = base64.b64encode(hashlib.sha256(b"a key").digest() * 90).decode()
    stored = {"key": key, "grant": invitation["grant"]}
    client.call("store", "PUT", "/v1/keys/" + KEY_ID, stored)
    client.call("store the same", "PUT", "/v1/keys/" + KEY_ID, stored)
    client.call("store another", "PUT", "/v1/keys/" + KEY_ID, {**stored, "key": key[:-4] + "AAAA"})
    client.call("store a path", "PUT", "/v1/keys/..%2Fvault.json", stored)
    client.call("store without grant", "PUT", "/v1/keys/other", {"key": key, "grant": encode(os.urandom(32))})

    first = enrolled["link"]
    opened = client.open("open", first)
    client.release("release", opened, [KEY_ID])
    second = opened["next"]

    at = client.time()
    opened = client.open("open again", second, at)
    client.open("the same message twice", second, at)
    crossed = client.open("open beside it", second)
    client.release("release with another session", {"session": crossed["session"], "next": opened["next"]}, [KEY_ID])
    client.release("release with its own session", crossed, [KEY_ID])
    stored_only = client.open("open and crash", crossed["next"])
    opened = client.open("open after the crash", stored_only["next"])
    client.release("release an unknown key", opened, ["no_such.privateKey"])
    opened = client.open("open once more", opened["next"])
    client.release("release again", opened, [KEY_ID])
    third = opened["next"]

    client.heartbeat("heartbeat", third)
    notice = {"code": "reapplied", "at": int(time.time() * 1000), "to": "33.0.1"}
    client.heartbeat("heartbeat with a notice", third, notice)
    client.heartbeat("heartbeat with the same notice", third, notice)
    client.heartbeat("heartbeat with a notice of no kind", third, {**notice, "code": "hello"})
    client.call("renew without a code", "POST", "/v1/certificate", {"csr": later.csr})
    client.call("renew with a wrong request", "POST", "/v1/certificate", {"csr": "none"}, client.with_code())
    renewed = client.call("renew", "POST", "/v1/certificate", {"csr": later.csr}, client.with_code())
    later.keep(renewed["certificate"])
    client.heartbeat("heartbeat with the old certificate", third)
    client.connect(renewed["ca"], later)
    client.heartbeat("heartbeat with the new certificate", third)
    client.connect(renewed["ca"], pair)
    client.heartbeat("heartbeat with the old certificate again", third)
    client.connect(renewed["ca"], later)
    wrong = {**client.with_code(), "X-Auth-Token": encode(os.urandom(32))}
    body = {"link": third, "time": client.time(), "fingerprint": None, "bootId": None, "reason": "cold", "seen": None}
    client.call("wrong token", "POST", "/v1/open", body, wrong)
    client.call("wrong totp", "POST", "/v1/open", {**body, "time": client.time()}, {**client.with_code(), "X-TOTP": "000000"})
    client.call("no credentials", "POST", "/v1/open", body, {})
    client.open("unknown link", encode(os.urandom(32)))
    client.open("a clock that is late", third, int(time.time() * 1000) - 61_000)
    client.open("unknown field", third, more=1)
    client.open("unknown reason", third, reason="curious")
    client.call("basic without permission", "GET", "/key", None, client.with_code())
    client.open("seen ahead", third, seen={"seq": 1_000_000, "head": "0" * 64})

    client.open("a spent link", first)
    client.open("after the fork", third)
    client.heartbeat("heartbeat after the fork", third)


main()
