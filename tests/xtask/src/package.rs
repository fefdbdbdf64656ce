//! `make deb`, `make rpm` and `make vendor`: what is built here, as packages; and the source as packagers get it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::products;
use crate::shell::{self, Failure, Outcome};

const SPEC: &str = "packaging/rpm/agent-aws.spec";
/// What `cargo vendor` says is written here, for cargo to look into `vendor` and nowhere else.
const VENDORED: &str = "[source.crates-io]\nreplace-with = \"vendored-sources\"\n\n\
                        [source.vendored-sources]\ndirectory = \"vendor\"\n\n[net]\noffline = true\n";

/// Where packages are left.
pub(crate) fn place(root: &Path) -> PathBuf {
    shell::target_dir(root).join("packages")
}

/// The version of the workspace.
fn version(root: &Path) -> Result<String, Failure> {
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(Failure::on(manifest.display()))?;
    let version = text.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map(str::to_owned).ok_or_else(|| Failure::new(format!("{}: no version", manifest.display())))
}

/// Where a package's content comes from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// What is built in our build directory; it is built first.
    #[default]
    Products,
    /// The source, built by the package's own rules, from vendored crates and without a network.
    Source,
}

/// What to package, and where to leave it.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) from: From,
    pub(crate) to: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Option<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--from-source" => options.from = From::Source,
                "--to" => options.to = Some(words.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }

    fn place(&self, root: &Path, kind: &str) -> Result<PathBuf, Failure> {
        let Some(to) = &self.to else {
            return emptied(&place(root).join(kind));
        };
        // Ours is emptied; somebody else's directory is not.
        let to = root.join(to);
        match fs::read_dir(&to).is_ok_and(|mut entries| entries.next().is_some()) {
            true => Err(Failure::new(format!("--to {}: that directory is not empty", to.display()))),
            false => emptied(&to),
        }
    }
}

pub(crate) fn deb(root: &Path, options: &Options) -> Outcome {
    let (from, place) = (options.from, options.place(root, "deb")?);
    let source = source(root, &place, from)?;
    archive(&source, &place.join(format!("agent-aws_{}.orig.tar.xz", version(root)?)))?;
    shell::run(Command::new("cp").args(["-a", "packaging/debian", "debian"]).current_dir(&source))?;
    let mut build = Command::new("dpkg-buildpackage");
    // The compiler may be another than Debian's: what is needed to build was looked at by whoever called this.
    build.args(["--build=full", "--no-sign", "--no-check-builddeps"]).current_dir(&source);
    settings(root, from, &place, &mut build)?;
    package_tool(&mut build, "dpkg-dev, debhelper and dh-apparmor")?;
    done(&place, "deb")
}

pub(crate) fn rpm(root: &Path, options: &Options) -> Outcome {
    let (from, place) = (options.from, options.place(root, "rpm")?);
    let source = source(root, &place, from)?;
    let define = |name: &str, value: &Path| format!("{name} {}", value.display());
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--build-in-place", "--nodeps"]).current_dir(&source);
    for (name, value) in [("_topdir", place.join("tree")), ("_rpmdir", place.clone())] {
        build.arg("--define").arg(define(name, &value));
    }
    build.arg("--define").arg("_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm").arg(SPEC);
    settings(root, from, &place, &mut build)?;
    package_tool(&mut build, "rpm")?;
    done(&place, "rpm")
}

/// `vendor` and `.cargo/config.toml`, from which cargo builds without a network. Neither is in version control.
pub(crate) fn vendor(root: &Path) -> Outcome {
    let vendor = root.join("vendor");
    let mut cargo = shell::cargo(&["vendor", "--locked", "--quiet", "--versioned-dirs"]);
    shell::run(cargo.arg(&vendor).current_dir(root).stdout(Stdio::null()))?;
    let config = root.join(".cargo/config.toml");
    fs::create_dir_all(root.join(".cargo"))
        .and_then(|()| fs::write(&config, VENDORED))
        .map_err(Failure::on(config.display()))?;
    println!("{}\n{}", vendor.display(), config.display());
    Ok(())
}

/// Two builds of the source in two directories, by the rules of the package, and whether they are the same.
pub(crate) fn reproducible(root: &Path) -> Outcome {
    let place = emptied(&place(root).join("reproducible"))?;
    let mut made = Vec::new();
    // Of different length and depth: nothing may depend on where it is built.
    for directory in ["one", "another/of-a-longer-name"] {
        let to = place.join(directory);
        deb(root, &Options { from: From::Source, to: Some(to.clone()) })?;
        made.push(one_below(&to, ".deb")?);
    }
    same(&made)
}

