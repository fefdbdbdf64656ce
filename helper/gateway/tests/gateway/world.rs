//! The three namespaces, what answers in them, and the gateway between.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use agent_aws_pipes::{GatewayToPlumber, Pipe, PlumberToGateway};
use agent_aws_protocol::Channel;
use agent_aws_protocol::gateway::{GatewayToHelper, HelperToGateway, Rules};
use rustix::net::{AddressFamily, SocketType};
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use tempfile::TempDir;

/// Long enough for a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The internet's name server.
const NAME_SERVER: &str = "10.77.0.2";
/// Ports of the sandbox that lead to the gateway, in place of all.
pub(crate) const CAUGHT: [u16; 4] = [80, 443, 3128, 9000];

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own.
pub(crate) struct Namespace {
    jobs: Sender<Job>,
    thread: i32,
}

impl Namespace {
    fn new() -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            ip("link set lo up");
            while let Ok(job) = inbox.recv() {
                job();
            }
        });
        Self { jobs, thread: told.recv_timeout(SOON).unwrap() }
    }

    /// Runs there and waits.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        self.jobs.send(Box::new(move || drop(tell.send(work())))).unwrap();
        told.recv_timeout(SOON).unwrap_or_else(|e| panic!("the work in a namespace failed: {e}"))
    }
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What the internet's name server says, and was asked.
#[derive(Default)]
pub(crate) struct Zone {
    pub(crate) names: Vec<(&'static str, Vec<IpAddr>)>,
    pub(crate) asked: Vec<String>,
    pub(crate) silent: bool,
}

pub(crate) struct World {
    pub(crate) sandbox: Namespace,
    pub(crate) host: Namespace,
    pub(crate) internet: Namespace,
    pub(crate) zone: Arc<Mutex<Zone>>,
}

impl World {
    /// None, with a word about it, if this is not root.
    pub(crate) fn new(names: &[(&'static str, &str)]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("left out: root is needed to make network namespaces");
            return None;
        }
        let (sandbox, host, internet) = (Namespace::new(), Namespace::new(), Namespace::new());
        sandbox.run(|| ["route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"].map(ip));
        let there = internet.thread;
        host.run(move || {
            ip("link add outside type veth peer name inside");
            ip(&format!("link set inside netns {there}"));
            ip("addr add 10.77.0.1/24 dev outside");
            ip("link set outside up");
            ip("route add default via 10.77.0.2");
        });
        internet.run(|| {
            ip("addr add 10.77.0.2/24 dev inside");
            ip("link set inside up");
            ip("route add local default dev lo table main");
        });
        let parse = |text: &str| text.split(' ').map(|address| address.parse().unwrap()).collect();
        let names = names.iter().map(|(name, addresses)| (*name, parse(addresses))).collect();
        let zone = Arc::new(Mutex::new(Zone { names, ..Zone::default() }));
        let world = Self { sandbox, host, internet, zone };
        let zone = Arc::clone(&world.zone);
        let socket = world.internet.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap());
        std::thread::spawn(move || name_server(&socket, &zone));
        Some(world)
    }

    /// Something that listens in the internet, at every address: says which was dialled, then echoes.
    pub(crate) fn echo(&self, port: u16) {
        serve(self.internet.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()), echo);
    }

    /// A client inside.
    pub(crate) fn dial(&self, to: impl Into<SocketAddr>) -> std::io::Result<TcpStream> {
        let to = to.into();
        let stream = self.sandbox.run(move || TcpStream::connect_timeout(&to, SOON))?;
        stream.set_read_timeout(Some(SOON))?;
        Ok(stream)
    }

    /// Whether a client inside is reset there: as soon as it is accepted, which its connect(2) may see already.
    pub(crate) fn is_refused(&self, to: impl Into<SocketAddr>) -> bool {
        self.dial(to).and_then(|mut stream| stream.read(&mut [0; 1])).is_err()
    }

