//! The git directory of a working tree whose `.git` is a file: a worktree, or the working tree of a submodule. It lies
//! outside of the project, and git can do nothing without it.
//!
//! A former agent may have written that file, to have another repository opened. So it is believed only where the git
//! directory, which that agent could not write to, says the same about this project.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use rustix::fs::OFlags;

/// Git's own files about a directory are one path long, in bytes. A configuration is longer.
const LONGEST: u64 = 64 * 1024;

/// Why the git directory is not shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// `.git` or something that it leads to cannot be read: what, and why.
    Unreadable(PathBuf, String),
    /// What the file leads to is no git directory.
    NoRepository(PathBuf),
    /// It is, and says nothing about this project, or something else.
    NotBack(PathBuf),
    /// It belongs to somebody else.
    NotYours(PathBuf),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "{}: {why}", path.display()),
            Self::NoRepository(path) => write!(f, ".git leads to {}, which is no git directory", path.display()),
            Self::NotBack(path) => write!(f, ".git leads to {}, which does not lead back here", path.display()),
            Self::NotYours(path) => write!(f, ".git leads to {}, which belongs to somebody else", path.display()),
        }?;
        f.write_str(": git will not work in this session")
    }
}

/// What to do about any of it.
pub(crate) const ADVICE: &str = "if you moved the repository or this directory: `git worktree repair` in the repository; if \
                                 you did not make this .git, look at it before you use git here";

/// The git directory that the project shares with its repository; none where `.git` is no file.
pub(crate) fn repository(project: &Path) -> Result<Option<PathBuf>, Doubt> {
    let pointer = project.join(".git");
    match fs::symlink_metadata(&pointer).map(|found| found.file_type()) {
        Ok(kind) if kind.is_file() => {}
        Ok(kind) if kind.is_symlink() => return linked(project, &pointer),
        _ => return Ok(None),
    }
    let text = read(&pointer)?;
    let Some(path) = text.strip_prefix(b"gitdir: ") else {
        return Err(Doubt::Unreadable(pointer, "it does not begin with `gitdir: `".into()));
    };
    let git = real(&project.join(one_path(path)))?;
    let (shared, leads_back) = match fs::symlink_metadata(git.join("commondir")) {
        Ok(_) => of_worktree(&git, &pointer)?,
        Err(_) => (git.clone(), of_submodule(&git, project)?),
    };
    let owner = fs::metadata(&shared).map_err(|e| unreadable(&shared, &e))?;
    if !["HEAD", "objects", "refs"].iter().all(|name| shared.join(name).exists()) || !owner.is_dir() {
        return Err(Doubt::NoRepository(shared));
    }
    if owner.uid() != Uid::current().as_raw() {
        return Err(Doubt::NotYours(shared));
    }
    // What lies in the project is the agent's to write to already.
    let inside = project.canonicalize().is_ok_and(|project| shared.starts_with(project));
    if leads_back || inside { Ok(Some(shared)) } else { Err(Doubt::NotBack(git)) }
}

/// A `.git` that is a link out of the project says less than a file would: nothing leads back.
fn linked(project: &Path, pointer: &Path) -> Result<Option<PathBuf>, Doubt> {
    let (project, git) = (real(project)?, real(pointer)?);
    if git.starts_with(project) { Ok(None) } else { Err(Doubt::NotBack(git)) }
}

/// The common directory, and whether it and the worktree's own agree that this is their worktree.
fn of_worktree(git: &Path, pointer: &Path) -> Result<(PathBuf, bool), Doubt> {
    let common = real(&git.join(one_path(&read(&git.join("commondir"))?)))?;
    let back = git.join(one_path(&read(&git.join("gitdir"))?));
    let known = git.parent() == Some(common.join("worktrees").as_path());
    Ok((common, known && same(&back, pointer)))
}

/// Whether a submodule's configuration names this working tree.
fn of_submodule(git: &Path, project: &Path) -> Result<bool, Doubt> {
    let tree = working_tree(&read(&git.join("config"))?);
    Ok(tree.is_some_and(|tree| same(&git.join(tree), project)))
}

/// Whether both are one and the same, and neither is a link.
fn same(a: &Path, b: &Path) -> bool {
    let place = |path| fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
    place(a).is_some() && place(a) == place(b)
}

fn unreadable(path: &Path, e: &io::Error) -> Doubt {
    Doubt::Unreadable(path.into(), e.to_string())
}

fn real(path: &Path) -> Result<PathBuf, Doubt> {
    path.canonicalize().map_err(|e| unreadable(path, &e))
}

/// A small regular file: nothing that blocks, nothing endless.
fn read(path: &Path) -> Result<Vec<u8>, Doubt> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut text = Vec::new();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| unreadable(path, &e))?;
    let found = file.metadata().map_err(|e| unreadable(path, &e))?;
    if !found.is_file() || found.len() > LONGEST {
        return Err(Doubt::Unreadable(path.into(), "it is no file of git's".into()));
    }
    file.take(LONGEST).read_to_end(&mut text).map_err(|e| unreadable(path, &e))?;
    Ok(text)
}

/// The path that such a file consists of.
fn one_path(text: &[u8]) -> PathBuf {
    let end = text.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
    OsStr::from_bytes(text.get(..end).unwrap_or_default()).into()
}

