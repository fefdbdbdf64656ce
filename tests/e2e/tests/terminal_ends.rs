//! Ends of all kinds: whoever dies, of whatever, the shell has its terminal again and nothing typed into it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::terminal::{Shell, Under, as_without_us, kill, on_a_terminal};
use agent_aws_harness::{Case, Mode, case, suite};

const CASES: &[Case] = &[
    case!(a_killed_agent_leaves_no_raw_mode_and_no_typed_ahead_input),
    case!(a_killed_supervisor_leaves_no_raw_mode_and_no_typed_ahead_input),
    case!(a_killed_init_leaves_no_raw_mode_and_no_typed_ahead_input),
    case!(after_a_killed_agent_aws_the_session_ends_and_the_shell_has_its_terminal),
    case!(input_typed_ahead_of_an_agents_own_end_is_the_shells),
    case!(a_signal_to_the_agent_is_how_we_end),
    case!(a_signal_to_agent_aws_is_for_the_agent),
    case!(kill_0_inside_stays_inside),
    case!(nothing_inside_can_type_into_the_shell),
    case!(a_terminal_that_the_agent_froze_works_again),
    case!(closing_the_terminal_ends_everything),
    case!(a_stopped_run_ends_when_its_shell_is_killed),
    case!(under_nohup_a_run_outlives_the_terminal),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Raw mode, then nothing that would ever read.
const DEAF: &str = "stty raw -echo\nprintf 'ready\\r\\n'\nexec sleep 1000\n";

/// Runs `DEAF`, types ahead of it, kills what `victim` says; `status` is what becomes of the run.
fn killed_while_typing(shell: &mut Shell, victim: fn(&mut Shell) -> i32, status: i32) {
    shell.file("deaf", DEAF);
    let script = "stty -g > before\n$A sh ./deaf\nended=$?\nstty -g > after\nexit $ended\n";
    shell.file("script", script);
    shell.file("piped", script.replace("./deaf", "./deaf | cat"));
    // A script puts nothing back by itself; an interactive shell does.
    for (command, status) in [("sh ./script", status), ("sh ./piped", 0), ("$A sh ./deaf", status)] {
        shell.start(command);
        shell.wait("ready");
        let victim = victim(shell);
        let others: Vec<i32> = shell.processes().iter().map(|p| p.pid).collect();
        shell.line("touch injected");
        kill(victim, 9);
        shell.prompt(status, 0);
        assert_eq!(shell.read("before"), shell.read("after"));
        shell.has_its_terminal(0);
        assert!(!shell.path("injected").exists(), "the shell has executed what was typed for {command}");
        others.into_iter().for_each(|pid| shell.gone(pid));
    }
}

fn a_killed_agent_leaves_no_raw_mode_and_no_typed_ahead_input(mode: Mode) {
    // That it can be seen at all: without us the shell executes it.
    on_a_terminal(mode, Under::Nothing, |shell| {
        shell.file("deaf", DEAF);
        shell.start("$A sh ./deaf");
        shell.wait("ready");
        shell.line("touch injected");
        kill(shell.agent("sleep 1000"), 9);
        let injected = shell.path("injected");
        shell.until("a shell that executes it", |_| injected.exists().then_some(()));
    });
    on_a_terminal(mode, Under::AgentAws, |shell| {
        killed_while_typing(shell, |shell| shell.agent("sleep 1000"), 137);
    });
}

fn a_killed_supervisor_leaves_no_raw_mode_and_no_typed_ahead_input(mode: Mode) {
    on_a_terminal(mode, Under::AgentAws, |shell| {
        killed_while_typing(shell, Shell::supervisor, 125);
    });
}

fn a_killed_init_leaves_no_raw_mode_and_no_typed_ahead_input(mode: Mode) {
    on_a_terminal(mode, Under::AgentAws, |shell| {
        killed_while_typing(shell, |shell| shell.find("init", |p| p.name == "agent-aws-init"), 125);
    });
}

fn after_a_killed_agent_aws_the_session_ends_and_the_shell_has_its_terminal(mode: Mode) {
    on_a_terminal(mode, Under::AgentAws, |shell| {
        shell.file("deaf", DEAF);
        for _ in 0..2 {
            shell.start("$A sh ./deaf");
            shell.wait("ready");
            let cli = shell.job("sh ./deaf");
            let all: Vec<i32> = shell.processes().iter().map(|p| p.pid).collect();
            kill(cli, 9);
            shell.prompt(137, 0);
            all.into_iter().for_each(|pid| shell.gone(pid));
            shell.has_its_terminal(0);
        }
    });
}

fn input_typed_ahead_of_an_agents_own_end_is_the_shells(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("agent", "echo ready\nuntil [ -e go ]; do sleep 0.05; done\n");
        shell.start("$A sh ./agent");
        shell.wait("ready");
        shell.line("touch typed-ahead");
        shell.wait("typed-ahead");
        shell.file("go", "");
        let typed = shell.path("typed-ahead");
        shell.until("the shell to execute it", |_| typed.exists().then_some(()));
    });
}

