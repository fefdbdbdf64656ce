//! `agent-aws serve` for containers: what a container engine makes of a root file system, with one directory mounted. No
//! engine runs here; roots, namespaces and ids are made by hand, as rootless and as root's engines make them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/served.rs"]
#[allow(dead_code)] // each test program uses some of it
mod served;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use agent_aws_harness::{Case, Mode, Output, Scene, Setup, case, processes, suite, within};
use nix::sys::signal::Signal;

use served::{START, Server, directory, key, member};

const CASES: &[Case] = &[
    case!(the_aws_cli_in_a_debian_root_has_the_identity).private(),
    case!(a_root_without_glibc_has_the_identity).private(),
    case!(an_sdk_in_a_root_without_glibc_has_the_identity).private(),
    case!(another_user_in_the_container_does_not_reach_it).private(),
    case!(a_container_that_outlives_its_server_has_nothing).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

const ROOT: &str = include_str!("parts/container.sh");
const POPEN: &str = include_str!("parts/popen.c");
const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
const SOCKET: &str = "/run/agent-aws/credentials.sock";

/// A server, and what goes into the roots.
struct Place {
    scene: Scene,
    served: String,
    root: String,
    programs: PathBuf,
    script: PathBuf,
}

/// Whose container it is.
#[derive(Debug, Clone, Copy)]
enum Engine {
    /// The caller's own, in a user namespace: uid 0 in it is the caller.
    Rootless,
    /// Root's, without a user namespace, its processes with this uid.
    Rootful(u32),
}

impl Place {
    fn new(mode: Mode) -> Self {
        let setup =
            Setup { identity: "aliases = [\"prod-readonly\"]\nregion = \"eu-west-1\"".into(), ..Setup::default() };
        let scene = Scene::with(mode, &setup);
        let (served, root) = (format!("{}/dev", directory(&scene, "served")), directory(&scene, "root"));
        let alice = scene.machine.user("alice");
        let programs = PathBuf::from(directory(&scene, "programs"));
        let script = programs.parent().unwrap().join("container.sh");
        scene.machine.file(&alice, &script, 0o755, ROOT);
        Self { scene, served, root, programs, script }
    }

    fn server(&self) -> Server {
        let server = Server::start(&self.scene, &["--directory", &self.served], &[]);
        server.is_ready(&format!("{}/credentials.sock", self.served));
        server
    }

    /// Compiles it against musl, and not statically.
    fn with_popen(&self) {
        let source = self.scene.machine.scratch().join("popen.c");
        std::fs::write(&source, POPEN).unwrap();
        let compiled = Command::new("musl-gcc").arg("-o").arg(self.programs.join("popen")).arg(&source).status();
        assert!(compiled.expect("musl-gcc").success());
    }

    /// Takes a program along. False if it is not there.
    fn with(&self, program: &Path) -> bool {
        program.file_name().is_some_and(|name| std::fs::copy(program, self.programs.join(name)).is_ok())
    }

    /// Runs a line of shell in a container.
    #[track_caller]
    fn inside(&self, engine: Engine, kind: &str, line: &str) -> Output {
        let variables = format!(
            "export AWS_CONFIG_FILE=/run/agent-aws/config AWS_EC2_METADATA_DISABLED=true AWS_ENDPOINT_URL_STS={url} URL={url}",
            url = self.scene.sts.url()
        );
        let script = format!("{variables}; {line}");
        let programs = self.programs.display().to_string();
        let of_script = self.script.display().to_string();
        let words = ["sh", &of_script, kind, &self.root, &self.served, &programs, &script].map(str::to_owned);
        match engine {
            Engine::Rootless => {
                let unshare = ["--user", "--map-root-user", "--mount", "--"].map(str::to_owned);
                self.scene.machine.call("alice", "/usr/bin/unshare").args(&[&unshare[..], &words].concat()).run()
            }
            Engine::Rootful(uid) => {
                let change = format!("exec setpriv --reuid={uid} --regid={uid} --clear-groups -- sh -c '{line}'");
                let [head @ .., last] = &words;
                let line = if uid == 0 { last.clone() } else { format!("{variables}; {change}") };
                let mut command = Command::new("/usr/bin/unshare");
                command
                    .args(["--mount", "--"])
                    .args(head)
                    .arg(line)
                    .env_clear()
                    .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
                let ended = command.output().expect("unshare");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Output { status: ended.status, stdout: text(&ended.stdout), stderr: text(&ended.stderr) }
            }
        }
    }

    /// The ARN that the emulator gave to a key.
    fn arn(&self, key: &str) -> String {
        let issued = self.scene.sts.issued();
        issued.into_iter().find(|session| session.access_key_id == key).expect("a key of the emulator's").arn
    }
}

const ENGINES: [Engine; 2] = [Engine::Rootless, Engine::Rootful(0)];

fn the_aws_cli_in_a_debian_root_has_the_identity(mode: Mode) {
    let place = Place::new(mode);
    let _server = place.server();
    let ask = "/usr/bin/aws sts get-caller-identity --query Arn --output text --endpoint-url $URL";
    let alias = if mode == Mode::Setuid { "prod-readonly" } else { "dev" };
    for engine in ENGINES {
        let said = place.inside(engine, "debian", ask).says();
        assert!(said.starts_with(&place.scene.assumed()), "{engine:?}: {said}");
        let said = place.inside(engine, "debian", &format!("AWS_PROFILE={alias} {ask}")).says();
        assert!(said.starts_with(&place.scene.assumed()), "{engine:?}: {said}");
        let other = place.inside(engine, "debian", &format!("AWS_PROFILE=administrator {ask}"));
        assert!(other.code() != 0 && other.stderr.contains("administrator"), "{engine:?}: {other}");
        // The control: nothing else in the root has credentials.
        let none = place.inside(engine, "debian", &format!("AWS_CONFIG_FILE=/dev/null AWS_REGION=eu-west-1 {ask}"));
        assert!(none.code() != 0, "{engine:?}: {none}");
        // Nothing of ours in its environment, and no file holds a secret.
        let secret = member(&place.inside(engine, "debian", CLIENT).says(), "SecretAccessKey");
        let found =
            place.inside(engine, "debian", &format!("env | grep -c {secret}; grep -rl {secret} /run /etc /tmp"));
        assert_eq!(found.stdout, "0\n", "{engine:?}: {found}");
    }
}

fn a_root_without_glibc_has_the_identity(mode: Mode) {
    let place = Place::new(mode);
    place.with_popen();
    let _server = place.server();
    for engine in ENGINES {
        let said = place.inside(engine, "musl", "ls /lib /lib64 2>&1; ls /usr 2>&1").stdout;
        assert!(said.contains("ld-musl") && !said.contains("libc.so.6") && said.contains("/usr: No such"), "{said}");
        for line in [CLIENT, "/programs/popen"] {
            let said = place.inside(engine, "musl", line).says();
            assert!(place.arn(&key(&said)).starts_with(&place.scene.assumed()), "{engine:?} {line}: {said}");
        }
    }
}

/// AWS's SDK for Go, linked as most programs in such images are.
fn an_sdk_in_a_root_without_glibc_has_the_identity(mode: Mode) {
    let place = Place::new(mode);
    let deps = place.scene.machine.deps().unwrap_or_default();
    assert!(place.with(&deps.join("go/sdk-whoami")), "{}: no client in Go", deps.display());
    let _server = place.server();
    for engine in ENGINES {
        let said = place.inside(engine, "musl", "/programs/sdk-whoami").says();
        assert!(said.starts_with(&place.scene.assumed()), "{engine:?}: {said}");
    }
}

/// Who is neither the caller nor root is not let in by the kernel, whatever was mounted for them.
fn another_user_in_the_container_does_not_reach_it(mode: Mode) {
    let place = Place::new(mode);
    let _server = place.server();
    let alice = place.scene.machine.user("alice").uid;
    place.inside(Engine::Rootful(alice), "debian", CLIENT).ends(0);
    let said = place.inside(Engine::Rootful(alice + 1), "debian", CLIENT);
    assert!(said.code() != 0 && !said.stdout.contains("SecretAccessKey"), "{said}");
    // The directory keeps them out; so does the socket alone.
    std::fs::set_permissions(&place.served, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = place.inside(Engine::Rootful(alice + 1), "debian", CLIENT).ends(1);
    assert!(said.stderr.contains("ermission denied"), "{said}");
}

fn a_container_that_outlives_its_server_has_nothing(mode: Mode) {
    let place = Place::new(mode);
    let server = place.server();
    let script = format!(
        "{CLIENT} | grep -c Secret; cp {CLIENT} /tmp/client; while [ -e {SOCKET} ]; do sleep 0.25; done; \
         AGENT_AWS_SOCKET={SOCKET} /tmp/client; echo $?"
    );
    let said = std::thread::scope(|scope| {
        let inside = scope.spawn(|| place.inside(Engine::Rootful(0), "debian", &script));
        within(START, "the container waits", || processes().into_iter().any(|p| p.command == "sleep 0.25"));
        server.ends_by(Signal::SIGTERM);
        inside.join().unwrap()
    });
    assert_eq!(said.stdout, "1\n1\n", "{said}");
}
