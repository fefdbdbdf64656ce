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

    fn build(&self) -> Outcome {
        let mut cargo = shell::cargo(&["build", "--release", "--locked", "-p", self.name]);
        if self.is_static {
            // With --target the flags are the program's only, and what it shares with the others is not rebuilt.
            let given = std::env::var("RUSTFLAGS").unwrap_or_default();
            cargo.args(["--target", host()]).env("RUSTFLAGS", format!("{given} -C target-feature=+crt-static").trim());
        }
        shell::run(&mut cargo)
    }
}

/// The triple that rustc builds for by itself: glibc on Linux.
fn host() -> &'static str {
    static HOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HOST.get_or_init(|| {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said = shell::ask(std::process::Command::new(rustc).arg("-vV")).unwrap_or_default();
        let host = said.lines().find_map(|l| l.strip_prefix("host: "));
        host.map_or_else(|| format!("{}-unknown-linux-gnu", std::env::consts::ARCH), Into::into)
    })
}

/// Builds all that ships and says how long each took.
pub(crate) fn build(root: &Path) -> Outcome {
    let mut clock = Clock::start();
    for product in PRODUCTS {
        clock.part(product.name, || product.build())?;
    }
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
            product.build()?;
        }
    }
    Ok(())
}
