//! The explicit proxy, and the one of the corporate network.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use agent_aws_protocol::gateway::Rules;

use crate::world::{Gateway, World, line, rules, serve};

const PROXY: &str = "198.18.0.1:3128";

fn proxy(world: &World) -> TcpStream {
    world.dial(PROXY.parse::<SocketAddr>().unwrap()).unwrap()
}

/// The head of a response, its status first.
fn head(stream: &mut TcpStream) -> Vec<String> {
    let lines = std::iter::repeat_with(|| line(stream).unwrap().trim_end().to_owned());
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn connect_reaches_an_allowed_name_and_refuses_another_with_the_reason() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(8443);
    let gateway = Gateway::start(&world, &rules(&["*.example.com"]));
    let mut stream = proxy(&world);
    stream.write_all(b"CONNECT A.example.com:8443 HTTP/1.1\r\nHost: x\r\n\r\nearly").unwrap();
    assert!(head(&mut stream)[0].starts_with("HTTP/1.1 200"));
    assert_eq!(line(&mut stream).unwrap(), "9.9.9.9:8443");
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"early");
    for refused in ["evil.test:443", "169.254.169.254:80", "localhost:22", "[::1]:22", "2130706433:80", "9.9.9.9:443"] {
        let mut stream = proxy(&world);
        stream.write_all(format!("CONNECT {refused} HTTP/1.1\r\nHost: a.example.com\r\n\r\n").as_bytes()).unwrap();
        let head = head(&mut stream);
        assert!(head[0].starts_with("HTTP/1.1 403"), "{refused}: {head:?}");
        assert!(head.iter().any(|line| line.starts_with("x-agent-aws-refused: ")), "{refused}: {head:?}");
        assert!(line(&mut stream).unwrap().starts_with("agent-aws: blocked "), "{refused}");
    }
    assert_eq!(gateway.blocked("evil.test").0, 443);
}

fn say_what_came(mut stream: TcpStream) {
    let said = head(&mut stream).join("|");
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    );
}

#[test]
fn a_plain_request_is_passed_on_without_what_is_between_neighbours() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    serve(world.internet.run(|| TcpListener::bind("0.0.0.0:80").unwrap()), say_what_came);
    let _gateway = Gateway::start(&world, &rules(&["*.example.com"]));
    let mut stream = proxy(&world);
    for _ in 0..2 {
        let request = "GET http://u:p@a.example.com/x?y HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: Basic eA==\r\n\
                       Connection: keep-alive, x-mine\r\nX-Mine: 1\r\nAccept: */*\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&mut stream).join("\n").to_lowercase();
        assert!(head.starts_with("http/1.1 200") && !head.contains("x-hop"), "{head}");
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap().to_lowercase();
        assert!(body.starts_with("get /x?y http/1.1|") && body.contains("host: a.example.com|"), "{body}");
        assert!(body.contains("accept: */*") && !body.contains("mine") && !body.contains("authorization"), "{body}");
    }
}

#[test]
fn what_is_no_request_of_a_proxy_is_told_so() {
    let Some(world) = World::new(&[]) else { return };
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("GET https://a.test/ HTTP/1.1\r\n\r\n", "400"),
        ("\0\0\r\n\r\n", "400"),
    ] {
        let mut stream = proxy(&world);
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&mut stream);
        assert!(head[0].contains(status), "{request:?}: {head:?}");
    }
}

fn socks(world: &World, target: &[u8]) -> (TcpStream, u8) {
    let mut stream = proxy(world);
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).unwrap();
    assert_eq!(method, [5, 0]);
    stream.write_all(&[5, 1, 0]).unwrap();
    stream.write_all(target).unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    (stream, reply[1])
}

#[test]
fn socks_reaches_an_allowed_name_and_refuses_another_by_code() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(9001);
    let gateway = Gateway::start(&world, &rules(&["*.example.com"]));
    let named = |name: &str, port: u16| {
        let mut target = vec![3, u8::try_from(name.len()).unwrap()];
        target.extend_from_slice(name.as_bytes());
        target.extend_from_slice(&port.to_be_bytes());
        target
    };
    let (mut stream, code) = socks(&world, &named("a.example.com", 9001));
    assert_eq!((code, line(&mut stream).unwrap().as_str()), (0, "9.9.9.9:9001"));
    assert_eq!(socks(&world, &named("evil.test", 443)).1, 2);
    assert_eq!(socks(&world, &named("169.254.169.254", 80)).1, 2);
    assert_eq!(socks(&world, &[1, 127, 0, 0, 1, 0, 22]).1, 2);
    assert_eq!(gateway.blocked("evil.test").0, 443);
}

/// A proxy of the corporate network: says what it was asked for, then is the server itself.
fn corporate(mut stream: TcpStream) {
    let said = head(&mut stream).join("|");
    let _ = write!(stream, "HTTP/1.1 200 Connection established\r\n\r\n{said}\n");
    let mut copy = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut stream, &mut copy);
}

#[test]
fn with_an_upstream_proxy_every_name_goes_there_and_none_is_looked_up() {
    let Some(world) = World::new(&[("proxy.corp.test", "10.77.0.2")]) else { return };
    serve(world.internet.run(|| TcpListener::bind("10.77.0.2:3128").unwrap()), corporate);
    let upstream_proxy = Some("http://alice:secret@proxy.corp.test:3128".into());
    let gateway = Gateway::start(&world, &Rules { upstream_proxy, ..rules(&["*"]) });
    let stand_in = world.stand_in("a.example.com");
    assert!(world.zone.lock().unwrap().asked.is_empty());
    let said = line(&mut world.dial((stand_in, 443)).unwrap()).unwrap().to_lowercase();
    assert!(said.starts_with("connect a.example.com:443 http/1.1"), "{said}");
    assert!(said.contains("proxy-authorization: basic ywxpy2u6c2vjcmv0"), "{said}");
    let asked = world.zone.lock().unwrap().asked.clone();
    assert!(asked.iter().all(|name| name == "proxy.corp.test"), "{asked:?}");
    let mut stream = proxy(&world);
    stream.write_all(b"CONNECT metadata.google.internal:80 HTTP/1.1\r\n\r\n").unwrap();
    assert!(head(&mut stream)[0].starts_with("HTTP/1.1 403"));
    gateway.blocked("metadata.google.internal");
}
