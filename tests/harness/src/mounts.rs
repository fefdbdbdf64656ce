//! The mounts of a private world. Nothing of it is seen outside the mount namespace that it is made in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::stage::Stage;
use crate::users::{self, PEOPLE};

/// Host directories that get a layer of their own, each with what is installed there.
const LAYERED: [(&str, Installed); 5] = [
    ("etc", Installed::Setuid),
    ("usr/local", Installed::Setuid),
    ("opt", Installed::User),
    ("run", Installed::Nothing),
    ("home", Installed::Nothing),
];

#[derive(Clone, Copy, PartialEq)]
enum Installed {
    Setuid,
    User,
    Nothing,
}

type Result<T> = std::result::Result<T, String>;

fn why<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> String {
    move |e| format!("{what}: {e}")
}

/// Makes the world around this process, which must be alone in new mount and pid namespaces, as pid 1.
pub(crate) fn make(stage: &Stage) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(why("making mounts private"))?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).map_err(why("/proc"))?;
    let scratch = stage.scratch();
    memory(&scratch, 0o755)?;
    for (directory, installed) in LAYERED {
        layer(stage, &scratch, directory, installed)?;
    }
    memory(Path::new("/var/log"), 0o755)?;
    let log = Path::new("/var/log/agent-aws");
    directory(log, 0o750)?;
    users::add_to_databases().map_err(why("the user databases"))?;
    for (name, id) in PEOPLE {
        let home = Path::new("/home").join(name);
        directory(&home, 0o700)?;
        memory(&home, 0o700)?;
        chown(&home, Some(id), Some(id)).map_err(why(home.display()))?;
    }
    memory(Path::new("/etc/agent-aws"), 0o755)?;
    directory(Path::new("/etc/agent-aws/policy.d"), 0o755)?;
    directory(Path::new("/etc/agent-aws/sources"), 0o700)?;
    let policy = stage.setuid_root().join("etc/agent-aws/policy.toml");
    fs::copy(&policy, "/etc/agent-aws/policy.toml").map_err(why(policy.display()))?;
    extras(stage)
}

/// The tools of the tests, where every user finds them and every sandbox shows them.
fn extras(stage: &Stage) -> Result<()> {
    let place = Path::new(crate::stage::EXTRAS);
    directory(place, 0o755)?;
    bind(&stage.tools(), &place.join("bin"))?;
    match stage.deps() {
        Some(deps) => bind(&deps.canonicalize().map_err(why(deps.display()))?, &place.join("deps")),
        None => Ok(()),
    }
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let none = None::<&str>;
    directory(to, 0o755)?;
    mount(Some(from), to, none, MsFlags::MS_BIND, none).map_err(why(format!("{} on {}", from.display(), to.display())))
}

fn memory(at: &Path, mode: u32) -> Result<()> {
    let options = format!("mode={mode:o}");
    mount(Some("agent-aws-test"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .map_err(why(format!("tmpfs on {}", at.display())))
}

fn directory(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(path).map_err(why(path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(why(path.display()))
}

/// The host's directory, what is installed over it, and over both a layer in memory that takes every change.
fn layer(stage: &Stage, scratch: &Path, below: &str, installed: Installed) -> Result<()> {
    let host = Path::new("/").join(below);
    let name = below.replace('/', "-");
    let (upper, work) = (scratch.join(format!("{name}.upper")), scratch.join(format!("{name}.work")));
    directory(&upper, 0o755)?;
    directory(&work, 0o755)?;
    let over = match installed {
        Installed::Setuid => Some(stage.setuid_root().join(below)),
        Installed::User => Some(stage.user_root().join(below)),
        Installed::Nothing => None,
    };
    let lower: Vec<String> = over.iter().chain([&host]).map(|p| p.display().to_string()).collect();
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
    mount(Some("agent-aws-test"), &host, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(why(format!("a layer over {}", host.display())))
}
