//! A way out of a sandbox whose network is its own, to one address on the machine and no other.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use agent_aws_harness::Machine;

use crate::inside::Inside;

/// Listens at a port of the sandbox's own network, and carries connections out through the project's socket.
const INNER: &str = r#"import socket, sys, threading; s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); print("there", flush=True)
def copy(a, b):
    while data := a.recv(65536): b.sendall(data)
    b.shutdown(socket.SHUT_WR)
while True:
    a, b = s.accept()[0], socket.socket(socket.AF_UNIX); b.connect(sys.argv[2])
    threading.Thread(target=copy, args=(a, b)).start(); threading.Thread(target=copy, args=(b, a)).start()
"#;

/// Of one server.
pub(crate) struct Relay {
    port: String,
    socket: PathBuf,
    script: PathBuf,
}

impl Relay {
    /// To the server at this URL, by a socket in the project.
    pub(crate) fn new(machine: &Machine, url: &str) -> Self {
        let alice = machine.user("alice");
        let socket = machine.project(&alice).join("relay.sock");
        let script = socket.with_file_name("relay.py");
        machine.file(&alice, &script, 0o644, INNER);
        let listener = UnixListener::bind(&socket).expect("a socket in the project");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).expect("a socket in the project");
        let address = url.trim_start_matches("http://").to_owned();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        std::thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let outer = TcpStream::connect(&address).expect("the server");
                join(inner, outer);
            }
        });
        Self { port, socket, script }
    }

    /// Makes the server's own address lead there, in this session.
    #[track_caller]
    pub(crate) fn begin(&self, inside: &mut Inside) {
        let Self { port, socket, script } = self;
        let (socket, script) = (socket.display(), script.display());
        let dead = format!("import socket; socket.create_connection((\"127.0.0.1\", {port}), 5)");
        inside.does(&format!("/usr/bin/python3 -c '{dead}'")).badly();
        inside
            .does(&format!(
                "/usr/bin/python3 {script} {port} {socket} >relay.out 2>&1 & for i in $(seq 600); do grep -q there relay.out && break; sleep 0.05; done; grep there relay.out"
            ))
            .well();
    }
}

/// Both ways at once, until either side ends.
fn join(inner: UnixStream, outer: TcpStream) {
    use std::net::Shutdown::Write;
    let (inner_too, outer_too) = (inner.try_clone().expect("a socket"), outer.try_clone().expect("a socket"));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut &inner, &mut &outer);
        let _ = outer.shutdown(Write);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut &outer_too, &mut &inner_too);
        let _ = inner_too.shutdown(Write);
    });
}
