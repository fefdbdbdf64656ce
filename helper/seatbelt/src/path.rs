//! Paths that a profile may have. A rule about a path that the kernel never names is silently dead, so whatever is not
//! surely the kernel's own spelling is refused rather than repaired.

use std::fmt;
use std::path::Path;

use crate::tables;

/// PATH_MAX of macOS, with the byte that ends it.
const LONGEST: usize = 1024;

/// Why there is no profile, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is refused: an option, or what of the session it is.
    pub what: String,
    /// The value, escaped.
    pub value: String,
    /// Why, and what to do.
    pub why: String,
}

impl Refusal {
    pub(crate) fn new(what: &str, value: &Path, why: impl Into<String>) -> Self {
        let value = value.to_string_lossy().escape_debug().to_string();
        Self { what: what.into(), value, why: why.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.what, self.value, self.why)
    }
}

impl std::error::Error for Refusal {}

/// The path as text, if the kernel could name a file so.
pub(crate) fn canonical<'p>(what: &str, path: &'p Path) -> Result<&'p str, Refusal> {
    let no = |why: &str| Err(Refusal::new(what, path, why));
    let Some(text) = path.to_str() else { return no("it is not UTF-8, which a profile cannot say: rename it") };
    match wrong(text) {
        Some(why) => no(why),
        None => Ok(text),
    }
}

/// What is wrong with a path, if anything is.
pub(crate) fn wrong(text: &str) -> Option<&'static str> {
    let parts = || text.split('/').skip(1);
    if !text.starts_with('/') {
        Some("it is relative: give an absolute path")
    } else if text.chars().any(char::is_control) {
        Some("it has control characters: rename it")
    } else if text.len() >= LONGEST {
        Some("it is longer than macOS admits (1023 bytes)")
    } else if text != "/" && parts().any(|part| matches!(part, "" | "." | "..")) {
        Some("it has empty parts, `.` or `..`: give the path that `realpath` prints")
    } else if linked(text).is_some() {
        Some(
            "/tmp, /var and /etc are symbolic links on macOS, so that a rule would never match: it begins with /private",
        )
    } else {
        None
    }
}

/// The same path with a link at the root resolved, if it begins with one.
pub(crate) fn linked(text: &str) -> Option<String> {
    let below = |row: tables::Row| {
        let rest = text.strip_prefix(row.path)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", row.reason))
    };
    tables::ROOT_LINKS.rows().find_map(below)
}

/// Whether `path` is `above` or below it.
pub(crate) fn is_within(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
