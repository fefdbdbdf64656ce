//! Nothing of an agent outlives its run, whatever it does to stay: everything that it started is in a pid namespace
//! whose first process ends with the session.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::inside::outside;
use agent_aws_e2e::session::AT_ONCE;
use agent_aws_harness::{Case, Mode, Process, Scene, case, processes, suite, until, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What stays behind, and how it does that. Each ends only when the file `up` is there.
const STAYING: [(&str, &str); 6] = [
    ("a daemonised grandchild", "( (sleep 7001 &) & )"),
    (
        "one that ignores every signal",
        "sh -c \"trap '' $(seq -s ' ' 1 8) 10 11 12 13 14 15 $(seq -s ' ' 20 31); sleep 7001\" &",
    ),
    ("one in a new terminal session", "setsid sleep 7001 &"),
    ("one in a new terminal session of one in a new terminal session", "setsid sh -c 'setsid sleep 7001 &' &"),
    ("one that nohup keeps", "nohup sleep 7001 &"),
    ("one that is stopped", "sleep 7001 & sleep 0.5; kill -STOP $!"),
];

const CASES: &[Case] = &[
    case!(what_an_agent_leaves_behind_ends_with_the_run).private(),
    case!(one_that_starts_itself_anew_ends_with_the_run).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn sleepers() -> Vec<Process> {
    processes().into_iter().filter(|p| p.name == "sleep" && p.command.contains("7001")).collect()
}

/// Ends those of a control.
fn end(sleepers: &[Process]) {
    for process in sleepers {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).unwrap();
    }
}

fn what_an_agent_leaves_behind_ends_with_the_run(mode: Mode) {
    let scene = Scene::new(mode);
    for (what, script) in STAYING {
        let waits = format!(
            "{{ {script}\n}} > /dev/null 2>&1 < /dev/null\nuntil grep -qsz '^7001$' /proc/[0-9]*/cmdline; do sleep 0.01; done; echo up"
        );
        assert_eq!(scene.run(&["--no-wait"], &["bash", "-c", &waits]).run().says(), "up", "{what}");
        // When `agent-aws` has ended, it has ended: nothing is waited for.
        assert_eq!(sleepers(), [], "{what}");
        // The control: without a sandbox it stays.
        outside(&scene, &waits).run().ends(0);
        // What the script saw may still be on its way to being `sleep`.
        let left = until(AT_ONCE, || Some(sleepers()).filter(|left| !left.is_empty())).unwrap_or_default();
        assert_eq!(left.len(), 1, "the control: {what}");
        end(&left);
        within(AT_ONCE, "the control's end", || sleepers().is_empty());
    }
}

/// A process that is another one before it could be killed by its number.
fn one_that_starts_itself_anew_ends_with_the_run(mode: Mode) {
    let scene = Scene::new(mode);
    let script = "cat > hop.sh <<'END'\nsleep 0.01; setsid sh hop.sh 7001 > /dev/null 2>&1 < /dev/null &\nEND\n\
                  setsid sh hop.sh 7001 > /dev/null 2>&1 < /dev/null & sleep 0.3; echo up";
    let hopping = || processes().iter().any(|p| p.command.contains("hop.sh 7001"));
    assert_eq!(scene.run(&["--no-wait"], &["bash", "-c", script]).run().says(), "up");
    let seen = (0..50).filter(|_| {
        std::thread::sleep(Duration::from_millis(4));
        hopping()
    });
    assert_eq!(seen.count(), 0);
    // The control: without a sandbox it hops on, until its script is gone.
    outside(&scene, script).run().ends(0);
    within(AT_ONCE, "the control", hopping);
    std::fs::remove_file(scene.machine.project(&scene.machine.user("alice")).join("hop.sh")).unwrap();
    within(AT_ONCE, "the control's end", || !hopping());
}
