# SPDX-License-Identifier: MIT
"""The routes of servers.lua in Python's http.server. Prints: the plain port, the TLS port.

    stdlib.py KEY CERT FOLDER HTTP/1.0|HTTP/1.1
"""
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEY, CERT, FOLDER, VERSION = sys.argv[1:]
TOLD = ["host", "x-probe", "user-agent", "accept-encoding", "via", "authorization", "proxy-authorization"]
store = {}


def squeezed(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return file.read()


class Handler(BaseHTTPRequestHandler):
    protocol_version = VERSION
    wbufsize = -1  # head and body in one segment
    timeout = 60

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        if self.path.startswith("/refuse"):
            self.refuse("")
            return False
        return super().handle_expect_100()

    def send(self, status, body=b"", *headers):
        self.send_response(status)
        if status != 204 and status != 304:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def answer(self):
        name, _, arg = urlsplit(self.path).path[1:].partition("/")
        if name not in ("refuse", "store"):
            self.body()
        getattr(self, name.replace("-", "_"), self.nothing)(arg)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_PURGE = answer

    def nothing(self, _):
        self.send(404)

    def anything(self, _):
        lines = [f"{self.command} {self.path}\n"] + [f"{name}: {self.headers.get(name, '')}\n" for name in TOLD]
        self.send(200, "".join(lines).encode("latin-1"), ("Content-Type", "text/plain"))

    def status(self, arg):
        self.send(int(arg))

    def redirect(self, arg):
        self.send(int(arg), b"moved", ("Location", "/anything"))

    def redirect_to(self, _):
        self.send(302, b"", ("Location", parse_qs(urlsplit(self.path).query)["url"][0]))

    def cookies(self, arg):
        if arg == "set":
            self.send(302, b"", ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/; HttpOnly"), ("Location", "/cookies"))
        else:
            self.send(200, self.headers.get("Cookie", "").encode())

    def gzip(self, _):
        self.send(200, squeezed("squeezed.gz"), ("Content-Encoding", "gzip"))

    def deflate(self, _):
        self.send(200, squeezed("squeezed.zz"), ("Content-Encoding", "deflate"))

    def br(self, _):
        self.send(200, squeezed("squeezed.br"), ("Content-Encoding", "br"))

    def pieces(self, pieces, pause=0.0, trailer=""):
        """In chunks for HTTP/1.1; for HTTP/1.0 until the connection ends."""
        chunks = self.protocol_version == "HTTP/1.1"
        self.send_response(200)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunks else ("Connection", "close")))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunks else piece)
            self.wfile.flush()
            time.sleep(pause)
        if chunks:
            self.wfile.write(b"0\r\n%s\r\n" % trailer.encode())

    def chunked(self, _):
        self.pieces([b"one ", b"two ", b"three"], trailer="X-Late: 1\r\n")

    def drip(self, _):
        self.pieces([b"drop by 10"] * 10, 0.005)

    def bytes(self, arg):
        size = int(arg)
        all_bytes = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
        wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if not wanted:
            self.send(200, all_bytes, ("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"))
        elif int(wanted[1]) >= size:
            self.send(416, b"", ("Content-Range", f"bytes */{size}"))
        else:
            first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
            self.send(206, all_bytes[first:last + 1], ("Content-Range", f"bytes {first}-{last}/{size}"))

    def guarded(self, wanted, challenge):
        if self.headers.get("Authorization") == wanted:
            self.send(200, b"in")
        else:
            self.send(401, b"out", ("WWW-Authenticate", challenge))

    def basic(self, _):
        self.guarded("Basic dXM6cGE=", 'Basic realm="peers"')

    def bearer(self, _):
        self.guarded("Bearer token", "Bearer")

    def store(self, name):
        body = self.body()
        if self.command == "PUT":
            store[name] = body
            self.send(201)
        elif name not in store:
            self.send(404)
        elif self.command == "DELETE":
            del store[name]
            self.send(204)
        else:
            self.send(200, store[name])

    def refuse(self, _):
        """Answers before the body is read; reads on for a while, or the answer would be lost in a reset."""
        self.close_connection = True
        self.send(413, b"too much", ("Connection", "close"))
        self.wfile.flush()
        self.connection.settimeout(5)
        try:
            if not isinstance(self.connection, ssl.SSLSocket):
                self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(65536):
                pass
        except OSError:
            pass

    def hang(self, _):
        self.close_connection = True
        try:
            self.connection.recv(1)  # until the client is gone
        except OSError:
            pass

    def close(self, _):
        self.close_connection = True
        self.send(200, b"bye", ("Connection", "close"))

    def silence(self, _):
        self.close_connection = True

    def cut(self, arg):
        self.close_connection = True
        framing = "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n" if arg else "Content-Length: 1000\r\n\r\nhalf"
        self.wfile.write(f"HTTP/1.1 200 OK\r\n{framing}".encode())

    def reset(self, _):
        self.cut("")
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def leave(self, _):
        """Looks kept, and is not."""
        self.send(200, b"bye")
        self.close_connection = True


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        pass


class SecureServer(Server):
    def finish_request(self, request, client_address):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERT, KEY)
        super().finish_request(context.wrap_socket(request, server_side=True), client_address)

    def shutdown_request(self, request):  # the descriptor is the TLS socket's since
        self.close_request(request)


plain, secure = Server(("127.0.0.1", 0), Handler), SecureServer(("127.0.0.1", 0), Handler)
threading.Thread(target=secure.serve_forever, daemon=True).start()
print(plain.server_address[1], secure.server_address[1], flush=True)
plain.serve_forever()
