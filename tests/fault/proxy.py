"""Between the program and its server: a proxy that counts the messages of the client and cuts the line at one of them."""
import socket
import struct
import threading


class Proxy:
    """A TCP port that leads to a PostgreSQL, until the message number `limit` of all clients together. `reached` is called
    then; with `forward` that message has arrived at the server before."""

    def __init__(self, server, limit, reached=lambda: None, forward=False):
        self.server = server
        self.limit = limit
        self.reached = reached
        self.forward = forward
        self.count = 0
        self.lock = threading.Lock()
        self.cut = False
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self.server.port))
            self.sockets += [client, upstream]
            for source, target, counted in (client, upstream, True), (upstream, client, False):
                thread = threading.Thread(target=self._pump, args=(source, target, counted), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _pump(self, source, target, counted):
        try:
            if counted:
                self._messages(source, target)
            else:
                while data := source.recv(65536):
                    target.sendall(data)
        except OSError:
            pass
        for one in source, target:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _exactly(self, source, size):
        data = b""
        while len(data) < size:
            more = source.recv(size - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def _messages(self, source, target):
        """The first message has no letter before its length; a request for SSL or to cancel is one, too."""
        first = True
        while True:
            letter = b"" if first else self._exactly(source, 1)
            length = self._exactly(source, 4)
            body = self._exactly(source, struct.unpack("!I", length)[0] - 4)
            with self.lock:
                self.count += 1
                if self.count >= self.limit:
                    if self.count == self.limit and self.forward:
                        target.sendall(letter + length + body)
                    if not self.cut:
                        self.reached()
                    self.cut = True
                    return
            target.sendall(letter + length + body)
            first = first and body[:4] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30")  # asks for SSL or GSS: begins again

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.threads[0].join()
        self.listener.close()
        for one in self.sockets:  # a socket that a thread still reads from is not closed by close()
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads[1:]:
            thread.join()
        for one in self.sockets:
            one.close()
