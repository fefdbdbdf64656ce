//! What the broker said: credentials, or why there are none. Looked at only as far as needed to tell these apart and
//! to print nothing that an SDK would choke on; the broker writes it and we pass it on as it is.

/// The start of the answer in place of credentials.
const ERROR: &str = "{\"Error\":\"";
/// The start of credentials.
const CREDENTIALS: &str = "{\"Version\":1,";

/// The credentials as received, or the reason as text.
pub(crate) fn check(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err("the answer is not text".into());
    };
    let line = text.trim_end_matches('\n');
    if let Some(rest) = line.strip_prefix(ERROR) {
        return Err(unescape(rest.strip_suffix("\"}").unwrap_or(rest)));
    }
    if line.starts_with(CREDENTIALS) && line.ends_with('}') && !line.contains(char::is_control) {
        return Ok(bytes);
    }
    Err("the answer is incomplete or not from a broker".into())
}

/// A JSON string's text, on one line and without anything that a terminal would obey.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let decoded = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some('n' | 'r' | 't' | 'b' | 'f') => out.push(' '),
            Some(c) => out.push(c),
            None => {}
        }
    }
    out.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Vec<u8>, String> {
        check(text.as_bytes().to_vec())
    }

    #[test]
    fn credentials_pass_as_they_are() {
        let text = "{\"Version\":1,\"AccessKeyId\":\"A\"}\n";
        assert_eq!(checked(text).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words_and_cannot_steer_a_terminal() {
        let text = "{\"Error\":\"not \\\"this\\\"\\u001b[31m\\nred \\\\ \\u00e9\"}\n";
        assert_eq!(checked(text).unwrap_err(), "not \"this\" [31m red \\ é");
    }

    #[test]
    fn anything_else_is_not_printed() {
        for text in ["", "{\"Version\":1,\"Acce", "HTTP/1.1 200 OK", "{\"Version\":1,\n\"a\":1}"] {
            assert!(checked(text).is_err(), "{text}");
        }
        assert!(check(vec![0xff, 0xfe]).is_err());
    }
}