    /// A question of a client inside, to any address.
    pub(crate) fn ask(&self, server: &str, name: &str, kind: TYPE) -> (RCODE, Vec<IpAddr>) {
        let to: IpAddr = server.parse().unwrap();
        let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = self.sandbox.run(move || {
            let socket = UdpSocket::bind(here).unwrap();
            socket.connect((to, 53)).unwrap();
            socket
        });
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.send(&question(name, kind)).unwrap();
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).unwrap();
        read_answer(&buffer[..length])
    }

    /// The stand-in of a name.
    pub(crate) fn stand_in(&self, name: &str) -> IpAddr {
        let (code, addresses) = self.ask("198.18.0.1", name, TYPE::A);
        assert_eq!(code, RCODE::NoError, "{name}");
        addresses[0]
    }
}

pub(crate) fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(9);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(
        simple_dns::Name::new(name).unwrap(),
        QTYPE::TYPE(kind),
        CLASS::IN.into(),
        false,
    ));
    packet.build_bytes_vec().unwrap()
}

pub(crate) fn read_answer(bytes: &[u8]) -> (RCODE, Vec<IpAddr>) {
    let packet = Packet::parse(bytes).unwrap();
    let address = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        _ => None,
    };
    (packet.rcode(), packet.answers.iter().filter_map(address).collect())
}

fn name_server(socket: &UdpSocket, zone: &Mutex<Zone>) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let Ok(asked) = Packet::parse(&buffer[..length]) else { continue };
        let question = &asked.questions[0];
        let name = question.qname.to_string();
        let mut reply = Packet::new_reply(asked.id());
        reply.questions.push(question.clone());
        let mut zone = zone.lock().unwrap();
        zone.asked.push(name.clone());
        if zone.silent {
            continue;
        }
        let Some((_, addresses)) = zone.names.iter().find(|(known, _)| *known == name) else {
            *reply.rcode_mut() = RCODE::NameError;
            let _ = socket.send_to(&reply.build_bytes_vec().unwrap(), from);
            continue;
        };
        for address in addresses {
            let data = match address {
                IpAddr::V4(v4) if question.qtype == TYPE::A.into() => RData::A(A { address: v4.to_bits() }),
                IpAddr::V6(v6) if question.qtype == TYPE::AAAA.into() => RData::AAAA(AAAA { address: v6.to_bits() }),
                _ => continue,
            };
            reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, data));
        }
        let _ = socket.send_to(&reply.build_bytes_vec().unwrap(), from);
    }
}

pub(crate) fn serve(listener: TcpListener, each: fn(TcpStream)) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || each(stream));
        }
    });
}

fn echo(mut stream: TcpStream) {
    let _ = stream.write_all(format!("{}\n", stream.local_addr().unwrap()).as_bytes());
    let mut copy = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut stream, &mut copy);
    let _ = copy.shutdown(std::net::Shutdown::Write);
}

/// The first line that is said.
pub(crate) fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        text.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The program where an ordinary user can execute it: the build directory may be root's alone.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("agent-aws-gateway");
        let built =
            std::env::var_os("AGENT_AWS_GATEWAY").unwrap_or_else(|| env!("CARGO_BIN_EXE_agent-aws-gateway").into());
        if std::fs::hard_link(&built, &path).is_err() {
            std::fs::copy(&built, &path).unwrap();
        }
        (directory, path)
    });
    path
}

/// A gateway with the supervisor's end and the plumber's.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    pub(crate) channel: Option<Channel>,
    pub(crate) plumber: Channel,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn memory_file(text: &str) -> OwnedFd {
    let mut file = std::fs::File::from(rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.write_all(text.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file.into()
}

fn dual(kind: SocketType, port: u16) -> OwnedFd {
    let socket = rustix::net::socket(AddressFamily::INET6, kind, None).unwrap();
    rustix::net::sockopt::set_ipv6_v6only(&socket, false).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))).unwrap();
    if kind == SocketType::STREAM {
        rustix::net::listen(&socket, 4096).unwrap();
    }
    socket
}

impl Gateway {
    /// Started as the helper starts it without the setuid bit, with `files` open files at most, if that is said.
    pub(crate) fn spawn(world: &World, files: Option<u32>) -> Self {
        let (ours, theirs) = Channel::pair().unwrap();
        let plumber = Channel::pair().unwrap();
        let child = world.host.run(move || {
            let limit = files.map(|files| format!("--nofile={files}"));
            Command::new("prlimit")
                .args(limit.as_deref().or(Some("--core=0")))
                .args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"])
                .args(["--bounding-set=-all", "--no-new-privs", "sh", "-c", "exec \"$0\" 3<&0 0</dev/null"])
                .arg(program())
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .stdin(Stdio::from(theirs))
                .stdout(Stdio::null())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap()
        });
        let patience = Duration::from_secs(5);
        let gateway =
            Self { child, channel: Some(Channel::new(ours, patience)), plumber: Channel::new(plumber.0, patience) };
        PLUMBERS.lock().unwrap().push((gateway.child.id(), plumber.1));
        gateway
    }

