#: expect
counted 100
flock: busy
#: setup
cat >l.py <<'X'
import fcntl, os, struct
with open("l", "w") as f:
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
    if os.fork() == 0:
        g = open("l", "r+")
        try: fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
        except BlockingIOError: print("posix: busy", flush=True)
        fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 20); print("posix: free beyond", flush=True); os._exit(0)
    os.wait()
with open("o", "w") as f:
    fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)); print("open file description lock")
X
#: run
echo 0 >n; for i in $(seq 20); do (for j in 1 2 3 4 5; do flock n.lock sh -c 'echo $(($(cat n) + 1)) >n'; done) & done; wait; echo "counted $(cat n)"
exec 8>x; flock 8; flock -n x true || echo 'flock: busy'; python3 l.py
