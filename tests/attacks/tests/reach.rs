//! Everything that is tried from inside, check by check, beside what is open without a sandbox and in others.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};

use agent_aws_attacks::table::{Table, rewrite};
use agent_aws_e2e::inside::{memory_over, placed};
use agent_aws_harness::{Call, Case, Mode, Scene, case, suite};

const CASES: &[Case] = &[
    case!(the_default_sandbox_leaves_open_what_the_table_says).private(),
    case!(other_sandboxes_leave_more_open).unprivileged().private().limit(300),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// The table. Its columns of results are written by
/// `AGENT_AWS_MEASURE=$PWD/tests/attacks/reach.tsv cargo test -p agent-aws-attacks --test reach -- --test-threads=1`.
const TABLE: &str = include_str!("../reach.tsv");
const MEASURE: &str = "AGENT_AWS_MEASURE";

/// What came of each check.
type Results = BTreeMap<String, String>;

/// A host with something at every place that is looked for.
struct Host {
    scene: Scene,
    reach: String,
    facts: Vec<String>,
    bystanders: [Child; 2],
    _listeners: Vec<UnixListener>,
    _tcp: std::net::TcpListener,
}

const MARK: &str = "of the host\n";

impl Host {
    fn new(mode: Mode) -> Self {
        let kernel = a_thread_of_the_kernel();
        let scene = Scene::new(mode);
        let alice = scene.machine.user("alice");
        let project = scene.machine.project(&alice);
        let reach = placed(&scene, env!("CARGO_BIN_EXE_reach"));
        for name in [
            ".ssh/id_ed25519", ".ssh/authorized_keys", ".config/gcloud/credentials.db", ".docker/config.json",
            ".netrc", ".git-credentials", ".bash_history", ".codex/auth.json", "notes.txt", ".bashrc",
            ".local/bin/tool",
        ] {
            scene.machine.file(&alice, &alice.home.join(name), 0o600, MARK);
        }
        for name in [".git/hooks/pre-commit", ".git/config", ".git/HEAD", ".envrc"] {
            scene.machine.file(&alice, &project.join(name), 0o644, MARK);
        }
        let settings = r#"{"network": {"allowedDomains": [], "deniedDomains": []}, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}"#;
        scene.machine.file(&alice, &project.join("srt.json"), 0o644, settings);
        let tmp = scene.machine.scratch().join("of-the-host");
        scene.machine.file(&alice, &tmp.join("file"), 0o666, MARK);
        memory_over("/srv", 0o755);
        fs::write("/srv/agent-aws-test", MARK).unwrap();
        scene.machine.file(&scene.machine.user("bob"), Path::new("/home/bob/notes.txt"), 0o644, MARK);
        fs::set_permissions("/home/bob", fs::Permissions::from_mode(0o755)).unwrap();
        let setuid = Path::new("/opt/agent-aws-test/setuid-id");
        fs::copy("/usr/bin/id", setuid).unwrap();
        fs::set_permissions(setuid, fs::Permissions::from_mode(0o4755)).unwrap();
        scene.machine.directory(&alice, Path::new("/run/user/4242"));
        scene.machine.directory(&alice, &alice.home.join(".gnupg"));
        let places = [
            "/run/user/4242/bus".into(),
            "/run/docker.sock".into(),
            tmp.join("agent.1"),
            alice.home.join(".gnupg/S.gpg-agent"),
        ];
        let mut listeners: Vec<UnixListener> = places.iter().map(|place| UnixListener::bind(place).unwrap()).collect();
        for place in &places {
            fs::set_permissions(place, fs::Permissions::from_mode(0o666)).unwrap();
        }
        let name = format!("agent-aws-test-x11-{mode}-{}", scene.sts.url());
        listeners.push(UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bystander =
            scene.machine.call("alice", "/bin/bash").args(&["-c", "exec -a agent-aws-bystander sleep 1000"]);
        let bystander = bystander.env("SECRET", "x").command().stdin(Stdio::null()).spawn().unwrap();
        let facts = vec![
            format!("home={}", alice.home.display()),
            format!("tmp={}", tmp.display()),
            format!("pid={}", bystander.id()),
            format!("tcp={}", tcp.local_addr().unwrap().port()),
            format!("abstract={name}"),
            format!("setuid={}", setuid.display()),
        ];
        Self { scene, reach, facts, bystanders: [bystander, kernel], _listeners: listeners, _tcp: tcp }
    }

    /// Runs the checks below `wrapper`, with descriptors and variables that leak.
    fn look(&self, wrapper: &[String]) -> Results {
        let script = "exec 9<~/notes.txt 10</; exec \"$@\"";
        let call: Call = self.scene.agent_aws(&[]).instead("/bin/bash").args(&["-c", script, "bash"]);
        let call = call.args(wrapper).args(&[self.reach.as_str(), "all"]).args(&self.facts);
        let call = call
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("LD_LIBRARY_PATH", "/nowhere")
            .env("SSH_AUTH_SOCK", "/nowhere")
            .env("GITHUB_TOKEN", "x");
        let output = call.run();
        let results: Results = output
            .stdout
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, result)| (name.to_owned(), result.to_owned()))
            .collect();
        assert!(results.len() > 80, "{wrapper:?}\n{output}");
        results
    }

    fn ours(&self) -> Results {
        let [option, name] = self.scene.identity();
        let program = self.scene.machine.program().display().to_string();
        // As shipped; the policy of the scene would give the host's network.
        self.look(&[&program, "run", "--no-wait", "--network", "filtered", option, name, "--"].map(str::to_owned))
    }
}

