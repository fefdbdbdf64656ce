#: expect
TLSv1.3
#: setup
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
cat >s.py <<'X'
import http.server, ssl, threading, urllib.request, sqlite3, hashlib, ctypes, json, tempfile, uuid, getpass, os, pwd
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
http.server.SimpleHTTPRequestHandler.log_message = lambda *a: None
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"https://localhost:{server.server_address[1]}/s.py"
trust = ssl.create_default_context(cafile="cert.pem")
with urllib.request.urlopen(url, context=trust) as answer: print(answer.status, len(answer.read()) > 100)
import socket
with trust.wrap_socket(socket.create_connection(server.server_address), server_hostname="localhost") as s: print(s.version())
try: urllib.request.urlopen(url)
except Exception as e: print("CERTIFICATE_VERIFY_FAILED" in str(e))
print(len(ssl.create_default_context().get_ca_certs()) > 0 or os.listdir("/etc/ssl/certs") != [])
db = sqlite3.connect("d.sqlite"); db.execute("pragma journal_mode=wal"); db.execute("create table t(x)"); db.execute("insert into t values(1)"); db.commit(); print(db.execute("select count(*) from t").fetchone())
print(getpass.getuser(), pwd.getpwuid(os.getuid()).pw_dir, os.path.expanduser("~"), tempfile.gettempdir())
X
#: run
python3 s.py
