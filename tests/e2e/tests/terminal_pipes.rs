//! Pipelines, redirections and command substitutions: who reads keys is who would read them without us.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::terminal::{INTERRUPT, STOP, Shell, as_without_us};
use agent_aws_harness::{Case, Mode, case, suite};

const CASES: &[Case] = &[
    case!(a_pager_after_us_reads_the_keys),
    case!(a_pager_inside_reads_the_keys_with_its_input_from_a_pipe),
    case!(an_agent_reads_the_terminal_while_its_output_goes_to_a_pipe),
    case!(a_command_substitution_can_ask_the_terminal),
    case!(pipes_on_either_side_end_as_without_us),
    case!(ctrl_c_ends_the_whole_pipeline),
    case!(ctrl_c_ends_a_pipeline_whose_agent_reads_the_terminal),
    case!(ctrl_z_stops_the_whole_pipeline_and_fg_continues_it),
    case!(an_agent_in_a_pipeline_may_change_the_terminals_modes),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn page_and_quit(shell: &mut Shell, command: &str) {
    shell.line(command);
    shell.wait("\n23\r\n");
    shell.wait(":");
    shell.keys(b" ");
    shell.wait("\n46\r\n");
    shell.wait(":");
    shell.keys(b"q");
    shell.prompt(0, 0);
    assert_eq!(shell.foreground(), Some(shell.pid()));
}

fn a_pager_after_us_reads_the_keys(mode: Mode) {
    as_without_us(mode, |shell| {
        page_and_quit(shell, "$A seq 100000 | less; [ \"${PIPESTATUS[*]}\" = \"141 0\" ]");
    });
}

fn a_pager_inside_reads_the_keys_with_its_input_from_a_pipe(mode: Mode) {
    as_without_us(mode, |shell| page_and_quit(shell, "seq 100000 | $A less"));
}

const READS: &str = "echo ready >&2\nread line\necho got:$line\nexit 4\n";

fn an_agent_reads_the_terminal_while_its_output_goes_to_a_pipe(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("reads", READS);
        shell.line("$A sh ./reads | tee file; echo status:${PIPESTATUS[*]}.");
        shell.wait("ready");
        shell.line("something");
        shell.wait("got:something");
        shell.wait("status:4 0.");
        shell.prompt(0, 0);
        assert_eq!(shell.read("file"), "got:something\n");
        shell.has_its_terminal(0);
    });
}

fn a_command_substitution_can_ask_the_terminal(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("asks", "echo which >/dev/tty\nread line </dev/tty\necho $line\n");
        shell.line("x=$($A sh ./asks); echo \"[$x]\"");
        shell.wait("which");
        shell.line("this");
        shell.wait("[this]");
        shell.prompt(0, 0);
        shell.has_its_terminal(0);
    });
}

fn pipes_on_either_side_end_as_without_us(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("input", "a\nb\n");
        shell.file(
            "script",
            r#"status() { echo "${PIPESTATUS[*]}"; }
$A seq 100000 | head -1; status
yes | $A head -3; status
$A cat < input; status
echo "[$($A echo x)]"; status
$A sh -c 'echo out; echo err >&2' 2> err | cat > out; cat out; grep -x err err; status
seq 3 | $A cat | $A tail -1; status
$A cat < /dev/null; status
$A sh -c 'exec 0<&- 1>&-; exit 3'; status
"#,
        );
        shell.line("bash ./script 2>/dev/null > all; /bin/true");
        shell.prompt(0, 0);
        let expected = "1\n141 0\ny\ny\ny\n141 0\na\nb\n0\n[x]\n0\nout\nerr\n0\n3\n0 0 0\n0\n3\n";
        assert_eq!(shell.read("all"), expected);
    });
}

fn ctrl_c_ends_the_whole_pipeline(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("waits", "echo ready >&2\nexec sleep 1000\n");
        shell.line("$A sh ./waits | cat");
        shell.wait("ready");
        shell.agent("sleep 1000");
        shell.key(INTERRUPT);
        shell.prompt(130, 0);
        shell.line("yes | $A sh ./waits");
        shell.wait("ready");
        shell.agent("sleep 1000");
        shell.key(INTERRUPT);
        shell.prompt(130, 0);
        shell.has_its_terminal(0);
    });
}

fn ctrl_c_ends_a_pipeline_whose_agent_reads_the_terminal(mode: Mode) {
    as_without_us(mode, |shell| {
        // The reader at the end would go on for ever.
        shell.file("reads", "read line\necho got:$line >&2\nexec cat\n");
        shell.line("$A sh ./reads | sleep 1000");
        shell.agent("sh ./reads");
        shell.line("something");
        shell.wait("got:something");
        shell.agent("cat");
        shell.key(INTERRUPT);
        shell.prompt(130, 0);
        shell.has_its_terminal(0);
    });
}

fn ctrl_z_stops_the_whole_pipeline_and_fg_continues_it(mode: Mode) {
    as_without_us(mode, |shell| {
        shell.file("agent", "echo ready\nuntil [ -e go ]; do sleep 0.05; done\necho gone\nexit 3\n");
        shell.line("$A bash ./agent | cat");
        shell.wait("ready");
        let (cat, agent) = (shell.agent("cat"), shell.agent("bash ./agent"));
        for _ in 0..2 {
            shell.key(STOP);
            for pid in [cat, agent] {
                shell.stopped(pid);
            }
            shell.prompt(148, 1);
            shell.start("fg");
            shell.running(cat);
            shell.running(agent);
        }
        shell.file("go", "");
        shell.wait("gone");
        shell.prompt(0, 0);
    });
}

fn an_agent_in_a_pipeline_may_change_the_terminals_modes(mode: Mode) {
    as_without_us(mode, |shell| {
        let agent = "stty raw -echo </dev/tty
echo ready
key=$(dd bs=1 count=1 2>/dev/null </dev/tty | od -An -tu1)
stty sane </dev/tty
echo key$key.
";
        shell.file("agent", agent);
        shell.line("yes | $A bash ./agent | cat");
        shell.wait("ready");
        shell.key(INTERRUPT);
        shell.wait("key 3.");
        shell.prompt(0, 0);
        shell.has_its_terminal(0);
    });
}
