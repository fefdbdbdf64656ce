//! Where a workload runs: Alice's home and project, empty at the beginning of every run, in a private world.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use agent_aws_harness::{Machine, Scene};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Directories of the machine that a program outside writes to; inside it has its own.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Below a home: the toolchain of Rust, as rustup lays it out.
const RUST: [&str; 2] = [".cargo/bin", ".rustup"];
const NONE: Option<&str> = None;

/// The home that the toolchain of whoever runs the tests is in.
pub fn toolchain() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    RUST.iter().all(|below| home.join(below).is_dir()).then_some(home)
}

fn memory(at: &Path, mode: &str) {
    mount(Some("agent-aws-test"), at, Some("tmpfs"), MsFlags::empty(), Some(mode))
        .unwrap_or_else(|e| panic!("{}: {e}", at.display()));
}

/// Memory over the directories that everybody may write to, so that nothing is left in those of the machine.
#[derive(Debug)]
pub(crate) struct Apart(());

impl Apart {
    pub(crate) fn new() -> Self {
        SHARED.iter().for_each(|directory| memory(Path::new(directory), "mode=1777"));
        Self(())
    }
}

impl Drop for Apart {
    /// What the harness has in /tmp is to be found again, and removed.
    fn drop(&mut self) {
        for directory in SHARED {
            let _ = umount2(directory, MntFlags::MNT_DETACH);
        }
    }
}

/// A new home over the one before, with Alice's AWS configuration, the toolchain if it is wanted, and an empty project,
/// which is returned.
pub fn empty_home(scene: &Scene, rust: bool) -> PathBuf {
    let alice = scene.machine.user("alice");
    let files: Vec<(PathBuf, Vec<u8>)> = ["config", "credentials"]
        .map(|name| scene.aws(name))
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))))
        .collect();
    memory(&alice.home, "mode=700");
    chown(&alice.home, Some(alice.uid), Some(alice.gid)).expect("a home of Alice's");
    for (path, content) in files {
        scene.machine.file(&alice, &path, 0o600, content);
    }
    if rust {
        let home = toolchain().expect("a toolchain, or the row is skipped");
        RUST.iter().for_each(|below| show(&scene.machine, &home.join(below), &alice.home.join(below)));
    }
    scene.machine.project(&alice)
}

/// Somebody's directory in Alice's home. Read-only: it is the machine's.
fn show(machine: &Machine, from: &Path, to: &Path) {
    machine.directory(&machine.user("alice"), to);
    let fails = |e: nix::errno::Errno| panic!("{} on {}: {e}", from.display(), to.display());
    mount(Some(from), to, NONE, MsFlags::MS_BIND, NONE).unwrap_or_else(fails);
    mount(NONE, to, NONE, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NONE).unwrap_or_else(fails);
}
