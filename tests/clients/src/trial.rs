//! One row.

use agent_aws_harness::{Mode, Output};

use crate::place::Place;
use crate::table::Row;

/// If this variable is set, a row is run outside instead: whether script and servers are right, product or not.
const OUTSIDE: &str = "AGENT_AWS_CLIENTS_OUTSIDE";
/// What a client could find a proxy by.
const VARIABLES: &str =
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy NODE_USE_ENV_PROXY";

/// Runs the row of this name.
pub fn trial(name: &'static str, mode: Mode) {
    let (row, place) = (Row::find(name), Place::new(mode, ""));
    let script = row.script();
    if row.has_rust() {
        agent_aws_workloads::place::empty_home(&place.scene, true);
    }
    if let Some(serve) = script.section("serve") {
        place.serve(serve);
    }
    let expected: Vec<&str> = script.expect().collect();
    let plain = format!("unset {VARIABLES}\n{}", client(script.run(), "", ""));
    if std::env::var_os(OUTSIDE).is_some() {
        return assert_reached("outside", &place.outside(&plain), &expected);
    }
    let output = place.inside(&plain);
    if mode == Mode::Unprivileged && !row.works_unprivileged() {
        let said = expected.iter().any(|line| output.stdout.contains(line));
        assert!(!said && output.code() != 0, "it reaches its server: the table is wrong\n{output}");
        // By the kernel, at once; nobody waits for an answer that does not come.
        assert!(output.stdout.contains("refused"), "it does not say what is wrong\n{output}");
        return;
    }
    if output.code() != 0 {
        // Printed with the failure.
        println!("outside:\n{}", place.outside(&plain));
    }
    assert_reached("without variables", &output, &expected);
    if row.obeys_variables() {
        // Without the setuid bit only the proxy leads to these ports.
        let proxied = client(script.run(), ":8080", ":8443");
        assert_reached("with variables", &place.inside(&proxied), &expected);
    }
}

/// The client in a directory of its own; where the usual server is, by name.
fn client(script: &str, port: &str, tls_port: &str) -> String {
    let server =
        format!("export HTTP=http://www.example.net{port} TLS=https://www.example.net{tls_port} TLS_PORT={tls_port}");
    format!("{server}\ncd \"$(mktemp -d)\"\n{script}")
}

#[track_caller]
fn assert_reached(how: &str, output: &Output, expected: &[&str]) {
    assert_eq!(output.code(), 0, "{how} it does not succeed\n{output}");
    let missing = expected.iter().find(|line| !output.stdout.contains(**line));
    assert_eq!(missing, None, "{how} it does not say that\n{output}");
}
