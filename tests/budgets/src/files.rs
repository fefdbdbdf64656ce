//! Which files there are.

use std::path::{Path, PathBuf};

use crate::code::Source;

/// Directories of programs that are not shipped, within a crate.
const NOT_SHIPPED: [&str; 3] = ["tests", "benches", "examples"];

/// Every Rust file below these directories, without the files of tests unless the directory itself is `tests`.
pub(crate) fn sources(root: &Path, directories: &[&str]) -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    for directory in directories {
        walk(root, Path::new(directory), *directory == "tests", &mut paths)?;
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(root.join(path)).map_err(|e| format!("{}: {e}", path.display()))?;
        Source::parse(path, &text)
    };
    let mut found = paths.iter().map(read).collect::<Result<Vec<Source>, String>>()?;
    let tests: Vec<PathBuf> = found.iter().flat_map(Source::test_files).collect();
    if !directories.contains(&"tests") {
        found.retain(|source| !tests.iter().any(|test| source.path.starts_with(test)));
    }
    Ok(found)
}

fn walk(root: &Path, directory: &Path, tests_too: bool, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(root.join(directory)).map_err(|e| format!("{}: {e}", directory.display()))?;
    for entry in entries {
        let entry = entry.map_err(|e| format!("{}: {e}", directory.display()))?;
        let path = directory.join(entry.file_name());
        let name = entry.file_name();
        if root.join(&path).is_dir() {
            let skipped = name == "target" || (!tests_too && NOT_SHIPPED.iter().any(|n| name == *n));
            if !skipped {
                walk(root, &path, tests_too, found)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}
