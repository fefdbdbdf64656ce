//! Job control: a run is a job of the shell's like any other.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::terminal::{END, INTERRUPT, STOP, Shell, Under, as_without_us, kill, on_a_terminal};
use agent_aws_harness::{Case, Mode, case, suite};

const CASES: &[Case] = &[
    case!(ctrl_z_stops_the_job_and_fg_gives_the_terminal_back),
    case!(a_job_goes_on_in_the_background_until_it_reads),
    case!(fg_after_bg_gives_the_terminal_to_a_job_that_runs),
    case!(a_stopped_agents_modes_are_its_own_again_after_fg),
    case!(a_background_start_leaves_the_terminal_alone),
    case!(a_background_job_that_reads_stops_until_fg),
    case!(a_stopped_job_can_be_killed),
    case!(a_shell_inside_suspends_to_the_shell_outside),
    case!(ctrl_z_in_a_script_stops_the_script_too),
    case!(an_agent_that_ignores_ctrl_z_goes_on),
    case!(two_runs_are_two_jobs),
    case!(a_stop_signal_by_hand_stops_the_job_until_fg),
    case!(ctrl_c_of_a_job_that_was_stopped_and_continued_is_the_agents),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Reads three lines and ends with 5.
const READS: &str = "echo ready\nfor n in 1 2 3; do read line; echo got:$line; done\nexit 5\n";

fn ctrl_z_stops_the_job_and_fg_gives_the_terminal_back(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        shell.line("$A sh ./reads");
        shell.wait("ready");
        for word in ["one", "two", "three"] {
            let said = shell.stop("sh ./reads", 1);
            assert!(said.contains("[1]+  Stopped"), "{said}");
            shell.line("jobs");
            let said = shell.prompt(0, 1);
            assert!(said.contains("Stopped"), "{said}");
            shell.start("fg");
            shell.line(word);
            shell.wait(&format!("got:{word}"));
        }
        shell.prompt(5, 0);
    });
}

/// Says `going` when the file `go` is there, then reads a line.
const GOES_ON: &str = "echo ready
until [ -e go ]; do sleep 0.05; done
echo going
read line
echo got:$line
exit 5
";

fn a_job_goes_on_in_the_background_until_it_reads(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("goes-on", GOES_ON);
        shell.line("$A bash ./goes-on");
        shell.wait("ready");
        let job = shell.job("bash ./goes-on");
        shell.stop("bash ./goes-on", 1);
        shell.line("bg");
        shell.prompt(0, 1);
        shell.file("go", "");
        shell.wait("going");
        shell.stopped(job);
        shell.line("jobs");
        let said = shell.prompt(0, 1);
        assert!(said.contains("Stopped(SIGTTIN)") || said.contains("Stopped"), "{said}");
        shell.start("fg");
        shell.line("something");
        shell.wait("got:something");
        shell.prompt(5, 0);
    });
}

fn fg_after_bg_gives_the_terminal_to_a_job_that_runs(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("goes-on", GOES_ON);
        shell.line("$A bash ./goes-on");
        shell.wait("ready");
        let (job, agent) = (shell.job("bash ./goes-on"), shell.agent("bash ./goes-on"));
        shell.stop("bash ./goes-on", 1);
        shell.line("bg");
        shell.prompt(0, 1);
        for pid in [job, agent] {
            shell.running(pid);
        }
        shell.start("fg");
        shell.file("go", "");
        shell.wait("going");
        shell.line("something");
        shell.wait("got:something");
        shell.prompt(5, 0);
    });
}

/// Takes single keys without echo, and tells each.
const KEYS: &str = "stty -icanon -echo -icrnl
echo ready
for n in 1 2; do
  key=$(dd bs=1 count=1 2>/dev/null)
  echo \"[$key] $(stty -a | grep -o -e '-icanon')\"
done
";

fn a_stopped_agents_modes_are_its_own_again_after_fg(mode: Mode) {
    // More than a program without us has: there it must set them itself when it is continued.
    on_a_terminal(mode, Under::AgentAws, |shell| {
        shell.file("keys", KEYS);
        shell.line("stty -g > before; $A sh ./keys; stty -g > after");
        shell.wait("ready");
        shell.key(b'x');
        shell.wait("[x] -icanon");
        shell.key(STOP);
        // The rest of the line is a command of its own for the shell.
        shell.prompt(0, 1);
        shell.line("stty -g > between");
        shell.prompt(0, 1);
        shell.start("fg");
        shell.wait("keys");
        shell.until("the terminal for the agent", |s| (s.foreground() != Some(s.pid())).then_some(()));
        shell.until("its modes", |s| (!s.modes().contains("ICANON")).then_some(()));
        shell.key(b'y');
        shell.wait("[y] -icanon");
        shell.prompt(0, 0);
        let before = shell.read("before");
        assert_eq!(shell.read("between"), before);
        assert_eq!(shell.read("after"), before);
    });
}

