#: expect
through the relay
#: run
socat UNIX-LISTEN:s.sock,fork SYSTEM:'cat' & p=$!
for i in $(seq 100); do test -S s.sock && break; sleep 0.05; done
echo through the relay | socat - UNIX-CONNECT:s.sock; kill $p
socat -u EXEC:'echo from a terminal',pty,ctty,setsid - | tr -d '\r'
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'); socat TCP-LISTEN:$port,bind=127.0.0.1 SYSTEM:'cat' & for i in $(seq 100); do echo over tcp | socat -t 2 - TCP:127.0.0.1:$port 2>/dev/null && break; sleep 0.05; done
