//! `*` and `?` as IAM uses them, in time linear in pattern times text.

/// Whether `text` matches `pattern`, where `*` is any run of characters (also none, also `/` and `:`) and `?` is one.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to come back to: the last star, and the text position it was last made to reach.
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(at_text) {
        match pattern.get(at_pattern) {
            Some('*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((star_pattern, star_text)) = star else {
                    return false;
                };
                star = Some((star_pattern, star_text + 1));
                at_pattern = star_pattern + 1;
                at_text = star_text + 1;
            }
        }
    }
    pattern.iter().skip(at_pattern).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_match_what_iam_says_they_match() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a:b/c"),
            ("s3:Get*", "s3:GetObject"),
            ("a?c", "abc"),
            ("*b*", "abc"),
            ("**x", "x"),
            ("a*b*c", "aXbYbZc"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [("", "a"), ("a?c", "ac"), ("s3:Get", "s3:GetObject"), ("a*b", "abc"), ("A", "a")] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_backtrack_ends_in_reasonable_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(2000)));
    }
}
