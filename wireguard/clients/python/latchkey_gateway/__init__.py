"""A client for the gateways' calls of a hub: small, and meant to be read by whoever writes one in another language.

    from latchkey_gateway.gateway import Gateway, read_secret

    gateway = Gateway("http://10.0.1.1:8090", "berlin", read_secret("berlin.secret"))
    made = gateway.create(name="laptop")
    gateway.disable(made["publicKey"])

Python 3.9 or newer and its standard library; sealed payloads need the package "cryptography" as well (Debian: python3-cryptography).
From a shell: python3 -m latchkey_gateway --help. What it must agree on with the hub: python3 -m latchkey_gateway.vectors vectors.json
"""