/// Whether all of these files have the same bytes.
fn same(files: &[PathBuf]) -> Outcome {
    let read = |path: &PathBuf| fs::read(path).map_err(Failure::on(path.display()));
    let contents = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for file in files {
        shell::run(Command::new("sha256sum").arg(file))?;
    }
    match contents.windows(2).all(|pair| matches!(pair, [one, other] if one == other)) {
        true => Ok(()),
        false => Err(Failure::new("they differ; `diffoscope` shows where")),
    }
}

fn one_below(directory: &Path, ending: &str) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(directory).map_err(Failure::on(directory.display()))?;
    let found =
        entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.display().to_string().ends_with(ending));
    found.ok_or_else(|| Failure::new(format!("{} has no *{ending}", directory.display())))
}

fn emptied(place: &Path) -> Result<PathBuf, Failure> {
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place).map_err(Failure::on(place.display()))?;
    Ok(place.to_path_buf())
}

/// The source as it is in version control, or will be, in `place`; with the crates, if it is to be built there.
fn source(root: &Path, place: &Path, from: From) -> Result<PathBuf, Failure> {
    if from == From::Products {
        products::build(root)?;
    }
    let to = place.join(format!("agent-aws-{}", version(root)?));
    for name in names(root)?.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), to.join(name));
        // What was deleted and not yet committed is still listed.
        if from.symlink_metadata().is_err() {
            continue;
        }
        let above = to.parent().unwrap_or(place);
        fs::create_dir_all(above).map_err(Failure::on(above.display()))?;
        fs::copy(&from, &to).map_err(Failure::on(from.display()))?;
    }
    if from == From::Source {
        vendor(&to)?;
    }
    Ok(to)
}

/// The source as one file, without what is built and the crates; the same bytes whenever and wherever it is made.
fn archive(source: &Path, to: &Path) -> Outcome {
    let name = source.file_name().unwrap_or_default();
    let mut tar = Command::new("tar");
    tar.args(["--create", "--xz", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u+rw,go=rX,a-s", "--exclude=*/vendor", "--exclude=*/.cargo", "--file"]).arg(to).arg(name);
    shell::run(tar.current_dir(source.parent().unwrap_or(source)))
}

/// Every file of the source, by its path, each with a NUL after it.
fn names(root: &Path) -> Result<String, Failure> {
    // Not a repository around an unpacked source: that one knows nothing of these files.
    if root.join(".git").exists() {
        let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        return shell::ask(Command::new("git").args(words).current_dir(root));
    }
    let besides = |name| ["-not", "-path", name];
    let words = [&[".", "-type", "f"], &besides("./target/*")[..], &besides("./vendor/*"), &["-print0"]].concat();
    shell::ask(Command::new("find").args(words).current_dir(root))
}

/// The build directory, or that the crates are those in the source and nothing of this user's.
fn settings(root: &Path, from: From, place: &Path, build: &mut Command) -> Outcome {
    build.env_remove("RUSTFLAGS").env("DEB_BUILD_OPTIONS", "noautodbgsym");
    match from {
        From::Products => build.env("AGENT_AWS_BUILT", shell::target_dir(root)),
        From::Source => build.env_remove("AGENT_AWS_BUILT").env("CARGO_HOME", emptied(&place.join("cargo-home"))?),
    };
    Ok(())
}

fn package_tool(build: &mut Command, packages: &str) -> Outcome {
    shell::run(build.stdin(Stdio::null())).map_err(|why| Failure::new(format!("{why} (it needs {packages})")))
}

fn done(place: &Path, ending: &str) -> Outcome {
    println!("{}", one_below(place, &format!(".{ending}"))?.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Option<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_there_is_never_emptied_for_a_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let refused = options(&["--to", "src"]).unwrap().place(root, "deb").unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
        assert!(root.join("src/package.rs").is_file());
    }

    #[test]
    fn a_directory_is_needed_after_to_and_nothing_else_is_known() {
        assert_eq!(options(&["--from-source"]).unwrap().from, From::Source);
        assert_eq!(options(&[]).unwrap().from, From::Products);
        assert!(options(&["--to"]).is_none() && options(&["--of"]).is_none());
    }
}
