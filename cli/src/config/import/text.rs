//! A file of another tool's: read in bounds, and held to be text.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::failure::Failure;

/// No configuration is longer; a log or an image that was named by mistake is.
const LONGEST: u64 = 1 << 20;

/// What is wrong at a line of a file, from 1, or with all of it.
pub(crate) fn wrong(path: &Path, line: Option<usize>, what: &str) -> Failure {
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    let advice = "nothing was written: correct it, or name another file with --file";
    Failure::Other(format!("{}{line}: {what}", path.display()), Some(advice.into()))
}

/// The text of a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let file = match open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| wrong(path, None, &e.to_string()))?,
    };
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    if !is_file {
        return Err(wrong(path, None, "is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| wrong(path, None, &e.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        return Err(wrong(path, None, "is over 1 MiB, which no configuration is"));
    }
    text(path, bytes).map(Some)
}

/// Links are followed, as they lead into dotfiles repositories; a FIFO must not keep us waiting.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed()).open(path)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    let line = |bytes: &[u8]| Some(bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
    let text = String::from_utf8(bytes).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        wrong(path, line(good), "is not UTF-8")
    })?;
    let text = text.replace("\r\n", "\n");
    match text.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
        None => Ok(text),
        Some(at) => Err(wrong(path, line(text.get(..at).unwrap_or_default().as_bytes()), "has a control character")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::fs;
    use std::os::unix::fs::symlink;

    fn refused(bytes: &[u8]) -> String {
        let path = scratch("text").join("f");
        fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        assert!(refused(b"a\nb\xff\n").ends_with("/f:2: is not UTF-8"));
        assert!(refused(b"a\nb\nc\x1b[2J\n").ends_with("/f:3: has a control character"));
        assert!(refused(&vec![b'a'; 1 << 21]).ends_with("/f: is over 1 MiB, which no configuration is"));
        assert!(refused("a\u{9b}".as_bytes()).contains("control"));
    }

    #[test]
    fn what_is_no_file_is_refused_and_nothing_is_waited_for() {
        let place = scratch("text");
        symlink(place.join("a"), place.join("b")).unwrap();
        symlink(place.join("b"), place.join("a")).unwrap();
        assert!(read(&place.join("a")).unwrap_err().to_string().contains("/a: "), "a loop of links");
        assert!(read(&place).unwrap_err().to_string().ends_with("is no regular file"));
        mkfifoat(CWD, place.join("fifo"), Mode::RWXU).unwrap();
        assert!(read(&place.join("fifo")).unwrap_err().to_string().ends_with("is no regular file"));
        assert!(read(&place.join("none")).unwrap().is_none());
    }

    #[test]
    fn a_link_to_a_file_and_lines_of_windows_are_read() {
        let place = scratch("text");
        fs::write(place.join("real"), "a\r\nb\r\n").unwrap();
        symlink("real", place.join("link")).unwrap();
        assert_eq!(read(&place.join("link")).unwrap().as_deref(), Some("a\nb\n"));
    }
}
