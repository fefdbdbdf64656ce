//! What `[identity.NAME]` says that a session shall lose of the role.

use agent_aws_policy::{Access, Narrowing};

use crate::diagnostic::Problem;
use crate::read::Reader;
use crate::syntax;

/// Reads it. `documents` are the policy documents that lie beside the policy, by name.
pub(crate) fn narrowing(it: &mut Reader<'_, '_, '_>, documents: &[(String, Vec<u8>)]) -> Narrowing {
    let narrowing = Narrowing {
        access: it.word("access", Access::WORDS).unwrap_or_default(),
        policy_arns: it.texts("policy-arns", syntax::policy_arn).unwrap_or_default(),
        session_policy: it.text("session-policy", |text| syntax::document(text, documents)),
        deny_actions: it.texts("deny-actions", syntax::action).unwrap_or_default(),
        allow_actions: it.texts("allow-actions", syntax::action).unwrap_or_default(),
        regions: it.texts("regions", syntax::region).unwrap_or_default(),
        accounts: it.texts("accounts", syntax::account).unwrap_or_default(),
        org: it.text("org", syntax::organization),
        may_assume: it.texts("may-assume", syntax::role_arn_pattern).unwrap_or_default(),
        model: false,
    };
    let managed = !narrowing.policy_arns.is_empty();
    let bases = [narrowing.access != Access::Full, managed, narrowing.session_policy.is_some()];
    if bases.iter().filter(|base| **base).count() > 1 {
        let problem = Problem::new(format!("{} says in more than one way what is allowed to begin with", it.called));
        it.report.add(it.at, problem.hint("session policies add up: only one of access, policy-arns, session-policy"));
    }
    narrowing
}
