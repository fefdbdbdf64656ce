//! What every manual page has, and text as roff takes it.

const MANUAL: &str = "agent-aws";
const PAGES: [&str; 3] = ["agent-aws(1)", "policy.toml(5)", "agent-aws-helper(8)"];

/// Text that roff shows as it is.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga")
}

/// A line of text: a dot at its beginning is no request.
pub(crate) fn line(text: &str) -> String {
    if text.starts_with('.') { format!("\\&{text}\n") } else { format!("{text}\n") }
}

/// Title and name.
pub(crate) fn head(name: &str, section: u8, summary: &str) -> String {
    let title = name.to_uppercase();
    let (shown, summary) = (escaped(name), escaped(summary));
    let version = crate::VERSION;
    format!(
        ".TH \"{title}\" \"{section}\" \"\" \"agent-aws {version}\" \"{MANUAL}\"\n.SH NAME\n{shown} \\- {summary}\n"
    )
}

/// The last section: these pages, and those that every page names.
pub(crate) fn see_also(more: &[String]) -> String {
    let all = more.iter().map(String::as_str).chain(PAGES);
    let shown = |page: &str| {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        format!("\\fB{}\\fR({section}", escaped(name))
    };
    format!(".SH SEE ALSO\n{}\n", all.map(shown).collect::<Vec<_>>().join(",\n"))
}