fn a_signal_to_the_agent_is_how_we_end(mode: Mode) {
    as_without_us(mode, |shell| {
        for (signal, word) in [(15, "Terminated"), (9, "Killed"), (1, "Hangup")] {
            shell.start("$A sleep 1000");
            kill(shell.agent("sleep 1000"), signal);
            let said = shell.prompt(128 + signal, 0);
            assert!(said.contains(word), "{said}");
        }
        shell.has_its_terminal(0);
    });
}

fn a_signal_to_agent_aws_is_for_the_agent(mode: Mode) {
    as_without_us(mode, |shell| {
        let handles = "for s in TERM HUP USR1 USR2; do trap \"echo caught $s\" $s; done
trap 'echo caught INT; exit 9' INT
sleep 1000 &
echo ready
while :; do wait; done
";
        shell.file("handles", handles);
        shell.start("$A sh ./handles");
        shell.wait("ready");
        let job = shell.job("sh ./handles");
        for (signal, name) in [(15, "TERM"), (1, "HUP"), (10, "USR1"), (12, "USR2"), (2, "INT")] {
            kill(job, signal);
            shell.wait(&format!("caught {name}"));
        }
        shell.prompt(9, 0);
        for signal in [15, 1, 10] {
            shell.start("$A sleep 1000");
            shell.agent("sleep 1000");
            kill(shell.job("sleep 1000"), signal);
            shell.prompt(128 + signal, 0);
        }
        shell.has_its_terminal(0);
    });
}

fn kill_0_inside_stays_inside(mode: Mode) {
    // Without us it ends the whole pipeline.
    on_a_terminal(mode, Under::AgentAws, |shell| {
        shell.line("sleep 2000 &");
        shell.prompt(0, 1);
        let other = shell.agent("sleep 2000");
        // The other command of the pipeline is in our process group.
        shell.file("pipeline", "$A bash ./kills | (cat; echo alive)\necho ended:${PIPESTATUS[*]}.\n");
        for (kills, ended) in [
            ("kill 0", 143),
            ("kill -INT 0", 130),
            ("kill -KILL 0", 137),
            ("kill -KILL -1; exit 3", 3),
            ("trap '' TERM HUP; kill 0; kill -HUP -1; exit 4", 4),
        ] {
            shell.file("kills", format!("sleep 1000 &\n{kills}\nsleep 1000\n"));
            shell.line("bash ./pipeline");
            shell.wait("alive");
            shell.wait(&format!("ended:{ended} 0."));
            shell.prompt(0, 1);
        }
        assert!(shell.processes().iter().any(|p| p.pid == other));
        shell.has_its_terminal(1);
        shell.line("kill %1; wait; echo");
        shell.prompt(0, 0);
    });
}

