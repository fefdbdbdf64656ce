//! What tests need besides the products: installed where that can be done, named where it cannot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Failure, Outcome};
use crate::workloads::Needs;

/// A program, the Debian package that has it, and what it is for.
type Program<'a> = (&'a str, &'a str, &'a str);

const PROGRAMS: &[Program<'static>] = &[
    ("unshare", "util-linux", "user switching and namespaces of the tests"),
    ("setpriv", "util-linux", "user switching of the tests"),
    ("git", "git", "projects are git repositories"),
    ("git-lfs", "git-lfs", "installs git hooks"),
    ("bwrap", "bubblewrap", "bench and attacks compare with it; an inner sandbox"),
    ("firejail", "firejail", "attacks compare with it"),
    ("strace", "strace", "fault injection"),
    ("socat", "socat", "clients of sockets; an inner sandbox"),
    ("pasta", "passt", "bench compares with it"),
    ("rg", "ripgrep", "an inner sandbox"),
    ("python3", "python3", "the real Python clients"),
    ("aws", "awscli", "the real AWS CLI, version 2"),
    ("node", "nodejs", "the real JavaScript client"),
    ("npm", "npm", "the real JavaScript client"),
    ("less", "less", "pipelines of the terminal tests"),
    ("qemu-system-x86_64", "qemu-system-x86", "other kernels"),
    ("busybox", "busybox-static", "the first process on other kernels"),
    ("musl-gcc", "musl-tools", "a program for a root without glibc"),
    ("ip", "iproute2", "a fake internet"),
    ("openssl", "openssl", "certificates of a fake internet"),
    ("c++", "g++", "the fuzz targets"),
    ("zsh", "zsh", "completion"),
    ("fish", "fish", "completion"),
];
/// What makes packages, looks at them and installs them where nothing else is.
const PACKAGING: &[Program<'static>] = &[
    ("dpkg-buildpackage", "dpkg-dev", "the Debian package"),
    ("dh", "debhelper", "the Debian package"),
    ("dh_apparmor", "dh-apparmor", "the Debian package"),
    ("lintian", "lintian", "what the Debian package is held against"),
    ("mmdebstrap", "mmdebstrap", "a fresh Debian"),
    ("rpmbuild", "rpm", "the RPM"),
    ("rpmlint", "rpmlint", "what the RPM is held against"),
    ("readelf", "binutils", "how programs are linked"),
    ("man", "man-db", "manual pages"),
    ("makepkg", "makepkg", "the package of Arch"),
    ("pacman", "pacman-package-manager", "the package of Arch"),
    ("bsdtar", "libarchive-tools", "the package of Arch"),
    ("fakeroot", "fakeroot", "the package of Arch"),
    ("nix-instantiate", "nix-bin", "the recipe of Nix"),
    ("ruby", "ruby", "the recipe of Homebrew"),
    ("apparmor_parser", "apparmor", "the profile of AppArmor"),
];
const REQUIREMENTS: &str = "tests/xtask/python-requirements.txt";
const PEERS: &str = "tests/bench/peers/requirements.txt";
const JAVASCRIPT: &[&str] = &["@aws-sdk/client-sts@3.1169.0"];
const GO_CLIENT: &str = "tests/e2e/aws-clients/go/sdk-whoami.go";
/// Sandboxes that agents bring along.
const INNER: &[&str] = &["@anthropic-ai/sandbox-runtime@0.0.78", "@openai/codex@0.169.0"];
/// Real coding agents. Claude Code's program comes into place by a script of its own.
const AGENTS: [&str; 2] = ["@anthropic-ai/claude-code@2.1.330", "@openai/codex@0.169.0"];
const AGENTS_SCRIPT: &str = "lib/node_modules/@anthropic-ai/claude-code/install.cjs";

/// Programs that install git hooks.
const HOOKS: &[&str] = &["husky@9.1.7", "lefthook@1.13.6"];

/// Where they are, for the tests; nothing of it is in version control.
pub(crate) fn place(root: &Path) -> PathBuf {
    shell::target_dir(root).join("test-deps")
}

/// Gets what is missing. What cannot be had is said: the tests that need it are skipped, and say so too. What real
/// programs workloads and clients run is much; it is got only for those parts of the tests that run it.
pub(crate) fn get(root: &Path, parts: &[&str]) {
    let place = place(root);
    let tables = Needs::read(root, parts).unwrap_or_else(|why| {
        println!("{why}");
        Needs::default()
    });
    let mut wanted: Vec<Program<'_>> = PROGRAMS.to_vec();
    if parts.contains(&"packages") {
        wanted.extend(PACKAGING);
    }
    let own = |program: &str| PROGRAMS.iter().any(|(known, ..)| *known == program);
    let more = tables.programs.iter().filter(|(program, _)| !own(program) && !in_path(program));
    wanted.extend(more.map(|(program, package)| (program.as_str(), package.as_str(), "a workload or client")));
    get_all(&wanted);
    let others = [JAVASCRIPT, INNER, &AGENTS].concat();
    let known = |package: &&str| !others.contains(package);
    let npm: Vec<&str> = tables.npm.iter().map(String::as_str).filter(known).collect();
    let tries = [
        ("Python clients", python(root, &place.join("venv"), REQUIREMENTS)),
        ("JavaScript client", javascript(&place.join("npm"), JAVASCRIPT)),
        ("installers of git hooks", javascript(&place.join("hooks"), HOOKS)),
        ("inner sandboxes", javascript(&place.join("inner"), INNER)),
        ("coding agents", agents(&place.join("agents"))),
        ("JavaScript packages of workloads and clients", javascript(&place.join("workloads"), &npm)),
        ("a client in Go", go(root, &place.join("go"))),
    ];
    for (what, outcome) in tries {
        if let Err(why) = outcome {
            println!("not here: {what}: {why}");
        }
    }
}

