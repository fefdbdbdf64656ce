//! Processes of a sandbox: what they see and may do, and whom they cannot reach.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use agent_aws_e2e::inside::{inside, outside, root};
use agent_aws_harness::{Case, Mode, SOON, Scene, case, processes, suite, within};

const CASES: &[Case] = &[
    case!(no_process_has_a_capability_or_can_gain_one),
    case!(init_can_be_neither_read_nor_traced),
    case!(processes_of_the_host_are_not_there),
    case!(a_signal_to_ones_own_group_stays_inside),
    case!(a_signal_to_everybody_stays_inside).private(),
    case!(settings_of_the_kernel_cannot_be_written),
    case!(a_sandbox_of_roots_cannot_write_settings_of_the_kernel).private(),
    case!(names_of_the_machine_and_its_ipc_are_the_sandboxes_own),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn no_process_has_a_capability_or_can_gain_one(mode: Mode) {
    let scene = Scene::new(mode);
    let output = inside(&scene, &[], "cat /proc/self/status").run().ends(0);
    let values = |name: &str| -> Vec<&str> {
        output.stdout.lines().filter_map(|l| l.strip_prefix(name)).map(str::trim).collect()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(values(set), ["0000000000000000"], "{set}\n{output}");
    }
    assert_eq!(values("NoNewPrivs:"), ["1"], "{output}");
    assert_eq!(values("Seccomp:"), ["2"], "{output}");
    let uid = [scene.machine.user("alice").uid.to_string().as_str(); 4].join("\t");
    assert_eq!(values("Uid:"), [uid.as_str()], "{output}");
    let control = outside(&scene, "cat /proc/self/status").run().says();
    assert!(!control.contains("CapBnd:\t0000000000000000") && control.contains("NoNewPrivs:\t0"), "{control}");
}

fn init_can_be_neither_read_nor_traced(mode: Mode) {
    let scene = Scene::new(mode);
    let script = "for f in environ mem maps fd/ root/ cwd/ exe; do \
                  head -c 1 /proc/$1/$f > /dev/null 2>&1 || ls /proc/$1/$f > /dev/null 2>&1 && echo $f; done; true";
    let of_init = inside(&scene, &[], &format!("set -- 1; {}", script.replace(" exe;", ";"))).run().ends(0);
    assert_eq!(of_init.stdout, "", "{of_init}");
    // The control: the same of a process of its own.
    let own = "sleep 100 & set -- $!; ";
    let of_own = inside(&scene, &[], &format!("{own}{}", script.replace(" mem", ""))).run().ends(0);
    assert!(["environ", "maps", "root/", "cwd/"].iter().all(|f| of_own.stdout.contains(f)), "{of_own}");
}

/// Alice's process outside, which goes with the trial.
struct Bystander(Child);

impl Bystander {
    fn new(scene: &Scene) -> Self {
        let call = scene.machine.call("alice", "/bin/sleep").arg("1000");
        Self(call.command().stdin(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn processes_of_the_host_are_not_there(mode: Mode) {
    let scene = Scene::new(mode);
    let bystander = Bystander::new(&scene);
    let pid = bystander.0.id();
    within(SOON, "the bystander", || processes().iter().any(|p| p.name == "sleep" && p.pid.cast_unsigned() == pid));
    let script =
        format!("ls /proc | grep -c '^[0-9]'; kill -0 {pid} && echo reached; grep -l sleep /proc/[0-9]*/comm; true");
    assert!(outside(&scene, &script).run().says().contains("reached"));
    let output = inside(&scene, &[], &script).run().ends(0);
    let (count, rest) = output.stdout.split_once('\n').unwrap();
    assert!(count.parse::<u32>().unwrap() < 8 && rest.is_empty(), "{output}");
}

/// What a shell of Alice's prints that runs `command` in its own process group and says so if a signal reaches it.
fn with_trap(scene: &Scene, command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = all.map(|w| format!("'{}'", w.display())).collect();
    // A switch to Alice ends in two dashes; the shell around is hers already.
    let own = words.iter().position(|w| w == "'--'").filter(|_| words[0].contains("setpriv")).map_or(0, |at| at + 1);
    let script = format!("trap 'echo reached' USR1; {}; true", words[own..].join(" "));
    let mut shell = outside(scene, &script).command();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn a_signal_to_ones_own_group_stays_inside(mode: Mode) {
    let scene = Scene::new(mode);
    let script = r#"trap "echo own" USR1; kill -USR1 0; echo done"#;
    assert_eq!(with_trap(&scene, &outside(&scene, script).command()), "own\ndone\nreached\n");
    assert_eq!(with_trap(&scene, &inside(&scene, &[], script).command()), "own\ndone\n");
}

fn a_signal_to_everybody_stays_inside(mode: Mode) {
    let scene = Scene::new(mode);
    let mut bystander = Bystander::new(&scene);
    let script = "sleep 1000 & kill -KILL -1; wait; echo survived";
    let output = inside(&scene, &[], script).run();
    assert_eq!(output.stdout, "survived\n", "{output}");
    assert!(bystander.lives());
    // The control: without a sandbox it reaches all that Alice has in this private world.
    outside(&scene, "kill -KILL -1").run();
    within(SOON, "the bystander's end", || !bystander.lives());
}

/// Opened to be written, nothing is.
const SETTINGS: &str = "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/overcommit_memory \
                        /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger; do \
                        (exec 3>>$f) 2> /dev/null && echo opened $f; done; true";

fn settings_of_the_kernel_cannot_be_written(mode: Mode) {
    let scene = Scene::new(mode);
    let script = format!("{SETTINGS}; (exec 3>>/proc/self/oom_score_adj) && echo control");
    assert_eq!(inside(&scene, &[], &script).run().says(), "control");
}

fn a_sandbox_of_roots_cannot_write_settings_of_the_kernel(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.scratch().join("roots-project");
    std::fs::create_dir(&project).unwrap();
    // The control: outside root can open them (sysrq only where the kernel has it).
    let opened = root(&["bash", "-c", SETTINGS]);
    assert!(opened.contains("core_pattern") && opened.contains("overcommit_memory"), "{opened}");
    let config = scene.aws("config");
    let output = Command::new(scene.machine.program())
        .args(["run", "--allow-root", "--profile", "dev", "--no-wait", "--", "bash", "-c"])
        .arg(format!("id -u; {SETTINGS}"))
        .current_dir(&project)
        .env_clear()
        .envs([("PATH", Path::new("/usr/bin:/bin")), ("HOME", Path::new("/root")), ("AWS_CONFIG_FILE", &config)])
        .output()
        .unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("0\n"), "{said}");
    assert!(!said.contains("opened"), "{said}");
}

fn names_of_the_machine_and_its_ipc_are_the_sandboxes_own(mode: Mode) {
    let scene = Scene::new(mode);
    let script = "for n in mnt pid ipc uts cgroup; do echo $n $(readlink /proc/self/ns/$n); done";
    let here = outside(&scene, script).run().says();
    let there = inside(&scene, &[], script).run().says();
    assert_eq!((here.lines().count(), there.lines().count()), (5, 5));
    for (one, other) in here.lines().zip(there.lines()) {
        assert_ne!(one, other);
    }
    let none = inside(&scene, &["--network", "none"], "readlink /proc/self/ns/net").run().says();
    let shared = inside(&scene, &["--network", "shared"], "readlink /proc/self/ns/net").run().says();
    let host = outside(&scene, "readlink /proc/self/ns/net").run().says();
    assert!(none != host && shared == host, "{none} {shared} {host}");
}
