"""Servers of the fake internet. Each answers with the name that its address has there, so that what a client prints
shows whose server it reached. argv[1] is JSON: names with their addresses, places, ports to pass TLS on to."""

import base64, hashlib, http.server, json, os, socket, socketserver, ssl, struct, sys, threading, time

plan = json.loads(sys.argv[1])
name_of = {address: name for name, addresses in plan["names"].items() for address in addresses}
seen = threading.Event()
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(plan["certificate"], plan["key"])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, port, handler, secure):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.name, self.secure = name_of[address], secure
        super().__init__((address, port), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client):
        # Here, in the connection's own thread: a handshake may take its time.
        if self.secure:
            request = tls.wrap_socket(request, server_side=True)
        self.RequestHandlerClass(request, client, self)
        if self.secure:
            try:
                request.unwrap()
            except OSError:
                pass
            request.close()

    def handle_error(self, request, client):
        print(self.name, self.server_address, sys.exc_info()[1], file=sys.stderr)


class Web(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.directory = plan["files"]

    def whole(self, text, kind="text/plain"):
        data = text if isinstance(text, bytes) else text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0]
        at = self.translate_path(path)
        if path == "/hello":
            host = self.headers.get("Host", "").split(":")[0]
            self.whole(f"{self.server.name} answers {host}, {'tls' if self.server.secure else 'plain'}\n")
        elif path == "/large":
            self.whole(bytes(range(256)) * 4096 * 32, "application/octet-stream")
        elif path == "/events":
            self.events()
        elif path == "/seen":
            seen.set()
            self.whole("well\n")
        elif path == "/socket":
            self.web_socket()
        elif at.endswith(".json") or os.path.isfile(os.path.join(at, "index.json")):
            file = at if at.endswith(".json") else os.path.join(at, "index.json")
            here = f"{'https' if self.server.secure else 'http'}://{self.headers['Host']}"
            self.whole(open(file, "rb").read().replace(b"@URL@", here.encode()), "application/json")
        else:
            super().do_GET()

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.whole(f"{self.server.name} got {len(data)} {hashlib.sha256(data).hexdigest()[:16]}\n")

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        seen.clear()
        for number in range(6):
            self.wfile.write(f"id: {number}\ndata: {self.server.name} says {number}\n\n".encode())
            # Nothing more before the client says that it has the first.
            if not seen.wait(60):
                return
            time.sleep(0.2)

    def web_socket(self):
        magic = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            first, second = self.rfile.read(2)
            length = second & 127
            if length > 125:
                length = struct.unpack(">H", self.rfile.read(2))[0]
            mask, data = self.rfile.read(4), self.rfile.read(length)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            if first & 15 == 8:
                self.wfile.write(bytes([0x88, len(data)]) + data)
                return
            answer = f"{self.server.name} heard ".encode() + data
            self.wfile.write(bytes([0x81, len(answer)]) + answer)

    def log_message(self, *words):
        pass


class Raw(socketserver.StreamRequestHandler):
    """Answers when the client has sent its end: a connection that is closed one way at a time."""

    def handle(self):
        data = self.rfile.read()
        self.wfile.write(f"{self.server.name} got {len(data)} {hashlib.sha256(data).hexdigest()[:16]}\n".encode())


class Redis(socketserver.StreamRequestHandler):
    def handle(self):
        kept = {}
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:length].decode())
            match [words[0].upper(), *words[1:]]:
                case ["PING"]:
                    answer = f"+{self.server.name} pongs\r\n"
                case ["SET", key, value]:
                    kept[key] = value
                    answer = "+OK\r\n"
                case ["GET", key] if key in kept:
                    answer = f"${len(kept[key])}\r\n{kept[key]}\r\n"
                case ["GET", _]:
                    answer = "$-1\r\n"
                case _:
                    answer = "-ERR unknown command\r\n"
            self.wfile.write(answer.encode())


class Postgres(socketserver.StreamRequestHandler):
    """As much of the protocol, version 3, as one simple query takes. Over TLS if the client asks for it."""

    def handle(self):
        length, code = struct.unpack(">II", self.rfile.read(8))
        if code == 80877103:
            self.wfile.write(b"S")
            self.request = tls.wrap_socket(self.request, server_side=True)
            self.setup()
            length, code = struct.unpack(">II", self.rfile.read(8))
        self.rfile.read(length - 8)
        self.tell(b"R", struct.pack(">I", 0))
        for pair in ("server_version\x0015.0\0", "client_encoding\0UTF8\0"):
            self.tell(b"S", pair.encode())
        self.tell(b"Z", b"I")
        while kind := self.rfile.read(1):
            query = self.rfile.read(struct.unpack(">I", self.rfile.read(4))[0] - 4)
            if kind == b"X":
                return
            if kind == b"Q":
                row = f"{self.server.name} was asked {query[:-1].decode()}".encode()
                self.tell(b"T", struct.pack(">H", 1) + b"answer\0" + struct.pack(">IHIhIh", 0, 0, 25, -1, 0xFFFFFFFF, 0))
                self.tell(b"D", struct.pack(">HI", 1, len(row)) + row)
                self.tell(b"C", b"SELECT 1\0")
                self.tell(b"Z", b"I")

    def tell(self, kind, data):
        self.wfile.write(kind + struct.pack(">I", len(data) + 4) + data)


class PassOn(socketserver.BaseRequestHandler):
    """What comes over TLS goes on in plain to a server that speaks only that."""

    def handle(self):
        there = socket.create_connection(("127.0.0.1", plan["pass-on"][self.server.name]))
        back = threading.Thread(target=self.copy, args=(there, self.request), daemon=True)
        back.start()
        self.copy(self.request, there)
        there.shutdown(socket.SHUT_WR)
        back.join()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass


for name, addresses in plan["names"].items():
    for address in addresses:
        if name in plan["pass-on"]:
            for port in (443, 8443):
                Server(address, port, PassOn, True)
        elif name == "www.example.net" or name.endswith(".www.example.net"):
            for port in (80, 8080):
                Server(address, port, Web, False)
            for port in (443, 8443):
                Server(address, port, Web, True)
            Server(address, 7000, Raw, False)
        elif name == "cache.example.net":
            Server(address, 6379, Redis, False)
        elif name == "db.example.net":
            Server(address, 5432, Postgres, False)
print("ready", flush=True)
threading.Event().wait()
