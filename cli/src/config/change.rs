//! Changing the file: everything that is not changed stays as it is, comments too, and a reader sees the old file or the new
//! one, never half of one.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::{Saved, parse, read, unknown};
use crate::failure::Failure;
use crate::own;

/// `text` with `default = name` in it; everything else, comments too, stays as it is.
fn with_default(path: &Path, text: &str, name: &str) -> Result<String, Failure> {
    let value = toml::Value::String(name.to_owned()).to_string();
    match parse(path, text)?.default.map(|d| d.span()) {
        Some(span) => {
            let mut changed = text.to_owned();
            changed.replace_range(span, &value);
            Ok(changed)
        }
        None => Ok(format!("default = {value}\n{text}")),
    }
}

/// Sets the default in `path`.
pub(crate) fn set_default(path: &Path, name: &str) -> Result<(), Failure> {
    replace(path, &with_default(path, &read(path)?, name)?)
}

/// Adds an identity of that name; there must be none.
pub(crate) fn add(path: &Path, name: &str, saved: &Saved) -> Result<(), Failure> {
    saved.check(name).map_err(|what| Failure::Option(what, "agent-aws config add --help"))?;
    let mut document = document(path)?;
    let all = identities(path, &mut document)?;
    if all.contains_key(name) {
        let text = format!("there is an identity `{name}` of yours already");
        let advice = "agent-aws config remove deletes it, agent-aws config edit changes it";
        return Err(Failure::Other(text, Some(advice.into())));
    }
    all.insert(name, Item::Table(table(saved)?));
    replace(path, &document.to_string())
}

/// What the file says with these identities in it, in place of others of the same names, and this default. Nothing is written.
pub(crate) fn with(path: &Path, all: &[(&str, &Saved)], default: Option<&str>) -> Result<String, Failure> {
    let mut document = document(path)?;
    let here = identities(path, &mut document)?;
    for (name, saved) in all {
        here.insert(name, Item::Table(table(saved)?));
    }
    let text = document.to_string();
    let text = default.map_or(Ok(text.clone()), |name| with_default(path, &text, name))?;
    parse(path, &text)?;
    Ok(text)
}

/// The table of all of them, which is made if there is none.
fn identities<'a>(path: &Path, document: &'a mut DocumentMut) -> Result<&'a mut dyn TableLike, Failure> {
    let all = document.entry("identity").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    all.as_table_like_mut().ok_or_else(|| no_tables(path))
}

/// Removes the identity of that name; whether it was the default, which then is none.
pub(crate) fn remove(path: &Path, name: &str) -> Result<bool, Failure> {
    let mut document = document(path)?;
    let known = document.get_mut("identity").and_then(Item::as_table_like_mut);
    if known.and_then(|all| all.remove(name)).is_none() {
        return Err(unknown(name));
    }
    let was_default = document.get("default").and_then(Item::as_str) == Some(name);
    if was_default {
        document.remove("default");
    }
    replace(path, &document.to_string())?;
    Ok(was_default)
}

/// A draft of the file for an editor, beside it.
pub(crate) fn draft(path: &Path) -> Result<PathBuf, Failure> {
    let text = read(path)?;
    make_directory(path)?;
    let draft = path.with_extension(format!("draft-{}.toml", std::process::id()));
    write_new(&draft, text.as_bytes()).map_err(|e| Failure::Path(draft.clone(), e))?;
    Ok(draft)
}

/// Takes a draft in place of the file, if it can be read as one; whether it said something else.
pub(crate) fn adopt(path: &Path, draft: &Path) -> Result<bool, Failure> {
    let text = read(draft)?;
    parse(draft, &text)?;
    let changed = text != read(path)?;
    if changed {
        replace(path, &text)?;
    }
    let _ = std::fs::remove_file(draft);
    Ok(changed)
}

