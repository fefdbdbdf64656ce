//! Words that callers say as well as policies.

/// Whether an AWS profile name is one that a rule can name and a caller ask for: 1 to 128 bytes without control
/// characters, `*`, `[`, `]`, and spaces at the ends.
pub fn is_profile_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || matches!(c, '*' | '[' | ']'))
}

/// Whether it looks like an AWS region: `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`
pub fn is_region(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(words, number)| {
        let digits = (1..=2).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
        digits && words.contains('-') && is_lower_words(words)
    })
}

/// Whether it is words of lower-case letters with `-` between them, at most 32 bytes.
pub fn is_lower_words(text: &str) -> bool {
    text.len() <= 32 && text.split('-').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
}
