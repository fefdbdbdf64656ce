//! Supervise: what the helper becomes once the session runs. It waits; any death ends the session.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use agent_aws_protocol::gateway::GatewayToHelper;
use agent_aws_protocol::{
    BrokerToHelper, Channel, ChannelError, CliToHelper, Door, EnvVar, Exit, FailureCode, Fare, HelperToBroker,
    HelperToCli, HelperToInit, InitToHelper, Refusal, Started, state, wait_for,
};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags};

use crate::audit::{Audit, Field, now};
use crate::child::Child;
use crate::decide::Mandate;
use crate::gateway::failed;
use crate::mounts::Mounts;
use crate::record::Record;
use crate::refusal::{advise, broken, refuse};
use crate::renew::{Declined, Renewal};
use crate::sandbox::Sandbox;

/// How long it may take until the agent begins: its process, the first credentials, the terminal.
const START: Duration = Duration::from_secs(30);
/// Number of the capability in the agent: at least 100, or node drops it.
pub(crate) const DOOR: i32 = 100;

/// Without the setuid bit, or where the kernel refuses BPF.
const SOME_PORTS: &str =
    "network filtered: only the usual ports below 1024 are caught without a proxy here (see docs/network.md)";

/// What a session is made of before it runs.
pub(crate) struct Parts {
    /// Without one there is no sandbox: a socket of the caller's is served.
    pub(crate) init: Option<Child>,
    /// That of the task, and that of the model if there is one.
    pub(crate) brokers: Vec<Broker>,
    /// With `network = "filtered"`.
    pub(crate) gateway: Option<Child>,
    pub(crate) renewal: Renewal,
    pub(crate) started: Started,
    /// Whether the agent waits for the first mint.
    pub(crate) wait: bool,
    pub(crate) mounts: Option<Mounts>,
    /// `agent-aws stop`.
    pub(crate) stop: SignalFd,
    /// Our empty root, until the agent runs.
    pub(crate) root: Option<OwnedFd>,
}

/// A broker, and what is known of it.
pub(crate) struct Broker {
    child: Child,
    mandate: Mandate,
    /// It has credentials.
    minted: bool,
    /// Why the last mint failed.
    cause: Option<String>,
}

impl Broker {
    pub(crate) fn new((child, mandate): (Child, Mandate)) -> Self {
        Self { child, mandate, minted: false, cause: None }
    }

    fn is_models(&self) -> bool {
        self.mandate.minting.narrowing.model
    }
}

/// A running session.
pub(crate) struct Session {
    cli: Channel,
    parts: Parts,
    audit: Audit,
    record: Record,
    state: state::State,
    group: Option<i32>,
    /// The gateway serves, or there is none.
    reachable: bool,
    since: Instant,
}

/// How a session came to its end.
pub(crate) enum End {
    /// The agent ended.
    Agent(Exit),
    /// We ended it, or it never ran.
    Refused(Refusal),
    /// The command or the working directory cannot be used.
    NotExecuted { errno: i32, directory: bool },
    /// The CLI is gone: nobody is left to tell.
    Abandoned,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// SIGTERM, which is blocked, as a descriptor.
pub(crate) fn stop() -> Result<SignalFd, Refusal> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(&set, flags).map_err(|e| refuse(FailureCode::Kernel, e))
}

/// Hands the doors to the brokers and the command to init.
pub(crate) fn launch(
    sandbox: Sandbox,
    brokers: &[Broker],
    environment: Vec<EnvVar>,
    directory: Vec<u8>,
) -> Result<Child, Refusal> {
    let (serving, capability) = sandbox.inherited;
    let mut doors: Vec<_> = [&serving].into_iter().chain(&sandbox.listeners.doors).map(AsFd::as_fd).collect();
    let http = sandbox.listeners.http.then_some(Door::Http);
    let all: Vec<Door> = [Door::Capability, Door::Socket, Door::Fifos].into_iter().chain(http).collect();
    // That of the model was made last. It is that broker's only one, and nobody else's.
    let models = if brokers.iter().any(Broker::is_models) { doors.pop() } else { None };
    for broker in brokers {
        let (kinds, doors) = match broker.is_models() {
            true => (vec![Door::Socket], models.as_slice()),
            false => (all.clone(), doors.as_slice()),
        };
        let sent = broker.child.channel.send_with(&HelperToBroker::Doors(kinds), doors);
        sent.map_err(|e| broken("the broker", e))?;
    }
    let message = HelperToInit::Launch { environment, directory, door: DOOR };
    sandbox.init.channel.send_with(&message, &[capability.as_fd()]).map_err(|e| match e {
        ChannelError::Frame(_) => {
            refuse(FailureCode::BadRequest, "the environment for the agent is larger than 64 KiB: pass less with --env")
        }
        e => broken("init", e),
    })?;
    Ok(sandbox.init)
}

