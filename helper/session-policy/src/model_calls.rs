//! What the identity of a model may do, and nothing else: ask models, and find out which there are.
//!
//! Converse and ConverseStream are the same two actions: IAM has none of their own. Of what Claude Code's documentation asks
//! for, subscribing in AWS Marketplace is left out: an administrator does that, once.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html>
//! <https://code.claude.com/docs/en/amazon-bedrock>

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCall {
    /// As IAM spells it.
    pub action: &'static str,
    /// Why a session that asks a model needs it.
    pub why: &'static str,
}

const fn row(action: &'static str, why: &'static str) -> ModelCall {
    ModelCall { action, why }
}

/// All of them.
pub const MODEL_CALLS: &[ModelCall] = &[
    row("bedrock:InvokeModel", "asks a model; Converse too"),
    row("bedrock:InvokeModelWithResponseStream", "the same, answered piece by piece; ConverseStream too"),
    row("bedrock:ListFoundationModels", "which models there are"),
    row("bedrock:GetFoundationModel", "what one of them is"),
    row("bedrock:ListInferenceProfiles", "which profiles lead to them: newer models are asked by a profile only"),
    row("bedrock:GetInferenceProfile", "to which models one of these leads"),
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::MODEL_CALLS;
    use crate::{Access, CompileError, Compiled, Narrowing, compile, compile_for, is_action};

    /// Everything that a policy allows, by name: there is no pattern among it.
    fn allowed(compiled: &Compiled) -> Vec<String> {
        let policy: Value = serde_json::from_str(compiled.policy_json.as_deref().unwrap()).unwrap();
        let allows = policy["Statement"].as_array().unwrap().iter().filter(|it| it["Effect"] == "Allow");
        let strings = |value: &Value| {
            value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        allows.flat_map(|it| strings(&it["Action"])).collect()
    }

    #[test]
    fn the_identity_of_a_model_may_ask_models_whatever_else_it_is() {
        let calls: Vec<&str> = MODEL_CALLS.iter().map(|row| row.action).collect();
        assert!(calls.iter().all(|call| is_action(call) && !call.contains(['*', '?'])), "{calls:?}");
        let denied = ["bedrock:List*", "s3:*"].map(str::to_owned).to_vec();
        for narrowing in [
            Narrowing { model: true, ..Narrowing::default() },
            Narrowing { model: true, may_assume: vec!["arn:aws:iam::*:role/*".into()], ..Narrowing::default() },
            Narrowing { model: true, deny_actions: denied, org: Some("o-abcdefghij".into()), ..Narrowing::default() },
            Narrowing { model: true, allow_actions: vec!["s3:*".into()], ..Narrowing::default() },
        ] {
            let compiled = compile(&narrowing, "aws").unwrap();
            assert_eq!(allowed(&compiled), calls, "{narrowing:?}");
            assert!(compiled.policy_arns.is_empty() && narrowing.is_some());
            let own = compile_for(&narrowing, Some("arn:aws:iam::111122223333:user/u"), true).unwrap();
            assert_eq!(allowed(&own), calls, "an own one too: {narrowing:?}");
        }
    }

    #[test]
    fn what_would_add_to_the_base_of_a_model_is_refused() {
        let model = || Narrowing { model: true, ..Narrowing::default() };
        let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        for narrowing in [
            Narrowing { access: Access::Read, ..model() },
            Narrowing { access: Access::ReadMetadata, ..model() },
            Narrowing { policy_arns: vec!["arn:aws:iam::aws:policy/AdministratorAccess".into()], ..model() },
            Narrowing { session_policy: Some(document.into()), ..model() },
        ] {
            assert_eq!(compile(&narrowing, "aws"), Err(CompileError::ModelBase), "{narrowing:?}");
        }
    }
}
