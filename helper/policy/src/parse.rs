//! From the bytes of the files to a checked policy.

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Located, Problem, Report, Spot, nearest, quoted};
use crate::read::{Document, Reader, kind, plain, too_deep};
use crate::{Access, Attribution, BoundPath, Home, Network, Policy, Source, SourceKind, Waiver};
use crate::{GroupRef, Identity, IdentityPattern, Rule, RuleKind, Sandbox, UserRef, check, syntax};

/// A larger policy file is refused, unread.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// More files than this are refused.
pub const MAX_FILES: usize = 64;

/// A file of the policy. Opening it, and checking its owner and mode, is the caller's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFile<'a> {
    /// Its path as diagnostics and positions show it.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What was read, before anything in it is compared.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) sources: Vec<Located<Source>>,
    pub(crate) identities: Vec<DraftIdentity>,
    pub(crate) sandboxes: Vec<Located<Sandbox>>,
    pub(crate) rules: Vec<DraftRule>,
    /// Every name that is defined, even where the definition itself is faulty, so that one error is not reported twice.
    pub(crate) names: Vec<Located<(Kind, String)>>,
}

/// What a table of the top level defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Source,
    Identity,
    Sandbox,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Source, Self::Identity, Self::Sandbox];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Identity => "identity",
            Self::Sandbox => "sandbox",
        }
    }
}

#[derive(Debug)]
pub(crate) struct DraftIdentity {
    pub(crate) at: Spot,
    pub(crate) identity: Identity,
    pub(crate) source_at: Spot,
    pub(crate) aliases_at: Vec<Spot>,
}

#[derive(Debug)]
pub(crate) struct DraftRule {
    pub(crate) rule: Rule,
    pub(crate) identities: Vec<Located<IdentityPattern>>,
    pub(crate) sandbox_at: Option<Spot>,
}

pub(crate) fn policy(files: &[SourceFile<'_>]) -> Result<Policy, Vec<Diagnostic>> {
    let mut report = Report::new(files.iter().map(|file| file.name).collect());
    let mut draft = Draft::default();
    let mut readable = true;
    for (index, file) in files.iter().enumerate() {
        if index >= MAX_FILES {
            let at = Spot {
                file: index,
                line: 1,
                column: 1,
            };
            report.add(at, Problem::new(format!("a policy has at most {MAX_FILES} files")));
            readable = false;
            break;
        }
        readable &= read_file(index, file.bytes, &mut draft, &mut report);
    }
    if readable {
        // Without all definitions every reference would be reported as well.
        check::references(&draft, &mut report);
    }
    check::names(&draft, &mut report);
    check::identities(&draft, &mut report);
    if report.count() > 0 {
        return Err(report.finish());
    }
    let (allows, denies) = draft
        .rules
        .into_iter()
        .map(|it| it.rule)
        .partition(|rule| rule.kind == RuleKind::Allow);
    Ok(Policy {
        sources: draft.sources.into_iter().map(|it| it.value).collect(),
        identities: draft.identities.into_iter().map(|it| it.identity).collect(),
        sandboxes: draft.sandboxes.into_iter().map(|it| it.value).collect(),
        allows,
        denies,
    })
}

/// Reads one file; false if it is not TOML as a whole.
fn read_file<'a>(index: usize, bytes: &'a [u8], draft: &mut Draft, report: &mut Report<'a>) -> bool {
    let text = match text(index, bytes) {
        Ok(text) => text,
        Err((at, problem)) => {
            report.add(at, problem);
            return false;
        }
    };
    let document = Document::new(index, text);
    if let Some(offset) = too_deep(text) {
        report.add(document.spot(offset), Problem::new("the file is nested too deep here"));
        return false;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = document.spot(error.span().map_or(0, |span| span.start));
        report.add(at, Problem::new(error.message().escape_debug().to_string()));
    }
    if !errors.is_empty() {
        return false;
    }
    let at = Spot {
        file: index,
        line: 1,
        column: 1,
    };
    let called = "the policy".to_owned();
    let mut top = Reader {
        document: &document,
        table: table.get_ref(),
        at,
        called,
        report,
    };
    top.only(&["source", "identity", "sandbox", "allow", "deny"]);
    for kind in Kind::ALL {
        definitions(kind, &mut top, draft);
    }
    rules(RuleKind::Allow, &mut top, draft);
    rules(RuleKind::Deny, &mut top, draft);
    true
}

fn text(file: usize, bytes: &[u8]) -> Result<&str, (Spot, Problem)> {
    let first = Spot {
        file,
        line: 1,
        column: 1,
    };
    if bytes.len() > MAX_FILE_BYTES {
        return Err((
            first,
            Problem::new(format!("the file is larger than {MAX_FILE_BYTES} bytes")),
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err((
            first,
            Problem::new("the file begins with a byte order mark").hint("save it as plain UTF-8"),
        ));
    }
    let error = match str::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            Some(at) => {
                return Err((
                    Document::new(file, text).spot(at),
                    Problem::new("the file has a NUL byte"),
                ));
            }
            None => return Ok(text),
        },
        Err(error) => error,
    };
    let good = bytes
        .get(..error.valid_up_to())
        .and_then(|good| str::from_utf8(good).ok())
        .unwrap_or_default();
    Err((
        Document::new(file, good).spot(good.len()),
        Problem::new("the file is not UTF-8 from here on"),
    ))
}

