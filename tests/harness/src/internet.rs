//! A fake internet: the world's network becomes a namespace of its own, as a machine with one cable; at the other end of
//! the cable, in a second namespace, every address that looks public answers. No packet leaves the machine.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, gettid};

use crate::names::Names;

/// Public by every registry, and nobody's that a test could mean: the first of each network.
const PUBLIC_V4: Ipv4Addr = Ipv4Addr::new(20, 1, 0, 0);
const PUBLIC_V6: Ipv6Addr = Ipv6Addr::new(0x2a0f, 1, 0, 0, 0, 0, 0, 0);
/// Host number of the name server in them; those of names come after.
const NAME_SERVER: u16 = 53;
const FIRST_NAME: u16 = 100;
/// The end of the cable that the machine has.
const MACHINE: &str = "link set lo up
address add 10.200.0.2/30 dev cable
link set cable up
route add default via 10.200.0.1
";
const MACHINE_V6: &str = "address add fd0e::2/64 dev cable nodad
route add default via fd0e::1
";
/// The other end. Every address of the IPv4 network above is local there, and those of names of the other.
const INTERNET: &str = "link set lo up
address add 10.200.0.1/30 dev cable
link set cable up
route add local 20.1.0.0/16 dev lo
";
const INTERNET_V6: &str = "address add fd0e::1/64 dev cable nodad
";

type Work = Box<dyn FnOnce() + Send>;

/// A fake internet, for as long as this process lives.
#[derive(Debug)]
pub struct Internet {
    /// Its name server, which /etc/resolv.conf of the world leads to.
    pub names: Names,
    inside: mpsc::Sender<Work>,
}

impl Internet {
    /// Cuts the world off from the machine's network and connects it to an internet in which these names have addresses:
    /// one of IPv4 and one of IPv6 each. Only in a private world, and before anything else is started in it.
    pub fn new(names: &[&str]) -> Self {
        assert!(Uid::effective().is_root(), "only a private world has an internet of its own");
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace for the machine");
        let (sender, receiver) = mpsc::channel::<Work>();
        thread::spawn(move || receiver.into_iter().for_each(|work| work()));
        let internet = Self { names: Names::default(), inside: sender };
        let thread = internet.inside(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace for the internet");
            gettid()
        });
        let v6 = Path::new("/proc/sys/net/ipv6").exists();
        let there = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
        ip(&[], &format!("link add cable type veth peer name cable netns {there}\n{MACHINE}"));
        internet.inside(|| ip(&[], INTERNET));
        if v6 {
            ip(&["-6"], MACHINE_V6);
            // A socket cannot be bound to an address of IPv6 that is only routed here.
            let own =
                (FIRST_NAME..).zip(names).map(|(number, _)| format!("address add {} dev lo nodad\n", v6_of(number)));
            let lines = own.fold(INTERNET_V6.to_owned(), |lines, line| lines + &line);
            internet.inside(move || ip(&["-6"], &lines));
        }
        for (number, name) in (FIRST_NAME..).zip(names) {
            let v6 = v6.then(|| v6_of(number).into());
            internet.names.set(name, &[v4_of(number).into()].into_iter().chain(v6).collect::<Vec<_>>());
        }
        let (server, at) = (internet.names.clone(), v4_of(NAME_SERVER));
        internet.inside(move || server.serve(SocketAddr::new(at.into(), 53))).expect("the name server");
        // A link, on some machines: its place is taken, not what it leads to.
        let _ = fs::remove_file("/etc/resolv.conf");
        fs::write("/etc/resolv.conf", format!("nameserver {at}\n")).expect("/etc/resolv.conf of the world");
        internet
    }

    /// Does something in the internet: sockets, threads and processes that are made there stay there.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        let work = Box::new(move || drop(sender.send(work())));
        self.inside.send(work).ok().and_then(|()| receiver.recv().ok()).expect("the thread of the internet")
    }

    /// Offers a port of the machine's loopback at an address of the internet, which is returned.
    pub fn offer(&self, port: u16) -> SocketAddr {
        let listener = self.inside(|| TcpListener::bind("127.0.0.1:0")).expect("a listener in the internet");
        let at = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || relay(stream, port));
            }
        });
        at
    }
}

/// The address with this host number.
fn v4_of(number: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(PUBLIC_V4.to_bits() | u32::from(number))
}

/// The same of IPv6.
fn v6_of(number: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(PUBLIC_V6.to_bits() | u128::from(number))
}

/// Both ways until both have ended.
fn relay(here: TcpStream, port: u16) {
    let Ok(there) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let pair = || Some((here.try_clone().ok()?, there.try_clone().ok()?));
    let Some((back_to, back_from)) = pair() else { return };
    let back = thread::spawn(move || copy(back_from, back_to));
    copy(here, there);
    let _ = back.join();
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Lines of ip(8), in the network namespace of this thread.
fn ip(options: &[&str], lines: &str) {
    let mut ip = Command::new("ip");
    ip.args(options).args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ip.spawn().unwrap_or_else(|e| panic!("ip (iproute2): {e}"));
    let written = child.stdin.take().map(|mut pipe| pipe.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("ip");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(written.is_some_and(|w| w.is_ok()) && output.status.success(), "ip: {said}");
}