fn a_background_start_leaves_the_terminal_alone(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("agent", "until [ -e go ]; do sleep 0.05; done\necho from behind\nexit 8\n");
        shell.line("$A bash ./agent &");
        shell.prompt(0, 1);
        shell.agent("bash ./agent");
        assert_eq!(shell.foreground(), Some(shell.pid()));
        shell.has_its_terminal(1);
        shell.file("go", "");
        shell.wait("from behind");
        shell.line("wait %1");
        shell.prompt(8, 0);
    });
}

fn a_background_job_that_reads_stops_until_fg(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        shell.line("$A sh ./reads &");
        shell.prompt(0, 1);
        let job = shell.job("sh ./reads");
        shell.stopped(job);
        assert_eq!(shell.foreground(), Some(shell.pid()));
        shell.start("fg");
        for word in ["one", "two", "three"] {
            shell.line(word);
            shell.wait(&format!("got:{word}"));
        }
        shell.prompt(5, 0);
    });
}

fn a_stopped_job_can_be_killed(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        for (signal, word) in [("TERM", "Terminated"), ("KILL", "Killed"), ("HUP", "Hangup")] {
            shell.line("$A sh ./reads");
            shell.wait("ready");
            let agent = shell.agent("sh ./reads");
            shell.stop("sh ./reads", 1);
            let job = shell.job("sh ./reads");
            shell.line(&format!("kill -{signal} %1"));
            for pid in [agent, job] {
                shell.gone(pid);
            }
            let said = shell.no_more_jobs();
            assert!(said.contains(word), "{said}");
            shell.has_its_terminal(0);
        }
    });
}

fn a_shell_inside_suspends_to_the_shell_outside(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("inner", "PS1='{$?:\\j} '\nHISTFILE=\n");
        shell.line("$A bash --rcfile ./inner -i");
        shell.wait("{0:0} ");
        for _ in 0..2 {
            shell.line("suspend");
            shell.prompt(128 + 19, 1);
            shell.start("fg");
            shell.wait("{0:0} ");
            shell.start("cat > typed");
            shell.type_for_cat();
            shell.key(END);
            shell.wait("{0:0} ");
        }
        shell.line("exit 3");
        shell.prompt(3, 0);
    });
}

fn ctrl_z_in_a_script_stops_the_script_too(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        shell.file("script", "$A sh ./reads\necho status:$?\n");
        for interpreter in ["sh", "bash"] {
            shell.line(&format!("{interpreter} ./script"));
            shell.wait("ready");
            for word in ["one", "two", "three"] {
                let script = shell.agent(&format!("{interpreter} ./script"));
                shell.stop("sh ./reads", 1);
                shell.stopped(script);
                shell.start("fg");
                shell.line(word);
                shell.wait(&format!("got:{word}"));
            }
            shell.wait("status:5");
            shell.prompt(0, 0);
        }
    });
}

fn an_agent_that_ignores_ctrl_z_goes_on(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("ignores", format!("trap '' TSTP\n{READS}"));
        shell.line("$A sh ./ignores");
        shell.wait("ready");
        for word in ["one", "two", "three"] {
            shell.key(STOP);
            shell.wait("^Z");
            shell.line(word);
            shell.wait(&format!("got:{word}"));
        }
        shell.prompt(5, 0);
    });
}

fn two_runs_are_two_jobs(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        for jobs in 1..=2 {
            shell.line("$A sh ./reads");
            shell.wait("ready");
            shell.stop("sh ./reads", jobs);
        }
        finish(shell, "fg %1", 1);
        finish(shell, "fg %2", 0);
    });
}

fn finish(shell: &mut Shell, command: &str, left: usize) {
    shell.start(command);
    for word in ["one", "two", "three"] {
        shell.line(word);
        shell.wait(&format!("got:{word}"));
    }
    shell.prompt(5, left);
}

fn a_stop_signal_by_hand_stops_the_job_until_fg(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        shell.start("$A sh ./reads");
        shell.wait("ready");
        let (job, agent) = (shell.job("sh ./reads"), shell.agent("sh ./reads"));
        // SIGTSTP to what the shell has started; then SIGSTOP and SIGTSTP to the agent itself.
        for (pid, signal, word) in [(job, 20, "one"), (agent, 19, "two"), (agent, 20, "three")] {
            kill(pid, signal);
            shell.stopped(agent);
            shell.stopped(job);
            shell.prompt(128 + signal, 1);
            shell.start("fg");
            shell.line(word);
            shell.wait(&format!("got:{word}"));
        }
        shell.prompt(5, 0);
    });
}

fn ctrl_c_of_a_job_that_was_stopped_and_continued_is_the_agents(mode: Mode) {
    as_without_us(mode, |shell| {
        let handles = "trap 'echo caught; exit 6' INT\necho ready\nwhile :; do sleep 0.05; done\n";
        shell.file("handles", handles);
        shell.start("$A bash ./handles");
        shell.wait("ready");
        for background in [false, true] {
            shell.stop("bash ./handles", 1);
            if background {
                shell.line("bg");
                shell.prompt(0, 1);
            }
            shell.start("fg");
            let agent = shell.agent("bash ./handles");
            shell.running(agent);
        }
        shell.key(INTERRUPT);
        shell.wait("caught");
        shell.prompt(6, 0);
    });
}
