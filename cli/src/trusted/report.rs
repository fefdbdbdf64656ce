//! What became of the rows, in words.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use super::snapshot::{Change, How};
use crate::say;

/// Lines, and names in one line.
const MOST_LINES: usize = 30;
const MOST_NAMES: usize = 4;
const ADVICE: &str = "look at them before you use git, an editor or another agent there; what is in .git, `git status` does \
                      not show";

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Vanished => "vanished",
        }
    }
}

fn path(path: &Path) -> String {
    say::escaped_bytes(path.as_os_str().as_bytes())
}

/// `.git/hooks changed (pre-commit): git executes them`.
fn line(change: &Change, project: &Path) -> String {
    let whole = change.root.join(&change.row);
    let shown = if change.root == project { change.row.as_path() } else { whole.as_path() };
    let mut names: Vec<String> = change.names.iter().take(MOST_NAMES).map(|name| say::escaped_bytes(name)).collect();
    let more = change.names.len().saturating_sub(MOST_NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    format!("{} {} during the session{names}: {}", path(shown), change.how.word(), change.reason)
}

/// Says on standard error what there is to say.
pub(crate) fn say(changes: &[Change], project: &Path) {
    if changes.is_empty() {
        return;
    }
    for change in changes.iter().take(MOST_LINES) {
        say::line(&line(change, project));
    }
    if let Some(more) = changes.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        say::line(&format!("{more} more of this kind"));
    }
    say::advice(ADVICE);
}

/// The rows in one cell of a table.
pub(crate) fn short(changes: Option<&[Change]>) -> String {
    match changes {
        None => "?".into(),
        Some([]) => "-".into(),
        Some(changes) => {
            let rows: Vec<String> = changes.iter().take(MOST_NAMES).map(|change| path(&change.row)).collect();
            let more = changes.len().saturating_sub(MOST_NAMES);
            let more = if more > 0 { format!(", {more} more") } else { String::new() };
            format!("{}{more}", rows.join(", "))
        }
    }
}

/// The same for scripts; `null` where it is not known.
pub(crate) fn json(changes: Option<&[Change]>) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |change: &Change| {
        json!({
            "path": text(change.root.join(&change.row).as_os_str().as_bytes()),
            "change": change.how.word(),
            "names": change.names.iter().map(|name| text(name)).collect::<Vec<_>>(),
            "reason": change.reason,
        })
    };
    changes.map_or(Value::Null, |changes| changes.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_where_and_why_and_moves_no_cursor() {
        let mut change = Change {
            root: "/p".into(),
            row: ".git/hooks".into(),
            names: vec![b"pre-commit".to_vec(), b"\x1b[2J".to_vec()],
            how: How::Changed,
            reason: "git executes them",
        };
        let expected = ".git/hooks changed during the session (pre-commit, \\u{1b}[2J): git executes them";
        assert_eq!(line(&change, Path::new("/p")), expected);
        assert!(line(&change, Path::new("/q")).starts_with("/p/.git/hooks changed"));
        change.names = (0..9).map(|n| vec![b'a' + n]).collect();
        assert!(line(&change, Path::new("/p")).contains("(a, b, c, d, 5 more)"));
        assert_eq!(short(Some(&[change.clone(), change])), ".git/hooks, .git/hooks");
        assert_eq!((short(Some(&[])), short(None)), ("-".into(), "?".into()));
        assert_eq!(json(None), Value::Null);
    }
}
