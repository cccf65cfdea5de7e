"""Plays a gateway's life against a running hub, by the example client. Reads {"url", "name", "secret", "sealed"} on standard
input and prints one JSON line a step: {"step", "status", "code", "answer"}. It judges nothing; python-client.test.ts does.
"""

import json
import sys
import time

from latchkey_gateway.gateway import Gateway, GatewayError, secret_from
from latchkey_gateway.payload import PayloadError

AWKWARD = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="


def step(name, work):
    said = {"step": name, "status": 200, "code": None, "answer": None}
    try:
        said["answer"] = work()
    except GatewayError as error:
        said.update(status=error.status, code=error.code, answer=error.answer)
    except PayloadError as error:
        said.update(status=0, code="PAYLOAD_ERROR", answer=str(error))
    print(json.dumps(said), flush=True)
    return said["answer"]


def main():
    given = json.load(sys.stdin)
    secret, sealed = secret_from(given["secret"]), given["sealed"]
    gateway = Gateway(given["url"], given["name"], secret, sealed)

    def off(seconds):
        return Gateway(given["url"], given["name"], secret, sealed, clock=lambda: time.time() + seconds)

    made = step("create", lambda: gateway.create(name="Köln", presharedKey=True))
    step("create with a key", lambda: gateway.create(publicKey=AWKWARD, allowedIPs=["192.168.9.0/24"]))
    step("create it again", lambda: gateway.create(publicKey=AWKWARD))
    step("disable", lambda: gateway.disable(AWKWARD))
    step("enable", lambda: gateway.enable(AWKWARD))
    step("usage", gateway.ip_usage)
    step("status", gateway.status)
    step("metrics", gateway.metrics)
    step("delete", lambda: gateway.delete(AWKWARD))
    step("delete it again", lambda: gateway.delete(AWKWARD))
    step("delete the other", lambda: gateway.delete(made["publicKey"]))
    once = gateway.sign("POST", "/api/v1/configurations/", {"name": "once"})
    step("send once", lambda: gateway.send(once))
    step("send once more", lambda: gateway.send(once))
    other = once._replace(path="/api/v1/configurations")
    step("send elsewhere", lambda: gateway.send(other))
    # a second is lost when the time of the request is cut to whole ones
    for seconds in (-310, 310, -290, 290):
        step("clock {:+d}".format(seconds), lambda: off(seconds).ip_usage())
    wrong = Gateway(given["url"], given["name"], bytes(32), sealed)
    step("another secret", wrong.ip_usage)
    step("sealed against its will", lambda: Gateway(given["url"], given["name"], secret, True).ip_usage())
    print(json.dumps({"step": "peers", "status": 200, "code": None, "answer": list(gateway.peers())}))


if __name__ == "__main__":
    main()
