#: expect
64 answers, all right
#: run
python3 - <<'X'
import hashlib, socket
from concurrent.futures import ThreadPoolExecutor
def talk(number):
    data = bytes([number]) * 65537 * (number % 4 + 1)
    with socket.create_connection(("www.example.net", 7000)) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: s.recv(4096), b"")).decode()
    return answer == f"www.example.net got {len(data)} {hashlib.sha256(data).hexdigest()[:16]}\n"
with ThreadPoolExecutor(64) as pool:
    answers = list(pool.map(talk, range(64)))
print(len(answers), "answers,", "all right" if all(answers) else "some wrong")
X
