//! One run as the CLI sees it: signals in, messages in, nothing decided but who has the terminal.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use agent_aws_plan::Plan;
use agent_aws_protocol::{ChannelError, CliToHelper, EnvVar, Exit, HelperToCli, Request, Started};
use agent_aws_protocol::{FailureCode, Refusal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::blocked::{self, Blocked};
use crate::explain::explain;
use crate::failure::Failure;
use crate::helper::{Helper, Output, read_plan, unexpected};
use crate::inside;
use crate::open;
use crate::prepare::{self, Known, Prepared};
use crate::preset::{self, Chosen};
use crate::request::Asked;
use crate::say;
use crate::signals::Signals;
use crate::terminal::{OnStop, Terminal, decide, key_that_ended};
use crate::trusted::{self, Watch};

/// How often the rows are looked at that cannot wait for the end.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// Notices that are kept until the agent gives the terminal back.
const MOST_NOTICES: usize = 16;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The agent's end.
    pub(crate) exit: Exit,
    /// What was said when the session stood.
    pub(crate) started: Option<Standing>,
    /// The agent's standard output, if it was to be kept.
    pub(crate) output: Option<std::process::ChildStdout>,
}

/// Runs `command` and returns how it ended, with the terminal as it was. What to ask is made out while the helper starts:
/// that takes it longer.
pub(crate) fn run(
    command: &[OsString],
    keep_output: bool,
    ask: impl FnOnce() -> Result<Asked, Failure>,
) -> Result<Outcome, Failure> {
    let signals = Signals::block().map_err(|e| Failure::Os("cannot set up signals", e))?;
    let stdout = if keep_output { Output::Kept } else { Output::Ours };
    let helper = Helper::start(command, stdout, signals.at_start())?;
    let asked = match ask() {
        Ok(asked) => asked,
        Err(failure) => {
            helper.close_and_wait();
            return Err(failure);
        }
    };
    let mut session = Session {
        command: command.first().cloned().unwrap_or_default(),
        dead: helper.pidfd(),
        helper,
        signals,
        terminal: Terminal::open(),
        begun: false,
        pending: Vec::new(),
        notices: Vec::new(),
        said: Vec::new(),
        started: None,
        plan: Vec::new(),
        granted: Granted::default(),
        wishes: (asked.environment, asked.directory),
        preset: asked.preset,
        explain: asked.request.explain,
        known: asked.known,
        prepared: None,
        watch: None,
        quiet: keep_output,
    };
    let places = trusted::places(&asked.request);
    session.helper.ask(Request::Run(Box::new(asked.request)))?;
    // The helper is at work meanwhile, and no agent begins before we say so.
    session.watch = Watch::begin(places);
    let end = session.follow();
    let key = end.as_ref().ok().and_then(|exit| key_that_ended(*exit, session.terminal.foreground()));
    session.terminal.restore(!matches!(end, Ok(Exit::Code(_))));
    for notice in &session.notices {
        say::line(notice);
    }
    session.end(end, key)
}

#[derive(Debug)]
struct Session {
    /// First word of the command, for messages.
    command: OsString,
    helper: Helper,
    dead: Option<OwnedFd>,
    signals: Signals,
    terminal: Terminal,
    /// The agent runs.
    begun: bool,
    /// Signals that came before it did.
    pending: Vec<i32>,
    /// Notices that came while it had the terminal.
    notices: Vec<String>,
    /// Names that the gateway refused, as far as they were said.
    said: Vec<String>,
    started: Option<Standing>,
    /// The pieces of the plan.
    plan: Vec<u8>,
    granted: Granted,
    /// Variables and working directory for the agent.
    wishes: (Vec<EnvVar>, PathBuf),
    /// What is known of the agent.
    preset: Option<Chosen>,
    /// The plan is only to be shown.
    explain: bool,
    /// For when its home is made ready.
    known: Known,
    /// What was made ready for the session, kept as long as it runs.
    prepared: Option<Prepared>,
    /// What others execute or trust where the agent may write.
    watch: Option<Watch>,
    /// Say nothing of what goes well.
    quiet: bool,
}

/// What there is to look at.
#[derive(Debug, Clone, Copy)]
struct Ready {
    signals: bool,
    channel: bool,
    dead: bool,
}

