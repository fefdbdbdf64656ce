#: expect
eight threads: 36
#: alike
s/'main' \([0-9]+\)/'main' (N)/
#: setup
cat >t.rs <<'X'
use std::{net::{TcpListener, TcpStream}, process::Command, sync::mpsc, thread, io::{Read, Write}};
fn main() {
    let (s, r) = mpsc::channel();
    for n in 1..=8u32 { let s = s.clone(); thread::spawn(move || s.send(n).unwrap()); }
    drop(s);
    println!("eight threads: {}", r.iter().sum::<u32>());
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = l.local_addr().unwrap();
    thread::spawn(move || TcpStream::connect(a).unwrap().write_all(b"tcp").unwrap());
    let mut text = String::new(); l.accept().unwrap().0.read_to_string(&mut text).unwrap();
    println!("{text}, {}", thread::available_parallelism().unwrap());
    let child = Command::new("sh").args(["-c", "exit 3"]).status().unwrap();
    println!("{child}");
    println!("{:?}", std::panic::catch_unwind(|| panic!("caught")).is_err());
}
X
#: run
rustc --version
rustc -C opt-level=1 -C codegen-units=4 t.rs && ./t
