"""Searches for secrets: files below the places that are named if they changed since the test began, all of /proc, what processes
have open, and their memory. Reads `NAME SECRET` lines; prints `NAME PLACE` for what it finds and, last, how much it looked at.

canary.py BEGUN SPARED PLACE...    SPARED: processes whose memory is not searched, with commas between
"""
import base64, os, stat, sys, urllib.parse

begun = float(sys.argv[1]) - 1
spared = set(sys.argv[2].split(",")) | {str(os.getpid())}
# Of no use to anybody, endless, or the memory of the machine itself.
SKIPPED = {"kcore", "kmsg", "mem", "pagemap", "kpagecount", "kpageflags", "kpagecgroup", "clear_refs", "task", "sysrq-trigger"}
MOST = 256 << 20
looked = {"files": 0, "open": 0, "processes": 0}


def forms(secret):
    """As it is, and as programs write it that escape or encode."""
    raw = secret.encode()
    yield from (raw, raw.replace(b"/", b"\\/"), urllib.parse.quote(secret, safe="").encode(), raw.hex().encode())
    for before, cut in ((0, 0), (1, 2), (2, 3)):
        yield base64.b64encode(b"x" * before + raw)[cut:-4]


needles = [(line.split()[0], set(forms(line.split()[1]))) for line in sys.stdin]


def search(data, place):
    for name, ways in needles:
        if any(way in data for way in ways):
            print(name, place, flush=True)


def content(path):
    """What can be read of a regular file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    data = bytearray()
    try:
        while len(data) < MOST and (part := os.read(file, 1 << 20)):
            data += part
    except OSError:
        pass
    os.close(file)
    return bytes(data)


def tree(place):
    for directory, below, names in os.walk(place):
        below[:] = [name for name in below if name not in SKIPPED]
        for name in names:
            path = os.path.join(directory, name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and name not in SKIPPED and (path.startswith("/proc/") or found.st_ctime >= begun):
                looked["files"] += 1
                search(content(path), path)


def descriptors(pid):
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for number in numbers:
        path = f"/proc/{pid}/fd/{number}"
        try:
            if stat.S_ISREG(os.stat(path).st_mode):
                looked["open"] += 1
                search(content(path), os.readlink(path))
        except OSError:
            continue


def memory(pid):
    try:
        maps = open(f"/proc/{pid}/maps").read().splitlines()
        name = open(f"/proc/{pid}/comm").read().strip()
        file = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return
    read = False
    for line in maps:
        span, rights = line.split()[:2]
        first, end = (int(number, 16) for number in span.split("-"))
        if rights.startswith("r") and "[v" not in line:
            try:
                search(os.pread(file, min(end - first, MOST), first), f"memory of {name}")
                read = True
            except (OSError, OverflowError):
                continue
    os.close(file)
    looked["processes"] += read


for place in sys.argv[3:]:
    tree(place)
for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid != str(os.getpid()):
        descriptors(pid)
    if pid not in spared:
        memory(pid)
print("looked", looked["files"], looked["open"], looked["processes"])