impl Session {
    /// Puts everything away.
    fn end(mut self, end: Result<Exit, Failure>, key: Option<i32>) -> Result<Outcome, Failure> {
        let output = self.helper.output.take();
        let mut watch = self.watch.filter(|_| self.begun);
        if end.is_ok() {
            // Everything that could write is gone by now: the helper says the end when nothing is left.
            watch.take().into_iter().for_each(Watch::end);
        }
        self.helper.close_and_wait();
        if let Some(prepared) = self.prepared {
            prepared.release();
        }
        // Without a word of the helper's, its own end is the end of the sandbox.
        watch.into_iter().for_each(Watch::end);
        if let Some(signal) = key {
            self.signals.tell_group(signal);
        }
        Ok(Outcome { exit: end?, started: self.started, output })
    }

    /// Until the last message.
    fn follow(&mut self) -> Result<Exit, Failure> {
        loop {
            let ready = self.wait()?;
            if ready.signals {
                for signal in self.signals.take() {
                    if let Some(exit) = self.on_signal(signal) {
                        return Ok(exit);
                    }
                }
            }
            if let Some(failure) = self.watch.as_ref().and_then(Watch::led_away) {
                return Err(failure);
            }
            if ready.channel {
                let message = self.helper.next()?;
                if let Some(exit) = self.on_message(message)? {
                    return Ok(exit);
                }
            } else if ready.dead {
                return Err(self.helper.gone());
            }
        }
    }

