//! Percent encoding as SigV4 wants it, and form decoding. Bytes, not strings: a request may carry anything.

/// Encodes everything but the unreserved characters of RFC 3986, in upper-case hex.
pub(crate) fn percent_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Decodes `%XX`; a `%` that starts no escape stands for itself. `plus_is_space` is the rule of forms and queries.
pub(crate) fn percent_decode(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| tail.get(..2).and_then(hex_byte)).flatten();
        if let Some(byte) = escape {
            out.push(byte);
            rest = tail.get(2..).unwrap_or_default();
            continue;
        }
        out.push(if first == b'+' && plus_is_space { b' ' } else { first });
        rest = tail;
    }
    out
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let mut byte = [0_u8];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    byte.first().copied()
}

/// The decoded pairs of a query or a form, in wire order. A name without `=` has an empty value.
pub(crate) fn pairs(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default();
            let value = halves.next().unwrap_or_default();
            (percent_decode(name, true), percent_decode(value, true))
        })
        .collect()
}

/// Escapes text for an XML element. Characters XML 1.0 cannot carry become U+FFFD.
pub(crate) fn xml_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' => out.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_coding_round_trips_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(percent_decode(percent_encode(&all).as_bytes(), true), all);
    }

    #[test]
    fn a_percent_sign_that_starts_no_escape_stands_for_itself() {
        assert_eq!(percent_decode(b"100%", false), b"100%");
        assert_eq!(percent_decode(b"%zz%4", false), b"%zz%4");
        assert_eq!(percent_decode(b"%41%", false), b"A%");
    }

    #[test]
    fn a_form_is_split_before_it_is_decoded() {
        let pairs = pairs(b"a=1%262&b=x%3Dy+z&&c&d==");
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"1&2"), (b"b", b"x=y z"), (b"c", b""), (b"d", b"=")];
        assert_eq!(pairs.len(), expected.len());
        for ((name, value), (want_name, want_value)) in pairs.iter().zip(expected) {
            assert_eq!((name.as_slice(), value.as_slice()), (want_name, want_value));
        }
    }

    #[test]
    fn text_cannot_break_out_of_an_xml_element() {
        assert_eq!(xml_escape("</a>&\"'\u{0}"), "&lt;/a&gt;&amp;&quot;&apos;\u{fffd}");
    }
}
