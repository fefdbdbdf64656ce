//! The plan in words, for `run --explain`.

use std::fmt::Write;

use crate::intent::{Access, Intent, Opener, Origin, Plan, What};

/// The whole plan as text; nothing in it is secret, control characters are escaped.
pub fn explain(plan: &Plan) -> String {
    let mut out = String::new();
    for (name, value) in header(plan) {
        line(&mut out, format_args!("{name:<12} {value}"));
    }
    line(&mut out, format_args!("\nfiles"));
    for intent in &plan.intents {
        line(&mut out, format_args!("  {}", row(plan, intent)));
    }
    line(&mut out, format_args!("\nenvironment"));
    for (name, value) in &plan.environment {
        line(&mut out, format_args!("  {}={}", name.escape_ascii(), value.escape_ascii()));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn header(plan: &Plan) -> Vec<(&'static str, String)> {
    let command: Vec<String> = plan.command.iter().map(|a| a.escape_ascii().to_string()).collect();
    let mut rows = vec![
        ("caller", format!("{} (uid {})", plan.caller.login.escape_debug(), plan.caller.uid)),
        ("identity", plan.grant.identity.clone()),
    ];
    for (name, value) in &plan.grant.facts {
        rows.push(("", format!("{name}: {value}")));
    }
    rows.push(("sandbox", plan.grant.sandbox.clone()));
    rows.push(("network", plan.grant.network.to_string()));
    rows.push(("nesting", if plan.grant.nesting { "user namespaces admitted" } else { "no" }.into()));
    if !plan.grant.waived.is_empty() {
        rows.push(("waived", plan.grant.waived.join(", ")));
    }
    rows.push(("project", plan.project.display().to_string().escape_debug().to_string()));
    rows.push(("directory", plan.directory.display().to_string().escape_debug().to_string()));
    rows.push(("command", command.join(" ")));
    rows
}

fn row(plan: &Plan, intent: &Intent) -> String {
    let access = match intent.access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Hidden => "hidden",
    };
    let origin = match &intent.origin {
        Origin::Table(name) => format!("table {name}"),
        Origin::Sandbox => "sandbox".into(),
        Origin::Project => "project".into(),
        Origin::Caller(option) => format!("option {option}"),
    };
    let path = intent.path.display().to_string();
    format!("{access:<7}{:<44} {} [{origin}]{}", path.escape_debug(), intent.reason, from(plan, intent))
}

/// Where a bind comes from, if that is not the same path.
fn from(plan: &Plan, intent: &Intent) -> String {
    let (What::Bind(id) | What::Device(id)) = &intent.what else {
        return String::new();
    };
    match plan.sources.get(id.0) {
        Some(source) if source.opener == Opener::Ours => " from our installation".into(),
        Some(source) if source.path != intent.path => {
            format!(" from {}", source.path.display().to_string().escape_debug())
        }
        Some(source) if !source.required => " (if present)".into(),
        _ => String::new(),
    }
}