fn document(path: &Path) -> Result<DocumentMut, Failure> {
    let text = read(path)?;
    // What is wrong is said with its place.
    parse(path, &text)?;
    text.parse().map_err(|_| no_tables(path))
}

fn no_tables(path: &Path) -> Failure {
    let text = format!("{} cannot be changed: `identity` is no table of tables", path.display());
    Failure::Other(text, Some("agent-aws config edit".into()))
}

/// As it is written.
fn table(saved: &Saved) -> Result<Table, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::Other(e.to_string(), None);
    let text = toml::to_string(saved).map_err(|e| wrong(&e))?;
    text.parse::<DocumentMut>().map(|document| document.as_table().clone()).map_err(|e| wrong(&e))
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    own::create(directory).map_err(|e| Failure::Path(path.into(), e))
}

/// Writes the whole file anew.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    parse(path, text)?;
    make_directory(path)?;
    let failed = |e| Failure::Path(path.into(), e);
    // A configuration that is a link into a dotfiles repository stays one.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let new = target.with_extension(format!("toml.{}", std::process::id()));
    let written = write_new(&new, text.as_bytes()).and_then(|()| std::fs::rename(&new, &target));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.map_err(failed)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const AT: &str = "/c/config.toml";

    #[test]
    fn a_new_default_leaves_the_rest_of_the_file_alone() {
        let change = |text: &str, name: &str| with_default(Path::new(AT), text, name).unwrap();
        assert_eq!(change("", "incident"), "default = \"incident\"\n");
        assert_eq!(change("# why\ndefault = 'old' # here\n", "own:dev"), "# why\ndefault = \"own:dev\" # here\n");
        let odd = change("", "a\"b\\c\n");
        assert_eq!(parse(Path::new(AT), &odd).unwrap().default.unwrap().into_inner(), "a\"b\\c\n");
    }

    #[test]
    fn the_file_is_for_the_caller_only_and_a_link_to_it_survives() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let path = root.join("x/agent-aws/config.toml");
        set_default(&path, "one").unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let link = root.join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        set_default(&link, "two").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "default = \"two\"\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_identity_is_added_and_removed_and_comments_stay() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.toml");
        std::fs::write(&path, "# mine\ndefault = \"prod\" # why\n").unwrap();
        let saved = Saved {
            profile: Some("dev".into()),
            access: Some("read".into()),
            deny_actions: vec!["s3:Get*".into(), "iam:*".into()],
            ..Saved::default()
        };
        add(&path, "prod", &saved).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let entry = "[identity.prod]\nprofile = \"dev\"\naccess = \"read\"\ndeny-actions = [\"s3:Get*\", \"iam:*\"]\n";
        assert!(text.starts_with("# mine\ndefault = \"prod\" # why\n") && text.ends_with(entry), "{text}");
        assert_eq!(parse(&path, &text).unwrap().identity["prod"].get_ref(), &saved);
        assert!(add(&path, "prod", &saved).unwrap_err().to_string().contains("already"));
        assert!(add(&path, "own:x", &saved).is_err() && add(&path, "b", &Saved::default()).is_err());
        assert!(remove(&path, "prod").unwrap(), "it was the default");
        assert!(!std::fs::read_to_string(&path).unwrap().contains("prod"));
        assert!(remove(&path, "prod").is_err());
    }

    #[test]
    fn a_draft_that_is_wrong_is_kept_and_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.toml");
        set_default(&path, "one").unwrap();
        let draft = draft(&path).unwrap();
        std::fs::write(&draft, "default = 1\n").unwrap();
        assert!(adopt(&path, &draft).unwrap_err().to_string().contains("draft"));
        assert!(draft.exists() && std::fs::read_to_string(&path).unwrap().contains("one"));
        std::fs::write(&draft, "default = \"two\"\n").unwrap();
        assert!(adopt(&path, &draft).unwrap() && !draft.exists());
        assert!(std::fs::read_to_string(&path).unwrap().contains("two"));
    }
}
