"""`probe.py listen PORT...` takes connections at every address; `probe.py reach` tries those of a JSON list on stdin."""
import concurrent.futures
import json
import socket
import sys


def listen(ports):
    held = []
    for port in ports:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        held.append(server)
    print("listening", flush=True)
    while True:
        for server in held:
            server.settimeout(0.05)
            try:
                server.accept()[0].close()
            except TimeoutError:
                pass


def reach(target):
    try:
        socket.create_connection((target["address"], target["port"]), timeout=target.get("seconds", 1)).close()
        return "open"
    except TimeoutError:
        return "silent"
    except OSError:
        return "refused"


if sys.argv[1] == "listen":
    listen([int(port) for port in sys.argv[2:]])
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(reach, json.load(sys.stdin)))))
