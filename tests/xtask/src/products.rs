//! What ships, and how it is built: each program by a `cargo build` of its own, because a workspace build would unify
//! the features of all of them into the setuid program.

use std::path::{Path, PathBuf};

use crate::shell::{self, Clock, Failure, Outcome};

/// A program that is installed.
#[derive(Debug)]
pub(crate) struct Product {
    /// Its package and its file name.
    pub(crate) name: &'static str,
    /// Whether it must run in any container and with no library: linked statically.
    is_static: bool,
    /// Directory below the prefix.
    pub(crate) directory: &'static str,
    /// Mode of the installed file.
    pub(crate) mode: u32,
}

const LIBEXEC: &str = "libexec/agent-aws";

/// All of them. 0711: executed, never read, so that the kernel makes the process undumpable.
pub(crate) const PRODUCTS: &[Product] = &[
    product("agent-aws", false, "bin", 0o755),
    product("agent-aws-helper", false, LIBEXEC, 0o4755),
    product("agent-aws-broker", false, LIBEXEC, 0o711),
    product("agent-aws-gateway", true, LIBEXEC, 0o711),
    product("agent-aws-plumber", true, LIBEXEC, 0o711),
    product("agent-aws-reader", true, LIBEXEC, 0o711),
    product("agent-aws-init", true, LIBEXEC, 0o711),
    product("agent-aws-credentials", true, LIBEXEC, 0o755),
];

const fn product(name: &'static str, is_static: bool, directory: &'static str, mode: u32) -> Product {
    Product { name, is_static, directory, mode }
}

impl Product {
    /// Where cargo leaves it.
    pub(crate) fn built(&self, root: &Path) -> PathBuf {
        let target = shell::target_dir(root);
        let below = if self.is_static { target.join(host()) } else { target };
        below.join("release").join(self.name)
    }

    fn build(&self, root: &Path) -> Outcome {
        let mut cargo = shell::cargo(&["rustc", "--release", "--locked", "-p", self.name, "--bin", self.name]);
        let mut flags = flags(root);
        if self.is_static {
            // With --target the flags are the program's only, and what it shares with the others is not rebuilt.
            flags.push("-Ctarget-feature=+crt-static".into());
            cargo.args(["--target", host()]);
        } else {
            cargo.args(["--", "-L"]).arg(format!("native={}", static_libgcc(root)?.display()));
        }
        shell::run(cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")))
    }
}

/// The caller's own flags, and those that keep the names of this machine's directories out of the programs: the same
/// source gives the same bytes wherever it is built.
fn flags(root: &Path) -> Vec<String> {
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let sysroot = ask_rustc(&["--print", "sysroot"]).trim().to_owned();
    let remap = |from: &str, to: &str| format!("--remap-path-prefix={from}={to}");
    // A crate has one name, whether it comes from the registry or from `make vendor`.
    let sources = cargo.map(|cargo| below(&cargo.join("registry/src"))).unwrap_or_default();
    let sources = sources.into_iter().chain([root.join("vendor")]);
    let crates = sources.map(|from| remap(&from.display().to_string(), "/crates"));
    // Of two that fit, the later one counts.
    let ours = [remap(&root.display().to_string(), "/agent-aws"), remap(&sysroot, "/rust")];
    given.split_whitespace().map(str::to_owned).chain(ours).chain(crates).collect()
}

/// The directories in one, in order.
fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn ask_rustc(words: &[&str]) -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    shell::ask(std::process::Command::new(rustc).args(words)).unwrap_or_default()
}

/// A directory for the linker in which libgcc_s is the part of it that is linked statically. Nothing here unwinds, and as
/// a shared library it would cost each start a look for it and its constructor: every `cpuid` of that traps in a virtual
/// machine.
fn static_libgcc(root: &Path) -> Result<PathBuf, Failure> {
    let place = shell::target_dir(root).join("static-libgcc");
    let script = place.join("libgcc_s.so");
    std::fs::create_dir_all(&place).map_err(Failure::on(place.display()))?;
    std::fs::write(&script, "GROUP ( -lgcc_eh -lgcc )\n").map_err(Failure::on(script.display()))?;
    Ok(place)
}

/// The triple that rustc builds for by itself: glibc on Linux.
pub(crate) fn host() -> &'static str {
    static HOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HOST.get_or_init(|| {
        let said = ask_rustc(&["-vV"]);
        let host = said.lines().find_map(|l| l.strip_prefix("host: "));
        host.map_or_else(|| format!("{}-unknown-linux-gnu", std::env::consts::ARCH), Into::into)
    })
}

/// Where the manual pages and the bill of materials are made.
pub(crate) fn documents(root: &Path) -> PathBuf {
    shell::target_dir(root).join("documents")
}

fn build_documents(root: &Path) -> Outcome {
    let mut cargo = shell::cargo(&["run", "--quiet", "--locked", "-p", "agent-aws-documents", "--"]);
    shell::run(cargo.arg(documents(root)).args(PRODUCTS.iter().map(|product| product.name)))
}

/// Builds all that ships and says how long each took.
pub(crate) fn build(root: &Path) -> Outcome {
    let mut clock = Clock::start();
    for product in PRODUCTS {
        clock.part(product.name, || product.build(root))?;
    }
    clock.part("documents", || build_documents(root))?;
    clock.print();
    for product in PRODUCTS {
        let place = product.built(root);
        let size = std::fs::metadata(&place).map_err(Failure::on(place.display()))?.len();
        println!("{:>8} KiB  {}", size / 1024, place.display());
    }
    Ok(())
}

/// Builds what is not there.
pub(crate) fn build_missing(root: &Path) -> Outcome {
    for product in PRODUCTS {
        if !product.built(root).is_file() {
            println!("{} is not built yet", product.name);
            product.build(root)?;
        }
    }
    match documents(root).is_dir() {
        true => Ok(()),
        false => build_documents(root),
    }
}
