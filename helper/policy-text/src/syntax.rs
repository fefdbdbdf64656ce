//! Checks of single values: pure functions from text to value, or to what is wrong with it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use agent_aws_policy::{
    BoundPath, GroupRef, IdentityPattern, UserRef, is_host, is_lower_words, is_port, is_profile_name, is_region,
};
use agent_aws_session_policy::{is_account, is_action, is_organization};

use crate::diagnostic::{Problem, nearest, quoted};

/// How short and how long an STS session may be (AWS's own limits for AssumeRole: 15 minutes and 12 hours).
pub const DURATION_RANGE: RangeInclusive<Duration> = Duration::from_secs(15 * 60)..=Duration::from_secs(12 * 60 * 60);

pub(crate) type Checked<T> = Result<T, Problem>;

/// What stands before the colon of an action, a line each.
const SERVICES: &str = include_str!("../tables/services.txt");

/// Longest path of a policy, in bytes: PATH_MAX of Linux without its final NUL.
const MAX_PATH: usize = 4095;

/// The text itself if it is good, else that it is not `what`.
pub(crate) fn text_if(good: bool, text: &str, what: &str, hint: &str) -> Checked<String> {
    if good { Ok(text.to_owned()) } else { Err(Problem::new(format!("{} is not {what}", quoted(text))).hint(hint)) }
}

/// Names of sources, identities and sandboxes, and aliases: letters, digits, `.`, `_`, `-`.
pub(crate) fn name(text: &str) -> Checked<String> {
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    text_if(good, text, "a name", "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit")
}

pub(crate) fn profile(text: &str) -> Checked<String> {
    text_if(
        is_profile_name(text),
        text,
        "an AWS profile name",
        "1 to 128 characters, without '*', '[', ']' and control characters",
    )
}

/// Whether a login or group name can stand in a rule: no control character, space, `/`, `:`, `,` or `*`, no leading
/// `-`, not a number (numbers are uids and gids, and are written without quotes), at most 256 bytes.
pub fn is_login_name(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && !text.starts_with('-')
        && !text.chars().all(|c| c.is_ascii_digit())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | ':' | ',' | '*'))
}

fn login(text: &str, what: &str) -> Checked<String> {
    let hint = "names have no space, '/', ':', ',', '*' and no leading '-'; numbers are written without quotes";
    text_if(is_login_name(text), text, what, hint)
}

pub(crate) fn user(text: &str) -> Checked<UserRef> {
    if text == "*" { Ok(UserRef::Everybody) } else { login(text, "a user name").map(UserRef::Name) }
}

pub(crate) fn group(text: &str) -> Checked<GroupRef> {
    if text == "*" {
        return Err(Problem::new("\"*\" is not a group name").hint("everybody is users = [\"*\"]"));
    }
    login(text, "a group name").map(GroupRef::Name)
}

/// A uid or gid. 4294967295 is `(uid_t)-1`, which system calls take for "leave unchanged".
pub(crate) fn id(text: &str, radix: u32) -> Checked<u32> {
    match u32::from_str_radix(text, radix) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Problem::new("this number is no uid or gid").hint("0 to 4294967294")),
    }
}

pub(crate) fn identity_pattern(text: &str) -> Checked<IdentityPattern> {
    let lone_star = || Problem::new(format!("{}: a '*' stands alone, as \"*\" or \"own:*\"", quoted(text)));
    match text.strip_prefix("own:") {
        Some("*") => Ok(IdentityPattern::AnyOwn),
        Some(own) if own.contains('*') => Err(lone_star()),
        Some(own) => profile(own).map(IdentityPattern::Own),
        None if text == "*" => Ok(IdentityPattern::AnyOfPolicy),
        None if text.contains('*') => Err(lone_star()),
        None => name(text).map(IdentityPattern::Policy),
    }
}

/// `arn:aws:iam::111122223333:role/path/name`
pub(crate) fn role_arn(text: &str) -> Checked<String> {
    let (what, hint) = ("the ARN of an IAM role", "arn:aws:iam::111122223333:role/NAME");
    text_if(is_role_arn(text, false), text, what, hint)
}

/// The same, with `*` and `?` in account and role.
pub(crate) fn role_arn_pattern(text: &str) -> Checked<String> {
    let hint = "arn:aws:iam::111122223333:role/NAME, with '*' in account or name";
    text_if(is_role_arn(text, true), text, "the ARN of an IAM role, or a pattern of one", hint)
}

