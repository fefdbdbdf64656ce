//! `make install`: the programs, what documents and completes them, the default policy, the directories and, on a live
//! system, the system users. Packages call the same.

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

/// Files below the prefix, 0644: from where in the workspace, or where all in a directory with this ending.
const SHARED: &[(&str, &str)] = &[
    ("cli/completion/agent-aws.bash", "share/bash-completion/completions/agent-aws"),
    ("cli/completion/agent-aws.zsh", "share/zsh/site-functions/_agent-aws"),
    ("cli/completion/agent-aws.fish", "share/fish/vendor_completions.d/agent-aws.fish"),
    ("README.md", "share/doc/agent-aws/README.md"),
    ("SECURITY.md", "share/doc/agent-aws/SECURITY.md"),
    ("CHANGELOG.md", "share/doc/agent-aws/CHANGELOG.md"),
    ("packaging/rsyslog/agent-aws.conf", "share/doc/agent-aws/examples/rsyslog.conf"),
];
/// Whole directories: from where, the ending of the names, and where below the prefix. The tables and presets are
/// compiled in; these are for who wants to read them.
const SHARED_ALL: &[(&str, &str, &str)] = &[
    ("docs", ".md", "share/doc/agent-aws/docs"),
    ("packaging/examples", ".toml", "share/doc/agent-aws/examples"),
    ("cli/presets", ".toml", "share/agent-aws/presets"),
    ("helper/policy/presets", ".names", "share/agent-aws/names"),
    ("cli/tables", ".tsv", "share/agent-aws/tables"),
    ("helper/plan/tables", ".tsv", "share/agent-aws/tables"),
    ("helper/gateway/tables", ".tsv", "share/agent-aws/tables"),
    ("helper/plumber/tables", ".tsv", "share/agent-aws/tables"),
    ("helper/bpf/tables", ".in", "share/agent-aws/tables"),
];
/// What only an installation with the setuid bit has: below the prefix, or absolute.
const SETUID: &[(&str, &str)] = &[
    (SYSUSERS, "lib/sysusers.d/agent-aws.conf"),
    ("packaging/tmpfiles.d/agent-aws.conf", "lib/tmpfiles.d/agent-aws.conf"),
    ("packaging/logrotate/agent-aws", "/etc/logrotate.d/agent-aws"),
];

/// Where to.
#[derive(Debug)]
pub(crate) struct Options {
    /// Put before every path, for packages.
    pub(crate) destdir: PathBuf,
    /// Absolute.
    pub(crate) prefix: PathBuf,
    /// Whether the helper gets the setuid bit, if we are root.
    pub(crate) setuid: bool,
    /// Whether what is installed becomes a package, in which all is root's, whoever we are.
    pub(crate) for_package: bool,
    /// Whether every file is named.
    pub(crate) verbose: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { destdir: PathBuf::new(), prefix: "/usr/local".into(), setuid: true, for_package: false, verbose: true }
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
    let setuid = options.setuid && (options.for_package || shell::is_root());
    if setuid && options.destdir.as_os_str().is_empty() {
        USERS.iter().try_for_each(|name| system_user(name))?;
    }
    for product in PRODUCTS {
        program(root, options, product, setuid)?;
    }
    shared(root, options)?;
    if setuid {
        for (from, to) in SETUID {
            file(options, Path::new(from), &options.place(&options.prefix.join(to)), 0o644)?;
        }
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

/// Manual pages, completions, documents, and the data that is compiled in.
fn shared(root: &Path, options: &Options) -> Outcome {
    let place = |below: &str| options.place(&options.prefix.join(below));
    for (from, to) in SHARED {
        file(options, Path::new(from), &place(to), 0o644)?;
    }
    for (from, ending, to) in SHARED_ALL {
        all(options, Path::new(from), ending, &place(to))?;
    }
    let documents = products::documents(root);
    for section in ["1", "5", "8"] {
        all(options, &documents.join("man"), &format!(".{section}"), &place(&format!("share/man/man{section}")))?;
    }
    all(options, &documents, ".cdx.json", &place("share/doc/agent-aws"))
}

/// Every file of a directory whose name ends so.
fn all(options: &Options, from: &Path, ending: &str, to: &Path) -> Outcome {
    let entries = fs::read_dir(from).map_err(Failure::on(from.display()))?;
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.retain(|name| name.to_string_lossy().ends_with(ending));
    names.sort();
    if names.is_empty() {
        return Err(Failure::new(format!("{} has no file *{ending}", from.display())));
    }
    names.iter().try_for_each(|name| file(options, &from.join(name), &to.join(name), 0o644))
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