    /// Messages that a dead helper left are still read: `channel` then stays true until its end.
    fn wait(&self) -> Result<Ready, Failure> {
        let mut watched =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.helper.channel, PollFlags::IN)];
        let urgent = self.begun && self.watch.as_ref().is_some_and(Watch::is_urgent);
        watched.extend(self.dead.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        loop {
            match poll(&mut watched, urgent.then_some(&GLANCE)) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Failure::Os("cannot wait for the helper", e.into())),
            }
        }
        let is = |n: usize| watched.get(n).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready { signals: is(0), channel: is(1), dead: is(2) })
    }

    fn send(&self, message: &CliToHelper) -> Result<(), Failure> {
        match self.helper.channel.send(message) {
            // Its last message is still to be read.
            Ok(()) | Err(ChannelError::Closed) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn forward(&self, signal: i32) {
        // A helper that does not take it will be seen to be gone.
        let _ = self.send(&CliToHelper::Signal(signal));
    }

    /// Before the agent runs there is nobody to handle a signal: what would end or stop a program does that to us, and
    /// the helper ends the session when it sees us gone.
    fn on_signal(&mut self, signal: i32) -> Option<Exit> {
        match signal {
            libc::SIGCONT if self.begun => self.terminal.continued(),
            libc::SIGCONT | libc::SIGWINCH if !self.begun => return None,
            libc::SIGINT | libc::SIGQUIT | libc::SIGTERM | libc::SIGHUP if !self.begun => {
                return Some(Exit::Signal(signal));
            }
            libc::SIGTSTP if !self.begun => {
                let (_, more) = self.signals.stop(signal);
                return more.into_iter().find_map(|s| self.on_signal(s));
            }
            _ if !self.begun => {
                self.pending.push(signal);
                return None;
            }
            _ => {}
        }
        self.forward(signal);
        None
    }

    fn on_message(&mut self, message: HelperToCli) -> Result<Option<Exit>, Failure> {
        match message {
            HelperToCli::Ended(exit) => return Ok(Some(exit)),
            HelperToCli::Done => return Ok(Some(Exit::Code(0))),
            HelperToCli::Plan(piece) => self.plan.extend(piece),
            HelperToCli::Prepare { door } => self.on_prepare(door)?,
            HelperToCli::Refused(refusal) => return Err(Failure::Refused(refusal)),
            HelperToCli::NotExecuted { errno, directory } => return Err(not_executed(&self.command, errno, directory)),
            HelperToCli::Text(text) => say::out(&say::escaped_block(&text))?,
            HelperToCli::Notice(text) => self.on_notice(text),
            HelperToCli::Blocked { name, port, why, count } => {
                self.on_blocked(&Blocked { name: &name, port, why: &why, count });
            }
            HelperToCli::Started(started) => self.on_started(started),
            HelperToCli::Ready { group } => self.on_ready(group)?,
            HelperToCli::Stopped(signal) => return Ok(self.on_stopped(signal)),
            other @ (HelperToCli::Granted(_) | HelperToCli::Identities(_) | HelperToCli::Sessions(_)) => {
                return Err(unexpected(&other));
            }
        }
        Ok(None)
    }

    /// With the plan there, what the caller's own rights are enough for is done here.
    fn on_prepare(&mut self, door: i32) -> Result<(), Failure> {
        let mut plan: Plan = read_plan(&self.plan)?;
        self.granted = Granted::of(&plan);
        let (variables, directory) = std::mem::take(&mut self.wishes);
        let (known, preset) = (std::mem::take(&mut self.known), self.preset.as_ref());
        let mut prepared = prepare::perform(&plan, &directory, self.explain, known, preset)?;
        for notice in std::mem::take(&mut prepared.notices) {
            self.on_notice(notice);
        }
        let ready = agent_aws_protocol::Prepared {
            hide: prepared.hide.clone(),
            environment: preset::with_model(self.preset.as_ref(), &plan, inside::environment(&plan, &variables, door)),
            directory: inside::directory(&plan, directory).into_os_string().into_vec(),
            files: inside::files(&plan),
        };
        let made = plan.complete(ready.files.clone(), ready.hide.clone());
        made.map_err(|e| Failure::Other(e.to_string(), None))?;
        if self.explain {
            say::out(&(explain(&plan, &ready) + &preset::explain(self.preset.as_ref(), &plan)))?;
        }
        self.helper.tell(&CliToHelper::Prepared(ready))?;
        self.prepared = Some(prepared);
        if self.explain { Ok(()) } else { open::hand_over(&plan, &self.helper.channel) }
    }

    fn on_notice(&mut self, text: String) {
        if !say::on_terminal() {
            return;
        }
        if !self.terminal.is_agents() {
            say::line(&text);
        } else if self.notices.len() < MOST_NOTICES {
            self.notices.push(text);
        }
    }

    /// Said at once where it does not fall into a picture: an agent that paints one takes the terminal out of line mode.
    fn on_blocked(&mut self, blocked: &Blocked<'_>) {
        if let Some(started) = &self.started {
            blocked::keep(&started.said.session, blocked);
        }
        if !blocked::is_news(&mut self.said, blocked) {
        } else if say::on_terminal() && self.terminal.is_in_line_mode() {
            say::line(&blocked.line());
        } else {
            self.on_notice(blocked.line());
        }
    }

    fn on_started(&mut self, said: Started) {
        let granted = std::mem::take(&mut self.granted);
        let started = Standing { said, granted };
        if say::on_terminal() && !self.quiet {
            let network = format!("network {}", started.granted.network);
            self.on_notice(start_line(&started, &network, say::now()));
        }
        self.started = Some(started);
    }

    fn on_ready(&mut self, group: i32) -> Result<(), Failure> {
        self.terminal.ready(group);
        self.send(&CliToHelper::Begin)?;
        self.begun = true;
        if let (Some(watch), Some(started)) = (&mut self.watch, &self.started) {
            watch.keep(&started.said.session);
        }
        for signal in std::mem::take(&mut self.pending) {
            self.forward(signal);
        }
        Ok(())
    }

    fn on_stopped(&mut self, signal: i32) -> Option<Exit> {
        let mut more = Vec::new();
        match decide(signal, self.terminal.foreground()) {
            OnStop::HandOver => self.terminal.hand_over(),
            OnStop::Continue => {}
            OnStop::Stop => {
                let had = self.terminal.before_stop();
                let (stopped, came) = self.signals.stop(signal);
                more = came;
                self.terminal.after_stop(signal, had);
                if !stopped && matches!(signal, libc::SIGTTIN | libc::SIGTTOU) && !self.terminal.is_agents() {
                    // Our process group is orphaned: nobody will ever give the terminal to it. Without us the agent's read
                    // would fail; continued alone it would only stop again, and again.
                    self.forward(libc::SIGHUP);
                }
            }
        }
        // What came with the SIGCONT goes first, as the kernel does it: `kill %1` ends a stopped agent that would stop again
        // when it is only continued.
        let end = more.into_iter().find_map(|s| self.on_signal(s));
        self.forward(libc::SIGCONT);
        end
    }
}

/// What policy made of the request, for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Granted {
    /// Identity, as policy or the caller names it.
    pub(crate) identity: String,
    /// `full`, `read` or `read-metadata`.
    pub(crate) access: String,
    /// `none`, `filtered` or `shared`.
    pub(crate) network: String,
    /// Who its model is asked as, if that is somebody else.
    pub(crate) model: Option<String>,
}