/// Limits: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html> (name 64, path 512 characters).
fn is_role_arn(text: &str, wild: bool) -> bool {
    let is_wild = |c: char| wild && matches!(c, '*' | '?');
    let mut fields = text.splitn(6, ':');
    let mut next = || fields.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let Some(path) = resource.strip_prefix("role/") else {
        return false;
    };
    let (_, role) = path.rsplit_once('/').unwrap_or(("", path));
    let digits = account.len() == 12 && account.chars().all(|c| c.is_ascii_digit() || is_wild(c));
    arn == "arn"
        && (partition == "aws" || partition.strip_prefix("aws-").is_some_and(is_lower_words))
        && service == "iam"
        && region.is_empty()
        && (digits || (wild && account == "*"))
        && (1..=64).contains(&role.len())
        && path.len() <= 64 + 512
        && !path.starts_with('/')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c) || is_wild(c))
        && !role.is_empty()
}

pub(crate) fn region(text: &str) -> Checked<String> {
    text_if(is_region(text), text, "an AWS region", "such as \"eu-west-1\"")
}

/// `1h`, `45m`, `900s`, `1h30m`: hours, minutes and seconds in this order, each at most once.
pub(crate) fn duration(text: &str) -> Checked<Duration> {
    within(text, DURATION_RANGE, "15m to 12h")
}

/// How long a session may last.
pub(crate) fn session_time(text: &str) -> Checked<Duration> {
    within(text, Duration::from_secs(10)..=Duration::from_secs(30 * 24 * 3600), "10s to 720h")
}

fn within(text: &str, range: std::ops::RangeInclusive<Duration>, in_words: &'static str) -> Checked<Duration> {
    let mut rest = text;
    let seconds = [('h', 3600_u64), ('m', 60), ('s', 1)].into_iter().try_fold(0_u64, |sum, (unit, factor)| {
        let Some((digits, after)) = rest.split_once(unit) else { return Some(sum) };
        rest = after;
        let number = digits.parse::<u64>().ok().filter(|_| digits.chars().all(|c| c.is_ascii_digit()))?;
        number.checked_mul(factor)?.checked_add(sum)
    });
    let seconds = seconds.filter(|_| rest.is_empty() && !text.is_empty());
    match seconds.map(Duration::from_secs) {
        Some(duration) if range.contains(&duration) => Ok(duration),
        Some(_) => Err(Problem::new(format!("a duration of {} is out of range", quoted(text))).hint(in_words)),
        None => {
            let problem = Problem::new(format!("{} is not a duration", quoted(text)));
            Err(problem.hint("such as \"1h\", \"45m\", \"1h30m\""))
        }
    }
}

/// An action in IAM's words. The service is literal: a pattern there would deny more than anybody can foresee.
pub(crate) fn action(text: &str) -> Checked<String> {
    checked_action(text).and_then(|action| match unknown_service(&action) {
        None => Ok(action),
        Some(problem) => Err(problem),
    })
}

/// A service that IAM does not know: a denial of it would deny nothing.
pub(crate) fn unknown_service(action: &str) -> Option<Problem> {
    let (service, name) = action.split_once(':')?;
    if SERVICES.lines().any(|known| known == service) {
        return None;
    }
    let near = nearest(service, SERVICES.lines().filter(|line| !line.starts_with('#')));
    let mut problem = Problem::new(format!("IAM has no service {} whose actions could be meant", quoted(service)));
    problem.hint = near.map(|near| format!("did you mean {}?", quoted(&format!("{near}:{name}"))));
    Some(problem)
}

fn checked_action(text: &str) -> Checked<String> {
    let hint = "\"service:Action\", '*' and '?' allowed in the action, such as \"lambda:Invoke*\"";
    text_if(is_action(text) && text.len() <= 128, text, "an action", hint)
}

