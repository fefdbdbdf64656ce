//! A broker with the supervisor's end of its channel, its doors from outside, and an STS.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use agent_aws_protocol::{
    Access, BrokerToHelper, Channel, Door, HelperToBroker, MintedSession, Minting, Narrowing, SourceCredentials,
};
use agent_aws_sts_emulator::{Config, Emulator};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, mknodat};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use tempfile::TempDir;

pub(crate) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The second factor of the user with that key.
pub(crate) const DEVICE: &str = "arn:aws:iam::111122223333:mfa/workstation";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/agent-incident";
/// A role on the way, and what whoever has no keys shows for it.
pub(crate) const BASE: &str = "arn:aws:iam::111122223333:role/base";
pub(crate) const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.c2VjcmV0";
pub(crate) const SOON: Duration = Duration::from_secs(8);

pub(crate) fn emulator(lifetime: Option<u32>) -> Emulator {
    let config = serde_json::json!({
        "users": [{ "name": "workstation", "account": "111122223333", "access_key_id": KEY, "secret_access_key": SECRET,
                    "mfa_serial": DEVICE, "mfa_codes": ["123456", "234567"] }],
        "roles": [
            { "arn": "arn:aws:iam::111122223333:role/guarded", "trusted": ["*"], "require_mfa": true },
            { "arn": BASE, "trusted": ["*"], "web_identity_tokens": [TOKEN] },
            { "arn": ROLE, "trusted": ["*"], "external_id": "x-1", "allow_source_identity": true, "allow_tags": true },
            { "arn": "arn:aws:iam::111122223333:role/plain", "trusted": ["*"] },
            { "arn": "arn:aws:iam::111122223333:role/closed", "trusted": ["999999999999"] },
        ],
        "session_lifetime_seconds": lifetime,
    });
    let config = Config::parse(&config.to_string(), "test").unwrap();
    Emulator::start(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

pub(crate) fn keys(secret: &str) -> String {
    format!("[w]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n")
}

pub(crate) fn file(text: &str) -> OwnedFd {
    let fd = rustix::fs::memfd_create("source", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = std::fs::File::from(fd);
    file.write_all(text.as_bytes()).unwrap();
    file.into()
}

/// What a system source with full attribution mints.
pub(crate) fn minting(sts: &Emulator) -> Minting {
    Minting {
        identity: "incident".into(),
        source: SourceCredentials::ProfileFile { profile: "w".into() },
        role: Some(ROLE.into()),
        external_id: Some("x-1".into()),
        region: Some("eu-west-1".into()),
        sts_endpoint: Some(sts.url()),
        duration: 900,
        session_name: "alice@host-1".into(),
        source_identity: Some("alice".into()),
        tags: vec![("agent-aws:session".into(), "0123456789abcdef".into())],
        narrowing: Narrowing {
            access: Access::Read,
            deny_actions: vec!["sqs:PurgeQueue".into()],
            ..Narrowing::default()
        },
        fips: false,
        dual_stack: false,
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The program where an ordinary user can execute it: the build directory may be root's alone.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROGRAM.get_or_init(|| {
        let directory = open_directory();
        let path = directory.path().join("agent-aws-broker");
        let built = env!("CARGO_BIN_EXE_agent-aws-broker");
        if std::fs::hard_link(built, &path).is_err() {
            std::fs::copy(built, &path).unwrap();
        }
        (directory, path)
    });
    path
}

pub(crate) fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// How the supervisor would start it, less what `without` names.
pub(crate) struct Start {
    pub(crate) no_new_privs: bool,
    pub(crate) drop_root: bool,
    pub(crate) environment: Vec<(String, String)>,
}

impl Default for Start {
    fn default() -> Self {
        Self { no_new_privs: true, drop_root: true, environment: vec![] }
    }
}

impl Start {
    fn spawn(&self, theirs: OwnedFd) -> Child {
        let mut command = Command::new("setpriv");
        if self.no_new_privs {
            command.arg("--no-new-privs");
        }
        if self.drop_root && is_root() {
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
        }
        command
            .args(["sh", "-c", "exec \"$0\" 3<&0 0</dev/null"])
            .arg(program())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

pub(crate) struct Broker {
    pub(crate) child: Child,
    pub(crate) channel: Option<Channel>,
    pub(crate) capability: OwnedFd,
    pub(crate) http: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) fifos: Fifos,
    _directory: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Broker {
    /// Started, told what to mint, and its doors opened.
    pub(crate) fn start(minting: Minting, source: Option<OwnedFd>) -> Self {
        Self::start_as(&Start::default(), minting, source)
    }

    pub(crate) fn start_as(start: &Start, minting: Minting, source: Option<OwnedFd>) -> Self {
        let (ours, theirs) = Channel::pair().unwrap();
        let child = start.spawn(theirs);
        let channel = Channel::new(ours, Duration::from_secs(2));
        let sent: Vec<BorrowedFd<'_>> = source.iter().map(AsFd::as_fd).collect();
        channel.send_with(&HelperToBroker::Mint(Box::new(minting)), &sent).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let (capability, inner) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (request, request_path) = fifo(&directory, "request");
        let (answer, answer_path) = fifo(&directory, "answer");
        let doors = [inner.as_fd(), listener.as_fd(), request.as_fd(), answer.as_fd(), http.as_fd()];
        channel
            .send_with(&HelperToBroker::Doors(vec![Door::Capability, Door::Socket, Door::Fifos, Door::Http]), &doors)
            .unwrap();
        Self {
            child,
            channel: Some(channel),
            capability,
            http: http.local_addr().unwrap(),
            socket,
            fifos: Fifos { request: request_path, answer: answer_path },
            _directory: directory,
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        self.channel.as_ref().unwrap()
    }

    pub(crate) fn hears(&self, wait: Duration) -> Option<BrokerToHelper> {
        self.channel().receive(Some(wait)).ok().map(|r| r.message)
    }

    pub(crate) fn minted(&self) -> MintedSession {
        match self.hears(SOON) {
            Some(BrokerToHelper::Minted(session)) => session,
            other => panic!("not minted: {other:?}"),
        }
    }

    /// How its first mint came out, which an STS that is silent delays.
    pub(crate) fn first(&self) -> BrokerToHelper {
        self.hears(3 * SOON).unwrap()
    }

    pub(crate) fn failed(&self) -> (String, Option<u32>) {
        match self.hears(SOON) {
            Some(BrokerToHelper::Failed { cause, retry }) => (cause, retry),
            other => panic!("not failed: {other:?}"),
        }
    }

    /// Waits for the question and allows it, with a fresh source.
    pub(crate) fn renew(&self, source: Option<OwnedFd>) {
        assert_eq!(self.hears(SOON), Some(BrokerToHelper::Renew));
        let sent: Vec<BorrowedFd<'_>> = source.iter().map(AsFd::as_fd).collect();
        self.channel().send_with(&HelperToBroker::Renewed, &sent).unwrap();
    }

    pub(crate) fn by_socket(&self) -> serde_json::Value {
        ask_socket(&self.socket)
    }

    pub(crate) fn by_capability(&self) -> serde_json::Value {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        send_descriptors(&self.capability, &[theirs.as_fd()]);
        drop(theirs);
        read_json(&mut ours)
    }

    pub(crate) fn by_fifo(&self) -> serde_json::Value {
        self.fifos.ask("00000000000000000000000000000000")
    }

    pub(crate) fn by_http(&self) -> (u16, serde_json::Value) {
        let (status, body) = http(self.http, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        (status, serde_json::from_str(&body).unwrap())
    }

    pub(crate) fn status(&self, key: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// Waits until the process has ended, and says how long that took.
    pub(crate) fn ends(&mut self) -> Duration {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < SOON, "the broker still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    }
}

/// A FIFO, open as the builder of a sandbox opens it.
fn fifo(directory: &TempDir, name: &str) -> (OwnedFd, PathBuf) {
    let path = directory.path().join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    (rustix::fs::open(&path, flags, Mode::empty()).unwrap(), path)
}

/// The FIFO pair as a client has it.
#[derive(Debug, Clone)]
pub(crate) struct Fifos {
    request: PathBuf,
    answer: PathBuf,
}

impl Fifos {
    /// To write requests to.
    pub(crate) fn request(&self) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().write(true).custom_flags(flags).open(&self.request).unwrap()
    }

    /// Both ways, as no client has it: to see how much is in it.
    pub(crate) fn request_to_look_at(&self) -> File {
        OpenOptions::new().read(true).write(true).open(&self.request).unwrap()
    }

    /// To read answers from.
    pub(crate) fn answer(&self) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().read(true).custom_flags(flags).open(&self.answer).unwrap()
    }

    /// As a client that keeps the rules. The nonce is the test's, 32 hexadecimal digits.
    pub(crate) fn ask(&self, nonce: &str) -> serde_json::Value {
        let (answer, mut request) = (self.answer(), self.request());
        flock(&answer, FlockOperation::LockExclusive).unwrap();
        let start = Instant::now();
        while request.write(format!("\n{nonce}\n").as_bytes()).is_err() {
            assert!(start.elapsed() < SOON, "the FIFO stays full");
            std::thread::sleep(Duration::from_millis(1));
        }
        let (mut text, mut whole) = (String::new(), String::new());
        loop {
            assert!(start.elapsed() < SOON, "no answer: {text:?}");
            let mut part = [0; 4096];
            match (&answer).read(&mut part) {
                Ok(length) => text.push_str(&String::from_utf8_lossy(&part[..length])),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
            while let Some((line, rest)) = text.split_once('\n') {
                if let Some((count, more)) = line.strip_prefix(nonce).and_then(|l| l[1..].split_once(' ')) {
                    whole.push_str(more);
                    let (number, parts) = count.split_once('/').unwrap();
                    if number == parts {
                        return serde_json::from_str(&whole).unwrap();
                    }
                }
                text = rest.to_owned();
            }
        }
    }
}

pub(crate) fn ask_socket(path: &std::path::Path) -> serde_json::Value {
    read_json(&mut UnixStream::connect(path).unwrap())
}

fn read_json(stream: &mut UnixStream) -> serde_json::Value {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("}\n"), "{text:?}");
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn send_descriptors(socket: &OwnedFd, descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    sendmsg(socket, &[IoSlice::new(b"?")], &mut control, SendFlags::NOSIGNAL).unwrap();
}

/// Sends bytes and reads status and body to the end of the connection.
pub(crate) fn http(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}
