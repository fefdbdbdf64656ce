//! `make install`: the programs, the default policy, the directories and, on a live system, the system users.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::products::{self, PRODUCTS, Product};
use crate::shell::{self, Failure, Outcome};

/// Broker of a system source, and gateway.
const USERS: [&str; 2] = ["_agent-aws", "_agent-aws-net"];
const DEFAULT_POLICY: &str = "helper/policy-text/src/default-policy.toml";
const SYSUSERS: &str = "packaging/sysusers.d/agent-aws.conf";

/// Where to.
#[derive(Debug)]
pub(crate) struct Options {
    /// Put before every path, for packages.
    pub(crate) destdir: PathBuf,
    /// Absolute.
    pub(crate) prefix: PathBuf,
    /// Whether the helper gets the setuid bit, if we are root.
    pub(crate) setuid: bool,
    /// Whether every file is named.
    pub(crate) verbose: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { destdir: PathBuf::new(), prefix: "/usr/local".into(), setuid: true, verbose: true }
    }
}

impl Options {
    fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.verbose {
            println!("{text}");
        }
    }

    /// An absolute path of the installed system, below DESTDIR.
    fn place(&self, path: &Path) -> PathBuf {
        match self.destdir.as_os_str().is_empty() {
            true => path.to_path_buf(),
            false => self.destdir.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }
}

pub(crate) fn install(root: &Path, options: &Options) -> Outcome {
    products::build_missing(root)?;
    let setuid = options.setuid && shell::is_root();
    if setuid && options.destdir.as_os_str().is_empty() {
        USERS.iter().try_for_each(|name| system_user(name))?;
    }
    for product in PRODUCTS {
        program(root, options, product, setuid)?;
    }
    if setuid {
        let sysusers = options.prefix.join("lib/sysusers.d/agent-aws.conf");
        file(options, Path::new(SYSUSERS), &options.place(&sysusers), 0o644)?;
        return configuration(options);
    }
    options.say(format_args!("no setuid bit: unprivileged mode (own sources only; policy is advisory)"));
    if !shell::is_root()
        && let Err(e) = configuration(options)
    {
        options.say(format_args!("left out: {e}"));
    }
    Ok(())
}

fn program(root: &Path, options: &Options, product: &Product, setuid: bool) -> Outcome {
    let place = options.place(&options.prefix.join(product.directory).join(product.name));
    let mode = if setuid { product.mode } else { product.mode & 0o777 };
    file(options, &product.built(root), &place, mode)
}

/// Policy, sources and log. What an admin has already made stays as it is.
fn configuration(options: &Options) -> Outcome {
    directory(options, &options.place(Path::new("/etc/agent-aws/policy.d")), 0o755)?;
    directory(options, &options.place(Path::new("/etc/agent-aws/sources")), 0o700)?;
    directory(options, &options.place(Path::new("/var/log/agent-aws")), 0o750)?;
    let policy = options.place(Path::new("/etc/agent-aws/policy.toml"));
    if fs::symlink_metadata(&policy).is_ok() {
        options.say(format_args!("kept {}", policy.display()));
        return Ok(());
    }
    file(options, Path::new(DEFAULT_POLICY), &policy, 0o644)
}

/// Makes a directory, and 0755 ones above it; leaves one that is there alone.
fn directory(options: &Options, path: &Path, mode: u32) -> Outcome {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        directory(options, above, 0o755)?;
    }
    let failed = || Failure::on(path.display());
    fs::DirBuilder::new().mode(mode).create(path).map_err(failed())?;
    // The mode above went through the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed())?;
    options.say(format_args!("{mode:04o} {}/", path.display()));
    Ok(())
}

/// Replaces `to` in one step: whoever starts it meanwhile gets the old file or the new one.
fn file(options: &Options, from: &Path, to: &Path, mode: u32) -> Outcome {
    let above = to.parent().unwrap_or(Path::new("/"));
    directory(options, above, 0o755)?;
    let name = to.file_name().unwrap_or_default().display().to_string();
    let new = above.join(format!(".{name}.{}", std::process::id()));
    let written = write(from, &new, mode).and_then(|()| fs::rename(&new, to));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(Failure::on(format!("{} -> {}", from.display(), to.display())))?;
    options.say(format_args!("{mode:04o} {}", to.display()));
    Ok(())
}

/// A new file with this mode. The setuid bit comes last, when owner and content are what they should be.
fn write(from: &Path, new: &Path, mode: u32) -> std::io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    std::io::copy(&mut source, &mut file)?;
    if shell::is_root() {
        chown(new, Some(0), Some(0))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Makes a system user without home, password or shell, if there is none.
fn system_user(name: &str) -> Outcome {
    let is_there = |database: &str| shell::ask(Command::new("getent").args([database, name])).is_ok();
    if is_there("passwd") {
        return Ok(());
    }
    println!("system user {name}");
    if shell::find("useradd").is_some() {
        let group: &[&str] = if is_there("group") { &["--gid", name] } else { &["--user-group"] };
        let mut useradd = Command::new("useradd");
        useradd
            .args(["--system", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin"])
            .args(["--comment", "agent-aws"])
            .args(group)
            .arg(name);
        return shell::run(&mut useradd);
    }
    if shell::find("systemd-sysusers").is_some() {
        return shell::run(Command::new("systemd-sysusers").arg(SYSUSERS));
    }
    Err(Failure::new(format!(
        "neither useradd nor systemd-sysusers is here: make the system user {name} by hand, then run this again"
    )))
}
