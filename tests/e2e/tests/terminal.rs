//! Keys, modes and size of the terminal: an agent has them as a program without us has them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::terminal::{END, INTERRUPT, QUIT, STOP, Shell, Under, as_without_us, on_a_terminal};
use agent_aws_harness::{Case, Mode, case, suite};

const CASES: &[Case] = &[
    case!(ctrl_c_that_the_agent_handles_does_not_end_the_run),
    case!(ctrl_c_ends_an_agent_that_does_not_handle_it_and_the_shell_sees_the_signal),
    case!(ctrl_backslash_quits),
    case!(ctrl_c_in_a_script_ends_the_script_too),
    case!(ctrl_d_ends_the_agents_input),
    case!(a_resize_reaches_the_agent_with_the_new_size),
    case!(a_resize_reaches_an_agent_in_a_pipeline),
    case!(raw_mode_gives_the_agent_every_key_as_a_byte),
    case!(modes_that_the_agent_leaves_behind_are_put_back),
    case!(a_shell_inside_has_job_control_and_gives_the_terminal_back),
    case!(the_start_line_is_for_a_terminal_on_standard_error_and_nothing_of_ours_for_standard_output),
    case!(without_a_terminal_everything_works),
    case!(an_exit_status_and_a_signal_are_the_agents),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Counts Ctrl-C, and ends after the second.
const COUNTS: &str = "trap 'n=$((n+1)); echo caught $n' INT
sleep 1000 &
echo ready
until [ \"$n\" = 2 ]; do wait; done
kill $!
exit 7
";

fn ctrl_c_that_the_agent_handles_does_not_end_the_run(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("counts", COUNTS);
        shell.line("$A sh ./counts");
        shell.wait("ready");
        for n in 1..=2 {
            shell.key(INTERRUPT);
            shell.wait(&format!("caught {n}"));
        }
        shell.prompt(7, 0);
    });
}

fn ctrl_c_ends_an_agent_that_does_not_handle_it_and_the_shell_sees_the_signal(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("waits", "echo rea''dy\nexec sleep 1000\n");
        // A shell goes on after the status 130. Only a child that SIGINT has ended makes it leave the loop.
        shell.line("for n in 1 2; do $A sh ./waits; touch again; done");
        shell.wait("ready");
        shell.key(INTERRUPT);
        shell.prompt(130, 0);
        assert!(!shell.path("again").exists(), "{}", shell.rest());
    });
}

fn ctrl_backslash_quits(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("waits", "ulimit -c 0\necho ready\nexec sleep 1000\n");
        shell.line("$A sh ./waits");
        shell.wait("ready");
        shell.key(QUIT);
        let said = shell.prompt(131, 0);
        assert!(said.contains("Quit"), "{said}");
    });
}

fn ctrl_c_in_a_script_ends_the_script_too(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("waits", "echo ready\nexec sleep 1000\n");
        shell.file("script", "$A sh ./waits\ntouch again\n");
        for interpreter in ["sh", "bash"] {
            shell.line(&format!("{interpreter} ./script"));
            shell.wait("ready");
            shell.key(INTERRUPT);
            shell.prompt(130, 0);
            assert!(!shell.path("again").exists(), "{interpreter} went on");
        }
    });
}

fn ctrl_d_ends_the_agents_input(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.start("$A cat > typed");
        shell.type_for_cat();
        shell.key(END);
        shell.prompt(0, 0);
    });
}

