# Follows doors.py. `misuse.py WAY` misuses a door until it is ended, and says `begun` once it is at work;
# `misuse.py` does each in turn beside clients that keep the rules; `misuse.py control` does so at a server that trusts its clients.
import fcntl, resource, subprocess, time
SOCKET, HTTP, REQUEST = "/run/agent-aws/credentials.sock", ("169.254.170.2", 80), "/run/agent-aws/request"
CAPABILITY = int(os.environ.get("AGENT_AWS_FD", "0"))
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
kept = []
def unix():
    s = socket.socket(socket.AF_UNIX); s.settimeout(1); s.connect(SOCKET)
    return s
def web():
    s = socket.socket(); s.settimeout(1); s.connect(HTTP)
    return s
def fifo(data):
    try: os.write(pipe, data)
    except BlockingIOError: time.sleep(0.01)
def capability(data, descriptors=()):
    door = socket.socket(fileno=os.dup(CAPABILITY)); door.settimeout(1)
    with door: socket.send_fds(door, [data], descriptors)
def tolerant(one):
    # Whoever misuses a door may be shown out.
    try: one()
    except OSError: pass
def oversized():
    def one(connect, data):
        with connect() as s: s.sendall(data)
    tolerant(lambda: one(unix, b"x" * (8 << 20)))
    tolerant(lambda: one(web, b"GET / HTTP/1.1\r\nX: " + b"x" * (8 << 20)))
    tolerant(lambda: capability(b"x" * 150_000))
    fifo(b"x" * 65536)
def partial():
    if len(kept) < 300:
        kept.extend((unix(), web())); kept[-1].sendall(b"GET /credentials HTTP/1.1\r\nHost:")
        fifo(b"\n0123456789abcdef")
    else: time.sleep(0.1)
def slow():
    if len(kept) < 200: kept.append(web())
    for s in kept: tolerant(lambda: s.sendall(b"G"))
    time.sleep(1 if len(kept) >= 200 else 0)
def many():
    for connect in (unix, web): tolerant(lambda: kept.append(connect()))
    while len(kept) > 500: kept.pop(0).close()
def version():
    for hello in (b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x04\0\0\0\x07\0\x08\0role"):
        for connect in (unix, web):
            def one():
                with connect() as s: s.sendall(hello); s.recv(65536)
            tolerant(one)
        tolerant(lambda: capability(hello)); fifo(hello + b"\n")
def descriptors():
    def one():
        with unix() as s: socket.send_fds(s, [b"x"], [0] * 253)
    tolerant(one)
    for count in (0, 1, 2, 253): tolerant(lambda: capability(b"x", [0] * count))
def urgent():
    for connect in (unix, web):
        def one():
            with connect() as s: s.send(b"GET /", socket.MSG_OOB); s.sendall(b"x")
        tolerant(one)
WAYS = (oversized, partial, slow, many, version, descriptors, urgent)
def begin(way):
    attacker = subprocess.Popen([sys.executable, __file__, way], stdout=subprocess.PIPE, text=True, pass_fds=[CAPABILITY] if CAPABILITY else [])
    assert attacker.stdout.readline() == "begun\n", way
    return attacker
def end(attacker):
    attacker.kill(); attacker.wait()
def served(ask, limit):
    over = time.monotonic() + limit
    while time.monotonic() < over:
        try:
            if b"SecretAccessKey" in ask(): return True
        except OSError: pass
    return False
def trusting():
    """A server as it is easily written: one client after the other, each until its request is whole."""
    listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(1024)
    def serve():
        while True:
            s, _ = listener.accept(); request = b""
            while not request.endswith(b"\r\n\r\n") and (part := s.recv(1)): request += part
            tolerant(lambda: s.sendall(b"SecretAccessKey")); s.close()
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()
def at(address):
    s = socket.create_connection(address, 2); s.sendall(b"GET / HTTP/1.1\r\n\r\n")
    return rest(s)
word = sys.argv[1] if len(sys.argv) > 1 else ""
if word == "control":
    address = trusting()
    print("before", served(lambda: at(address), 10))
    with socket.create_connection(address) as half:
        half.sendall(b"GET / HTTP")
        print("beside half a request", served(lambda: at(address), 3))
elif word:
    pipe = os.open(REQUEST, os.O_WRONLY | os.O_NONBLOCK)
    one, count = globals()[word], 0
    while True:
        one(); count += 1
        if count == 5: print("begun", flush=True)
else:
    def starved(limit): return [door.__name__ for _ in range(5) for door in (at_socket, at_http, at_capability) if not served(door, limit)]
    for way in WAYS:
        attacker = begin(way.__name__)
        print(way.__name__, *starved(20) or ["served"], flush=True)
        end(attacker)
    socket.socket(fileno=CAPABILITY).shutdown(socket.SHUT_RDWR)
    print("shut", *sorted(set(starved(2))))
