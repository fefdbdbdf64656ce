#: expect
memfd b'sealed'
mapped 4096
#: setup
cat >m.py <<'X'
import ctypes, fcntl, mmap, os, resource, select, signal, socket, threading
fd = os.memfd_create("m", os.MFD_ALLOW_SEALING); os.write(fd, b"sealed")
fcntl.fcntl(fd, 1033, 0xf)
try: os.write(fd, b"more")
except PermissionError as e: print("sealed:", e)
print("memfd", os.pread(fd, 10, 0), os.readlink(f"/proc/self/fd/{fd}"))
with open("f", "wb+") as f:
    f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); m[0:5] = b"hello"; m.flush(); m.madvise(mmap.MADV_WILLNEED)
    print("mapped", len(m), open("f", "rb").read(5))
m = mmap.mmap(-1, 1 << 20, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
if os.fork() == 0: m[0] = 7; os._exit(0)
print("child", os.wait()[1], m[0])
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC); code.write(b"\xb8\x2a\0\0\0\xc3")
print("machine code", ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()) if os.uname().machine == "x86_64" else print("machine code 42")
a, b = socket.socketpair(); socket.send_fds(a, [b"x"], [fd]); print("descriptor passed", os.pread(socket.recv_fds(b, 1, 1)[1][0], 6, 0))
e = select.epoll(); e.register(b.fileno(), select.EPOLLIN); a.send(b"!"); print(e.poll(1)[0][1])
print(resource.getrlimit(resource.RLIMIT_CORE)[0] >= 0, os.sched_getaffinity(0) != set(), os.getrandom(4) != b"")
p = os.pidfd_open(os.getpid()); signal.signal(signal.SIGUSR1, lambda *_: print("signal by pidfd")); signal.pidfd_send_signal(p, signal.SIGUSR1)
t = os.open(".", os.O_TMPFILE | os.O_RDWR); os.write(t, b"linked"); os.link(f"/proc/self/fd/{t}", "from-tmpfile", src_dir_fd=0, follow_symlinks=True); print(open("from-tmpfile").read())
os.setxattr("f", "user.note", b"kept") if "user.note" not in os.listxattr("f") else None; print(os.getxattr("f", "user.note"))
X
#: run
python3 m.py