/// Only the programs of the system that the end-to-end tests run.
pub(crate) fn get_programs() {
    get_all(PROGRAMS);
}

/// What `make bench` compares credential reads with.
pub(crate) fn get_peers(root: &Path) {
    if let Err(why) = python(root, &place(root).join("peers"), PEERS) {
        println!("not here: elhaz and a server in Python: {why}");
    }
}

fn get_all(wanted: &[Program<'_>]) {
    for what in programs(wanted) {
        println!("not here: {what}");
    }
}

/// Where a workload finds programs.
fn in_path(program: &str) -> bool {
    in_system(program) || Path::new("/usr/local/bin").join(program).is_file()
}

/// In the system's directories only: a version manager's shims are not there for other users.
fn in_system(program: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|d| Path::new(d).join(program).is_file())
}

fn programs(wanted: &[Program<'_>]) -> Vec<String> {
    let absent = || wanted.iter().filter(|(program, ..)| !in_system(program));
    let mut packages: Vec<&str> = absent().map(|(_, package, _)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    if !in_system("pip3") && !Path::new("/usr/lib/python3/dist-packages/ensurepip").exists() && !has_ensurepip() {
        packages.push("python3-venv");
    }
    if !packages.is_empty() && shell::is_root() && shell::find("apt-get").is_some() {
        let install = |packages: &[&str]| {
            let words = ["install", "-y", "-qq", "--no-install-recommends"].iter().chain(packages);
            apt(&words.copied().collect::<Vec<_>>())
        };
        let say = |outcome: Outcome| outcome.unwrap_or_else(|why| println!("{why}"));
        say(apt(&["update", "-qq"]));
        // One that is not to be had must not keep the others away.
        if install(&packages).is_err() {
            packages.iter().for_each(|package| say(install(&[package])));
        }
    }
    absent().map(|(program, package, why)| format!("{program} ({package}): {why}")).collect()
}

fn has_ensurepip() -> bool {
    shell::ask(Command::new("/usr/bin/python3").args(["-c", "import ensurepip"])).is_ok()
}

fn apt(words: &[&str]) -> Outcome {
    println!("apt-get {}", words.join(" "));
    let mut apt = Command::new("apt-get");
    apt.args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    shell::run(&mut apt)
}

/// Whether `place` was made from `recipe` and completely.
fn is_made(place: &Path, recipe: &str) -> bool {
    fs::read_to_string(place.join("made-from")).is_ok_and(|made| made == recipe)
}

fn made(place: &Path, recipe: &str) -> Outcome {
    fs::write(place.join("made-from"), recipe).map_err(Failure::on(place.display()))
}

fn python(root: &Path, venv: &Path, requirements: &str) -> Outcome {
    let file = root.join(requirements);
    let recipe = fs::read_to_string(&file).map_err(Failure::on(file.display()))?;
    if is_made(venv, &recipe) {
        return Ok(());
    }
    println!("pip install -r {requirements}");
    let _ = fs::remove_dir_all(venv);
    shell::run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    shell::run(pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&file))?;
    made(venv, &recipe)
}

fn javascript(place: &Path, packages: &[&str]) -> Outcome {
    let recipe = packages.join(" ");
    if is_made(place, &recipe) {
        return Ok(());
    }
    println!("npm install {recipe}");
    fs::create_dir_all(place).map_err(Failure::on(place.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(place).args(packages);
    // lefthook would install its hooks into the repository that we are in; not where it believes to be in CI.
    shell::run(npm.env("CI", "true"))?;
    made(place, &recipe)
}

/// The client that uses AWS's SDK for Go, built with the modules that Debian packages.
fn go(root: &Path, place: &Path) -> Outcome {
    let file = root.join(GO_CLIENT);
    let recipe = fs::read_to_string(&file).map_err(Failure::on(file.display()))?;
    if is_made(place, &recipe) {
        return Ok(());
    }
    println!("go build {GO_CLIENT}");
    fs::create_dir_all(place).map_err(Failure::on(place.display()))?;
    let mut go = Command::new("/usr/bin/go");
    go.args(["build", "-o"]).arg(place.join("sdk-whoami")).arg(&file);
    let settings = [("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", ""), ("CGO_ENABLED", "0")];
    shell::run(go.envs(settings).env("GOCACHE", place.join("cache")))?;
    made(place, &recipe)
}

/// As a developer has them: `place` is what `npm config set prefix` names.
fn agents(place: &Path) -> Outcome {
    let recipe = AGENTS.join(" ");
    if is_made(place, &recipe) {
        return Ok(());
    }
    println!("npm install --global {recipe}");
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place).map_err(Failure::on(place.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--global", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(place).args(AGENTS);
    shell::run(&mut npm)?;
    // npm may be set up to run no scripts.
    shell::run(Command::new("node").arg(place.join(AGENTS_SCRIPT)).stdout(std::process::Stdio::null()))?;
    made(place, &recipe)
}