/// `core.worktree` of a git configuration (git-config(1)); what it includes is not looked at.
fn working_tree(text: &[u8]) -> Option<PathBuf> {
    let (mut in_core, mut found) = (false, None);
    for line in text.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        if line.starts_with(b"[") {
            in_core = line.eq_ignore_ascii_case(b"[core]");
        } else if in_core
            && let Some(at) = line.iter().position(|b| *b == b'=')
            && let (name, [_, value @ ..]) = line.split_at(at)
            && name.trim_ascii().eq_ignore_ascii_case(b"worktree")
        {
            found = Some(unquoted(value.trim_ascii()));
        }
    }
    found.map(|path| OsString::from_vec(path).into())
}

/// A value without quotes, escapes and the comment behind it.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let (mut plain, mut quoted) = (Vec::new(), false);
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => plain.extend(bytes.next()),
            b'#' | b';' if !quoted => break,
            other => plain.push(other),
        }
    }
    if !quoted && !value.ends_with(b"\"") { plain.trim_ascii_end().to_vec() } else { plain }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::scratch::scratch;

    fn git(directory: &Path, words: &[&str]) {
        let settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"];
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = git.args(settings).args(words).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A repository `main` with a worktree `tree` beside it, and another repository.
    fn worktree(name: &str) -> PathBuf {
        let root = scratch(name);
        for repository in ["main", "other"] {
            fs::create_dir(root.join(repository)).unwrap();
            git(&root.join(repository), &["init", "-q"]);
            git(&root.join(repository), &["commit", "-q", "--allow-empty", "-m", "x"]);
        }
        git(&root.join("main"), &["worktree", "add", "-q", "../tree"]);
        root
    }

    #[test]
    fn a_worktree_and_a_submodule_have_the_directory_that_git_says() {
        let root = worktree("agree");
        assert_eq!(repository(&root.join("tree")), Ok(Some(root.join("main/.git"))));
        git(&root.join("main"), &["submodule", "--quiet", "add", "../other", "sub"]);
        assert_eq!(repository(&root.join("main/sub")), Ok(Some(root.join("main/.git/modules/sub"))));
        assert_eq!(repository(&root.join("main")), Ok(None));
        assert_eq!(repository(&root), Ok(None));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_planted_pointer_opens_no_other_repository() {
        let root = worktree("planted");
        let project = root.join("project");
        fs::create_dir(&project).unwrap();
        let planted = |text: &str| {
            fs::write(project.join(".git"), text).unwrap();
            repository(&project)
        };
        let [main, tree] = ["main/.git", "main/.git/worktrees/tree"].map(|path| root.join(path));
        assert_eq!(planted(&format!("gitdir: {}\n", main.display())), Err(Doubt::NotBack(main.clone())));
        assert_eq!(planted(&format!("gitdir: {}\n", tree.display())), Err(Doubt::NotBack(tree)));
        assert!(matches!(planted("gitdir: /usr\n"), Err(Doubt::Unreadable(..) | Doubt::NoRepository(_))));
        assert!(matches!(planted("gitdir: /nowhere\n"), Err(Doubt::Unreadable(..))));
        assert!(matches!(planted("evil"), Err(Doubt::Unreadable(..))));
        // A git directory of the agent's own making that claims to be a worktree of another repository.
        let made = project.join("made/worktrees/tree");
        fs::create_dir_all(&made).unwrap();
        fs::write(made.join("commondir"), format!("{}\n", main.display())).unwrap();
        fs::write(made.join("gitdir"), format!("{}\n", project.join(".git").display())).unwrap();
        let said = planted(&format!("gitdir: {}\n", made.display()));
        assert_eq!(said, Err(Doubt::NotBack(made.clone())));
        // The same, reached through a link that stands where git's own would.
        fs::remove_file(made.join("commondir")).unwrap();
        fs::write(made.join("commondir"), "../..\n").unwrap();
        fs::rename(project.join("made"), project.join("old")).unwrap();
        std::os::unix::fs::symlink(&main, project.join("made")).unwrap();
        assert!(planted(&format!("gitdir: {}\n", made.display())).is_err());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_link_leads_nowhere_outside() {
        let root = worktree("linked");
        let project = root.join("project");
        fs::create_dir_all(project.join("inner")).unwrap();
        let link = |to: &Path| {
            let _ = fs::remove_file(project.join(".git"));
            std::os::unix::fs::symlink(to, project.join(".git")).unwrap();
            repository(&project)
        };
        assert_eq!(link(&root.join("main/.git")), Err(Doubt::NotBack(root.join("main/.git"))));
        assert_eq!(link(Path::new("inner")), Ok(None));
        assert!(matches!(link(Path::new("gone")), Err(Doubt::Unreadable(..))));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_worktree_that_was_moved_does_not_agree_any_more_until_it_is_repaired() {
        let root = worktree("moved");
        fs::rename(root.join("tree"), root.join("moved")).unwrap();
        assert!(matches!(repository(&root.join("moved")), Err(Doubt::NotBack(_))));
        git(&root.join("main"), &["worktree", "repair", "../moved"]);
        assert_eq!(repository(&root.join("moved")), Ok(Some(root.join("main/.git"))));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn values_are_read_as_git_writes_them() {
        let value = |text: &str| working_tree(text.as_bytes()).map(|p| p.display().to_string());
        assert_eq!(value("[core]\n\tbare = false\n\tworktree = ../../../sub\n"), Some("../../../sub".into()));
        assert_eq!(value("[CORE]\nWorkTree=\"a b\\\"c\" # why\n"), Some("a b\"c".into()));
        assert_eq!(value("[core]\nworktree = one\n[other]\nworktree = two\n"), Some("one".into()));
        assert_eq!(value("[core \"sub\"]\nworktree = x\n"), None);
    }
}
