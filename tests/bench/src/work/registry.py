"""Packages of npm, and a registry for them, in the working directory."""
import base64, hashlib, http.server, io, json, os, sys, tarfile, threading

PACKAGES, FILES = 60, 25
answers = {}


def package(n):
    name, data = f"part{n}", io.BytesIO()
    manifest = {"name": name, "version": "1.0.0", "main": "0.js"}
    if n % 3:
        manifest["dependencies"] = {f"part{n - 1}": "^1.0.0"}
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        files = {f"{f}.js": f"module.exports = {f};\n" * 20 for f in range(FILES)}
        for path, text in {"package.json": json.dumps(manifest), **files}.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    digest = base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()
    answers[f"/{name}/-/{name}-1.0.0.tgz"] = data.getvalue()
    dist = {"tarball": f"{url}/{name}/-/{name}-1.0.0.tgz", "integrity": f"sha512-{digest}"}
    whole = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**manifest, "dist": dist}}}
    answers[f"/{name}"] = json.dumps(whole).encode()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = answers.get(self.path)
        self.send_response(200 if answer else 404)
        self.send_header("content-length", str(len(answer or b"")))
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
url = f"http://127.0.0.1:{server.server_port}"
for n in range(PACKAGES):
    package(n)
os.makedirs("app", exist_ok=True)
with open("app/package.json", "w") as manifest:
    needed = {f"part{n}": "^1.0.0" for n in range(PACKAGES)}
    json.dump({"name": "app", "version": "1.0.0", "dependencies": needed}, manifest)
with open("app/.npmrc", "w") as settings:
    settings.write(f"registry={url}/\n")
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
