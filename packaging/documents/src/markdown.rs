//! From Markdown, as `docs/` has it, to a manual page: sections, paragraphs, lists, tables and examples.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::roff;

/// Sections of a page. What stands below its title is the description.
pub(crate) fn to_roff(text: &str) -> String {
    let mut page = Page::default();
    Parser::new_ext(text, Options::ENABLE_TABLES).for_each(|event| page.take(event));
    page.made
}

#[derive(Default)]
struct Page {
    made: String,
    /// Text of the paragraph, heading or cell that is being read.
    text: String,
    /// Whether a paragraph is the first of a list's item.
    fresh: bool,
    /// How deep in lists.
    lists: usize,
    columns: Vec<String>,
    cells: Vec<String>,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) => self.text += &roff::escaped(&text),
            Event::Code(code) => self.text += &format!("\\fB{}\\fR", roff::escaped(&code)),
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            _ => {}
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Emphasis => self.text += "\\fI",
            Tag::Strong => self.text += "\\fB",
            Tag::List(_) => {
                // What an item said before its list.
                self.flush();
                self.lists += 1;
            }
            Tag::Item => {
                self.made += ".IP \\(bu 2\n";
                self.fresh = true;
            }
            Tag::Paragraph if !self.fresh => self.made += ".PP\n",
            Tag::Table(_) => self.columns.clear(),
            _ => {}
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong => self.text += "\\fR",
            TagEnd::Heading(level) => self.heading(level as u8),
            TagEnd::Paragraph | TagEnd::Item => {
                self.flush();
                self.fresh = false;
            }
            TagEnd::List(_) => self.lists -= 1,
            TagEnd::CodeBlock => self.example(),
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.text)),
            TagEnd::TableHead => self.columns = std::mem::take(&mut self.cells),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        text.lines().for_each(|line| self.made += &roff::line(line));
    }

    fn heading(&mut self, level: u8) {
        let text = std::mem::take(&mut self.text).replace('"', "\\(dq");
        match level {
            1 => self.made += ".SH DESCRIPTION\n",
            2 => self.made += &format!(".SH \"{}\"\n", text.to_uppercase_outside_of_escapes()),
            _ => self.made += &format!(".SS \"{text}\"\n"),
        }
    }

    fn example(&mut self) {
        self.made += ".PP\n.RS 4\n.nf\n";
        self.flush();
        self.made += ".fi\n.RE\n";
    }

    /// What a row is about, and below it the other cells, each with the name of its column.
    fn row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let mut cells = cells.into_iter().zip(&self.columns);
        let Some((about, _)) = cells.next() else { return };
        let more: Vec<(String, &String)> = cells.filter(|(cell, _)| !cell.is_empty()).collect();
        self.made += &format!(".TP\n{}", roff::line(&about));
        let named = more.len() > 1;
        for (at, (cell, column)) in more.iter().enumerate() {
            if at > 0 {
                self.made += ".br\n";
            }
            let name = if named && !column.is_empty() { format!("\\fI{column}\\fR: ") } else { String::new() };
            self.made += &roff::line(&format!("{name}{cell}"));
        }
    }
}

/// A section's heading is in capitals; `\fB` and `\(aq` must stay what they are.
trait Capitals {
    fn to_uppercase_outside_of_escapes(&self) -> String;
}

impl Capitals for String {
    fn to_uppercase_outside_of_escapes(&self) -> String {
        if self.contains('\\') { self.clone() } else { self.to_uppercase() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_lists_tables_and_examples_become_requests() {
        let text = "# T\n\nA `b-c`\nd.\n\n## Two\n\n- one\n- [two](x.md)\n\n| a | b | c |\n|---|---|---|\n| x | 1 |  |\n| y | 2 | 3 |\n\n```toml\n.e = \"f\"\n```\n";
        let made = to_roff(text);
        assert!(made.starts_with(".SH DESCRIPTION\n.PP\nA "), "the title: {made}");
        for part in [
            ".PP\nA \\fBb\\-c\\fR\nd.\n",
            ".SH \"TWO\"\n",
            ".IP \\(bu 2\none\n",
            ".IP \\(bu 2\ntwo\n",
            ".TP\nx\n1\n",
            ".TP\ny\n\\fIb\\fR: 2\n.br\n\\fIc\\fR: 3\n",
            ".nf\n\\&.e = \"f\"\n.fi\n",
        ] {
            assert!(made.contains(part), "{part:?} in {made}");
        }
    }

    #[test]
    fn nothing_of_a_page_is_taken_for_a_request() {
        let made = to_roff("a\n.so /etc/passwd\n\\fBx 'y\n");
        assert!(made.contains("\n\\&.so /etc/passwd\n"), "{made}");
        assert!(made.contains("\\efBx \\(aqy"), "{made}");
    }
}