const SIZES: &str = "trap 'new=yes' WINCH
echo started
until [ -e done ]; do
  [ \"$new\" ] && new= && echo resized $(stty size </dev/tty)
  sleep 0.05
done
";

fn a_resize_reaches_the_agent_with_the_new_size(mode: Mode) {
    as_without_us(mode, |shell| resize(shell, "$A bash ./sizes"));
}

fn a_resize_reaches_an_agent_in_a_pipeline(mode: Mode) {
    as_without_us(mode, |shell| resize(shell, "$A bash ./sizes | cat"));
}

fn resize(shell: &mut Shell, command: &str) {
    shell.file("sizes", SIZES);
    shell.line(command);
    shell.wait("started");
    for (rows, columns) in [(30, 100), (25, 81)] {
        shell.resize(rows, columns);
        shell.wait(&format!("resized {rows} {columns}"));
    }
    shell.file("done", "");
    shell.prompt(0, 0);
}

/// Raw mode, and each key as a number until `q`. Leaves the terminal as it is then.
const RAW: &str = "stty raw -echo
printf 'ready\\r\\n'
while :; do
  key=$(dd bs=1 count=1 2>/dev/null | od -An -tu1)
  printf 'key%s.\\r\\n' \"$key\"
  [ $key -eq 113 ] && exit ${1:-0}
done
";

fn raw_mode_gives_the_agent_every_key_as_a_byte(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("raw", RAW);
        shell.line("$A sh ./raw 9");
        shell.wait("ready");
        for key in [b'a', INTERRUPT, STOP, QUIT, b'\r', END, b'q'] {
            shell.key(key);
            shell.wait(&format!("{key}."));
        }
        shell.prompt(9, 0);
    });
}

fn modes_that_the_agent_leaves_behind_are_put_back(mode: Mode) {
    // Without us a program can leave them behind: bash puts them back only after a signal.
    on_a_terminal(mode, Under::AgentAws, |shell| {
        shell.file("raw", RAW);
        let script = "stty -g > before\n$A sh ./raw 9\necho ended $?\nstty -g > after\nread line\necho got $line\n";
        shell.file("script", script);
        shell.line("sh ./script");
        shell.wait("ready");
        shell.key(b'q');
        shell.wait("ended 9");
        shell.line("something");
        shell.wait("got something");
        shell.prompt(0, 0);
        assert_eq!(shell.read("before"), shell.read("after"));
    });
}

const INNER: &str = "PS1='{$?:\\j} '\nHISTFILE=\n";

fn a_shell_inside_has_job_control_and_gives_the_terminal_back(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("inner", INNER);
        shell.line("$A bash --rcfile ./inner -i");
        shell.wait("{0:0} ");
        for _ in 0..2 {
            shell.start("cat > typed");
            shell.type_for_cat();
            shell.key(STOP);
            shell.wait("Stopped");
            shell.wait("{148:1} ");
            shell.start("fg");
            shell.key(END);
            shell.wait("{0:0} ");
        }
        shell.line("sleep 1000");
        shell.until("the terminal for the inner job", |s| (s.foreground() == s.group_of("sleep 1000")).then_some(()));
        shell.key(INTERRUPT);
        shell.wait("{130:0} ");
        shell.line("sleep 1000 & kill %1; wait");
        shell.wait("Terminated");
        shell.line("exit 4");
        shell.prompt(4, 0);
        shell.has_its_terminal(0);
    });
}

fn the_start_line_is_for_a_terminal_on_standard_error_and_nothing_of_ours_for_standard_output(mode: Mode) {
    on_a_terminal(mode, Under::AgentAws, |shell| {
        shell.line("$A true > out");
        let said = shell.prompt(0, 0);
        assert_eq!(said.matches("111122223333").count(), 1, "{said}");
        assert_eq!(shell.says("$A true 2> err"), [""; 0]);
        for file in ["out", "err"] {
            assert_eq!(std::fs::read_to_string(shell.path(file)).expect(file), "");
        }
    });
}

fn without_a_terminal_everything_works(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("agent", "(: < /dev/tty) 2>&1 | grep -c /dev/tty\ncat\nexit 6\n");
        shell.line("echo through | setsid -w $A sh ./agent > out 2> err; echo status $?");
        shell.wait("status 6");
        shell.prompt(0, 0);
        assert_eq!(shell.read("out"), "1\nthrough\n");
        assert_eq!(std::fs::read_to_string(shell.path("err")).expect("a file"), "");
    });
}

fn an_exit_status_and_a_signal_are_the_agents(mode: Mode) {
    as_without_us(mode, |shell| {
        for status in [0, 1, 130, 255] {
            shell.line(&format!("$A sh -c 'exit {status}'"));
            shell.prompt(status, 0);
        }
        for signal in [15, 9, 1, 2] {
            shell.line(&format!("$A sh -c 'kill -{signal} $$'"));
            shell.prompt(128 + signal, 0);
        }
    });
}