    pub(crate) fn channel(&self) -> &Channel {
        self.channel.as_ref().unwrap()
    }

    /// Says the rules.
    pub(crate) fn tell(&self, rules: &Rules, hosts: &str) {
        let resolv_conf = memory_file(&format!("nameserver {NAME_SERVER}\n"));
        let hosts = memory_file(hosts);
        let plumber = {
            let mut waiting = PLUMBERS.lock().unwrap();
            let at = waiting.iter().position(|(id, _)| *id == self.child.id()).unwrap();
            waiting.remove(at).1
        };
        let descriptors = [resolv_conf.as_fd(), hosts.as_fd(), plumber.as_fd()];
        self.channel().send_with(&HelperToGateway::Serve(rules.clone()), &descriptors).unwrap();
    }

    /// Hands over the listeners.
    pub(crate) fn plumb(&self, world: &World, rules: &Rules) {
        let local = rules.local_ports.clone();
        let pipes = world.sandbox.run(move || {
            let mut pipes =
                vec![(Pipe::Dns, dual(SocketType::DGRAM, 53)), (Pipe::DnsTcp, dual(SocketType::STREAM, 53))];
            pipes.extend(CAUGHT.map(|port| (Pipe::Any, dual(SocketType::STREAM, port))));
            let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap().into();
            pipes.extend(local.into_iter().map(|port| (Pipe::Local(port), listen(port))));
            pipes
        });
        for part in pipes.chunks(4) {
            let kinds = part.iter().map(|(kind, _)| *kind).collect();
            let descriptors: Vec<_> = part.iter().map(|(_, fd)| fd.as_fd()).collect();
            self.plumber.send_with(&PlumberToGateway::Pipes(kinds), &descriptors).unwrap();
        }
        self.plumber.send(&PlumberToGateway::Done { every_port: false }).unwrap();
    }

    /// A gateway that serves.
    pub(crate) fn start(world: &World, rules: &Rules) -> Self {
        Self::start_with(world, rules, "", None)
    }

    pub(crate) fn start_with(world: &World, rules: &Rules, hosts: &str, files: Option<u32>) -> Self {
        let gateway = Self::spawn(world, files);
        gateway.tell(rules, hosts);
        gateway.plumb(world, rules);
        assert_eq!(gateway.hear(), GatewayToHelper::Ready { every_port: false });
        gateway
    }

    pub(crate) fn hear(&self) -> GatewayToHelper {
        self.channel().receive(Some(SOON)).unwrap().message
    }

    /// Waits for a refusal to be told.
    pub(crate) fn blocked(&self, wanted: &str) -> (u16, String) {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            match self.hear() {
                GatewayToHelper::Blocked { name, port, why, .. } if name == wanted => return (port, why),
                _ => {}
            }
        }
        panic!("{wanted} was not told")
    }

    /// Makes sockets in the sandbox, as the plumber does.
    pub(crate) fn answer_one(&self, world: &World) {
        let asked: GatewayToPlumber = self.plumber.receive(Some(SOON)).unwrap().message;
        let GatewayToPlumber::Socket { v6 } = asked;
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let socket = world.sandbox.run(move || rustix::net::socket(family, SocketType::STREAM, None).unwrap());
        self.plumber.send_with(&PlumberToGateway::Socket, &[socket.as_fd()]).unwrap();
    }

    /// How it ended.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The plumbers' ends that were not handed over yet.
static PLUMBERS: Mutex<Vec<(u32, OwnedFd)>> = Mutex::new(Vec::new());

pub(crate) fn rules(allow: &[&str]) -> Rules {
    let allow = allow.iter().map(|word| (*word).to_owned()).collect();
    Rules { sandbox: "standard".into(), allow, ..Rules::default() }
}
