//! Programs started as a hostile caller would start them: any argv, environment, descriptors, limits and signals; and
//! the helper without `agent-aws`, which might have cleaned up before it.

use std::ffi::{CString, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use agent_aws_harness::{Mode, Output, SOON, Scene, until};
use agent_aws_plan::{OURS, Opener, Plan, Source};
use agent_aws_policy::Home;
use agent_aws_protocol::{
    Ask, Channel, ChannelError, CliToHelper, EnvVar, Exit, HelperToCli, MAX_DESCRIPTORS, OwnSource, Prepared, Refusal,
    Request, RunRequest,
};

use crate::sys;

pub use crate::left::{files_below, nothing_is_left, pid_of, records};

/// No start takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// The number under which the helper takes its end of the conversation.
pub const CHANNEL: i32 = 3;

/// A private world sees what lies in the machine's own /run: sessions of others are forgotten, in this world only.
static FORGET: Once = Once::new();

type Step = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// A program and everything that it inherits.
pub struct Start {
    program: PathBuf,
    /// argv, its first element included. Empty: a NULL argv.
    pub arguments: Vec<OsString>,
    /// The environment, entry by entry, whether there is a `=` in it or not.
    pub environment: Vec<OsString>,
    /// The working directory.
    pub directory: PathBuf,
    inside: Option<PathBuf>,
    /// Uid, gid and groups; `None` starts it as whoever runs the tests.
    pub ids: Option<(u32, u32, Vec<u32>)>,
    as_root: Vec<Step>,
    as_caller: Vec<Step>,
    handing: Option<Handing>,
    serving: Option<Vec<OwnedFd>>,
}

/// What of the caller's the plan needs, and what is there.
pub type Found = (PathBuf, Option<OwnedFd>);

type Handing = Box<dyn FnOnce(&mut Vec<Found>) + Send>;

impl Start {
    /// A program as Alice, with the environment of the scene.
    pub fn program(scene: &Scene, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let program = program.into();
        if scene.machine.is_private() {
            FORGET.call_once(|| drop(std::fs::remove_dir_all("/run/agent-aws")));
        }
        let alice = scene.machine.user("alice");
        let name = program.file_name().unwrap_or_default().to_owned();
        let call = scene.agent_aws(&[]).command();
        let variables = call.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let entry =
            |(name, value): (&std::ffi::OsStr, &std::ffi::OsStr)| [name.as_bytes(), b"=", value.as_bytes()].concat();
        Self {
            arguments: [name].into_iter().chain(arguments.iter().map(Into::into)).collect(),
            environment: variables.map(entry).map(OsString::from_vec).collect(),
            directory: scene.machine.project(&alice),
            inside: None,
            ids: scene.machine.is_private().then(|| (alice.uid, alice.gid, vec![alice.gid])),
            as_root: vec![],
            as_caller: vec![],
            handing: None,
            serving: None,
            program,
        }
    }

    /// `agent-aws` as Alice.
    pub fn agent_aws(scene: &Scene, arguments: &[&str]) -> Self {
        Self::program(scene, scene.machine.program(), arguments)
    }

    /// `agent-aws run` as Alice, with the identity of this mode.
    pub fn run_of(scene: &Scene, command: &[&str]) -> Self {
        let identity = scene.identity();
        Self::agent_aws(scene, &[&["run"], identity.as_slice(), &["--"], command].concat())
    }

    /// The helper as Alice, with this command.
    pub fn helper(scene: &Scene, command: &[&str]) -> Self {
        let arguments = match command {
            [] => vec![],
            command => [&["--"], command].concat(),
        };
        Self::program(scene, scene.machine.libexec().join("agent-aws-helper"), &arguments)
    }

    /// Another program instead, with everything else as it is.
    #[must_use]
    pub fn instead(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    /// Another first element of argv.
    #[must_use]
    pub fn named(mut self, name: OsString) -> Self {
        self.arguments.splice(..1, [name]);
        self
    }

    /// Adds an entry to the environment, as it is.
    #[must_use]
    pub fn entry(mut self, entry: impl Into<OsString>) -> Self {
        self.environment.push(entry.into());
        self
    }

    /// Something done in the child before it becomes the caller. Only in a private world.
    #[must_use]
    pub fn as_root(mut self, step: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.as_root.push(Box::new(step));
        self
    }

    /// Something done in the child by the caller, last before the program is executed.
    #[must_use]
    pub fn as_caller(mut self, step: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.as_caller.push(Box::new(step));
        self
    }

    fn spawn(self, channel: Option<OwnedFd>, input: Stdio) -> io::Result<Started> {
        let c = |s: OsString| CString::new(s.into_vec()).expect("no NUL byte");
        let program = c(self.program.clone().into_os_string());
        let arguments: Vec<CString> = self.arguments.into_iter().map(c).collect();
        let environment: Vec<CString> = self.environment.into_iter().map(c).collect();
        let (ids, mut as_root, mut as_caller) = (self.ids, self.as_root, self.as_caller);
        let steps = move || {
            as_root.iter_mut().try_for_each(|step| step())?;
            if let Some((uid, gid, groups)) = &ids {
                sys::become_user(*uid, *gid, groups)?;
            }
            if let Some(channel) = &channel {
                sys::duplicate(channel.as_raw_fd(), CHANNEL)?;
            }
            as_caller.iter_mut().try_for_each(|step| step())?;
            Err(sys::execute(&program, &arguments, &environment))
        };
        let mut command = Command::new(&self.program);
        command.current_dir(&self.directory).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::in_child(&mut command, steps);
        let mut child = command.spawn()?;
        let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
        Ok(Started { child, stdout, stderr })
    }

    /// Runs it to its end; the error is that of starting it.
    pub fn try_run(self) -> io::Result<Output> {
        Ok(self.spawn(None, Stdio::null())?.end())
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Output {
        self.try_run().expect("starting a program")
    }

    /// The agent shall work there, and not in the project.
    #[must_use]
    pub fn working_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.inside = Some(directory.into());
        self
    }

    /// Something else than what was opened is handed to the helper.
    #[must_use]
    pub fn handing(mut self, other: impl FnOnce(&mut Vec<Found>) + Send + 'static) -> Self {
        self.handing = Some(Box::new(other));
        self
    }

    /// Nothing but a door is asked for, and these come as its socket. It ends when it serves.
    #[must_use]
    pub fn serving(mut self, descriptors: Vec<OwnedFd>) -> Self {
        self.serving = Some(descriptors);
        self
    }

    /// Starts the helper and asks it.
    #[track_caller]
    pub fn talk(self, request: Request) -> Talk {
        self.talk_about(&CliToHelper::Request(request))
    }

    /// Starts the helper and says something to it.
    #[track_caller]
    pub fn talk_about(mut self, message: &CliToHelper) -> Talk {
        let (handing, serving) = (self.handing.take(), self.serving.take());
        let explained = matches!(message, CliToHelper::Request(Request::Run(run)) if run.explain);
        let (ours, theirs) = Channel::pair().expect("a socket pair");
        let inside = self.inside.clone().map(|directory| directory.into_os_string().into_vec());
        let started = self.spawn(Some(theirs), Stdio::null()).expect("starting the helper");
        let channel = Channel::new(ours, LIMIT);
        match channel.send(message) {
            // It may refuse before it has read anything.
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(e) => panic!("{e}"),
        }
        Talk { started, channel, messages: vec![], directory: inside, handing, serving, explained }
    }

    /// Starts the helper, asks it and hears it out.
    #[track_caller]
    pub fn ask(self, request: RunRequest) -> Answer {
        self.talk(Request::Run(Box::new(request))).end()
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

type Reader = Receiver<String>;

fn reader(pipe: Option<impl io::Read + Send + 'static>) -> Reader {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

#[derive(Debug)]
struct Started {
    child: Child,
    stdout: Reader,
    stderr: Reader,
}

impl Started {
    #[track_caller]
    fn end(mut self) -> Output {
        let ended = until(LIMIT, || self.child.try_wait().expect("waiting for a child"));
        let status = ended.unwrap_or_else(|| {
            let _ = self.child.kill();
            self.child.wait().expect("waiting for a child")
        });
        let text = |reader: Reader| reader.recv_timeout(SOON).unwrap_or_else(|_| "(somebody holds it still)\n".into());
        let output = Output { status, stdout: text(self.stdout), stderr: text(self.stderr) };
        assert!(ended.is_some(), "not within {} s\n{output}", LIMIT.as_secs());
        output
    }
}

/// A conversation with a helper that runs.
pub struct Talk {
    started: Started,
    channel: Channel,
    messages: Vec<HelperToCli>,
    /// The agent's working directory, if it is not the project.
    directory: Option<Vec<u8>>,
    handing: Option<Handing>,
    serving: Option<Vec<OwnedFd>>,
    explained: bool,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl Talk {
    /// The helper's process id, as seen from here.
    pub fn pid(&self) -> i32 {
        self.started.child.id().cast_signed()
    }

    /// Says something out of the ordinary.
    pub fn say(&self, message: &CliToHelper) {
        let _ = self.channel.send(message);
    }

    /// Opens the caller's paths, missing ones not, and hands over what the test makes of that.
    fn hand_over(&mut self, plan: &Plan) {
        let open = |source: &Source| (source.path.clone(), open_path(&source.path, source.keep_link));
        let asked: Vec<&Source> = plan.sources.iter().filter(|s| s.opener == Opener::Caller).collect();
        let as_caller = || {
            // Of this thread alone. Who is not root stays who it is.
            nix::unistd::setfsgid(plan.caller.gid.into());
            nix::unistd::setfsuid(plan.caller.uid.into());
            asked.iter().copied().map(open).collect()
        };
        let mut found: Vec<Found> =
            std::thread::scope(|scope| scope.spawn(as_caller).join()).expect("opening the caller's paths");
        if let Some(handing) = self.handing.take() {
            handing(&mut found);
        }
        for some in found.chunks(MAX_DESCRIPTORS) {
            let states = some.iter().map(|(_, fd)| fd.is_some()).collect();
            let descriptors: Vec<_> = some.iter().filter_map(|(_, fd)| fd.as_ref().map(AsFd::as_fd)).collect();
            let _ = self.channel.send_with(&CliToHelper::Opened(states), &descriptors);
        }
        if found.len() < asked.len() {
            self.say(&CliToHelper::Begin);
        }
    }

    fn next(&mut self) -> Option<&HelperToCli> {
        let said = match self.channel.receive::<HelperToCli>(Some(LIMIT)) {
            Ok(said) => said.message,
            Err(ChannelError::Closed) => return None,
            Err(e) => panic!("{e}, after {:?}", self.messages),
        };
        match &said {
            HelperToCli::Ready { .. } => self.say(&CliToHelper::Begin),
            HelperToCli::Started(_) if self.serving.is_some() => self.say(&CliToHelper::Signal(libc::SIGTERM)),
            HelperToCli::Prepare { .. } if self.serving.is_some() => {
                self.say(&CliToHelper::Prepared(Prepared::default()));
                let descriptors: Vec<_> = self.serving.iter().flatten().map(AsFd::as_fd).collect();
                let _ = self.channel.send_with(&CliToHelper::Door, &descriptors);
            }
            HelperToCli::Prepare { door } => {
                let pieces =
                    self.messages.iter().filter_map(|m| if let HelperToCli::Plan(p) = m { Some(p) } else { None });
                let mut plan: Plan = postcard::from_bytes(&pieces.flatten().copied().collect::<Vec<u8>>()).unwrap();
                let mut ready = make_ready(&plan, *door);
                if let Some(directory) = &self.directory {
                    ready.directory.clone_from(directory);
                }
                plan.complete(ready.files.clone(), ready.hide.clone()).expect("completing the plan");
                self.say(&CliToHelper::Prepared(ready));
                if !self.explained {
                    self.hand_over(&plan);
                }
            }
            _ => {}
        }
        self.messages.push(said);
        self.messages.last()
    }

    /// Until the agent has begun.
    #[track_caller]
    pub fn begun(mut self) -> Self {
        loop {
            match self.next() {
                Some(HelperToCli::Ready { .. }) => return self,
                Some(_) => {}
                None => panic!("it did not begin:\n{}", self.end()),
            }
        }
    }

    /// Until the last message, and the end of the helper.
    #[track_caller]
    pub fn end(mut self) -> Answer {
        while self.next().is_some() {}
        Answer { output: self.started.end(), messages: self.messages }
    }
}

/// Opens a path as the CLI does, if there is something.
pub fn open_path(path: &Path, keep_link: bool) -> Option<OwnedFd> {
    let link = if keep_link { libc::O_NOFOLLOW } else { 0 };
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | link).open(path);
    file.ok().map(Into::into)
}

/// Makes a home and its mount points as the CLI does, for whom they belong to; nobody plants anything meanwhile. And
/// what the agent needs at least.
fn make_ready(plan: &Plan, door: i32) -> Prepared {
    if plan.grant.home == Home::Agent {
        make(&plan.home);
    }
    for point in &plan.mount_points {
        let at = plan.home.join(&point.below);
        match std::fs::metadata(&point.source) {
            Ok(found) if found.is_dir() => make(&at),
            Ok(_) => {
                make(at.parent().unwrap());
                drop(std::fs::OpenOptions::new().create(true).append(true).open(&at).unwrap());
            }
            Err(_) => {}
        }
    }
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let config = format!("[default]\ncredential_process = {OURS}/agent-aws-credentials\n");
    let variables = [
        ("PATH", b"/usr/local/bin:/usr/bin:/bin".to_vec()),
        ("HOME", bytes(&plan.caller.home)),
        ("AGENT_AWS_FD", door.to_string().into_bytes()),
        ("AGENT_AWS_SESSION", plan.grant.session.clone().into_bytes()),
        ("AWS_CONFIG_FILE", format!("{OURS}/config").into_bytes()),
    ];
    Prepared {
        hide: vec![],
        environment: variables.map(|(name, value)| EnvVar { name: name.into(), value }).to_vec(),
        directory: bytes(&plan.project),
        files: vec![
            (format!("{OURS}/config").into_bytes(), config.into_bytes()),
            (format!("{OURS}/session.json").into_bytes(), b"{}\n".to_vec()),
        ],
    }
}

/// Makes the directories of a path that are missing, each owned as the one above.
fn make(path: &Path) {
    for directory in path.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|d| !d.exists()) {
        std::fs::DirBuilder::new().mode(0o700).create(directory).unwrap();
        let above = std::fs::metadata(directory.parent().unwrap()).unwrap();
        chown(directory, Some(above.uid()), Some(above.gid())).unwrap();
    }
}

/// Everything that a helper said.
pub struct Answer {
    /// As a process.
    pub output: Output,
    /// In messages.
    pub messages: Vec<HelperToCli>,
}

impl Answer {
    /// Why it refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.messages.iter().find_map(|m| if let HelperToCli::Refused(refusal) = m { Some(refusal) } else { None })
    }

    /// How the agent ended.
    pub fn exit(&self) -> Option<Exit> {
        self.messages.iter().find_map(|m| if let HelperToCli::Ended(exit) = m { Some(*exit) } else { None })
    }

    /// It refused, with these words, and ended with 125.
    #[track_caller]
    pub fn refused(self, words: &str) -> Self {
        let text = self.refusal().map(|r| r.text.as_str());
        assert!(text.is_some_and(|text| text.contains(words)), "no refusal with {words:?}\n{self}");
        assert!(self.output.stdout.is_empty(), "it ran something\n{self}");
        assert!([0, 125].contains(&self.output.code()), "{self}");
        self
    }

    /// The error number for which the agent was not executed, and whether it was the working directory.
    pub fn not_executed(&self) -> Option<(i32, bool)> {
        self.messages.iter().find_map(|message| match message {
            HelperToCli::NotExecuted { errno, directory } => Some((*errno, *directory)),
            _ => None,
        })
    }

    /// The agent ran and succeeded; its standard output.
    #[track_caller]
    pub fn says(self) -> String {
        assert_eq!(self.exit(), Some(Exit::Code(0)), "{self}");
        self.output.stdout
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{}", self.messages, self.output)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What `agent-aws` would ask for Alice, with the identity of this mode and her project.
pub fn request(scene: &Scene) -> RunRequest {
    let project = scene.machine.project(&scene.machine.user("alice")).into_os_string().into_vec();
    let variable = |(name, value): (&str, OsString)| EnvVar { name: name.into(), value: value.into_vec() };
    let own = [
        ("HOME", scene.machine.user("alice").home.into_os_string()),
        ("AWS_CONFIG_FILE", scene.aws("config").into_os_string()),
        ("AWS_SHARED_CREDENTIALS_FILE", scene.aws("credentials").into_os_string()),
        ("AWS_ENDPOINT_URL_STS", scene.sts.url().into()),
    ];
    let (identity, own) = match scene.machine.mode {
        Mode::Setuid => (Ask::Named("incident".into()), vec![]),
        Mode::Unprivileged => (Ask::Own("dev".into()), own.into_iter().map(variable).collect()),
    };
    RunRequest { identity, project, own: OwnSource { environment: own }, wait: true, ..RunRequest::default() }
}
