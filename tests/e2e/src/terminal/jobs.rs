//! The shell's jobs, as the process table shows them.

use agent_aws_harness::{Process, processes};

use super::{STOP, Shell, Under};

impl Shell {
    /// What the shell has started, directly or not, as far as its parents still live.
    pub fn processes(&self) -> Vec<Process> {
        let all = processes();
        let mut found = vec![self.pid()];
        // Sorted by id, but an id may be used again: so until nothing is added.
        loop {
            let more = all.iter().filter(|p| found.contains(&p.parent) && !found.contains(&p.pid));
            let more: Vec<i32> = more.map(|p| p.pid).collect();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        all.into_iter().filter(|p| found.contains(&p.pid) && p.pid != self.pid()).collect()
    }

    /// Waits for a process of the shell's.
    #[track_caller]
    pub fn find(&mut self, what: &str, is: impl Fn(&Process) -> bool) -> i32 {
        self.until(what, |s| s.processes().iter().find(|p| is(p)).map(|p| p.pid))
    }

    /// The process whose command line is this; without us or with us, the agent.
    #[track_caller]
    pub fn agent(&mut self, command: &str) -> i32 {
        self.find(command, |p| p.command == command)
    }

    /// `agent-aws`, or without us the agent: the process that the shell has started.
    #[track_caller]
    pub fn job(&mut self, command: &str) -> i32 {
        let start = match self.under {
            Under::Nothing => command.to_owned(),
            Under::AgentAws => format!("{} run ", self.program),
        };
        self.find("agent-aws", |p| p.command.starts_with(&start))
    }

    /// The supervisor.
    #[track_caller]
    pub fn supervisor(&mut self) -> i32 {
        let cli = self.job("");
        self.find("the supervisor", |p| p.parent == cli && p.name.starts_with("agent-aws-help"))
    }

    /// The process group of the process with this command line.
    pub fn group_of(&self, command: &str) -> Option<i32> {
        self.processes().iter().find(|p| p.command == command).and_then(|p| group(p.pid))
    }

    /// Waits until the process is stopped.
    #[track_caller]
    pub fn stopped(&mut self, pid: i32) {
        self.until("a stopped process", |_| (state(pid) == Some('T')).then_some(()));
    }

    /// Waits until the process is not stopped.
    #[track_caller]
    pub fn running(&mut self, pid: i32) {
        self.until("a process that runs", |_| (state(pid) != Some('T')).then_some(()));
    }

    /// Waits until the process is gone.
    #[track_caller]
    pub fn gone(&mut self, pid: i32) {
        self.until("the end of a process", |_| matches!(state(pid), None | Some('Z')).then_some(()));
    }

    /// Presses Ctrl-Z and waits until the agent with this command line, which has the terminal, is stopped and the shell
    /// has so many jobs; what was shown meanwhile.
    #[track_caller]
    pub fn stop(&mut self, agent: &str, jobs: usize) -> String {
        let agent = self.agent(agent);
        self.key(STOP);
        // A process that waits for keys can take one more before it is scheduled and stops.
        self.stopped(agent);
        self.prompt(148, jobs)
    }
}

fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The state of a process as ps(1) shows it: `T` is stopped, `Z` a zombie.
pub fn state(pid: i32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// The process group of a process.
pub fn group(pid: i32) -> Option<i32> {
    stat(pid)?.get(2)?.parse().ok()
}

/// Sends a signal to one process.
pub fn kill(pid: i32, signal: i32) {
    let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, signal).expect("a process to send a signal to");
}