impl Session {
    /// A session whose init and broker were told what to do.
    pub(crate) fn new(cli: Channel, parts: Parts, audit: Audit, record: Record) -> Self {
        let (state, since) = (state::State::Starting, Instant::now());
        let reachable = parts.gateway.is_none();
        Self { cli, parts, audit, record, state, group: None, reachable, since }
    }

    /// Until the end.
    pub(crate) fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.attend() {
                return end;
            }
        }
    }

    fn attend(&mut self) -> Result<(), End> {
        let ready = self.wait_for_something()?;
        let [cli, init, stop, mounts, gateway, brokers @ ..] = ready.as_slice() else { return Ok(()) };
        // Init first: how the agent ended is worth more than that something else ended after it.
        if *init && self.parts.init.is_some() {
            self.hear_init()?;
        }
        for (at, _) in brokers.iter().enumerate().filter(|(_, ready)| **ready) {
            self.hear_broker(at)?;
        }
        if *gateway && self.parts.gateway.is_some() {
            self.hear_gateway()?;
        }
        if *cli {
            self.hear_cli()?;
        }
        if *mounts && self.parts.mounts.as_ref().is_some_and(|mounts| !mounts.all_there()) {
            let text = "a mount of the sandbox vanished (something outside replaced what it covers)";
            let advice = "start again; do not change protected files during a session";
            return Err(advise(FailureCode::Ended, text, advice).into());
        }
        match *stop && self.was_stopped() {
            true => Err(refuse(FailureCode::Ended, "the session was stopped").into()),
            false => Ok(()),
        }
    }

    /// Which conversations have something to say: the CLI, init, a signal, the mount table, the gateway, the brokers.
    fn wait_for_something(&self) -> Result<Vec<bool>, Refusal> {
        let runs = self.state == state::State::Running;
        let limit = if runs { self.parts.renewal.grant.limits.time } else { Some(START) };
        let left = limit.map(|l| l.saturating_sub(self.since.elapsed()));
        if runs && left == Some(Duration::ZERO) {
            return Err(refuse(FailureCode::Ended, "it has lasted as long as policy lets a session last here"));
        }
        // What there is not leaves its place to the CLI, once more.
        let Parts { init, brokers, gateway, mounts, stop, .. } = &self.parts;
        let [init, gateway] = [init, gateway].map(|child| child.as_ref().map_or(&self.cli, |child| &child.channel));
        let mut fds = vec![
            PollFd::new(&self.cli, PollFlags::IN),
            PollFd::new(init, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(mounts.as_ref().map_or(self.cli.as_fd(), AsFd::as_fd), PollFlags::PRI),
            PollFd::new(gateway, PollFlags::IN),
        ];
        fds.extend(brokers.iter().map(|broker| PollFd::new(&broker.child.channel, PollFlags::IN)));
        match wait_for(&mut fds, left) {
            Ok(0) if !runs => {
                let late = brokers.iter().enumerate().find(|(_, broker)| !broker.minted);
                let (at, cause) = late.map_or((0, None), |(at, broker)| (at, broker.cause.as_deref()));
                return Err(self.no_credentials(at, cause.unwrap_or("waiting for them took too long")));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(refuse(FailureCode::Kernel, format_args!("poll: {e}"))),
        }
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    fn hear_init(&mut self) -> Result<(), End> {
        let Some(init) = &self.parts.init else { return Ok(()) };
        let said = init.channel.receive::<InitToHelper>(None).map_err(|e| broken("init ended: the sandbox", e))?;
        if !state::init_may(self.state, &said.message) {
            return Err(refuse(FailureCode::Ended, "init said something out of turn").into());
        }
        match said.message {
            InitToHelper::Hello => {
                self.group = said.pid;
                self.ready_if_all_is()?;
            }
            InitToHelper::CannotExecute { errno, directory } => return Err(End::NotExecuted { errno, directory }),
            InitToHelper::Stopped(signal) => self.tell_cli(&HelperToCli::Stopped(signal))?,
            InitToHelper::Ended(exit) => return Err(End::Agent(exit)),
        }
        Ok(())
    }

    /// The agent begins when its process waits and, unless told otherwise, credentials are there.
    fn ready_if_all_is(&mut self) -> Result<(), Refusal> {
        let there = self.parts.init.is_none() || self.group.is_some();
        if self.state != state::State::Starting || !there || (self.parts.wait && !self.minted()) || !self.reachable {
            return Ok(());
        }
        self.state = self.group.map_or(state::State::Running, |_| state::State::Ready);
        self.tell_cli(&HelperToCli::Started(self.parts.started.clone()))?;
        self.group.map_or(Ok(()), |group| self.tell_cli(&HelperToCli::Ready { group }))
    }

    /// There are credentials of all brokers.
    fn minted(&self) -> bool {
        self.parts.brokers.iter().all(|broker| broker.minted)
    }

    fn hear_broker(&mut self, at: usize) -> Result<(), Refusal> {
        let Some(broker) = self.parts.brokers.get_mut(at) else { return Ok(()) };
        let said = broker.child.channel.receive::<BrokerToHelper>(None).map_err(|e| broken("the broker ended", e))?;
        let (model, first) = (broker.is_models(), !broker.minted);
        match said.message {
            BrokerToHelper::Minted(session) => {
                broker.minted = true;
                let fields: [Field<'_>; 5] = [
                    ("arn", &session.arn),
                    ("account", &session.account),
                    ("access_key_id", &session.access_key_id),
                    ("expires", &session.expires),
                    ("packed_percent", &session.packed.unwrap_or_default()),
                ];
                self.write_down(at, if first { "issue" } else { "refresh" }, &fields)?;
                let (expires, refreshed) = (Some(session.expires), Some(now()));
                self.record.tell(model, Fare { expires, refreshed, failed: None })?;
                if !model {
                    self.parts.started.account = Some(session.account);
                    self.parts.started.arn = Some(session.arn);
                    self.parts.started.expires = Some(session.expires);
                }
                for note in session.notes.into_iter().filter(|_| first) {
                    self.tell_cli(&HelperToCli::Notice(note))?;
                }
                self.ready_if_all_is()
            }
            BrokerToHelper::Failed { cause, retry } => {
                broker.cause = Some(cause.clone());
                self.write_down(at, if first { "issue-failure" } else { "refresh-failure" }, &[("cause", &cause)])?;
                self.record.failed(model, &cause)?;
                match self.parts.wait && first && retry.is_none() {
                    true => Err(self.no_credentials(at, &cause)),
                    false => Ok(()),
                }
            }
            BrokerToHelper::Renew => self.renew(at),
        }
    }

    /// In the audit trail. What is the model's says so.
    fn write_down(&mut self, at: usize, event: &'static str, fields: &[Field<'_>]) -> Result<(), Refusal> {
        let model = self.parts.brokers.get(at).filter(|broker| broker.is_models());
        let model = model.map(|broker| -> Field<'_> { ("model", &broker.mandate.minting.identity) });
        self.audit.record(event, &fields.iter().copied().chain(model).collect::<Vec<_>>())
    }

    /// What it refuses is told to the caller and written to the audit trail.
    fn hear_gateway(&mut self) -> Result<(), Refusal> {
        let Some(gateway) = &self.parts.gateway else { return Ok(()) };
        let gone = |e| broken("the gateway ended, and with it the network of the sandbox", e);
        match gateway.channel.receive::<GatewayToHelper>(None).map_err(gone)?.message {
            GatewayToHelper::Ready { every_port } => {
                self.reachable = true;
                if !every_port {
                    self.tell_cli(&HelperToCli::Notice(SOME_PORTS.into()))?;
                }
                self.ready_if_all_is()
            }
            GatewayToHelper::Failed { cause } => Err(failed(&cause)),
            GatewayToHelper::Blocked { name, port, why, count } => {
                let name = name.chars().take(255).flat_map(char::escape_debug).collect::<String>();
                let fields: [Field<'_>; 4] = [("name", &name), ("port", &port), ("cause", &why), ("count", &count)];
                self.audit.record("blocked", &fields)?;
                self.tell_cli(&HelperToCli::Blocked { name, port, why, count })
            }
        }
    }

    fn no_credentials(&self, at: usize, cause: &str) -> Refusal {
        let whose = self.parts.brokers.get(at).map_or("", |broker| &broker.mandate.minting.identity);
        let text = format!("no credentials for `{whose}`: {cause}");
        advise(FailureCode::Credentials, text, "`--no-wait` starts the agent without them")
    }

    fn renew(&mut self, at: usize) -> Result<(), Refusal> {
        let Some(broker) = self.parts.brokers.get(at) else { return Ok(()) };
        let (answer, source) = match self.parts.renewal.decide(&broker.mandate) {
            Ok(source) => (HelperToBroker::Renewed, source),
            Err(Declined::Undecided(why)) => (HelperToBroker::NotNow { why }, None),
            Err(Declined::Revoked(why)) => {
                let model = broker.is_models();
                self.write_down(at, "revoked", &[("cause", &why)])?;
                self.record.failed(model, &why)?;
                (HelperToBroker::Revoked { why }, None)
            }
        };
        let descriptors: Vec<_> = source.iter().map(AsFd::as_fd).collect();
        let broker = self.parts.brokers.get(at).map(|broker| broker.child.channel.send_with(&answer, &descriptors));
        broker.unwrap_or(Ok(())).map_err(|e| broken("the broker", e))
    }

    fn hear_cli(&mut self) -> Result<(), End> {
        let Ok(said) = self.cli.receive::<CliToHelper>(None) else {
            return Err(End::Abandoned);
        };
        if !state::cli_may(self.state, &said.message) || !said.descriptors.is_empty() {
            return Err(refuse(FailureCode::Ended, "agent-aws said something out of turn").into());
        }
        match said.message {
            CliToHelper::Begin => {
                self.state = state::State::Running;
                self.tell_init(&HelperToInit::Begin)?;
                self.parts.root = None;
            }
            // Before the agent begins, or where there is none, a signal is for the run as a whole.
            CliToHelper::Signal(number) if self.state != state::State::Running || self.parts.init.is_none() => {
                let deadly = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].contains(&number);
                if deadly {
                    return Err(End::Agent(Exit::Signal(number)));
                }
            }
            CliToHelper::Signal(number) => self.tell_init(&HelperToInit::Signal(number))?,
            CliToHelper::Request(_) | CliToHelper::Prepared(_) | CliToHelper::Opened(_) | CliToHelper::Door => {}
        }
        Ok(())
    }

    /// SIGTERM counts from root (`agent-aws stop`), and without privilege from the caller.
    fn was_stopped(&self) -> bool {
        let us = rustix::process::geteuid().as_raw();
        while let Ok(Some(signal)) = self.parts.stop.read_signal() {
            if signal.ssi_uid == us || signal.ssi_uid == 0 {
                return true;
            }
        }
        false
    }

    fn tell_cli(&self, message: &HelperToCli) -> Result<(), Refusal> {
        self.cli.send(message).map_err(|e| broken("agent-aws", e))
    }

    /// An init that is gone is heard of through its own channel.
    fn tell_init(&self, message: &HelperToInit) -> Result<(), Refusal> {
        match self.parts.init.as_ref().map(|init| init.channel.send(message)) {
            None | Some(Ok(()) | Err(ChannelError::Closed)) => Ok(()),
            Some(Err(e)) => Err(broken("init", e)),
        }
    }

    /// Ends everything, then tells how it ended: when the CLI hears of it, nothing is left.
    pub(crate) fn finish(mut self, end: End) {
        // All end at the same time: the mounts with init, if nobody else holds them.
        let Parts { init, brokers, gateway, mounts, renewal, .. } = self.parts;
        let all = [renewal.policy.reader()].into_iter().chain(brokers.iter().map(|broker| &broker.child));
        all.chain(&init).chain(&gateway).for_each(|child| child.process.kill());
        drop((mounts, init, brokers, gateway, renewal, self.record));
        let how = match &end {
            End::Agent(Exit::Code(code)) => format!("exit {code}"),
            End::Agent(Exit::Signal(signal)) => format!("signal {signal}"),
            End::Refused(refusal) => refusal.text.clone(),
            End::NotExecuted { errno, .. } => format!("not executed: {}", std::io::Error::from_raw_os_error(*errno)),
            End::Abandoned => "agent-aws was gone".into(),
        };
        let _ = self.audit.record("end", &[("how", &how)]);
        let _ = match end {
            End::Agent(exit) => self.cli.send(&HelperToCli::Ended(exit)),
            End::Refused(refusal) => self.cli.send(&HelperToCli::Refused(refusal)),
            End::NotExecuted { errno, directory } => self.cli.send(&HelperToCli::NotExecuted { errno, directory }),
            End::Abandoned => Ok(()),
        };
    }
}
