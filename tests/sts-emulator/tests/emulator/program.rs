//! The emulator as a program.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{CONFIG, send};

/// A directory of the test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sts-emulator-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_agent-aws-sts-emulator"))
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn it_says_its_url_writes_the_ready_file_and_ends_on_sigterm() {
    let directory = Directory::new("ready");
    let config = directory.file("emulator.json", CONFIG);
    let ready = directory.0.join("ready");
    let mut child =
        program().arg("--config").arg(config).arg("--ready-file").arg(&ready).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !ready.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_to_string(&ready).unwrap().trim_end(), url);
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    send(address, "GET", "/_emulator/requests", &[], b"").ok();
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(wait(&mut child).success());
}

#[test]
fn a_bad_configuration_is_named_with_file_line_column_and_key() {
    let directory = Directory::new("bad");
    let config = directory.file("emulator.json", "{\n \"users\": [],\n \"roles\": [{\"arn\": 7}]\n}");
    let output = program().arg("--config").arg(&config).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(text.contains(&format!("{}:3:", config.display())) && text.contains("roles[0].arn"), "{text}");
    let missing = program().args(["--config", "/nonexistent/emulator.json"]).output().unwrap();
    assert!(String::from_utf8(missing.stderr).unwrap().contains("/nonexistent/emulator.json"));
}

#[test]
fn it_refuses_to_listen_on_anything_but_loopback() {
    let directory = Directory::new("loopback");
    let config = directory.file("emulator.json", CONFIG);
    let output = program().arg("--config").arg(config).args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("only loopback"));
}
