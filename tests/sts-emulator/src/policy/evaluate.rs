//! What a set of policy documents says about one access. Anything we cannot evaluate is a denial that says so.

use super::document::{Document, Effect, Selector, Statement};
use super::glob::matches;

/// One access to decide about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'a> {
    /// `service:Action`.
    pub(crate) action: &'a str,
    /// An ARN, or `*` where the action has no resource.
    pub(crate) resource: &'a str,
    /// The region the request was signed for.
    pub(crate) region: &'a str,
    /// The caller's account.
    pub(crate) account: &'a str,
}

impl<'a> Access<'a> {
    /// Whose the resource is: what an ARN does not say is the caller's own.
    fn resource_account(&self) -> &'a str {
        self.resource.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or(self.account)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    ExplicitDeny,
    ImplicitDeny,
    /// A statement that applies has a condition the emulator does not know.
    Unevaluable(String),
}

/// The decision of all `documents` together: a deny anywhere wins, then an allow anywhere, else it is denied.
pub(crate) fn evaluate<'a>(documents: impl IntoIterator<Item = &'a Document>, access: Access<'_>) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in documents.into_iter().flat_map(|document| &document.statements) {
        if !applies(statement, access) {
            continue;
        }
        match (conditions_hold(statement, access), statement.effect) {
            (Err(reason), _) => return Decision::Unevaluable(reason),
            (Ok(true), Effect::Deny) => decision = Decision::ExplicitDeny,
            (Ok(true), Effect::Allow) if decision == Decision::ImplicitDeny => decision = Decision::Allowed,
            (Ok(_), _) => {}
        }
    }
    decision
}

fn applies(statement: &Statement, access: Access<'_>) -> bool {
    let action = access.action.to_ascii_lowercase();
    selects(&statement.actions, |pattern| matches(&pattern.to_ascii_lowercase(), &action))
        && selects(&statement.resources, |pattern| matches(pattern, access.resource))
}

fn selects(selector: &Selector, matches: impl Fn(&str) -> bool) -> bool {
    selector.patterns.iter().any(|pattern| matches(pattern)) != selector.inverted
}

fn conditions_hold(statement: &Statement, access: Access<'_>) -> Result<bool, String> {
    let mut hold = true;
    for (operator, key, values) in &statement.conditions {
        let is = match key.to_ascii_lowercase().as_str() {
            "aws:requestedregion" => access.region,
            "aws:resourceaccount" => access.resource_account(),
            _ => return Err(format!("the emulator cannot evaluate the condition key {key}")),
        };
        let listed = values.iter().any(|value| value == is);
        // Both are there in every request, so the IfExists forms mean the same as the plain ones.
        hold &= match operator.as_str() {
            "StringEquals" | "StringEqualsIfExists" => listed,
            "StringNotEquals" | "StringNotEqualsIfExists" => !listed,
            other => return Err(format!("the emulator cannot evaluate the condition operator {other}")),
        };
    }
    Ok(hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(statements: &str, action: &str, resource: &str) -> Decision {
        let document = Document::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap();
        evaluate([&document], Access { action, resource, region: "eu-west-1", account: "111122223333" })
    }

    const ALLOW_ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;

    #[test]
    fn what_nothing_allows_is_denied() {
        assert_eq!(
            decide(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, "iam:ListUsers", "*"),
            Decision::ImplicitDeny
        );
        assert_eq!(
            evaluate([], Access { action: "a:b", resource: "*", region: "x", account: "111122223333" }),
            Decision::ImplicitDeny
        );
    }

    #[test]
    fn a_deny_wins_over_an_allow_whatever_their_order() {
        let deny = r#"{"Effect":"Deny","Action":"sqs:Purge*","Resource":"*"}"#;
        for statements in [format!("{ALLOW_ALL},{deny}"), format!("{deny},{ALLOW_ALL}")] {
            assert_eq!(decide(&statements, "sqs:PurgeQueue", "arn:aws:sqs:r:1:q"), Decision::ExplicitDeny);
            assert_eq!(decide(&statements, "sqs:SendMessage", "arn:aws:sqs:r:1:q"), Decision::Allowed);
        }
    }

    #[test]
    fn a_resource_is_the_callers_unless_its_arn_says_otherwise() {
        let ours = r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"111122223333"}}}"#;
        for (resource, expected) in [
            ("*", Decision::Allowed),
            ("arn:aws:s3:::bucket", Decision::Allowed),
            ("arn:aws:sqs:eu-west-1:111122223333:q", Decision::Allowed),
            ("arn:aws:sqs:eu-west-1:444455556666:q", Decision::ImplicitDeny),
        ] {
            assert_eq!(decide(ours, "sqs:SendMessage", resource), expected, "{resource}");
        }
    }

    #[test]
    fn action_names_ignore_case_and_resources_do_not() {
        let statement = r#"{"Effect":"Allow","Action":"S3:getobject","Resource":"arn:aws:s3:::Bucket/*"}"#;
        assert_eq!(decide(statement, "s3:GetObject", "arn:aws:s3:::Bucket/a/b"), Decision::Allowed);
        assert_eq!(decide(statement, "s3:GetObject", "arn:aws:s3:::bucket/a"), Decision::ImplicitDeny);
    }

    #[test]
    fn not_action_and_not_resource_select_everything_else() {
        let statement = r#"{"Effect":"Allow","NotAction":["iam:*"],"NotResource":"arn:aws:s3:::secret/*"}"#;
        assert_eq!(decide(statement, "s3:GetObject", "arn:aws:s3:::open/a"), Decision::Allowed);
        assert_eq!(decide(statement, "s3:GetObject", "arn:aws:s3:::secret/a"), Decision::ImplicitDeny);
        assert_eq!(decide(statement, "iam:ListUsers", "*"), Decision::ImplicitDeny);
    }

    #[test]
    fn a_region_condition_is_evaluated_both_ways() {
        for (operator, region, expected) in [
            ("StringEquals", "eu-west-1", Decision::Allowed),
            ("StringEquals", "us-east-1", Decision::ImplicitDeny),
            ("StringNotEquals", "us-east-1", Decision::Allowed),
            ("StringNotEqualsIfExists", "eu-west-1", Decision::ImplicitDeny),
            ("StringEqualsIfExists", "eu-west-1", Decision::Allowed),
        ] {
            let statement = format!(
                r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"{operator}":{{"AWS:requestedregion":["x","{region}"]}}}}}}"#
            );
            assert_eq!(decide(&statement, "s3:GetObject", "*"), expected, "{operator} {region}");
        }
    }

    #[test]
    fn a_condition_we_do_not_know_denies_even_beside_an_allow() {
        for condition in [
            r#"{"DateLessThan":{"aws:RequestedRegion":"x"}}"#,
            r#"{"StringEquals":{"aws:username":"x"}}"#,
            r#"{"ForAnyValue:StringEquals":{"aws:RequestedRegion":"eu-west-1"}}"#,
        ] {
            for effect in ["Allow", "Deny"] {
                let statement =
                    format!(r#"{{"Effect":"{effect}","Action":"*","Resource":"*","Condition":{condition}}}"#);
                let decision = decide(&format!("{ALLOW_ALL},{statement}"), "s3:GetObject", "*");
                assert!(matches!(decision, Decision::Unevaluable(_)), "{statement}: {decision:?}");
            }
        }
    }
}
