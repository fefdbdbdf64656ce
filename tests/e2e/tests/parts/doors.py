import array, os, socket, sys, threading
def rest(s):
    data = b""
    while part := s.recv(65536): data += part
    s.close()
    return data
def at_socket():
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("/run/agent-aws/credentials.sock")
    return rest(s)
def at_http(request=b"GET /credentials HTTP/1.1\r\nHost: 169.254.170.2\r\nConnection: close\r\n\r\n"):
    s = socket.create_connection(("169.254.170.2", 80), 20); s.sendall(request)
    return rest(s)
def at_capability():
    door = socket.socket(fileno=os.dup(int(os.environ["AGENT_AWS_FD"])))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM); ours.settimeout(20)
    socket.send_fds(door, [b"?"], [theirs.fileno()]); theirs.close()
    return rest(ours)
