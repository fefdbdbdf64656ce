//! Patterns of actions and roles, as IAM reads them.

/// Whether everything that `narrow` matches is matched by `wide`. Both may hold `*` and `?`; case does not count, as
/// in the action names of IAM.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let narrow: Vec<char> = narrow.chars().map(|c| c.to_ascii_lowercase()).collect();
    // reached[i]: what was read of `wide` so far covers the first i characters of `narrow`.
    let mut reached: Vec<bool> = std::iter::once(true).chain(narrow.iter().map(|_| false)).collect();
    for c in wide.chars().map(|c| c.to_ascii_lowercase()) {
        let mut before = false; // reached[i - 1] as it was
        let mut left = false; // reached[i - 1] as it is now
        let characters = std::iter::once(None).chain(narrow.iter().map(Some));
        for (reached, character) in reached.iter_mut().zip(characters) {
            let was = *reached;
            *reached = match (c, character) {
                ('*', _) => was || left,
                ('?', Some(character)) => before && *character != '*',
                (c, Some(character)) => before && c == *character,
                (_, None) => false,
            };
            (before, left) = (was, *reached);
        }
    }
    reached.last().copied().unwrap_or(false)
}

/// [`covers`] for actions, whose services are literal.
pub(crate) fn action_covers(wide: &str, narrow: &str) -> bool {
    match (wide.split_once(':'), narrow.split_once(':')) {
        (Some((service, wide)), Some((same, narrow))) => service.eq_ignore_ascii_case(same) && covers(wide, narrow),
        _ => false,
    }
}

/// `service:Action`, wildcards in the action only.
pub fn is_action(text: &str) -> bool {
    let is_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?');
    text.split_once(':').is_some_and(|(service, action)| {
        !service.is_empty() && service.chars().all(is_service) && !action.is_empty() && action.chars().all(is_name)
    })
}

/// `arn:PARTITION:iam::ACCOUNT:role/NAME`, wildcards in account and name.
pub(crate) fn is_role(text: &str) -> bool {
    let digits =
        |account: &str| !account.is_empty() && account.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '?'));
    is_of_iam(text, digits, "role/", "+=,.@_-/:*?")
}

/// `arn:PARTITION:iam::ACCOUNT:policy/NAME`, of AWS or of an account.
pub fn is_policy(text: &str) -> bool {
    is_of_iam(text, |account| account == "aws" || is_account(account), "policy/", "+=,.@_-/")
}

/// An ARN of IAM's whose resource begins with `kind` and goes on with letters, digits and `more`.
fn is_of_iam(text: &str, account_fits: impl Fn(&str) -> bool, kind: &str, more: &str) -> bool {
    let mut fields = text.splitn(6, ':');
    let mut next = || fields.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let good = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    arn == "arn"
        && is_partition(partition)
        && service == "iam"
        && region.is_empty()
        && account_fits(account)
        && resource.strip_prefix(kind).is_some_and(|name| !name.is_empty() && name.chars().all(good))
}

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}

/// `o-` and 10 to 32 letters and digits.
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html>
pub fn is_organization(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.strip_prefix("o-").is_some_and(|id| (10..=32).contains(&id.len()) && id.chars().all(good))
}

pub(crate) fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_matches_and_nothing_else() {
        for (wide, narrow, expected) in [
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:getobject", true),
            ("s3:Get*", "s3:Get*", true),
            ("s3:Get*", "s3:G*", false),
            ("s3:GetObject", "s3:GetObject*", false),
            ("s3:*Object*", "s3:PutObjectAcl", true),
            ("s3:?etObject", "s3:GetObject", true),
            ("s3:?etObject", "s3:*etObject", false),
            ("s3:*", "s3:", true),
            ("s3:?*", "s3:", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
