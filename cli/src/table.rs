//! Data tables of the CLI: files of rows with two columns and a tab between them, compiled in; `#` begins a comment.

/// The rows of a table: what it is about, and why.
pub(crate) fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

/// Whether a row stands for `name`; one that ends in `*` stands for any rest.
pub(crate) fn has(table: &'static str, name: &str) -> bool {
    rows(table).any(|(row, _)| match row.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => row == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_table_is_a_comment_or_a_row_with_a_reason() {
        let all = [
            crate::home::toolchains::TOOLCHAINS,
            crate::home::toolchains::VARIABLES,
            crate::home::git::SETTINGS,
            crate::home::hide::VARIABLES,
            crate::home::hide::NAMES,
            crate::config::import::aws::LEFT_OUT,
            crate::config::import::elhaz::LEFT_OUT,
        ];
        for table in all {
            let lines = table.lines().filter(|line| !line.starts_with('#')).count();
            let mut names: Vec<&str> = rows(table).map(|(name, _)| name).collect();
            assert_eq!(lines, names.len(), "{table}");
            assert!(rows(table).all(|(_, why)| !why.is_empty() && why.trim() == why), "{table}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(lines, names.len(), "a row stands twice: {table}");
        }
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        let table = "# c\na.*\twhy\nb.c\twhy\n";
        assert!(has(table, "a.x") && has(table, "b.c"));
        assert!(!has(table, "b.cd") && !has(table, "# c") && !has(table, "a"));
    }
}
