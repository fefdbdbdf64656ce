//! A fresh system: a minimal Debian, unpacked once, and for each test a layer over it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Where apt is told which mirror this machine uses.
const SOURCES: [&str; 3] =
    ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources", "/etc/apt/sources.list"];

/// A system of a test's own.
#[derive(Debug)]
pub struct Machine {
    base: PathBuf,
    layer: PathBuf,
}

/// What came of a command.
#[derive(Debug)]
pub struct Said {
    /// Its exit status; 128 and more if a signal ended it.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}\n{}\n{}", self.status, self.out, self.err)
    }
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Self { status: output.status.code().unwrap_or(128), out: text(output.stdout), err: text(output.stderr) }
    }

    /// It succeeded.
    pub fn ok(&self) -> &Self {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// It failed, and not by a signal.
    pub fn fails(&self) -> &Self {
        assert!((1..128).contains(&self.status), "{self}");
        self
    }
}

/// Kept between runs, beside the other things that tests depend on.
pub(crate) fn place() -> PathBuf {
    let stage = PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").expect("the stage"));
    stage.parent().expect("the build directory").join("test-deps/packages")
}

/// The list of sources that this machine's own apt reads for Debian.
fn apt_sources() -> Option<&'static str> {
    SOURCES.into_iter().find(|path| Path::new(path).is_file())
}

fn release() -> Result<String, String> {
    let said = fs::read_to_string("/etc/os-release").map_err(|e| e.to_string())?;
    let name = said.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(str::to_owned).ok_or_else(|| "this is no release of Debian".into())
}

/// A minimal Debian with these packages, made once.
pub(crate) fn base(packages: &str) -> Result<PathBuf, String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let release = release()?;
    let base = place().join(format!("base-{release}{}", packages.replace(',', "-")));
    let complete = base.with_extension("complete");
    if complete.exists() {
        return Ok(base);
    }
    let _ = fs::remove_dir_all(&base);
    fs::create_dir_all(place()).map_err(|e| e.to_string())?;
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", "--mode=root", "--format=directory"]);
    make.arg("--aptopt=APT::Sandbox::User \"root\"");
    if !packages.is_empty() {
        make.arg(format!("--include={packages}"));
    }
    let sources = apt_sources().ok_or("apt has no list of sources here")?;
    let made = Said::of(make.arg(release).arg(&base).arg(sources).stdin(Stdio::null()));
    if made.status != 0 {
        return Err(format!("no fresh system could be made: {}", made.err.trim()));
    }
    fs::write(complete, "").map_err(|e| e.to_string())?;
    Ok(base)
}

impl Machine {
    /// A minimal Debian, and Alice and Bob, who are ordinary users.
    pub fn fresh(name: &str) -> Self {
        Self::with(name, "")
    }

    /// The same with more packages of Debian, separated by commas.
    pub fn with(name: &str, packages: &str) -> Self {
        let layer = crate::scratch(name);
        fs::create_dir(layer.join("given")).expect("a directory for the package");
        let machine = Self { base: base(packages).expect("a fresh system"), layer };
        machine.run("useradd -m -s /bin/sh alice && useradd -m -s /bin/sh bob").ok();
        machine
    }

    /// A command line of root's there. It ends with all that it started.
    pub fn run(&self, line: &str) -> Said {
        let enter = Path::new(env!("CARGO_MANIFEST_DIR")).join("enter");
        let mut command = Command::new(enter);
        command.arg(&self.base).arg(&self.layer).args(["/bin/sh", "-c", line]);
        Said::of(command.stdin(Stdio::null()))
    }

    /// The same of Alice's or Bob's, in the home.
    pub fn run_as(&self, user: &str, line: &str) -> Said {
        self.run(&as_user(user, line))
    }

    /// Puts a file where the machine finds it as `/tmp/given/NAME`.
    pub fn give(&self, file: &Path) -> String {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        fs::copy(file, self.layer.join("given").join(&name)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        format!("/tmp/given/{name}")
    }

    /// Writes a file there, 0600 and root's.
    pub fn write(&self, path: &str, content: &str) {
        let from = self.layer.join("given/content");
        fs::write(&from, content).expect("a file to give");
        self.run(&format!("install -D -m 0600 /tmp/given/content {path}")).ok();
    }

    /// Every file, directory and link outside of what the kernel and the package manager keep, with type, mode and owner.
    pub fn files(&self) -> Vec<String> {
        let besides = "-path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/lib/dpkg -o -path /var/lib/apt \
                       -o -path /var/cache -o -path /var/log/apt -o -path /var/lib/rpm";
        let said = self.run(&format!("find / \\( {besides} \\) -prune -o -printf '%p %y %m %u:%g\\n'"));
        let mut files: Vec<String> = said.ok().out.lines().map(str::to_owned).collect();
        files.sort();
        files
    }
}

/// A command line for a user with a clean environment.
fn as_user(user: &str, line: &str) -> String {
    let line = line.replace('\'', "'\\''");
    let environment =
        format!("env -i HOME=/home/{user} USER={user} LOGNAME={user} PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8");
    format!("cd /home/{user} && setpriv --reuid {user} --regid {user} --init-groups {environment} sh -c '{line}'")
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.layer);
        }
    }
}
