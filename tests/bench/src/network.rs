//! The network of `filtered`: what its set-up adds to a start, and what its gateway costs those who use it, beside no
//! sandbox, pasta, and a bridge of two socat with a socket between them, as srt has it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use agent_aws_harness::{Internet, Mode, Scene, Setup, within};

use crate::bwrap;
use crate::parts::{numbers, ours, resident, starts_of, with_true};
use crate::table::{Table, quantile};
use crate::worker::Worker;

const NAME: &str = "far.example.net";
/// Caught in unprivileged mode too.
const PORT: u16 = 80;
const PROXY: &str = "198.18.0.1:3128";
/// Bytes of a download, as a power of two.
const DOWNLOAD: u8 = 27;
/// Of each way in a round.
const CONNECTIONS: usize = 10;
const CHUNK: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// Last of all parts: the machine has another network from here on.
pub(crate) fn network(mode: Mode, rounds: usize) {
    if !Scene::new(mode).machine.is_private() {
        println!("\nthe network of `filtered`: only root can give the machine a policy and an internet of its own");
        return;
    }
    let internet = Internet::new(&[NAME]);
    let scene = Scene::new(mode);
    scene.machine.policy(&scene.policy(&Setup::default()).replace("network = \"shared\"", "network = \"filtered\""));
    set_up(&scene, rounds);
    let mut ways = ways(&scene, serve(&internet));
    ways.iter_mut().for_each(|way| _ = time(way, 0));
    let idle = of_the_gateway(&scene);
    traffic(&mut ways, rounds);
    let mut table = Table::new(&["memory of the gateway, RSS", "", "budget"]);
    for (when, megabytes) in [("after one connection", idle), ("after all of these", of_the_gateway(&scene))] {
        table.row(&[&when, &format!("{megabytes:.1} MB"), &"<= 6 MB"]);
    }
    table.print();
}

/// Start and end of `true`. The second row says what chance alone does.
fn set_up(scene: &Scene, rounds: usize) {
    let of = |network: &str| Some(ours(scene, &["--no-wait", "--network", network]));
    let rows = [
        ("none", of("none")),
        ("none, again", of("none")),
        ("filtered", of("filtered")),
        ("bwrap, its own network", bwrap::command(scene, false).map(with_true)),
        ("bwrap, the host's network", bwrap::command(scene, true).map(with_true)),
    ];
    let commands: Vec<Vec<String>> = rows.iter().filter_map(|(_, command)| command.clone()).collect();
    let mut said = starts_of(scene, rounds, &commands).into_iter();
    let heading = ["set-up of a network, `true`", "p50", "p95", "more than none: p50 of pairs", "p95", "budget"];
    let mut table = Table::new(&heading);
    for (what, _) in rows.iter().filter(|(_, command)| command.is_some()) {
        let n: Vec<String> =
            said.next().unwrap_or_default().iter().map(|us| format!("{:.1} ms", us / 1000.0)).collect();
        let budget = if *what == "filtered" { "<= 5 ms more, p95" } else { "" };
        table.row(&[what, &n[0], &n[1], &n[2], &n[3], &budget]);
    }
    if rows.iter().any(|(_, command)| command.is_none()) {
        table.row(&[&"bwrap", &"not here"]);
    }
    table.print();
}

/// A server far away: who asks with one byte, a number, gets 2^number bytes.
fn serve(internet: &Internet) -> SocketAddr {
    internet.inside(|| {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("a server");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || _ = answer(stream));
            }
        });
    });
    let address = internet.names.get(NAME).into_iter().find(std::net::IpAddr::is_ipv4);
    // One family: a second would be tried first by some of the ways, and not by others.
    internet.names.set(NAME, &address.into_iter().collect::<Vec<_>>());
    SocketAddr::new(address.expect("its address"), PORT)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut exponent = [0];
    stream.read_exact(&mut exponent)?;
    let mut left = 1usize << exponent[0];
    let chunk = [0; CHUNK];
    while left > 0 {
        let now = left.min(CHUNK);
        stream.write_all(&chunk[..now])?;
        left -= now;
    }
    Ok(())
}

/// A way to the server, with a client at this end of it.
struct Way {
    what: &'static str,
    client: Option<Worker>,
    /// Whether the budgets are about it.
    is_ours: bool,
}

/// The first is the one that all others are held against.
fn ways(scene: &Scene, server: SocketAddr) -> Vec<Way> {
    let tool = scene.machine.tool("bench-probe").display().to_string();
    let (far, name) = (server.to_string(), format!("{NAME}:{PORT}"));
    let inside = |words: &[&str]| {
        let command: Vec<&str> = [tool.as_str(), "net"].iter().chain(words).copied().collect();
        Some(Worker::start(&scene.run(&["--no-wait"], &command)))
    };
    let outside = |words: &[&str]| {
        Worker::start(&scene.agent_aws(&[]).instead(words[0]).args(&words[1..]).args(&[&tool, "net", &far]))
    };
    let pasta = ["/usr/bin/pasta", "--config-net", "-q", "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--"];
    let way = |what, client, is_ours| Way { what, client, is_ours };
    vec![
        way("no sandbox", Some(outside(&["/usr/bin/env"])), false),
        way("agent-aws, by name", inside(&[&name]), true),
        way("agent-aws, by its proxy", inside(&[&name, PROXY]), true),
        way("two socat, as srt", bridged(scene, &tool, &far), false),
        way("pasta", pasta_works(scene, &pasta).then(|| outside(&pasta)), false),
    ]
}

