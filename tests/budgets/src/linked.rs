//! What is linked into a program, as `cargo tree` tells it for that program alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::figure::Figure;

/// Beginnings of names of crates that have no place in a setuid program: async, TLS, AWS, JSON, regular expressions.
const FOUL: [&str; 12] = [
    "tokio", "async", "futures", "hyper", "rustls", "ring", "openssl", "native-tls", "aws-", "serde_json", "simd-json",
    "regex",
];
const MOST: usize = 32;
/// The feature with which a crate of ours has what only tests of other crates need.
const FOR_TESTS: &str = "for-tests";

/// The crates of a program, without procedural macros: those run when it is built.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// Directories of our own crates, from the top of the workspace.
    pub ours: BTreeSet<String>,
    /// Name and version of every other crate.
    pub others: BTreeSet<(String, String)>,
    /// Directories of our own crates that have what only tests need.
    pub for_tests: BTreeSet<String>,
}

impl Linked {
    /// Asks cargo, for the program's own selection of features.
    pub fn ask(root: &Path, program: &str) -> Result<Self, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let output = Command::new(cargo)
            .args([
                "tree", "-q", "--locked", "-p", program, "-e", "normal,no-proc-macro", "--prefix", "none", "-f",
                "{p} {f}",
            ])
            .args(["--target", &target])
            .current_dir(root)
            .output()
            .map_err(|e| format!("cargo tree: {e}"))?;
        if !output.status.success() {
            return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Self::parse(&String::from_utf8_lossy(&output.stdout), root)
    }

    /// Reads lines `NAME vVERSION [(PATH)] [FEATURE,...] [(*)]`.
    pub fn parse(tree: &str, root: &Path) -> Result<Self, String> {
        let mut linked = Self::default();
        for line in tree.lines().filter(|l| !l.trim().is_empty()) {
            let mut words = line.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next()) else {
                return Err(format!("cargo tree says {line:?}"));
            };
            let place = line.split_once(" (/").and_then(|(_, rest)| rest.split(')').next()).map(|p| format!("/{p}"));
            match place.as_deref().and_then(|p| Path::new(p).strip_prefix(root).ok()) {
                Some(directory) => {
                    let directory = directory.display().to_string();
                    if words.any(|word| word.split(',').any(|feature| feature == FOR_TESTS)) {
                        linked.for_tests.insert(directory.clone());
                    }
                    linked.ours.insert(directory)
                }
                None => linked.others.insert((name.to_owned(), version.trim_start_matches('v').to_owned())),
            };
        }
        match linked.ours.is_empty() {
            true => Err("cargo tree shows no crate of this workspace".into()),
            false => Ok(linked),
        }
    }

    fn named(&self, pick: impl Fn(&str) -> bool) -> Vec<String> {
        self.others.iter().filter(|(name, _)| pick(name)).map(|(name, version)| format!("{name} {version}")).collect()
    }

    pub(crate) fn count(&self) -> Figure {
        Figure {
            name: "third-party crates linked into the setuid program",
            value: self.others.len(),
            budget: MOST,
            places: self.named(|_| true),
        }
    }

    pub(crate) fn twice(&self) -> Figure {
        let times = |name: &str| self.others.iter().filter(|(n, _)| n == name).count();
        Figure::none_of("crates linked there in two versions", self.named(|name| times(name) > 1))
    }

    pub(crate) fn for_tests(&self) -> Figure {
        Figure::none_of("crates of ours there with what only tests need", self.for_tests.iter().cloned().collect())
    }

    pub(crate) fn foul(&self) -> Figure {
        let foul = |name: &str| FOUL.iter().any(|begin| name.starts_with(begin));
        Figure::none_of("async, TLS, AWS, JSON or regex crates there", self.named(foul))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = "agent-aws-helper v0.1.0 (/w/helper/setuid) \nagent-aws-plan v0.1.0 (/w/helper/plan) x,for-tests (*)\n\
                       syn v2.0.1 std\nsyn v3.0.0 (*)\ntokio v1.2.3\nserde v1.0.0\n";

    #[test]
    fn a_crate_in_two_versions_and_an_async_one_are_found() {
        let linked = Linked::parse(BAD, Path::new("/w")).unwrap();
        assert_eq!(linked.ours, ["helper/plan", "helper/setuid"].map(String::from).into());
        assert_eq!(linked.twice().places, ["syn 2.0.1", "syn 3.0.0"]);
        assert_eq!(linked.foul().places, ["tokio 1.2.3"]);
        assert_eq!(linked.for_tests().places, ["helper/plan"]);
        assert_eq!((linked.count().value, linked.count().is_over()), (4, false));
    }

    #[test]
    fn a_crate_too_many_is_over() {
        let many: String = (0..=MOST).map(|n| format!("crate{n} v1.0.0\n")).collect();
        let linked = Linked::parse(&(BAD.to_owned() + &many), Path::new("/w")).unwrap();
        assert!(linked.count().is_over());
    }

    #[test]
    fn an_empty_tree_is_an_error_and_not_a_good_figure() {
        assert!(Linked::parse("", Path::new("/w")).is_err());
        assert!(Linked::parse("serde v1.0.0\n", Path::new("/w")).is_err());
    }
}