/// All `[KIND.NAME]` tables.
fn definitions(kind_: Kind, top: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    let word = kind_.word();
    let is_table = |value: &DeValue<'_>| value.is_table().then_some(Ok(()));
    let Some(all) = top
        .optional(word, &format!("tables [{word}.NAME]"), is_table)
        .and(top.table.get(word))
    else {
        return;
    };
    for (name, value) in all.get_ref().as_table().into_iter().flat_map(DeTable::iter) {
        let at = top.document.spot(name.span().start);
        let called = format!("[{word}.{}]", name.get_ref().escape_debug());
        let name = match syntax::name(name.get_ref()) {
            Ok(name) => name,
            Err(problem) => {
                top.report.add(at, problem);
                continue;
            }
        };
        draft.names.push(Located {
            value: (kind_, name.clone()),
            at,
        });
        let DeValue::Table(table) = value.get_ref() else {
            let problem = Problem::new(format!("{called} must be a table, not {}", kind(value.get_ref())));
            top.report
                .add(at, problem.hint(format!("definitions stand below [{word}.NAME]")));
            continue;
        };
        let mut reader = Reader {
            document: top.document,
            table,
            at,
            called,
            report: top.report,
        };
        match kind_ {
            Kind::Source => draft.sources.extend(source(name, &mut reader)),
            Kind::Identity => draft.identities.extend(identity(name, &mut reader)),
            Kind::Sandbox => draft.sandboxes.push(sandbox(name, &mut reader)),
        }
    }
}

const LATER_SOURCES: [&str; 3] = ["instance", "credential-process", "web-identity"];

fn source(name: String, it: &mut Reader<'_, '_, '_>) -> Option<Located<Source>> {
    it.only(&[
        "profile-file",
        "profile",
        "region",
        "sts-endpoint",
        "instance",
        "credential-process",
        "web-identity",
    ]);
    let mut later = false;
    for key in LATER_SOURCES {
        if let Some((key, _)) = it.table.get_key_value(key) {
            let at = it.document.spot(key.span().start);
            it.report.add(
                at,
                Problem::new(format!(
                    "this version supports profile-file only, not {}",
                    key.get_ref()
                )),
            );
            later = true;
        }
    }
    let path = if later {
        it.text("profile-file", syntax::absolute_path)
    } else {
        it.required("profile-file", syntax::absolute_path)
    };
    let profile = it
        .text("profile", syntax::profile)
        .map_or_else(|| "default".to_owned(), |profile| profile.value);
    let region = it.text("region", syntax::region).map(|region| region.value);
    let sts_endpoint = it.text("sts-endpoint", syntax::endpoint).map(|endpoint| endpoint.value);
    let kind = SourceKind::ProfileFile {
        path: path?.value,
        profile,
    };
    let position = it.report.position(it.at);
    Some(Located {
        value: Source {
            name,
            kind,
            region,
            sts_endpoint,
            position,
        },
        at: it.at,
    })
}

const IDENTITY_KEYS: [&str; 10] = [
    "role",
    "source",
    "region",
    "duration",
    "access",
    "deny-actions",
    "may-assume",
    "attribution",
    "aliases",
    "external-id",
];

fn identity(name: String, it: &mut Reader<'_, '_, '_>) -> Option<DraftIdentity> {
    it.only(&IDENTITY_KEYS);
    let role = it.required("role", syntax::role_arn);
    let source = it.required("source", syntax::name);
    let region = it.text("region", syntax::region).map(|region| region.value);
    let duration = it
        .text("duration", syntax::duration)
        .map_or(std::time::Duration::from_secs(3600), |it| it.value);
    let access = it.word("access", Access::WORDS).unwrap_or(Access::Full);
    let deny_actions = plain(it.texts("deny-actions", syntax::action));
    let may_assume = plain(it.texts("may-assume", syntax::role_arn_pattern));
    let attribution = it.word("attribution", Attribution::WORDS).unwrap_or(Attribution::Full);
    let aliases = it.texts("aliases", syntax::name).unwrap_or_default();
    let external_id = it.text("external-id", syntax::external_id).map(|id| id.value);
    let (role, source) = (role?.value, source?);
    Some(DraftIdentity {
        at: it.at,
        source_at: source.at,
        aliases_at: aliases.iter().map(|alias| alias.at).collect(),
        identity: Identity {
            name,
            role,
            source: source.value,
            region,
            duration,
            access,
            deny_actions,
            may_assume,
            attribution,
            aliases: plain(Some(aliases)),
            external_id,
            position: it.report.position(it.at),
        },
    })
}