/// It needs a device that only root can open on some machines, and that says nothing about pasta: the world gets one that
/// everybody can.
fn pasta_works(scene: &Scene, pasta: &[&str]) -> bool {
    let device = "t=$(mktemp -d) && mount -t tmpfs -o mode=755 none $t && mknod -m 666 $t/tun c 10 200 && \
                  mount --bind $t/tun /dev/net/tun";
    let given = Command::new("/bin/sh").args(["-c", device]).status().is_ok_and(|status| status.success());
    // Without the device it stays for ever.
    let timeout = scene.agent_aws(&[]).instead("/usr/bin/timeout").args(&["--signal=KILL", "10"]);
    given && is_here("pasta") && timeout.args(pasta).arg("/bin/true").run().status.success()
}

fn is_here(program: &str) -> bool {
    Path::new("/usr/bin").join(program).is_file()
}

/// bwrap without a network, one socat in there that listens, and one out here that connects. srt has a proxy of its own
/// besides, which is left out here, to its advantage.
fn bridged(scene: &Scene, tool: &str, far: &str) -> Option<Worker> {
    let words = bwrap::command(scene, false).filter(|_| is_here("socat"))?;
    let socket = scene.machine.project(&scene.machine.user("alice")).join("bridge");
    let listen = format!("UNIX-LISTEN:{},fork,reuseaddr", socket.display());
    let connect = format!("TCP:{far},keepalive,keepidle=10,keepintvl=5,keepcnt=3");
    let call = scene.agent_aws(&[]);
    // Ends with the private world.
    drop(call.instead("/usr/bin/socat").args(&[listen, connect]).spawn());
    within(PATIENCE, "socat listens", || socket.exists());
    let script = format!(
        "socat TCP-LISTEN:3128,fork,reuseaddr UNIX-CONNECT:{} & until socat -u OPEN:/dev/null TCP:127.0.0.1:3128 \
         2>/dev/null; do sleep 0.1; done; exec {tool} net 127.0.0.1:3128",
        socket.display()
    );
    let call = scene.agent_aws(&[]).instead(&words[0]).args(&words[1..]);
    Some(Worker::start(&call.args(&["/bin/sh", "-c", &script])))
}

/// Milliseconds that one connection takes which gets 2^exponent bytes.
fn time(way: &mut Way, exponent: u8) -> Option<f64> {
    let answer = way.client.as_mut()?.ask(&exponent.to_string());
    match numbers(&answer).first() {
        Some(micros) => Some(micros / 1000.0),
        None => panic!("{}: {answer:?}", way.what),
    }
}

/// Downloads, and connections that ask one byte and get one: each way in each round, by turns.
fn traffic(ways: &mut [Way], rounds: usize) {
    let count = ways.len();
    let (mut downloads, mut connections) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for round in 0..=rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let way = &mut ways[index];
            let some: Vec<f64> = (0..CONNECTIONS).filter_map(|_| time(way, 0)).collect();
            // A third of the rounds is enough for what takes so long. The first round fills caches.
            let whole = if round % 3 == 0 { time(way, DOWNLOAD) } else { None };
            if round > 0 {
                connections[index].extend(some);
                downloads[index].extend(whole);
            }
        }
    }
    print_downloads(ways, &downloads);
    print_connections(ways, &connections);
}

fn print_downloads(ways: &[Way], times: &[Vec<f64>]) {
    let mut table = Table::new(&["a download of 128 MiB", "median", "fastest", "of no sandbox", "budget"]);
    for (way, own) in ways.iter().zip(times) {
        if own.is_empty() {
            table.row(&[&way.what, &"not here"]);
            continue;
        }
        let speed = |ms: f64| format!("{:.2} GB/s", f64::from(1u32 << DOWNLOAD) / ms / 1e6);
        let pairs = own.iter().zip(&times[0]).map(|(own, first)| first / own).collect();
        let budget = if way.is_ours { ">= 0.5 GB/s" } else { "" };
        let (median, fastest) = (quantile(own.clone(), 0.5), quantile(own.clone(), 0.0));
        table.row(&[&way.what, &speed(median), &speed(fastest), &format!("{:.2}", quantile(pairs, 0.5)), &budget]);
    }
    table.print();
}

fn print_connections(ways: &[Way], times: &[Vec<f64>]) {
    let mut table = Table::new(&["connect, ask, one byte", "p50", "p95", "added, median of pairs", "budget"]);
    for (way, own) in ways.iter().zip(times) {
        if own.is_empty() {
            table.row(&[&way.what, &"not here"]);
            continue;
        }
        let ms = |value: f64| format!("{value:.2} ms");
        let added = own.iter().zip(&times[0]).map(|(own, first)| own - first).collect();
        let budget = if way.is_ours { "<= 0.3 ms added" } else { "" };
        let (p50, p95) = (quantile(own.clone(), 0.5), quantile(own.clone(), 0.95));
        table.row(&[&way.what, &ms(p50), &ms(p95), &ms(quantile(added, 0.5)), &budget]);
    }
    table.print();
}

/// Megabytes of the larger one: there is one for each session, and one of the two is not asked for anything by name.
fn of_the_gateway(scene: &Scene) -> f64 {
    let all = scene.machine.others();
    let gateways = all.iter().filter(|p| p.name.starts_with("agent-aws-gatew"));
    gateways.filter_map(|p| resident(p.pid)).map(|(rss, _)| rss).fold(f64::NAN, f64::max)
}