impl Granted {
    /// What a plan says of it.
    pub(crate) fn of(plan: &Plan) -> Self {
        let grant = &plan.grant;
        let (access, network) = (grant.narrowing.access.to_string(), grant.network.to_string());
        let model = grant.model.as_ref().map(|model| model.identity.clone());
        Self { identity: grant.identity.clone(), access, network, model }
    }
}

/// A session that stands.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// What the helper said of it.
    pub(crate) said: Started,
    /// What is in its plan.
    pub(crate) granted: Granted,
}

/// The one line at the start: account, role, access, where it may be used, end.
pub(crate) fn start_line(Standing { said: started, granted }: &Standing, place: &str, now: u64) -> String {
    let mut who = started.account.iter().cloned().collect::<Vec<_>>();
    who.push(granted.identity.clone());
    if let Some(role) = started.arn.as_deref().and_then(role_name) {
        who.push(format!("(role {role})"));
    }
    let mut parts = vec![who.join(" "), format!("access {}", granted.access), place.to_owned()];
    parts.extend(granted.model.iter().map(|model| format!("model as {model}")));
    parts.extend(started.expires.map(|e| format!("until {}", say::until(e, now))));
    say::joined(&parts)
}

/// `agent-incident` of `arn:aws:sts::111122223333:assumed-role/agent-incident/alice`, or of a role's own ARN (its name
/// is the last part of its path).
fn role_name(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.strip_prefix("assumed-role/") {
        Some(session) => session.split('/').next(),
        None => resource.strip_prefix("role/")?.rsplit('/').next(),
    }
}

/// Why the agent could not be started.
fn not_executed(command: &OsStr, errno: i32, directory: bool) -> Failure {
    let error = std::io::Error::from_raw_os_error(errno);
    let refused = |code, text, advice: Option<&str>| {
        Failure::Refused(Refusal { code, text, advice: advice.map(Into::into), audit: None })
    };
    if directory {
        let text = format!("the working directory cannot be entered: {error}");
        return refused(FailureCode::BadRequest, text, None);
    }
    let command = command.display().to_string().escape_debug().to_string();
    match errno {
        libc::ENOENT | libc::ENOTDIR => {
            let advice =
                "it must lie in a system directory, the project, or the agent's home (`agent-aws run --explain`)";
            let text = format!("`{command}` is not there inside the sandbox");
            refused(FailureCode::CommandNotFound, text, Some(advice))
        }
        _ => refused(FailureCode::CommandNotExecutable, format!("`{command}` cannot be executed: {error}"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_line_says_account_role_access_network_and_end() {
        let [identity, access, network] = ["incident", "read", "shared"].map(str::to_owned);
        let granted = Granted { identity, access, network, model: None };
        let said = Started {
            session: "0123456789abcdef".into(),
            account: Some("111122223333".into()),
            arn: Some("arn:aws:sts::111122223333:assumed-role/agent-incident/alice".into()),
            expires: Some(1_795_183_500),
        };
        let standing = Standing { said: said.clone(), granted: granted.clone() };
        let line = start_line(&standing, "network shared", 1_795_180_000).replace(" · ", ", ");
        assert_eq!(line, "111122223333 incident (role agent-incident), access read, network shared, until 14:05 UTC");
        let bare = Standing { said: Started { account: None, arn: None, expires: None, ..said }, granted };
        let line = start_line(&bare, "network shared", 0).replace(" · ", ", ");
        assert_eq!(line, "incident, access read, network shared");
    }

    #[test]
    fn a_role_is_named_without_its_path_and_a_user_is_no_role() {
        assert_eq!(role_name("arn:aws:iam::1:role/path/to/r"), Some("r"));
        assert_eq!(role_name("arn:aws:iam::1:user/u"), None);
        assert_eq!(role_name("nonsense"), None);
    }
}
