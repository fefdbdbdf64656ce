#: expect
UDP fails at once
www.example.net answers www.example.net, tls
#: run
python3 - <<'X'
import socket, urllib.request
for family in (socket.AF_INET, socket.AF_INET6):
    *_, address = socket.getaddrinfo("www.example.net", 443, family, socket.SOCK_DGRAM)[0]
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect(address)
    # An Initial of a version that nobody speaks, as long as the first packet of a connection must be.
    s.send(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"12345678" + bytes(1200))
    try:
        s.recv(2000)
        print("UDP is answered")
    except TimeoutError:
        print("UDP is lost")
    except OSError:
        print("UDP fails at once")
print(urllib.request.urlopen("https://www.example.net/hello").read().decode())
X
