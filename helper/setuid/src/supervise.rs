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

use crate::audit::{Audit, now};
use crate::child::Child;
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
    pub(crate) broker: Child,
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

/// A running session.
pub(crate) struct Session {
    cli: Channel,
    parts: Parts,
    audit: Audit,
    record: Record,
    state: state::State,
    group: Option<i32>,
    minted: bool,
    /// The gateway serves, or there is none.
    reachable: bool,
    /// Why the last mint failed.
    cause: Option<String>,
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

/// Hands the doors to the broker and the command to init.
pub(crate) fn launch(
    sandbox: Sandbox,
    broker: Child,
    environment: Vec<EnvVar>,
    directory: Vec<u8>,
) -> Result<(Child, Child), Refusal> {
    let gone = |who: &'static str| move |e| broken(who, e);
    let (serving, capability) = sandbox.inherited;
    let doors: Vec<_> = [&serving].into_iter().chain(&sandbox.listeners.doors).map(AsFd::as_fd).collect();
    let mut which = vec![Door::Capability, Door::Socket, Door::Fifos];
    which.extend(sandbox.listeners.http.then_some(Door::Http));
    broker.channel.send_with(&HelperToBroker::Doors(which), &doors).map_err(gone("the broker"))?;
    let message = HelperToInit::Launch { environment, directory, door: DOOR };
    sandbox.init.channel.send_with(&message, &[capability.as_fd()]).map_err(|e| match e {
        ChannelError::Frame(_) => {
            refuse(FailureCode::BadRequest, "the environment for the agent is larger than 64 KiB: pass less with --env")
        }
        e => broken("init", e),
    })?;
    Ok((sandbox.init, broker))
}

impl Session {
    /// A session whose init and broker were told what to do.
    pub(crate) fn new(cli: Channel, parts: Parts, audit: Audit, record: Record) -> Self {
        let (state, since) = (state::State::Starting, Instant::now());
        let reachable = parts.gateway.is_none();
        Self { cli, parts, audit, record, state, group: None, minted: false, reachable, cause: None, since }
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
        let [cli, init, broker, stop, mounts, gateway] = self.wait_for_something()?;
        // Init first: how the agent ended is worth more than that something else ended after it.
        if init {
            self.hear_init()?;
        }
        if broker {
            self.hear_broker()?;
        }
        if gateway {
            self.hear_gateway()?;
        }
        if cli {
            self.hear_cli()?;
        }
        if mounts && self.parts.mounts.as_ref().is_some_and(|mounts| !mounts.all_there()) {
            let text = "a mount of the sandbox vanished (something outside replaced what it covers)";
            let advice = "start again; do not change protected files during a session";
            return Err(advise(FailureCode::Ended, text, advice).into());
        }
        match stop && self.was_stopped() {
            true => Err(refuse(FailureCode::Ended, "the session was stopped").into()),
            false => Ok(()),
        }
    }

