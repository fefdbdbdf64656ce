//! A preset in words, for `run --explain`.

use std::fmt::Write;

use agent_aws_plan::Plan;
use agent_aws_policy::Home;

use super::Chosen;
use super::answer::Content;

/// What follows the plan. In a home of the caller's own nothing is written.
pub(crate) fn explain(chosen: Option<&Chosen>, plan: &Plan) -> String {
    let real = plan.grant.home != Home::Agent;
    let Some(chosen) = chosen else {
        return "\npreset none\n".into();
    };
    let preset = &chosen.preset;
    let how = if chosen.asked { "option --preset" } else { "by the command's name" };
    let mut out = format!("\npreset {} ({}, {how})\n", chosen.name, preset.about);
    let mut line = |kind: &str, what: &str, why: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {kind:<7}{what:<60} {why}");
    };
    for (name, why) in preset.pass.iter().filter(|(name, _)| chosen.variable(name).is_some()) {
        line("passes", name, why);
    }
    for (name, set) in &preset.set {
        line("sets", name, &set.why);
    }
    if let Some(model) = &plan.grant.model {
        let (region, work) = (model.region.as_deref(), plan.grant.region.as_deref());
        chosen.model_variables(region, work).for_each(|(name, set)| line("sets", name, &set.why));
        for say in preset.model.say.iter().filter(|_| !real) {
            line("says", &format!("~/{}: {} = {:?}", say.file, say.key.join(" "), say.value), &say.why);
        }
    }
    if real {
        line("writes", "nothing", "the home is your own");
    } else {
        for take in &preset.take {
            line("copies", &format!("~/{}: {}", take.file, take.keys.join(", ")), &take.why);
        }
        for answer in &preset.answer {
            for (key, content) in chosen.filled(answer) {
                let content = match content {
                    Content::Value(value) => format!("= {value}"),
                    Content::Entry(_) => "has the end of the key".to_owned(),
                };
                let key: Vec<String> = key.iter().map(|part| part.escape_debug().to_string()).collect();
                line("answers", &format!("~/{}: {} {content}", answer.file, key.join(" ")), &answer.why);
            }
        }
    }
    let _ = writeln!(out, "  its own sandbox: {}", preset.inner_sandbox);
    out
}
