//! The servers of the fake internet, and the authority that vouches for them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agent_aws_harness::Internet;
use serde_json::json;

const PROGRAM: &str = include_str!("servers.py");
/// The bundle that most programs read, and the directory that the others look into.
pub(crate) const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
const TRUSTED_DIRECTORY: &str = "/etc/ssl/certs";
/// The authority alone, for programs that are told of it.
pub(crate) const AUTHORITY: &str = "/etc/ssl/certs/authority-of-a-test.pem";
const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// A certificate for every name, with its key.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Identity {
    /// Makes an authority, which the world trusts from now on, and what it vouches for, in this directory.
    pub(crate) fn new(place: &Path, internet: &Internet) -> Self {
        let path = |name: &str| place.join(name).display().to_string();
        let (ca, ca_key, leaf, key) = (path("ca.pem"), path("ca.key"), path("leaf.pem"), path("leaf.key"));
        let names: Vec<String> = internet.names.all().iter().map(|(name, _)| format!("DNS:{name}")).collect();
        let names = format!("subjectAltName={}", names.join(","));
        let common = [&["req", "-x509", "-nodes", "-days", "30"], &CURVE[..]].concat();
        let authority = ["-subj", "/CN=Authority of a test", "-keyout", &ca_key, "-out", &ca];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,digitalSignature"];
        openssl(&[&common[..], &authority, &usage].concat());
        let server = ["-subj", "/CN=www.example.net", "-CA", &ca, "-CAkey", &ca_key, "-keyout", &key, "-out", &leaf];
        let more = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth", names.as_str()];
        let more: Vec<&str> = more.iter().flat_map(|extension| ["-addext", extension]).collect();
        openssl(&[&common[..], &server, &more].concat());
        trust(Path::new(&ca));
        Self { certificate: leaf.into(), key: key.into() }
    }
}

/// As `update-ca-certificates` would.
fn trust(ca: &Path) {
    let (mut bundle, own) = (fs::read(TRUSTED).unwrap_or_default(), fs::read(ca).expect("the authority"));
    bundle.extend_from_slice(&own);
    fs::write(TRUSTED, bundle).expect("certificates of the world");
    let hash = openssl(&["x509", "-noout", "-hash", "-in", &ca.display().to_string()]);
    for place in [AUTHORITY, &format!("{TRUSTED_DIRECTORY}/{hash}.0")] {
        fs::write(place, &own).expect("certificates of the world");
    }
}

/// Starts them. `pass_on`: names at whose port 443 a server of that port of the internet's loopback speaks, over TLS.
pub(crate) fn start(internet: &Internet, identity: &Identity, files: &Path, pass_on: &BTreeMap<String, u16>) {
    let names: BTreeMap<_, _> = internet.names.all().into_iter().collect();
    let plan = json!({
        "names": names, "files": files, "pass-on": pass_on,
        "certificate": identity.certificate, "key": identity.key,
    });
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PROGRAM, &plan.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let out = internet.inside(move || python.spawn().expect("python3").stdout.take());
    let mut said = String::new();
    let read = out.map(|out| BufReader::new(out).read_line(&mut said));
    assert!(matches!(read, Some(Ok(1..))), "the servers did not start");
}
