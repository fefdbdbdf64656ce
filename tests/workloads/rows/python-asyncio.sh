#: expect
child 3 b'out\n'
signal 15
#: setup
cat >a.py <<'X'
import asyncio, signal, socket, sys, tempfile
async def main():
    p = await asyncio.create_subprocess_exec("sh", "-c", "echo out; exit 3", stdout=asyncio.subprocess.PIPE)
    out, _ = await p.communicate(); print("child", p.returncode, out)
    ps = [await asyncio.create_subprocess_shell("sleep 0.1") for _ in range(10)]
    print([await p.wait() for p in ps])
    got = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, got.set_result, 15)
    signal.raise_signal(signal.SIGTERM); print("signal", await got)
    async def echo(r, w): w.write(await r.readline()); await w.drain(); w.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname()); w.write(b"tcp\n"); print(await r.readline()); w.close()
    path = tempfile.mktemp(); await asyncio.start_unix_server(echo, path)
    r, w = await asyncio.open_unix_connection(path); w.write(b"unix\n"); print(await r.readline()); w.close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.sendto(b"udp", u.getsockname()); print(u.recv(9))
    print(await asyncio.to_thread(sum, range(10)))
asyncio.run(main())
for watcher in ("PidfdChildWatcher", "ThreadedChildWatcher"):
    import warnings; warnings.simplefilter("ignore")
    if hasattr(asyncio, watcher):
        asyncio.set_child_watcher(getattr(asyncio, watcher)())
        async def one(): p = await asyncio.create_subprocess_exec("true"); return await p.wait()
        print(watcher, asyncio.run(one()))
X
#: run
python3 a.py
