//! Every row of the table, in both modes; and names that are refused.
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::process::{Command, ExitCode};

use agent_aws_clients::{Place, Row, table, trial};
use agent_aws_harness::{Case, Mode, Stage, case, suite};
use agent_aws_workloads::absent;

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let no_internet = no_internet();
    let able = |case: Case, lacks: Option<String>| match lacks.or_else(|| no_internet.clone()) {
        Some(why) => case.ignored(why.leak()),
        None => case,
    };
    let row = |row: Row| {
        let case = Case::row(row.name, trial).private().limit(240);
        able(case, absent(row.needs(), deps.as_deref()))
    };
    let own = [able(case!(a_name_that_is_refused_is_asked_of_nobody).private(), None)];
    suite(own.into_iter().chain(table().map(row)).collect::<Vec<_>>().leak())
}

/// Why there can be no fake internet here. In CI nothing is left out because a try fails: there it would hide a failure.
fn no_internet() -> Option<String> {
    let cable = ["--net", "ip", "link", "add", "cable", "type", "veth", "peer", "name", "end"];
    let tried = || Command::new("unshare").args(cable).output().map_err(|e| e.to_string());
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if std::env::var_os("CI").is_some() || !is_root {
        return None;
    }
    let failed = match tried() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(e) => e,
    };
    Some(format!("there can be no fake internet here: unshare {}: {failed}", cable.join(" ")))
}

/// Ways to have a name looked up, each with one of its own.
const WAYS: [&str; 6] = [
    "getent hosts NAME",
    "curl -sS -m 20 http://NAME/hello",
    "curl -sS -m 20 --noproxy '*' http://NAME/hello",
    "python3 -c 'import socket; socket.getaddrinfo(\"NAME\", 443)'",
    "curl -sS -m 20 -x socks5h://198.18.0.1:3128 http://NAME/hello",
    "curl -sS -m 20 --noproxy '*' http://NAME./hello",
];

fn a_name_that_is_refused_is_asked_of_nobody(mode: Mode) {
    let place = Place::new(mode, "allow-names = [\"*.example.net\", \"plain.example.org\"]\n");
    let names = place.internet.names.get("www.example.net");
    let there = |number: usize| format!("way{number}.example.org");
    for number in 0..WAYS.len() {
        place.internet.names.set(&there(number), &names);
    }
    for (number, way) in WAYS.iter().enumerate() {
        // Outside it is there: it is the gateway that does not let the question through.
        let name = there(number);
        let before = place.internet.names.asked().len();
        let way = way.replace("NAME", &name);
        if !way.contains("socks5h") {
            place.outside(&format!("unset http_proxy; {way}"));
            assert!(place.internet.names.asked()[before..].contains(&name), "nobody asked for {name}");
        }
        let before = place.internet.names.asked().len();
        let output = place.inside(&way);
        assert!(!output.stdout.contains("www.example.net answers"), "{way}\n{output}");
        let asked = place.internet.names.asked()[before..].to_vec();
        assert!(asked.iter().all(|asked| !asked.contains("example.org")), "{way}: {asked:?}\n{output}");
    }
    // And one that is let through is asked for.
    let before = place.internet.names.asked().len();
    let output = place.inside("curl -sS http://www.example.net/hello").ends(0);
    assert!(output.stdout.contains("www.example.net answers"), "{output}");
    assert!(place.internet.names.asked()[before..].contains(&"www.example.net".to_owned()));
}
