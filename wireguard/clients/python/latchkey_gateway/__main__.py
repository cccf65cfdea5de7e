"""The calls of a gateway from a shell; answers are printed as JSON."""

import argparse
import json
import os
import sys

from .gateway import Gateway, GatewayError, read_secret
from .payload import PayloadError


def arguments():
    parser = argparse.ArgumentParser(prog="latchkey_gateway", description=__doc__)
    parser.add_argument("--url", required=True, help="where the hub's API is, as http://10.0.1.1:8090")
    parser.add_argument("--name", required=True, help="the name of this gateway")
    parser.add_argument("--secret-file", required=True, help="its secret, in a file of mode 0600")
    parser.add_argument("--sealed", action="store_true", help="seal payloads both ways")
    calls = parser.add_subparsers(dest="call", required=True)
    create = calls.add_parser("create", help="make a peer")
    create.add_argument("--public-key", help="without one the hub makes a pair")
    create.add_argument("--peer-name")
    create.add_argument("--address")
    create.add_argument("--networks", nargs="+", help="networks behind the peer")
    create.add_argument("--preshared-key", action="store_true")
    create.add_argument("--keepalive", type=int)
    create.add_argument("--expires-at", help="as 2027-01-31T12:00:00Z")
    create.add_argument("--client", help="the program that is to take the configuration")
    create.add_argument("--out", help="write the configuration to a new file (mode 0600), and print no secret")
    for name in ("enable", "disable", "delete"):
        calls.add_parser(name).add_argument("public_key")
    for name in ("usage", "status", "metrics", "peers"):
        calls.add_parser(name)
    return parser.parse_args()


def order_of(given):
    order = {
        "publicKey": given.public_key,
        "name": given.peer_name,
        "address": given.address,
        "allowedIPs": given.networks,
        "presharedKey": given.preshared_key or None,
        "keepalive": given.keepalive,
        "expiresAt": given.expires_at,
        "client": given.client,
    }
    return {name: value for name, value in order.items() if value is not None}


def create(gateway, given):
    if given.out is None:
        return gateway.create(**order_of(given))
    # the file first: a peer whose configuration cannot be kept is of no use
    descriptor = os.open(given.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        made = gateway.create(**order_of(given))
    except BaseException:
        os.close(descriptor)
        os.unlink(given.out)
        raise
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made["config"])
    return {name: value for name, value in made.items() if name not in ("config", "privateKey", "presharedKey")}


def answer(gateway, given):
    if given.call == "create":
        return create(gateway, given)
    if given.call in ("enable", "disable", "delete"):
        return getattr(gateway, given.call)(given.public_key)
    if given.call == "peers":
        return list(gateway.peers())
    return {"usage": gateway.ip_usage, "status": gateway.status, "metrics": gateway.metrics}[given.call]()


def main():
    given = arguments()
    try:
        gateway = Gateway(given.url, given.name, read_secret(given.secret_file), sealed=given.sealed)
        print(json.dumps(answer(gateway, given), indent=2, ensure_ascii=False))
        return 0
    except (GatewayError, PayloadError, ValueError, OSError) as error:
        print("latchkey_gateway: error: {}".format(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
