//! `serve`: a session without a sandbox, as the CLI sees it. The broker answers at a socket of the caller's, for a
//! container or a virtual machine; whoever can connect to it gets the one identity's credentials and can ask for nothing.

mod child;
mod folder;
mod socket;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use agent_aws_plan::Plan;
use agent_aws_protocol::{CliToHelper, Exit, HelperToCli, Prepared, Request, RunRequest, Started};
use rustix::event::{PollFd, PollFlags, poll};

use crate::failure::Failure;
use crate::helper::{Helper, Output, read_plan, unexpected};
use crate::say;
use crate::session::{Granted, Standing, start_line};
use crate::signals::Signals;
use child::Child;
use folder::Folder;
use socket::Socket;

/// Where clients are to find it.
#[derive(Debug)]
pub(crate) enum Where {
    /// At this path.
    Socket(PathBuf),
    /// In this directory, beside the client and a configuration that names it.
    Directory(PathBuf),
}

/// Serves until `command` has ended, or without one until a signal or the end of the session.
pub(crate) fn serve(
    place: &Where,
    command: Vec<OsString>,
    ask: impl FnOnce() -> Result<RunRequest, Failure>,
) -> Result<Exit, Failure> {
    let signals = Signals::block().map_err(|e| Failure::Os("cannot set up signals", e))?;
    let folder = match place {
        Where::Directory(path) => Some(Folder::open(path)?),
        Where::Socket(_) => None,
    };
    let socket = match (place, &folder) {
        (Where::Socket(path), _) => Socket::bind(path)?,
        (Where::Directory(path), _) => Socket::bind(&path.join("credentials.sock"))?,
    };
    // What the records and the audit trail know it by.
    let known_as = OsString::from(format!("serve {}", socket.path().display()));
    let helper = Helper::start(&[known_as], Output::Nowhere, signals.at_start())?;
    let request = match ask() {
        Ok(request) => request,
        Err(failure) => {
            helper.close_and_wait();
            return Err(failure);
        }
    };
    let dead = helper.pidfd();
    let (plan, granted) = (Vec::new(), Granted::default());
    let mut server = Server { helper, dead, signals, socket, folder, command, child: None, plan, granted };
    let end = server.helper.ask(Request::Run(Box::new(request))).and_then(|()| server.follow());
    server.end(end)
}

#[derive(Debug)]
struct Server {
    helper: Helper,
    dead: Option<OwnedFd>,
    signals: Signals,
    socket: Socket,
    folder: Option<Folder>,
    command: Vec<OsString>,
    child: Option<Child>,
    plan: Vec<u8>,
    granted: Granted,
}

impl Server {
    /// Until the last message, or the end of the command.
    fn follow(&mut self) -> Result<Exit, Failure> {
        loop {
            let [signals, child, channel, dead] = self.wait()?;
            if signals {
                self.signals.take().into_iter().for_each(|signal| self.on_signal(signal));
            }
            if let Some(exit) = self.child.as_mut().filter(|_| child).and_then(Child::ended) {
                self.child = None;
                return Ok(exit);
            }
            if channel {
                let message = self.helper.next()?;
                if let Some(exit) = self.on_message(message)? {
                    return Ok(exit);
                }
            } else if dead {
                return Err(self.helper.gone());
            }
        }
    }

    /// Signals, the command, the helper's words, its death.
    fn wait(&self) -> Result<[bool; 4], Failure> {
        // Who is not there leaves the place to the helper's words, which are asked after themselves.
        let words = self.helper.channel.as_fd();
        let child = self.child.as_ref().map(AsFd::as_fd);
        let all = [self.signals.as_fd(), child.unwrap_or(words), words, self.dead.as_ref().map_or(words, AsFd::as_fd)];
        let mut watched = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        loop {
            match poll(&mut watched, None) {
                Ok(_) => return Ok(watched.map(|fd| !fd.revents().is_empty())),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Failure::Os("cannot wait for the helper", e.into())),
            }
        }
    }

    /// A key of the terminal reaches the command without us; what is sent to us alone is passed on to it.
    fn on_signal(&mut self, signal: i32) {
        match (signal, &self.child) {
            (libc::SIGTSTP, _) => self.signals.stop(signal).1.into_iter().for_each(|more| self.on_signal(more)),
            (libc::SIGTERM | libc::SIGHUP, Some(child)) => child.tell(signal),
            (libc::SIGTERM | libc::SIGHUP | libc::SIGINT | libc::SIGQUIT, None) => {
                // A helper that does not take it will be seen to be gone.
                let _ = self.helper.tell(&CliToHelper::Signal(signal));
            }
            _ => {}
        }
    }

    fn on_message(&mut self, message: HelperToCli) -> Result<Option<Exit>, Failure> {
        match message {
            HelperToCli::Ended(exit) => return Ok(Some(exit)),
            HelperToCli::Refused(refusal) => return Err(Failure::Refused(refusal)),
            HelperToCli::Plan(piece) => self.plan.extend(piece),
            HelperToCli::Prepare { .. } => self.on_prepare()?,
            HelperToCli::Notice(text) if say::on_terminal() => say::line(&text),
            HelperToCli::Notice(_) => {}
            HelperToCli::Started(started) => self.on_started(started)?,
            other => return Err(unexpected(&other)),
        }
        Ok(None)
    }

    /// It is granted: the socket goes to the broker.
    fn on_prepare(&mut self) -> Result<(), Failure> {
        let plan: Plan = read_plan(&self.plan)?;
        self.granted = Granted::of(&plan);
        if let Some(folder) = &mut self.folder {
            folder.fill(&plan.grant)?;
        }
        self.helper.tell(&CliToHelper::Prepared(Prepared::default()))?;
        let listener =
            self.socket.listener().map(|listener| self.helper.channel.send_with(&CliToHelper::Door, &[listener]));
        match listener {
            // It has refused us: its answer waits.
            None | Some(Ok(()) | Err(agent_aws_protocol::ChannelError::Closed)) => Ok(()),
            Some(Err(e)) => Err(e.into()),
        }
    }

    /// There are credentials: now the socket gets its name, and the command begins.
    fn on_started(&mut self, said: Started) -> Result<(), Failure> {
        self.socket.publish()?;
        if say::on_terminal() {
            let standing = Standing { said, granted: std::mem::take(&mut self.granted) };
            let place = format!("at {}", self.socket.path().display());
            say::line(&start_line(&standing, &place, say::now()));
        }
        if !self.command.is_empty() {
            self.child = Some(Child::start(&self.command, self.signals.at_start())?);
        }
        Ok(())
    }

    /// Puts everything away: first the name, so that nobody comes to a closed door.
    fn end(self, end: Result<Exit, Failure>) -> Result<Exit, Failure> {
        let Self { mut helper, socket, folder, child, .. } = self;
        drop((socket, folder));
        if let Some(child) = child {
            say::line("the session has ended: so must the command");
            child.end();
        }
        if end.is_ok() && helper.tell(&CliToHelper::Signal(libc::SIGTERM)).is_ok() {
            while let Ok(HelperToCli::Notice(_)) = helper.next() {}
        }
        helper.close_and_wait();
        end
    }
}

/// How a path is written in messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
