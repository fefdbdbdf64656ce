//! `policy install`: a file of the policy takes effect at once and as a whole, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use agent_aws_policy::Policy;
use agent_aws_policy_text::SourceFile;
use agent_aws_protocol::Exit;
use nix::unistd::Uid;

use super::{DIRECTORY, complete, diff, files, parse, read, report};
use crate::failure::Failure;
use crate::say;

/// What keeps the file that was there.
const FORMER: &str = "former";

/// Checks `file` in its place among the others, says what changes, and moves it there.
pub(super) fn install(file: &Path, part: Option<&str>, dry_run: bool) -> Result<Exit, Failure> {
    if !Uid::effective().is_root() {
        let advice = "run it as root; `agent-aws policy check` needs no privilege";
        return Err(Failure::Option("the policy is root's to change".into(), advice));
    }
    let target = target(part)?;
    let bytes = read(file)?;
    let paths = files()?;
    let former = if paths.iter().all(|path| path.exists()) { parse(&paths)?.ok() } else { None };
    let policy = match with(&paths, &target, file, &bytes)? {
        Ok(policy) => policy,
        Err(wrong) => {
            report(&wrong);
            say::line("nothing was changed");
            return Ok(Exit::Code(1));
        }
    };
    if let Some(former) = &former {
        say::out(&diff::text(&diff::between(former, &policy)))?;
    }
    if !dry_run {
        place(&target, &bytes).map_err(|e| Failure::Path(target.clone(), e))?;
        say::line(&format!("{} is in place: it holds from the next run and the next refresh on", target.display()));
    }
    Ok(Exit::Code(0))
}

/// `policy.toml`, or a file below `policy.d`.
fn target(part: Option<&str>) -> Result<PathBuf, Failure> {
    let Some(part) = part else { return Ok(Path::new(DIRECTORY).join("policy.toml")) };
    let known = part.ends_with(".toml") || part.ends_with(".json");
    if !known || part.contains('/') || part.starts_with('.') {
        let text = format!("--part {part} is no name in policy.d");
        return Err(Failure::Option(text, "a name that ends in .toml or .json, without a directory"));
    }
    Ok(Path::new(DIRECTORY).join("policy.d").join(part))
}

type Checked = Result<Policy, Vec<agent_aws_policy_text::Diagnostic>>;

/// The policy as it would be. What is wrong with the new file is told by the name that its author knows.
fn with(paths: &[PathBuf], target: &Path, file: &Path, bytes: &[u8]) -> Result<Checked, Failure> {
    let mut all = paths.to_vec();
    if !all.iter().any(|path| path == target) {
        all.push(target.to_owned());
        // As the helper reads them: policy.toml first, the others by name.
        if let Some(rest) = all.get_mut(1..) {
            rest.sort();
        }
    }
    let is_new = |path: &PathBuf| path == target;
    let named = |path: &PathBuf| match is_new(path) {
        true => Ok((format!("{}", if is_document(path) { target } else { file }.display()), bytes.to_vec())),
        false => Ok((path.display().to_string(), read(path)?)),
    };
    let contents = all.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
    let sources: Vec<_> = contents.iter().map(|(name, bytes)| SourceFile { name, bytes }).collect();
    Ok(complete(agent_aws_policy_text::parse(&sources)))
}

/// A document of AWS is known by its name in policy.d.
fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

/// Written beside it, made lasting, and moved over it; what was there stays under another name, which is not read.
fn place(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = target.parent().unwrap_or(Path::new("/"));
    trustworthy(directory)?;
    let beside = |end: &str| {
        let mut name = target.as_os_str().to_owned();
        name.push(".");
        name.push(end);
        PathBuf::from(name)
    };
    let (new, former) = (beside("new"), beside(FORMER));
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(bytes).and_then(|()| file.sync_all())?;
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    if target.exists() {
        let _ = std::fs::remove_file(&former);
        std::fs::hard_link(target, &former)?;
    }
    std::fs::rename(&new, target)?;
    File::open(directory)?.sync_all()
}

/// The helper reads no policy from a directory that others could write to; better said before.
fn trustworthy(directory: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(directory)?;
    match found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(io::Error::other("its directory is not root's own, or others may write to it")),
    }
}