fn sandbox(name: String, it: &mut Reader<'_, '_, '_>) -> Located<Sandbox> {
    it.only(&["home", "network", "allow-names", "rw-paths", "nesting", "waive"]);
    let everything = || vec!["*".to_owned()];
    let own_home = || vec![BoundPath::Home(std::path::PathBuf::new())];
    let sandbox = Sandbox {
        name,
        home: it.text("home", syntax::home).map_or(Home::Agent, |home| home.value),
        network: it.word("network", Network::WORDS).unwrap_or(Network::Filtered),
        allow_names: it
            .texts("allow-names", syntax::allow_name)
            .map_or_else(everything, |names| plain(Some(names))),
        rw_paths: it
            .texts("rw-paths", syntax::bound_path)
            .map_or_else(own_home, |paths| plain(Some(paths))),
        nesting: it.boolean("nesting").unwrap_or(false),
        waive: plain(it.texts("waive", |text| crate::read::word(text, Waiver::WORDS))),
        position: it.report.position(it.at),
    };
    Located {
        value: sandbox,
        at: it.at,
    }
}

/// All `[[allow]]` or all `[[deny]]` tables.
fn rules(rule_kind: RuleKind, top: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    let word = rule_kind.to_string();
    let Some(value) = top.table.get(word.as_str()) else {
        return;
    };
    let DeValue::Array(entries) = value.get_ref() else {
        let problem = Problem::new(format!(
            "`{word}` must be a list of tables, not {}",
            kind(value.get_ref())
        ));
        top.report.add(
            top.document.spot(value.span().start),
            problem.hint(format!("write [[{word}]]")),
        );
        return;
    };
    for entry in entries.iter() {
        let at = top.document.spot(entry.span().start);
        let DeValue::Table(table) = entry.get_ref() else {
            let problem = Problem::new(format!("a rule must be a table, not {}", kind(entry.get_ref())));
            top.report.add(at, problem.hint(format!("write [[{word}]]")));
            continue;
        };
        let called = format!("[[{word}]]");
        draft.rules.push(rule(
            rule_kind,
            &mut Reader {
                document: top.document,
                table,
                at,
                called,
                report: top.report,
            },
        ));
    }
}

fn rule(kind: RuleKind, it: &mut Reader<'_, '_, '_>) -> DraftRule {
    match kind {
        RuleKind::Allow => it.only(&["users", "groups", "identities", "sandbox"]),
        RuleKind::Deny => it.only(&["users", "groups", "identities"]),
    }
    let faults = it.report.count();
    let wanted = "a name or a number";
    let users = it.list("users", wanted, |value| name_or_id(value, syntax::user, UserRef::Uid));
    let groups = it.list("groups", wanted, |value| {
        name_or_id(value, syntax::group, GroupRef::Gid)
    });
    let identities = it.texts("identities", syntax::identity_pattern);
    let (users, groups) = (plain(users), plain(groups));
    let whole = it.report.count() == faults; // else a list is empty because its entries are wrong
    if whole && users.is_empty() && groups.is_empty() {
        let hint = "users = [...] or groups = [...]; everybody is users = [\"*\"]";
        it.report.add(
            it.at,
            Problem::new(format!("{} speaks of nobody", it.called)).hint(hint),
        );
    }
    if whole && identities.as_ref().is_none_or(Vec::is_empty) {
        it.report.add(
            it.at,
            Problem::new(format!("{} names no identity", it.called)).hint("identities = [...]"),
        );
    }
    let sandbox = match kind {
        RuleKind::Allow => it.required("sandbox", syntax::name),
        RuleKind::Deny => None,
    };
    let identities = identities.unwrap_or_default();
    DraftRule {
        rule: Rule {
            kind,
            users,
            groups,
            identities: identities.iter().map(|pattern| pattern.value.clone()).collect(),
            sandbox: sandbox.as_ref().map(|sandbox| sandbox.value.clone()),
            position: it.report.position(it.at),
        },
        identities,
        sandbox_at: sandbox.map(|sandbox| sandbox.at),
    }
}

fn name_or_id<T>(
    value: &DeValue<'_>,
    name: fn(&str) -> Result<T, Problem>,
    id: fn(u32) -> T,
) -> Option<Result<T, Problem>> {
    match value {
        DeValue::String(text) => Some(name(text)),
        DeValue::Integer(number) => Some(syntax::id(number.as_str(), number.radix()).map(id)),
        _ => None,
    }
}

/// A complaint about a name that leads nowhere.
pub(crate) fn unknown(kind: Kind, name: &str, names: &[Located<(Kind, String)>]) -> Problem {
    let same_kind = names
        .iter()
        .filter(|it| it.value.0 == kind)
        .map(|it| it.value.1.as_str());
    let problem = Problem::new(format!("there is no [{}.{}]", kind.word(), name));
    match nearest(name, same_kind) {
        Some(near) => problem.hint(format!("did you mean {}?", quoted(near))),
        None => problem,
    }
}
