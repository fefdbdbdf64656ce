//! `doctor --deep`: whether each identity can really be had. A session is made for each, asked once, and ended; all of it is
//! in the audit trail.

use agent_aws_protocol::IdentityOffer;

use super::{Finding, Grade};
use crate::args::{Choice, Options};
use crate::command::{listing, who};
use crate::say;

/// How `identities` names what is no single identity.
const ANY: &str = "*";

/// Tries those that the caller may use, by name. Of own profiles only what policy names can be known here.
pub(super) fn all(allow_root: bool) -> Vec<Finding> {
    match listing::offers(allow_root) {
        Ok(offers) => {
            let single = offers.iter().filter(|offer| !offer.name.ends_with(ANY));
            single.map(|offer| tried(offer, allow_root)).collect()
        }
        Err(failure) => vec![Finding::new(Grade::Fail, "identities", "", failure.to_string(), "agent-aws-helper")],
    }
}

fn tried(offer: &IdentityOffer, allow_root: bool) -> Finding {
    let what = format!("identity {}", offer.name);
    let choice = Choice { identity: Some(offer.name.clone()), profile: None };
    let options = Options { choice, sandbox: offer.sandboxes.first().cloned(), allow_root, ..Options::default() };
    let asked = offer.role.clone().unwrap_or_else(|| "your own AWS profile".into());
    match who::minted(options) {
        Ok(standing) => {
            let said = standing.map(|standing| standing.said);
            let arn = said.as_ref().and_then(|said| said.arn.clone()).unwrap_or_default();
            let end = said.and_then(|said| said.expires).map(|end| format!(", until {}", say::until(end, say::now())));
            Finding::new(Grade::Ok, &what, asked, format!("{arn}{}", end.unwrap_or_default()), "STS")
        }
        Err(failure) => Finding::new(Grade::Fail, &what, asked, failure.to_string(), "source, STS")
            .fix("docs/troubleshooting.md has it by its words; `agent-aws policy iam` prints what AWS must be told"),
    }
}
