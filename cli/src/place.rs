//! Where a run happens: the working directory as the caller names it, and the project.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// From this length on, the kernel takes no path (limits.h); getcwd(3) still makes one.
const PATH_MAX: usize = 4096;

/// The working directory: `$PWD` if that is the same directory (the caller came through a link and expects to see its
/// name), else what the kernel calls it.
pub(crate) fn working_directory(pwd: Option<OsString>) -> Result<PathBuf, Failure> {
    let here = std::fs::metadata(".").map_err(Failure::WorkingDirectory)?;
    // A deleted directory can still be looked at; only its name is gone.
    let name = std::env::current_dir().map_err(Failure::WorkingDirectory)?;
    if name.as_os_str().len() >= PATH_MAX {
        return Err(Failure::WorkingDirectory(io::Error::from_raw_os_error(libc::ENAMETOOLONG)));
    }
    let pwd = pwd.map(PathBuf::from).filter(|p| is_plain(p));
    match pwd.as_deref().map(std::fs::metadata) {
        Some(Ok(there)) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => Ok(pwd.unwrap_or(name)),
        _ => Ok(name),
    }
}

/// Absolute and without `..`, so that its ancestors can be told by its letters.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|c| c == Component::ParentDir)
}

/// `path` as an absolute one, from `directory`.
pub(crate) fn absolute(directory: &Path, path: &Path) -> Result<PathBuf, Failure> {
    if path.as_os_str().is_empty() {
        return Err(Failure::Path(path.into(), io::Error::from(io::ErrorKind::InvalidInput)));
    }
    let whole = directory.join(path);
    if is_plain(&whole) {
        return Ok(whole.components().collect());
    }
    whole.canonicalize().map_err(|e| Failure::Path(whole, e))
}

/// The git top level above (or at) `directory`, else `directory` itself. A `.git` in the home directory or in `/` belongs
/// to the caller's dotfiles or to nobody: such a place is no project, so it is not taken for one.
pub(crate) fn project(directory: &Path, home: Option<&Path>) -> PathBuf {
    directory
        .ancestors()
        .take_while(|above| above.parent().is_some() && Some(*above) != home)
        .find(|above| std::fs::metadata(above.join(".git")).is_ok_and(|git| git.is_dir() || git.is_file()))
        .unwrap_or(directory)
        .to_owned()
}

/// Whether `directory` is one of `places` or below one, whatever names lead there.
pub(crate) fn is_within(directory: &Path, places: &[&PathBuf]) -> bool {
    let Ok(directory) = directory.canonicalize() else {
        return false;
    };
    places.iter().any(|place| place.canonicalize().is_ok_and(|place| directory.starts_with(place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;

    #[test]
    fn the_project_is_the_git_top_level_even_of_a_worktree() {
        let root = scratch("git");
        let below = root.join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(project(&below, Some(&root)), below);
        std::fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(project(&below, None), root);
        std::fs::write(root.join("a/.git"), "gitdir: elsewhere\n").unwrap();
        assert_eq!(project(&below, None), root.join("a"));
    }

    #[test]
    fn dotfiles_under_git_do_not_make_the_home_a_project() {
        let home = scratch("home");
        std::fs::create_dir(home.join(".git")).unwrap();
        let below = home.join("notes");
        std::fs::create_dir(&below).unwrap();
        assert_eq!(project(&below, Some(&home)), below);
    }

    #[test]
    fn pwd_is_believed_only_where_it_is_the_same_directory() {
        let here = std::env::current_dir().unwrap();
        let link = scratch("pwd").join("link");
        std::os::unix::fs::symlink(&here, &link).unwrap();
        assert_eq!(working_directory(Some(link.clone().into())).unwrap(), link);
        assert_eq!(working_directory(Some("/".into())).unwrap(), here);
        assert_eq!(working_directory(Some("relative".into())).unwrap(), here);
        assert_eq!(working_directory(None).unwrap(), here);
    }

    #[test]
    fn relative_paths_start_at_the_working_directory() {
        assert_eq!(absolute(Path::new("/a"), Path::new("b/./c/")).unwrap(), Path::new("/a/b/c"));
        assert_eq!(absolute(Path::new("/a"), Path::new("/x")).unwrap(), Path::new("/x"));
        assert_eq!(absolute(Path::new("/usr"), Path::new("..")).unwrap(), Path::new("/"));
        assert!(absolute(Path::new("/a"), Path::new("../does-not-exist-here")).is_err());
        assert!(absolute(Path::new("/a"), Path::new("")).is_err());
    }
}
