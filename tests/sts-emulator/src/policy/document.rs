//! What AWS accepts as a session policy document. Stricter than JSON: every refusal here is a `MalformedPolicyDocument`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::ApiError;

/// A checked policy document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) statements: Vec<Statement>,
    /// Characters of the document without insignificant white space; the packed size is made from it.
    pub(crate) minified_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`: a list, and whether it is meant as everything else.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) patterns: Vec<String>,
    pub(crate) inverted: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    pub(crate) actions: Selector,
    pub(crate) resources: Selector,
    /// Operator, key, values.
    pub(crate) conditions: Vec<(String, String, Vec<String>)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Number(serde_json::Number),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawDocument {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<RawStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    sid: Option<String>,
    effect: Effect,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>,
    principal: Option<serde_json::Value>,
    not_principal: Option<serde_json::Value>,
}

impl Document {
    /// Parses and checks a document.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
        // From the text, not from the value: only so is a key given twice an error.
        let raw: RawDocument = serde_json::from_str(text).map_err(|_| malformed("Syntax errors in policy."))?;
        if !matches!(raw.version.as_deref(), None | Some("2012-10-17" | "2008-10-17")) {
            return Err(malformed("The policy must contain a valid version string"));
        }
        let raw_statements = raw.statement.into_vec();
        if raw_statements.is_empty() {
            return Err(malformed("Syntax errors in policy."));
        }
        check_sids(&raw_statements)?;
        let statements = raw_statements.into_iter().map(Statement::check).collect::<Result<_, _>>()?;
        Ok(Self { statements, minified_len: value.to_string().chars().count() })
    }
}

fn check_sids(statements: &[RawStatement]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for sid in statements.iter().filter_map(|statement| statement.sid.as_deref()) {
        if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(malformed(format!(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*: {sid}"
            )));
        }
        if !sid.is_empty() && !seen.insert(sid) {
            return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
        }
    }
    Ok(())
}

impl Statement {
    fn check(raw: RawStatement) -> Result<Self, ApiError> {
        if raw.principal.is_some() || raw.not_principal.is_some() {
            return Err(malformed("Policy document should not specify a principal."));
        }
        let actions = selector(raw.action, raw.not_action, "Policy statement must contain actions.")?;
        let resources = selector(raw.resource, raw.not_resource, "Policy statement must contain resources.")?;
        actions.patterns.iter().try_for_each(|action| check_action(action))?;
        resources.patterns.iter().try_for_each(|resource| check_resource(resource))?;
        let conditions = raw
            .condition
            .into_iter()
            .flat_map(|(operator, keys)| keys.into_iter().map(move |(key, values)| (operator.clone(), key, values)))
            .map(|(operator, key, values)| {
                (operator, key, values.into_vec().into_iter().map(Scalar::into_text).collect())
            })
            .collect();
        Ok(Self { effect: raw.effect, actions, resources, conditions })
    }
}

fn selector(
    plain: Option<OneOrMany<String>>,
    inverse: Option<OneOrMany<String>>,
    missing: &str,
) -> Result<Selector, ApiError> {
    let (list, inverted) = match (plain, inverse) {
        (Some(list), None) => (list, false),
        (None, Some(list)) => (list, true),
        (None, None) => return Err(malformed(missing)),
        (Some(_), Some(_)) => return Err(malformed("Syntax errors in policy.")),
    };
    let patterns = list.into_vec();
    if patterns.is_empty() { Err(malformed(missing)) } else { Ok(Selector { patterns, inverted }) }
}

fn check_action(action: &str) -> Result<(), ApiError> {
    if action == "*" {
        return Ok(());
    }
    let Some((vendor, name)) = action.split_once(':') else {
        return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
    };
    if vendor.is_empty() || !vendor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(malformed(format!("Vendor {vendor} is not valid")));
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(valid) {
        return Err(malformed("Actions/Condition can contain only one colon."));
    }
    Ok(())
}

fn check_resource(resource: &str) -> Result<(), ApiError> {
    let parts = resource.splitn(6, ':').count();
    if resource == "*" || (resource.starts_with("arn:") && parts == 6) {
        return Ok(());
    }
    Err(malformed(format!("Resource {resource} must be in ARN format or \"*\".")))
}

fn malformed(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "MalformedPolicyDocument", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_accepts_is_accepted() {
        for text in [
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":[{"Sid":"a1","Effect":"Allow","NotAction":["iam:*","s3:Get?bject"],"Resource":["arn:aws:s3:::b/*"]}]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","NotResource":"arn:aws:sqs:*:*:x",
                "Condition":{"StringEquals":{"aws:RequestedRegion":["eu-west-1"]},"Bool":{"aws:MultiFactorAuthPresent":true}}}]}"#,
        ] {
            Document::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message));
        }
    }

    #[test]
    fn every_kind_of_malformed_document_is_refused_with_its_reason() {
        let statement = |inner: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{{{inner}}}]}}"#);
        for (text, reason) in [
            ("{".to_owned(), "invalid Json"),
            ("[]".to_owned(), "Syntax errors"),
            (r#"{"Version":"2012-10-17"}"#.to_owned(), "Syntax errors"),
            (r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(), "Syntax errors"),
            (
                r#"{"Version":"2020-01-01","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#.to_owned(),
                "version",
            ),
            (statement(r#""Effect":"allow","Action":"*","Resource":"*""#), "Syntax errors"),
            (statement(r#""Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*""#), "Syntax errors"),
            (statement(r#""Effect":"Allow","Action":"*","Resources":"*""#), "Syntax errors"),
            (statement(r#""Effect":"Allow","Action":"*","NotAction":"*","Resource":"*""#), "Syntax errors"),
            (statement(r#""Effect":"Allow","Resource":"*""#), "must contain actions"),
            (statement(r#""Effect":"Allow","Action":[],"Resource":"*""#), "must contain actions"),
            (statement(r#""Effect":"Allow","Action":"*""#), "must contain resources"),
            (statement(r#""Effect":"Allow","Action":"GetObject","Resource":"*""#), "vendor"),
            (statement(r#""Effect":"Allow","Action":"s3:Get:x","Resource":"*""#), "one colon"),
            (statement(r#""Effect":"Allow","Action":"*","Resource":"bucket""#), "ARN format"),
            (statement(r#""Effect":"Allow","Action":"*","Resource":"*","Principal":"*""#), "principal"),
            (statement(r#""Sid":"a b","Effect":"Allow","Action":"*","Resource":"*""#), "alpha-numeric"),
        ] {
            let error = Document::parse(&text).unwrap_err();
            assert_eq!(error.code, "MalformedPolicyDocument");
            assert!(error.message.contains(reason), "{text}: {}", error.message);
        }
    }

    #[test]
    fn statement_ids_are_unique() {
        let one = r#"{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}"#;
        let error = Document::parse(&format!(r#"{{"Statement":[{one},{one}]}}"#)).unwrap_err();
        assert!(error.message.contains("unique"));
    }
}
