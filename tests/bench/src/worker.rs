//! A probe that does as it is told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use agent_aws_harness::Call;

pub(crate) struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(call: &Call) -> Self {
        let child = call.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the probe");
        let (orders, answers) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, orders, answers: BufReader::new(answers) }
    }

    /// What it says to one line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.orders, "{line}").expect("the probe is there");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the probe answers");
        answer.trim_end().to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
