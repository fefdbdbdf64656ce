#: expect
manager {0: 0, 1: 1, 2: 4, 3: 9}
pool [0, 1, 4, 9, 16]
#: setup
cat >m.py <<'X'
import multiprocessing as mp, concurrent.futures as cf
from multiprocessing import shared_memory
def square(n): return n * n
def put(d, n): d[n] = n * n
def write(name): m = shared_memory.SharedMemory(name); m.buf[0] = 42; m.close()
def main(method):
    c = mp.get_context(method)
    with c.Pool(4) as p: print("pool", p.map(square, range(5)))
    with c.Manager() as m:
        d = m.dict()
        ps = [c.Process(target=put, args=(d, n)) for n in range(4)]
        [p.start() for p in ps]; [p.join() for p in ps]
        print("manager", dict(sorted(d.items())))
    m = shared_memory.SharedMemory(create=True, size=4096)
    p = c.Process(target=write, args=(m.name,)); p.start(); p.join()
    print("shared memory", m.buf[0]); m.close(); m.unlink()
    q, e, s = c.Queue(), c.Event(), c.Semaphore(2)
    q.put("queue"); print(q.get(timeout=10), s.acquire(), e.is_set())
    with cf.ProcessPoolExecutor(2, mp_context=c) as pool: print(list(pool.map(square, [5, 6])))
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"): print(method); main(method)
X
#: run
python3 m.py
