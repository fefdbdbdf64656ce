#: expect
line 1
line 5000
END
#: run
seq -f 'line %g' 5000 >lines
less lines | sed -n '1p;$p'
export TERM=xterm
printf 'G:q\n' >keys
python3 - <<'X'
import os, pty, select, time
pid, fd = pty.fork()
if pid == 0: os.execvp("less", ["less", "lines"])
said = b""
def until(text):
    global said
    end = time.time() + 20
    while text not in said and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try: said += os.read(fd, 4096)
            except OSError: break
    ok = text in said; said = b""; return ok
print(until(b"line 20")); os.write(fd, b"G"); print("END" if until(b"line 5000") else "no end")
os.write(fd, b"/ 42$\n"); print(until(b"42")); os.write(fd, b"q"); print(os.waitpid(pid, 0)[1])
X
