#: expect
typed: hello
size (40, 100)
#: setup
cat >p.py <<'X'
import fcntl, os, pty, select, signal, struct, sys, termios, time
pid, master = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
def until(text, limit=20):
    said, end = b"", time.time() + limit
    while text not in said and time.time() < end:
        if select.select([master], [], [], 0.1)[0]:
            try: said += os.read(master, 1000)
            except OSError: break
    return said
def do(line, text): os.write(master, line.encode() + b"\n"); return text.encode() in until(text.encode())
print("typed: hello" if do("PS1= ; stty -echo; read x; echo typed: $x", "") and do("hello", "typed: hello") else "nothing")
print("size (40, 100)" if do("stty size", "40 100") else "no size")
print("job", do("sleep 100 & jobs; kill %1; wait; echo wa''ited", "waited"))
os.write(master, b"sleep 100\n"); time.sleep(0.5); os.write(master, b"\x03"); print("interrupted", do("echo status $?", "status 130"))
os.write(master, b"sleep 100\n"); time.sleep(0.5); os.write(master, b"\x1a"); print("stopped", do("jobs", "Stopped"))
print("tty", do("tty", "/dev/pts/"))
do("kill -9 %1; wait; echo kil""led", "killed"); os.write(master, b"exit 7\n"); until(b"\xff\xff", 2); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
X
#: run
python3 p.py