/// firejail does nothing where it finds no thread of the kernel among the first processes: it takes that for a sandbox.
/// Here is something of that name.
fn a_thread_of_the_kernel() -> Child {
    let place = Path::new("/opt/kthreadd");
    fs::copy("/usr/bin/sleep", place).unwrap();
    std::process::Command::new(place).arg("1000").stdin(Stdio::null()).spawn().unwrap()
}

impl Drop for Host {
    fn drop(&mut self) {
        for process in &mut self.bystanders {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn open(results: &Results) -> usize {
    results.values().filter(|result| *result == "open").count()
}

/// Writes down what was seen, where somebody asked for that.
fn measured(column: &str, results: &Results) {
    if let Ok(path) = std::env::var(MEASURE) {
        rewrite(&path, column, |name| results.get(name).cloned());
    }
}

fn the_default_sandbox_leaves_open_what_the_table_says(mode: Mode) {
    let host = Host::new(mode);
    let (outside, inside) = (host.look(&[]), host.ours());
    println!("note: {} of {} are open outside, {} inside", open(&outside), outside.len(), open(&inside));
    measured("outside", &outside);
    measured(&mode.to_string(), &inside);
    let table = Table::parse(TABLE);
    let mut wrong = Vec::new();
    for row in table.rows() {
        let (name, wanted) = (row.get("check"), row.get(&mode.to_string()));
        let (is, control) = (&inside[name], &outside[name]);
        // What this kernel gives nobody is answered in its own way.
        let same = is == wanted || control != "open" && is != "open";
        if !same {
            wrong.push(format!("{name}: {is}, not {wanted} (outside: {control})"));
        }
        if is == "open" && row.get("needed for") == "-" {
            wrong.push(format!("{name}: open, and nothing says what for"));
        }
    }
    assert_eq!(table.rows().count(), inside.len(), "the table has other checks");
    assert!(open(&outside) > 75, "the control: little is open outside: {outside:#?}");
    assert!(wrong.is_empty() || std::env::var_os(MEASURE).is_some(), "{wrong:#?}");
}

/// Each as it is started when nothing is asked for; bubblewrap as a wrapper around an agent has it.
fn others(host: &Host) -> Vec<(&'static str, Vec<String>)> {
    let home = host.scene.machine.user("alice").home.display().to_string();
    let deps = host.scene.machine.deps().map(|deps| deps.join("inner/node_modules/.bin").display().to_string());
    let deps = deps.unwrap_or_default();
    let mut bwrap: Vec<String> = vec!["/usr/bin/bwrap".into()];
    for directory in ["/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64"] {
        bwrap.extend(["--ro-bind-try", directory, directory].map(str::to_owned));
    }
    let aws = format!("{home}/.aws");
    bwrap.extend(["--bind", &home, &home, "--tmpfs", &aws, "--bind", "/tmp", "/tmp"].map(str::to_owned));
    bwrap.extend(
        ["--proc", "/proc", "--dev", "/dev", "--unshare-pid", "--new-session", "--die-with-parent"].map(str::to_owned),
    );
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    vec![
        ("bubblewrap", bwrap),
        ("firejail", words(&["/usr/bin/firejail", "--quiet"])),
        ("codex sandbox", words(&[&format!("{deps}/codex"), "sandbox", "--"])),
        ("srt", words(&[&format!("{deps}/srt"), "--settings", "srt.json"])),
    ]
}

fn other_sandboxes_leave_more_open(mode: Mode) {
    let host = Host::new(mode);
    let ours = open(&host.ours());
    for (name, wrapper) in others(&host) {
        if !Path::new(&wrapper[0]).exists() {
            println!("note: {name} is not here");
            continue;
        }
        let theirs = host.look(&wrapper);
        println!("note: {name}: {} of {} are open, {ours} in ours", open(&theirs), theirs.len());
        measured(name, &theirs);
        assert!(open(&theirs) > ours, "{name}: {theirs:#?}");
    }
}
