//! What other systems build packages from: Arch, Nix and Homebrew; and that all of them are of one version.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_packages::{Case, ask, case, scratch, suite, workspace};

const CASES: &[Case] = &[
    case!(a_package_of_arch_is_made_by_an_ordinary_user_and_is_roots),
    case!(the_recipes_of_nix_and_homebrew_are_read_and_ask_for_no_setuid_bit),
    case!(every_package_has_the_version_of_the_workspace),
];
const PROGRAMS: &[&str] = &["unshare", "makepkg", "pacman", "bsdtar", "nix-instantiate", "ruby"];

fn main() -> ExitCode {
    suite(CASES, PROGRAMS)
}

fn recipe(path: &str) -> PathBuf {
    workspace().join("packaging").join(path)
}

fn a_package_of_arch_is_made_by_an_ordinary_user_and_is_roots() {
    let place = scratch("arch");
    let built = PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").unwrap()).parent().unwrap().display().to_string();
    // makepkg refuses to run as root.
    let make = format!(
        "cd {}/arch && exec unshare --user --map-user=1000 --map-group=1000 env AGENT_AWS_BUILT={built} BUILDDIR={at} \
         PKGDEST={at} SRCDEST={at} LOGDEST={at} SOURCE_DATE_EPOCH=1 makepkg --nodeps --force",
        workspace().join("packaging").display(),
        at = place.display()
    );
    ask("sh", &["-c", &make]);
    let package =
        fs::read_dir(&place).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_file()).unwrap();
    let listed = ask("bsdtar", &["-tvf", &package.display().to_string()]);
    let mode =
        |path: &str| listed.lines().find(|line| line.ends_with(path)).map(|line| line.split(' ').next().unwrap());
    assert_eq!(mode("usr/libexec/agent-aws/agent-aws-helper"), Some("-rwsr-xr-x"));
    assert_eq!(mode("usr/libexec/agent-aws/agent-aws-reader"), Some("-rwx--x--x"));
    assert_eq!(mode("etc/agent-aws/sources/"), Some("drwx------"));
    assert_eq!(listed.lines().filter(|line| line.starts_with("-rws")).count(), 1, "{listed}");
    let others: Vec<&str> = listed.lines().filter(|line| line.split_whitespace().nth(2) != Some("root")).collect();
    assert!(others.is_empty(), "{others:?}");
    let backups = ask("bsdtar", &["-xOf", &package.display().to_string(), ".PKGINFO"]);
    assert!(backups.contains("backup = etc/agent-aws/policy.toml"), "{backups}");
}

fn the_recipes_of_nix_and_homebrew_are_read_and_ask_for_no_setuid_bit() {
    let (nix, homebrew) = (recipe("nix/default.nix"), recipe("homebrew/agent-aws.rb"));
    ask("nix-instantiate", &["--parse", &nix.display().to_string()]);
    ask("ruby", &["-c", &homebrew.display().to_string()]);
    for recipe in [nix, homebrew] {
        let text = fs::read_to_string(recipe).unwrap();
        assert!(text.contains("--no-setuid") && !text.contains("--for-package"), "{text}");
    }
}

fn every_package_has_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("debian/changelog", format!("agent-aws ({version}-1) ")),
        ("rpm/agent-aws.spec", format!("Version:        {version}\n")),
        ("arch/PKGBUILD", format!("\npkgver={version}\n")),
        ("nix/default.nix", format!("version = \"{version}\";")),
    ] {
        let text = fs::read_to_string(recipe(file)).unwrap();
        assert!(text.contains(&line), "{file} lacks `{line}`");
    }
}
