"""The naive design: a plain http.server that compares a token and answers the key. No TLS, no gates, no record."""
import http.server
import sys

TOKEN = sys.argv[1]
BODY = sys.stdin.buffer.read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        allowed = self.headers.get("X-Auth-Token") == TOKEN
        body = BODY if allowed else b"{}"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
