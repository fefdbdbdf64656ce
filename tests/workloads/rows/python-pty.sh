#: expect
typed: hello
size (40, 100)
interrupted True
stopped True
#: setup
cat >p.py <<'X'
import fcntl, os, pty, select, struct, termios, time
pid, master = pty.fork()
if pid == 0:
    os.environ["PS1"] = ""
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
def until(text):
    said, end = b"", time.time() + 40
    while text not in said and time.time() < end:
        if select.select([master], [], [], 0.1)[0]:
            try: said += os.read(master, 1000)
            except OSError: break
    return text in said
def do(line, text): os.write(master, line.encode() + b"\n"); return until(text.encode())
def key(key, text): os.write(master, key); return do("echo status $?", text)
do("PS1=; stty -echo; echo rea''dy", "ready")
do("read -p 'what''? ' x; echo typed: $x", "what? "); print("typed: hello" if do("hello", "typed: hello") else "nothing")
print("size (40, 100)" if do("stty size", "40 100") else "no size")
print("job", do("sleep 100 & kill %1; wait; echo wai''ted", "waited"))
busy = "sh -c 'echo bu\"\"sy; exec sleep 100'"
do(busy, "busy"); print("interrupted", key(b"\x03", "status 130"))
do(busy, "busy"); print("stopped", key(b"\x1a", "status 148"))
print("tty", do("tty", "/dev/pts/"))
do("kill -9 %1; wait; echo kil''led", "killed")
# What is typed while a shell resets its terminal may be lost: once more, until it has gone.
ended = (0, 0)
while ended[0] == 0:
    try: os.write(master, b"exit 7\n")
    except OSError: pass
    for _ in range(20):
        time.sleep(0.05); ended = os.waitpid(pid, os.WNOHANG)
        if ended[0]: break
print(os.waitstatus_to_exitcode(ended[1]))
X
#: run
python3 p.py
