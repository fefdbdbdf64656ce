//! A server of files on loopback, outside of the sandbox.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use agent_aws_harness::Machine;

/// Serves its working directory at a port of the kernel's choice, which it prints. With `cert.pem` and `key.pem` there,
/// over TLS. `@URL@` in a served JSON file is where it is served.
const PROGRAM: &str = r#"
import http.server, os, ssl
class Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path = self.translate_path(self.path)
        if os.path.isdir(path):
            path = os.path.join(path, "index.json")
        if path.endswith(".json") and os.path.isfile(path):
            data = open(path, "rb").read().replace(b"@URL@", url.encode())
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            super().do_GET()
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data[::-1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
tls = os.path.exists("cert.pem")
if tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
url = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
print(url, flush=True)
server.serve_forever()
"#;

/// Ends with the trial, however that ends.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Serves a directory.
    pub(crate) fn start(machine: &Machine, directory: &Path) -> Self {
        let call = machine.call("alice", "/usr/bin/python3").args(&["-c", PROGRAM]).cwd(directory);
        let mut command = call.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("python3");
        let mut url = String::new();
        let said = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut url));
        assert!(matches!(said, Some(Ok(1..))), "the server did not start");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
