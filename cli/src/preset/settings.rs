//! A settings file in the agent's own home, completed with what a preset says.

use std::os::fd::BorrowedFd;

use super::answer::Content;
use super::document::Document;
use super::{Chosen, Preset, place};

/// The files that a preset has something to say in, each once.
pub(super) fn files(preset: &Preset) -> Vec<&str> {
    let taken = preset.take.iter().map(|take| take.file.as_str());
    let said = preset.model.say.iter().map(|say| say.file.as_str());
    let mut files: Vec<&str> =
        preset.answer.iter().map(|answer| answer.file.as_str()).chain(taken).chain(said).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Completes one of them. What stands there, the agent or a person has said: it stays, but for how a model is asked, which
/// follows the session.
pub(super) fn complete(chosen: &Chosen, home: BorrowedFd<'_>, file: &str, model: bool) -> Result<(), String> {
    let found = place::read(home, file)?;
    let (text, mode) = found.map_or((String::new(), place::PRIVATE), |found| (found.text, found.mode));
    let mut document = Document::parse(file, &text)?;
    let mut changed = take(chosen, file, &mut document);
    for answer in chosen.preset.answer.iter().filter(|answer| answer.file == file) {
        for (key, content) in chosen.filled(answer) {
            changed |= match &content {
                Content::Value(value) => document.set(&key, value),
                Content::Entry(entry) => document.add(&key, entry),
            };
        }
    }
    for say in chosen.preset.model.say.iter().filter(|say| say.file == file) {
        changed |= document.say(&say.key, &say.value, model);
    }
    match changed {
        true => place::write(home, file, &document.text(), mode),
        false => Ok(()),
    }
}

/// Single settings of the caller's. A file of theirs that cannot be read says nothing.
fn take(chosen: &Chosen, file: &str, document: &mut Document) -> bool {
    let Some(home) = &chosen.home else { return false };
    let mut changed = false;
    for take in chosen.preset.take.iter().filter(|take| take.file == file) {
        let Ok(text) = std::fs::read_to_string(home.join(file)) else { continue };
        let Ok(theirs) = Document::parse(file, &text) else { continue };
        for key in &take.keys {
            let key: Vec<String> = key.split('.').map(str::to_owned).collect();
            changed |= theirs.scalar(&key).is_some_and(|value| document.set(&key, &value));
        }
    }
    changed
}
