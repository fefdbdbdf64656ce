//! Opening what the plan needs of the caller's, with the caller's rights and no others. The helper gets descriptors and
//! goes on not to believe them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent_aws_plan::tables::SECRET_STORES;
use agent_aws_plan::{Access, Intent, Opener, Origin, Plan, Source, SourceId, What};
use agent_aws_protocol::{Channel, ChannelError, CliToHelper, FailureCode, MAX_DESCRIPTORS, Refusal};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, accessat, openat, openat2, statx};
use rustix::io::Errno;

use crate::failure::Failure;

/// How long the kernel may have too many descriptors of ours on their way (a limit for all processes of a user).
const ON_THEIR_WAY: Duration = Duration::from_secs(10);

/// Opens the caller's paths in the order of the plan, and hands each over before there are more than a message takes.
pub(crate) fn hand_over(plan: &Plan, helper: &Channel) -> Result<(), Failure> {
    let secrets = Secrets::look(SECRET_STORES.rows().map(|row| plan.caller.home.join(row.path)));
    let asked = asked(plan);
    let mut missing = BTreeSet::new();
    let (mut states, mut descriptors) = (Vec::new(), Vec::new());
    let callers = plan.sources.iter().enumerate().filter(|(_, source)| source.opener == Opener::Caller);
    for (index, source) in callers {
        // Most rows of a project and of a home are not there: nothing is in a directory that is missing.
        let nowhere = source.path.parent().is_some_and(|parent| missing.contains(parent.as_os_str()));
        let found = if nowhere { None } else { open(source)? };
        let Some(fd) = found else {
            missing.insert(source.path.as_os_str());
            states.push(false);
            continue;
        };
        if let Some(access) = asked.get(&index) {
            secrets.not_shown_by(&fd, &source.path)?;
            // Out of bounds it is the helper's to refuse.
            let real = real_path(&fd).map_err(os("opening", &source.path))?;
            if *access == Access::Write && plan.check_real(SourceId(index), &real).is_ok() {
                writable(&source.path)?;
            }
        }
        states.push(true);
        descriptors.push(fd);
        if descriptors.len() == MAX_DESCRIPTORS {
            send(helper, std::mem::take(&mut states), std::mem::take(&mut descriptors))?;
        }
    }
    if states.is_empty() { Ok(()) } else { send(helper, states, descriptors) }
}