fn nothing_inside_can_type_into_the_shell(mode: Mode) {
    on_a_terminal(mode, Under::AgentAws, |shell| {
        let typist = std::fs::read(env!("CARGO_BIN_EXE_typist")).expect("a program of this package");
        shell.file("typist", typist);
        for command in ["$A ./typist 'touch injected'", "$A ./typist 'touch injected' | cat"] {
            shell.line(command);
            shell.wait("taken:0.");
            shell.wait("taken:0.");
            shell.prompt(0, 0);
            shell.has_its_terminal(0);
            assert!(!shell.path("injected").exists());
        }
        // That it could be seen: where the kernel still has that call, the shell executes it without us.
        if std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|value| value.trim() == "0") {
            return;
        }
        shell.line("./typist 'touch injected'");
        let injected = shell.path("injected");
        shell.until("a shell that executes it", |_| injected.exists().then_some(()));
    });
}

/// Output stopped and the terminal locked, by calls that no mode shows.
fn a_terminal_that_the_agent_froze_works_again(mode: Mode) {
    let freeze = "import fcntl, termios\ntermios.tcflow(0, termios.TCOOFF); fcntl.ioctl(0, termios.TIOCEXCL)\n";
    let thaw = "import fcntl, termios\ntermios.tcflow(0, termios.TCOON); fcntl.ioctl(0, termios.TIOCNXCL)\n";
    let script = "$A python3 ./freeze.py\n(: < /dev/tty) 2> /dev/null; locked=$?\n\
                  timeout --foreground 2 sh -c 'echo through'; echo $locked $? > found\npython3 ./thaw.py\n";
    for (under, found) in [(Under::Nothing, "1 124\n"), (Under::AgentAws, "0 0\n")] {
        on_a_terminal(mode, under, |shell| {
            shell.file("freeze.py", freeze);
            shell.file("thaw.py", thaw);
            shell.file("script", script);
            shell.start("bash ./script");
            shell.prompt(0, 0);
            assert_eq!(shell.read("found"), found, "{under:?}");
        });
    }
}

fn closing_the_terminal_ends_everything(mode: Mode) {
    for command in ["$A sleep 1000", "$A sleep 1000 | cat", "$A sleep 1000 &", "sh -c '$A sleep 1000; true'"] {
        eprintln!("--- {command}");
        as_without_us(mode, |shell| hangs_up(shell, command));
    }
}

fn hangs_up(shell: &mut Shell, command: &str) {
    shell.line(command);
    shell.agent("sleep 1000");
    let all: Vec<i32> = shell.processes().iter().map(|p| p.pid).chain([shell.pid()]).collect();
    shell.hang_up();
    all.into_iter().for_each(|pid| shell.gone(pid));
}

fn a_stopped_run_ends_when_its_shell_is_killed(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.start("$A sleep 1000");
        shell.stop("sleep 1000", 1);
        let all: Vec<i32> = shell.processes().iter().map(|p| p.pid).chain([shell.pid()]).collect();
        kill(shell.pid(), 9);
        all.into_iter().for_each(|pid| shell.gone(pid));
    });
}

fn under_nohup_a_run_outlives_the_terminal(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("agent", "echo began\nuntil [ -e go ]; do sleep 0.05; done\necho outlived\n");
        for (background, out) in [("&", "out1"), ("", "out2")] {
            shell.line(&format!("nohup $A bash ./agent > {out} 2> /dev/null {background}"));
            if background == "&" {
                shell.prompt(0, 1);
            }
        }
        for out in ["out1", "out2"] {
            assert_eq!(shell.read(out), "began\n");
        }
        shell.hang_up();
        let bash = shell.pid();
        shell.gone(bash);
        shell.file("go", "");
        for out in ["out1", "out2"] {
            let path = shell.path(out);
            let says = |path| std::fs::read_to_string(path).is_ok_and(|text| text == "began\noutlived\n");
            shell.until("a run that goes on", |_| says(&path).then_some(()));
        }
    });
}
