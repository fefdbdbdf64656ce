//! Others that hand out credentials, asked by the same probe on the same machine in the same run: elhaz, and a server as
//! people write one in Python. aws-vault is in no package registry that tests reach; it is a server of that second kind.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use agent_aws_harness::{Call, OWN_ROLE, Scene, within};

use crate::parts::{LIMIT, numbers, resident};
use crate::table::Table;

const SERVER: &str = include_str!("../peers/server.py");
const TOKEN: &str = "bench-0123456789";
const START: Duration = Duration::from_secs(60);

/// Their rows: reads at their doors, and what their processes take.
pub(crate) fn doors(scene: &Scene, table: &mut Table) {
    let Some(python) = scene.machine.deps().map(|deps| deps.join("peers/bin/python3")).filter(|python| python.exists())
    else {
        table.row(&[&"elhaz, a server in Python: not here", &"", &"", &"", &"", &""]);
        return;
    };
    let place = Place { scene, python };
    place.elhaz(table);
    place.server(table);
}

struct Place<'a> {
    scene: &'a Scene,
    python: PathBuf,
}

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place<'_> {
    /// Python as Alice, with her keys as what boto3 finds.
    fn python(&self, words: &[&str]) -> Call {
        self.scene
            .agent_aws(&[])
            .instead(&self.python)
            .args(words)
            .env("AWS_PROFILE", "base")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
    }

    fn probe(&self, words: &[&str]) -> Vec<Vec<f64>> {
        let call = self.python(&[]).instead(self.scene.machine.tool("bench-probe")).args(words);
        call.run_within(LIMIT).says().lines().map(numbers).collect()
    }

    fn rows(&self, table: &mut Table, what: &str, reads: &[Vec<f64>]) {
        for n in reads {
            let ms = |us: f64| format!("{:.2} ms", us / 1000.0);
            table.row(&[&what, &n[0], &ms(n[1]), &ms(n[2]), &format!("{} of {}", n[3], n[4]), &""]);
        }
    }

    /// Its daemon with one config, at its socket and by the process that its documentation names for `credential_process`.
    fn elhaz(&self, table: &mut Table) {
        let alice = self.scene.machine.user("alice");
        let home = alice.home.join(".elhaz");
        self.scene.machine.directory(&alice, &home.join("configs"));
        let config = format!("AssumeRole:\n  RoleArn: {OWN_ROLE}\n  RoleSessionName: bench\n  DurationSeconds: 3600\n");
        self.scene.machine.file(&alice, &home.join("configs/bench.yaml"), 0o600, config);
        let program = self.python.with_file_name("elhaz").display().to_string();
        let elhaz = |words: &[&str]| self.python(&[&program]).args(words).run_within(LIMIT);
        elhaz(&["daemon", "start"]).ends(0);
        let socket = home.join("sock/daemon.sock");
        within(START, "elhaz serves", || socket.exists());
        elhaz(&["daemon", "add", "-n", "bench"]).ends(0);
        let answer = elhaz(&["export", "-n", "bench", "-f", "credential-process"]).says();
        assert!(answer.contains("AccessKeyId"), "elhaz: {answer}");
        let ask = "{\"version\":1,\"request_id\":\"00000000-0000-4000-8000-000000000000\",\"action\":\"credentials\",\
                   \"payload\":{\"config\":\"bench\"}}";
        let reads = self.probe(&["reads", "unix", &socket.display().to_string(), ask]);
        self.rows(table, "elhaz 0.5.6, at its socket", &reads);
        let python = self.python.display().to_string();
        let words = ["reads", "process", &python, &program, "export", "-n", "bench", "-f", "credential-process"];
        self.rows(table, "elhaz 0.5.6, `elhaz export`", &self.probe(&words));
        let daemon = self.scene.machine.others().into_iter().find(|p| p.command.contains("elhaz"));
        let size =
            daemon.and_then(|p| resident(p.pid)).map_or("not readable".into(), |(rss, _)| format!("{rss:.1} MB"));
        table.row(&[&"elhaz 0.5.6, memory of its daemon", &"", &size, &"", &"", &""]);
        elhaz(&["daemon", "stop"]);
    }

    fn server(&self, table: &mut Table) {
        let alice = self.scene.machine.user("alice");
        let (file, port) = (alice.home.join("server.py"), alice.home.join("port"));
        self.scene.machine.file(&alice, &file, 0o600, SERVER);
        let (path, port_file) = (file.display().to_string(), port.display().to_string());
        let mut command = self.python(&[&path, OWN_ROLE, &port_file, TOKEN]).command();
        let running = Running(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3"));
        within(START, "the server in Python serves", || port.exists());
        let address = format!("127.0.0.1:{}", std::fs::read_to_string(&port).expect("its port").trim());
        self.rows(table, "a server in Python, over HTTP", &self.probe(&["reads", "http", &address, TOKEN]));
        let size =
            resident(running.0.id().cast_signed()).map_or("not readable".into(), |(rss, _)| format!("{rss:.1} MB"));
        table.row(&[&"a server in Python, its memory", &"", &size, &"", &"", &""]);
    }
}