    /// Which conversations have something to say: the CLI, init, the broker, a signal, the mount table, the gateway.
    fn wait_for_something(&self) -> Result<[bool; 6], Refusal> {
        let limit = (self.state != state::State::Running).then_some(START);
        let left = limit.map(|l| l.saturating_sub(self.since.elapsed()));
        // What there is not leaves its place to the broker, once more.
        let Parts { init, broker, gateway, mounts, stop, .. } = &self.parts;
        let mount_table = mounts.as_ref().map_or(broker.channel.as_fd(), AsFd::as_fd);
        let mut fds = [
            PollFd::new(&self.cli, PollFlags::IN),
            PollFd::new(&init.as_ref().unwrap_or(broker).channel, PollFlags::IN),
            PollFd::new(&broker.channel, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(mount_table, PollFlags::PRI),
            PollFd::new(&gateway.as_ref().unwrap_or(broker).channel, PollFlags::IN),
        ];
        match wait_for(&mut fds, left) {
            Ok(0) => {
                let cause = self.cause.as_deref().unwrap_or("waiting for them took too long");
                return Err(self.no_credentials(cause));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(refuse(FailureCode::Kernel, format_args!("poll: {e}"))),
        }
        let [cli, init, broker, stop, mounts, gateway] = fds.map(|fd| !fd.revents().is_empty());
        let has = |it: bool, child: &Option<Child>| it && child.is_some();
        Ok([cli, has(init, &self.parts.init), broker, stop, mounts, has(gateway, &self.parts.gateway)])
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
        if self.parts.init.is_some() && self.group.is_none()
            || self.state != state::State::Starting
            || (self.parts.wait && !self.minted)
            || !self.reachable
        {
            return Ok(());
        }
        self.state = self.group.map_or(state::State::Running, |_| state::State::Ready);
        self.tell_cli(&HelperToCli::Started(self.parts.started.clone()))?;
        self.group.map_or(Ok(()), |group| self.tell_cli(&HelperToCli::Ready { group }))
    }

    fn hear_broker(&mut self) -> Result<(), Refusal> {
        let said =
            self.parts.broker.channel.receive::<BrokerToHelper>(None).map_err(|e| broken("the broker ended", e))?;
        match said.message {
            BrokerToHelper::Minted(session) => {
                let event = if self.minted { "refresh" } else { "issue" };
                let fields: [crate::audit::Field<'_>; 5] = [
                    ("arn", &session.arn),
                    ("account", &session.account),
                    ("access_key_id", &session.access_key_id),
                    ("expires", &session.expires),
                    ("packed_percent", &session.packed.unwrap_or_default()),
                ];
                self.audit.record(event, &fields)?;
                let (expires, refreshed) = (Some(session.expires), Some(now()));
                self.record.tell(Fare { expires, refreshed, failed: None })?;
                self.parts.started.account = Some(session.account);
                self.parts.started.arn = Some(session.arn);
                self.parts.started.expires = Some(session.expires);
                if !self.minted {
                    for note in session.notes {
                        self.tell_cli(&HelperToCli::Notice(note))?;
                    }
                }
                self.minted = true;
                self.ready_if_all_is()
            }
            BrokerToHelper::Failed { cause, retry } => {
                let event = if self.minted { "refresh-failure" } else { "issue-failure" };
                self.audit.record(event, &[("cause", &cause)])?;
                self.record.failed(&cause)?;
                if self.parts.wait && !self.minted && retry.is_none() {
                    return Err(self.no_credentials(&cause));
                }
                self.cause = Some(cause);
                Ok(())
            }
            BrokerToHelper::Renew => self.renew(),
        }
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
                let fields: [crate::audit::Field<'_>; 4] =
                    [("name", &name), ("port", &port), ("cause", &why), ("count", &count)];
                self.audit.record("blocked", &fields)?;
                self.tell_cli(&HelperToCli::Blocked { name, port, why, count })
            }
        }
    }

    fn no_credentials(&self, cause: &str) -> Refusal {
        let text = format!("no credentials for `{}`: {cause}", self.parts.renewal.granting.grant.identity);
        advise(FailureCode::Credentials, text, "`--no-wait` starts the agent without them")
    }

    fn renew(&mut self) -> Result<(), Refusal> {
        let gone = |e| broken("the broker", e);
        match self.parts.renewal.decide() {
            Ok(source) => {
                let descriptors: Vec<_> = source.iter().map(AsFd::as_fd).collect();
                self.parts.broker.channel.send_with(&HelperToBroker::Renewed, &descriptors).map_err(gone)
            }
            Err(Declined::Undecided(why)) => {
                self.parts.broker.channel.send(&HelperToBroker::NotNow { why }).map_err(gone)
            }
            Err(Declined::Revoked(why)) => {
                self.audit.record("revoked", &[("cause", &why)])?;
                self.record.failed(&why)?;
                self.parts.broker.channel.send(&HelperToBroker::Revoked { why }).map_err(gone)
            }
        }
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
        let Parts { init, broker, gateway, mounts, renewal, .. } = self.parts;
        let all = [&broker, renewal.policy.reader()];
        all.into_iter().chain(&init).chain(&gateway).for_each(|child| child.process.kill());
        drop((mounts, init, broker, gateway, renewal, self.record));
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