/// A word of a command: anything but control characters.
pub(crate) fn word(text: &str) -> Checked<String> {
    let good = (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
    text_if(good, text, "a word of a command", "1 to 1024 characters, none of them a control character")
}

/// Hosts that the SDKs take plain http from, besides loopback.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
const CONTAINER_HOSTS: &[&str] =
    &["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "127.0.0.1", "[::1]", "localhost"];

/// Where ECS or EKS gives credentials.
pub(crate) fn container(text: &str) -> Checked<String> {
    let good = text.strip_prefix("http://").is_some_and(|rest| {
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        CONTAINER_HOSTS.contains(&host)
            && port.is_none_or(is_port)
            && path.chars().all(|c| c.is_ascii_alphanumeric() || "/._~-".contains(c))
    });
    let hint = "http://HOST[:PORT]/PATH with 169.254.170.2 (ECS), 169.254.170.23 or [fd00:ec2::23] (EKS), or loopback";
    text_if(good && text.len() <= 1024, text, "an endpoint for credentials of a container", hint)
}

/// `arn:aws:iam::aws:policy/NAME`, or one of an account's own.
pub(crate) fn policy_arn(text: &str) -> Checked<String> {
    let good = is_role_arn(&text.replacen(":policy/", ":role/", 1).replacen("::aws:", "::111122223333:", 1), false);
    let hint = "arn:aws:iam::aws:policy/NAME, or with an account in the place of aws";
    text_if(good && text.contains(":policy/"), text, "the ARN of a managed policy", hint)
}

/// A policy document: a JSON object, or the name of a file that holds one. What is in it is for its compiler to check, and
/// for STS.
pub(crate) fn document(text: &str, files: &[(String, Vec<u8>)]) -> Checked<String> {
    let hint = "{\"Version\": \"2012-10-17\", \"Statement\": [...]}, or the name of a .json file beside the policy's";
    let inside = match text.ends_with(".json") {
        false => Some(text),
        true => {
            let file = files.iter().find(|(name, _)| name == text);
            let Some((_, bytes)) = file else {
                let hint = "a document of its own is a file in policy.d; a path is not taken";
                return Err(Problem::new(format!("there is no file {} with the policy", quoted(text))).hint(hint));
            };
            str::from_utf8(bytes).ok()
        }
    };
    let is_object = |inside: &str| inside.trim().starts_with('{') && inside.trim().ends_with('}');
    let good = inside.filter(|inside| is_object(inside) && inside.len() <= 16 * 1024);
    good.map(str::to_owned).ok_or_else(|| Problem::new(format!("{} is not a policy document", quoted(text))).hint(hint))
}

/// See [`is_account`].
pub(crate) fn account(text: &str) -> Checked<String> {
    text_if(is_account(text), text, "an AWS account", "twelve digits, in quotes")
}

/// See [`is_organization`].
pub(crate) fn organization(text: &str) -> Checked<String> {
    text_if(is_organization(text), text, "an AWS organization", "o- and 10 to 32 lower-case letters and digits")
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>: `[\w+=,.@:\/-]*`, 2 to 1224 characters.
pub(crate) fn external_id(text: &str) -> Checked<String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    let good = (2..=1224).contains(&text.len()) && text.chars().all(is_good);
    text_if(good, text, "an external id", "2 to 1224 letters, digits and _+=,.@:/-")
}

/// An endpoint of STS. Plain http only to this machine, by the three names that are it for every resolver: the answer
/// holds the session's credentials.
pub(crate) fn endpoint(text: &str) -> Checked<String> {
    let hint = "https://HOST[:PORT][/PATH], or http:// to 127.0.0.1, [::1] or localhost";
    let good = text.split_once("://").is_some_and(|(scheme, rest)| {
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let loopback = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        (scheme == "https" && is_host(host) || loopback && matches!(scheme, "http" | "https"))
            && port.is_none_or(is_port)
            && path.chars().all(|c| c.is_ascii_alphanumeric() || "/._~-".contains(c))
    });
    text_if(good && text.len() <= 1024, text, "an endpoint of STS", hint)
}

/// An absolute path in its one spelling.
pub(crate) fn absolute_path(text: &str) -> Checked<PathBuf> {
    let Some(below) = text.strip_prefix('/') else {
        return Err(Problem::new(format!("{} is not an absolute path", quoted(text))));
    };
    if below.is_empty() { Ok(PathBuf::from("/")) } else { components(text, below).map(|()| PathBuf::from(text)) }
}

/// The same, or `~`, or a path below `~/`.
pub(crate) fn bound_path(text: &str) -> Checked<BoundPath> {
    match text.strip_prefix('~') {
        None => absolute_path(text).map(BoundPath::Absolute),
        Some("") => Ok(BoundPath::Home(PathBuf::new())),
        Some(rest) => match rest.strip_prefix('/') {
            Some(below) => components(text, below).map(|()| BoundPath::Home(PathBuf::from(below))),
            None => Err(Problem::new(format!("{}: '~' is the caller's home only", quoted(text))).hint("~/...")),
        },
    }
}

fn components(text: &str, below: &str) -> Checked<()> {
    let bad = |why: &str| Err(Problem::new(format!("path {} {why}", quoted(text))));
    if text.len() > MAX_PATH {
        return bad("is longer than 4095 bytes");
    }
    if text.chars().any(char::is_control) {
        return bad("has control characters");
    }
    if below.split('/').any(|component| matches!(component, "" | "." | "..")) {
        return bad("has an empty component, \".\", \"..\" or a slash at its end");
    }
    Ok(())
}

/// `512MiB`, `4GiB`: at least 16 MiB, at most 1 PiB.
pub(crate) fn bytes(text: &str) -> Checked<u64> {
    let units = [("MiB", 1 << 20), ("GiB", 1 << 30)];
    let value =
        units.iter().find_map(|(unit, factor)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*factor));
    let value = value.filter(|v| (1 << 24..=1 << 50).contains(v));
    value.ok_or_else(|| {
        Problem::new(format!("{} is no amount of memory", quoted(text))).hint("such as \"512MiB\", \"4GiB\"")
    })
}

/// A row of the project's table: a path below the project, or `*` for every row.
pub(crate) fn row(text: &str) -> Checked<String> {
    components(text, text).map(|()| text.to_owned())
}
