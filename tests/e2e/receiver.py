"""A receiver of HTTP requests that remembers them by their idempotency key."""
import contextlib
import http.server
import threading


class Receiver(http.server.ThreadingHTTPServer):
    """`got` is a list of (path, key, body); `answers` are the statuses of the next requests, then 200."""
    daemon_threads = True

    def __init__(self):
        self.got, self.answers, self.lock = [], [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def keys(self, path):
        return [key for where, key, _ in self.got if where == path]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with self.server.lock:
            self.server.got.append((self.path, self.headers.get("Idempotency-Key"), body))
            status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"said": "thanks"}')

    do_GET = do_POST

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def receiving():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
