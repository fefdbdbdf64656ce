//! Questions that start nothing: what may I use, what runs, why not, is the installation right.

use agent_aws_plan::Plan;
use agent_aws_policy::{Network, Policy};
use agent_aws_protocol::{Channel, FailureCode, HelperToCli, IdentityOffer, PolicyQuestion, Refusal};

use crate::audit::Audit;
use crate::child::Child;
use crate::decide::ask;
use crate::entry::Entered;
use crate::policy_files::PolicyFiles;
use crate::record::Records;
use crate::refusal::{broken, refuse};
use crate::subject::{Asked, Person};
use crate::supervise::DOOR;

/// Largest piece of text in one message, in bytes.
const PIECE: usize = 16 * 1024;

/// Sends text line by line, then the end.
fn say(cli: &Channel, text: &str) -> Result<(), Refusal> {
    for line in text.split_inclusive('\n') {
        send(cli, &HelperToCli::Text(line.chars().take(PIECE / 4).collect()))?;
    }
    send(cli, &HelperToCli::Done)
}

/// The plan as data, in pieces, and that it is to be made ready.
pub(crate) fn show(cli: &Channel, plan: &Plan) -> Result<(), Refusal> {
    let bytes = postcard::to_stdvec(plan).map_err(|e| refuse(FailureCode::BadRequest, e))?;
    for piece in bytes.chunks(PIECE) {
        send(cli, &HelperToCli::Plan(piece.to_vec()))?;
    }
    send(cli, &HelperToCli::Prepare { door: DOOR })
}

pub(crate) fn send(cli: &Channel, message: &HelperToCli) -> Result<(), Refusal> {
    cli.send(message).map_err(|e| broken("agent-aws", e))
}

/// Who reads the policy, once it was started.
type Reader = Result<Child, Refusal>;

fn person_and_policy(entered: &Entered, person: Asked, reader: Reader) -> Result<(Person, Policy), Refusal> {
    let policy = PolicyFiles::find(&entered.mode, reader)?.read()?;
    Ok((person.answer()?, policy))
}

/// `agent-aws identities`.
pub(crate) fn identities(entered: &Entered, cli: &Channel, person: Asked, reader: Reader) -> Result<(), Refusal> {
    let (person, policy) = person_and_policy(entered, person, reader)?;
    let offers = policy.offers(&person.subject).into_iter().map(|offer| {
        let identity = match &offer.identity {
            agent_aws_policy::Offered::Policy(identity) => Some(*identity),
            _ => None,
        };
        IdentityOffer {
            name: offer.identity.to_string(),
            role: identity.map(|i| i.role.clone()),
            access: identity.map_or("full".into(), |i| i.narrowing.access.to_string()),
            sandboxes: offer.sandboxes.iter().map(|s| s.name.clone()).collect(),
        }
    });
    send(cli, &HelperToCli::Identities(offers.collect()))?;
    send(cli, &HelperToCli::Done)
}

/// `agent-aws sessions`: the caller's own; everybody's for root.
pub(crate) fn sessions(entered: &Entered, cli: &Channel, person: Asked) -> Result<(), Refusal> {
    send(cli, &HelperToCli::Sessions(records(entered, person)?.rows(own_only(entered))?))?;
    send(cli, &HelperToCli::Done)
}

/// `agent-aws stop ID`.
pub(crate) fn stop(entered: &Entered, cli: &Channel, id: &str, person: Asked) -> Result<(), Refusal> {
    match records(entered, person)?.stop(id, own_only(entered))? {
        true => send(cli, &HelperToCli::Done),
        false => Err(refuse(FailureCode::BadRequest, "there is no such session of yours: see `agent-aws sessions`")),
    }
}

fn own_only(entered: &Entered) -> Option<u32> {
    (!entered.root_caller).then_some(entered.caller.uid)
}

fn records(entered: &Entered, person: Asked) -> Result<Records, Refusal> {
    let home = match entered.mode.is_privileged() {
        true => std::path::PathBuf::new(),
        false => person.answer()?.caller.home,
    };
    Records::open(&entered.mode, &home)
}

/// `agent-aws policy explain`: rules that apply to the caller; all of them for root.
pub(crate) fn policy(
    entered: &Entered,
    cli: &Channel,
    question: &PolicyQuestion,
    person: Asked,
    reader: Reader,
) -> Result<(), Refusal> {
    let (person, policy) = person_and_policy(entered, person, reader)?;
    let asked = ask(&question.identity, question.sandbox.as_deref(), None::<Network>);
    let explanation = policy.explain(&person.subject, &asked, entered.root_caller);
    if let Ok(decision) = &explanation.outcome {
        send(cli, &HelperToCli::Granted(Box::new(decision.identity.described())))?;
    }
    say(cli, &explanation.in_words(&policy, &person.subject, None))
}

/// `agent-aws doctor`, the side that only the helper can see.
pub(crate) fn doctor(entered: &Entered, cli: &Channel, person: Asked, reader: Reader) -> Result<(), Refusal> {
    let mode = if entered.mode.is_privileged() { "setuid: policy binds" } else { "unprivileged: policy is advisory" };
    let mut lines = vec![format!("ok\tmode\t{mode}\n")];
    lines.extend(entered.installation.fault().map(|fault| format!("fail\tinstallation\t{fault}\n")));
    let check = |what: &str, result: Result<(), Refusal>| match result {
        Ok(()) => format!("ok\t{what}\tvalid\n"),
        Err(refusal) => format!("fail\t{what}\t{}\n", refusal.text.escape_debug()),
    };
    lines.push(check("policy", PolicyFiles::find(&entered.mode, reader).and_then(|p| p.read()).map(drop)));
    lines.push(check("audit", Audit::open(&entered.mode).map(drop)));
    lines.push(check("user database", person.answer().map(drop)));
    say(cli, &lines.concat())
}
