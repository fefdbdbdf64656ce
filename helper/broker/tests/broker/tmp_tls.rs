use crate::scene::{Broker, SECRET, Start, emulator, file, keys, minting};
#[test]
fn tmp_tls() {
    let sts = emulator(Some(std::env::var("LIFE").ok().and_then(|l| l.parse().ok()).unwrap_or(900)));
    let port = sts.address().port();
    let mut p = std::process::Command::new("python3").args(["/tmp/tls/proxy.py", &port.to_string(), "15443"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut b = [0u8; 3];
    std::io::Read::read_exact(p.stdout.as_mut().unwrap(), &mut b).unwrap();
    let mut m = minting(&sts);
    m.sts_endpoint = Some("https://localhost:15443".into());
    let start = Start { environment: vec![("SSL_CERT_FILE".into(), "/tmp/tls/bundle.pem".into())], ..Start::default() };
    let t = std::time::Instant::now();
    let broker = Broker::start_as(&start, m, Some(file(&keys(SECRET))));
    broker.minted();
    eprintln!("start to minted {:?}; rss {} pss? {} threads {}", t.elapsed(), broker.status("VmRSS"), broker.status("RssAnon"), broker.status("Threads"));
    for _ in 0..3 { if std::env::var("LIFE").is_ok() { broker.renew(Some(file(&keys(SECRET)))); broker.minted(); } }
    eprintln!("rss {} anon {} threads {}", broker.status("VmRSS"), broker.status("RssAnon"), broker.status("Threads"));
    if let Ok(s) = std::env::var("HOLD") { eprintln!("pid {}", broker.child.id()); std::thread::sleep(std::time::Duration::from_secs(s.parse().unwrap())); }
    p.kill().unwrap();
}

#[test]
fn tmp_dns() {
    let sts = emulator(None);
    let mut m = minting(&sts);
    m.sts_endpoint = None;
    let broker = Broker::start(m, Some(file(&keys(SECRET))));
    eprintln!("{:?}", broker.hears(std::time::Duration::from_secs(20)));
}