fn send(helper: &Channel, states: Vec<bool>, descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
    let message = CliToHelper::Opened(states);
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let end = Instant::now() + ON_THEIR_WAY;
    loop {
        match helper.send_with(&message, &descriptors) {
            // It has refused us: its answer waits.
            Ok(()) | Err(ChannelError::Closed) => return Ok(()),
            // Nothing was sent: those of other sessions are still being received.
            Err(ChannelError::Os(Errno::TOOMANYREFS)) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// The sources that are shown because the caller asked, and how they may be accessed.
fn asked(plan: &Plan) -> HashMap<usize, Access> {
    let asked = |o: &Origin| matches!(o, Origin::Project | Origin::Repository | Origin::Caller(_) | Origin::Tool(_));
    let intents = plan.intents.iter().filter(|i| asked(&i.origin));
    let source = |i: &Intent| if let What::Bind(SourceId(index)) = i.what { Some((index, i.access)) } else { None };
    intents.filter_map(source).collect()
}

/// Better said now than by the agent's first write.
fn writable(path: &Path) -> Result<(), Failure> {
    if accessat(CWD, path, rustix::fs::Access::WRITE_OK, AtFlags::empty()).is_ok() {
        return Ok(());
    }
    let text = format!("you cannot write to `{}`", path.display().to_string().escape_debug());
    Err(refused(text, Some("choose another project with --project DIR, or use --ro")))
}

fn refused(text: String, advice: Option<&str>) -> Failure {
    Failure::Refused(Refusal { code: FailureCode::BadRequest, text, advice: advice.map(Into::into), audit: None })
}

/// What cannot be opened or shown, in the form of the helper's refusals.
fn failed(step: &str, path: &Path, cause: impl Display) -> Failure {
    refused(format!("{step} `{}`: {cause}", path.display().to_string().escape_debug()), None)
}

fn os(step: &'static str, path: &Path) -> impl Fn(Errno) -> Failure {
    move |e| failed(step, path, std::io::Error::from(e))
}

/// Opens `source`; missing is no error. O_PATH: never usable to read or write by itself. Magic links are never followed;
/// a last component that is a link is taken as the link where the source says so.
fn open(source: &Source) -> Result<Option<OwnedFd>, Failure> {
    let path = &source.path;
    let fd = match open_path(path, source.keep_link) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(e) => return Err(os("opening", path)(e)),
    };
    // What is only hidden, or bound onto itself read-only, may be a socket or a FIFO.
    if !source.keep_link && !is_plain(&fd).map_err(os("opening", path))? {
        return Err(failed("opening", path, "it is no file or directory"));
    }
    Ok(Some(fd))
}

fn is_plain(fd: &OwnedFd) -> Result<bool, Errno> {
    let found = statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?;
    Ok(matches!(FileType::from_raw_mode(found.stx_mode.into()), FileType::Directory | FileType::RegularFile))
}

fn open_path(path: &Path, keep_link: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if keep_link {
        flags |= OFlags::NOFOLLOW;
    }
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// A place, whatever it is called: device and inode.
type Place = (u32, u32, u64);

fn place(fd: &OwnedFd) -> Result<Place, Errno> {
    let found = statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

fn place_of(path: &Path) -> Option<Place> {
    open_path(path, false).and_then(|fd| place(&fd)).ok()
}

/// The places of secret stores that must not be shown, and of everything above them.
#[derive(Debug)]
struct Secrets {
    stores: Vec<(Option<Place>, PathBuf)>,
    above: Vec<(Option<Place>, PathBuf)>,
}

impl Secrets {
    /// Looks at the stores (absolute paths). One that is missing is not there.
    fn look(stores: impl Iterator<Item = PathBuf>) -> Self {
        let mut found = Self { stores: Vec::new(), above: Vec::new() };
        for store in stores {
            // Nothing is in a directory that is not there.
            let parent = store.parent().and_then(|parent| found.look_above(parent));
            let here = parent.and_then(|_| place_of(&store));
            // A store may be a link (into a repository of dotfiles): what contains its target contains it too.
            let real = here.and_then(|_| store.canonicalize().ok());
            real.as_deref().and_then(Path::parent).map(|parent| found.look_above(parent));
            found.stores.push((here, store));
        }
        found
    }

    /// Looks at `path` and everything above it, at each once. As bytes: paths are compared part by part.
    fn look_above(&mut self, path: &Path) -> Option<Place> {
        if let Some((place, _)) = self.above.iter().find(|(_, known)| known.as_os_str() == path.as_os_str()) {
            return *place;
        }
        let place = place_of(path);
        self.above.push((place, path.into()));
        path.parent().map(|parent| self.look_above(parent));
        place
    }

    /// What the caller asked to be shown must not be a secret store, contain one or lie inside one, whatever it is called.
    fn not_shown_by(&self, fd: &OwnedFd, path: &Path) -> Result<(), Failure> {
        match self.shown_by(fd).map_err(os("looking above", path))? {
            Some(store) => {
                Err(failed("showing", path, format_args!("it is, contains or lies inside `{}`", store.display())))
            }
            None => Ok(()),
        }
    }

    /// The store, if what `fd` shows is one, contains one or lies inside one, by whatever path or mount it was reached.
    /// An ancestor that cannot be looked at is an error: nobody can say then.
    fn shown_by(&self, fd: &OwnedFd) -> Result<Option<&Path>, Errno> {
        let find = |list: &'_ [(_, PathBuf)], at| list.iter().position(|(p, _)| *p == Some(at));
        let mut at = place(fd)?;
        if let Some(n) = find(&self.above, at) {
            return Ok(self.above.get(n).map(|(_, path)| path.as_path()));
        }
        let mut here = rustix::io::fcntl_dupfd_cloexec(fd, 0)?;
        loop {
            if let Some(n) = find(&self.stores, at) {
                return Ok(self.stores.get(n).map(|(_, path)| path.as_path()));
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            here = match openat(&here, c"..", flags, Mode::empty()) {
                Err(Errno::NOTDIR) => open_path(real_path(fd)?.parent().ok_or(Errno::NOENT)?, false)?,
                other => other?,
            };
            let above = place(&here)?;
            if above == at {
                return Ok(None);
            }
            at = above;
        }
    }
}

/// Where the kernel says that a descriptor leads.
fn real_path(fd: &OwnedFd) -> Result<PathBuf, Errno> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_store_is_known_by_any_name_that_leads_to_it() {
        let home = crate::scratch::scratch("open");
        std::fs::create_dir_all(home.join(".aws/sso")).unwrap();
        std::fs::create_dir_all(home.join("src/p")).unwrap();
        for (name, to) in [("inside", ".aws/sso"), ("itself", ".aws"), ("around", "src/.."), ("other", "src/p")] {
            std::os::unix::fs::symlink(home.join(to), home.join("src").join(name)).unwrap();
        }
        let secrets = Secrets::look([home.join(".aws"), home.join(".ssh")].into_iter());
        let shown = |name: &str| {
            let fd = open_path(&home.join("src").join(name), false).unwrap();
            secrets.shown_by(&fd).unwrap().is_some()
        };
        let all = ["inside", "itself", "around", "other"].map(shown);
        assert_eq!(all, [true, true, true, false]);
    }
}
