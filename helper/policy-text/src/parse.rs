//! From the bytes of the files to a checked policy.

use std::path::PathBuf;
use std::time::Duration;

use agent_aws_policy::{
    Attribution, BoundPath, GroupRef, Home, Identity, IdentityPattern, Limits, Names, Network, Policy, Reach, Rule,
    RuleKind, Sandbox, Source, SourceKind, UserRef, Waiver, is_word,
};
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Problem, Report, Spot};
use crate::narrowing::narrowing;
use crate::read::{Document, Reader, plain, too_deep, word, wrong_type};
use crate::{check, reach, syntax};

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

/// What a table of the top level defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Source,
    Identity,
    Sandbox,
    Names,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Identity => "identity",
            Self::Sandbox => "sandbox",
            Self::Names => "names",
        }
    }
}

/// What was read, and what is to be compared once all is read.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) policy: Policy,
    /// Every name that is defined, even where the definition itself is faulty, so that one error is not reported twice.
    pub(crate) names: Vec<(Kind, String, Spot)>,
    /// Every name that is referred to.
    pub(crate) uses: Vec<(Kind, String, Spot)>,
    /// Policy documents of AWS that lie beside the policy: their names without directories, and their content.
    pub(crate) documents: Vec<(String, Vec<u8>)>,
    /// Identity, alias of it, and where that stands.
    pub(crate) aliases: Vec<(String, String, Spot)>,
}

pub(crate) fn policy(files: &[SourceFile<'_>]) -> Result<Policy, Vec<Diagnostic>> {
    let mut report = Report::new(files.iter().map(|file| file.name).collect());
    let documents = files.iter().filter(|file| is_document(file.name));
    let documents = documents.map(|file| (last(file.name).to_owned(), file.bytes.to_vec())).collect();
    let mut draft = Draft { documents, ..Draft::default() };
    let mut readable = true;
    for (index, file) in files.iter().enumerate().take(MAX_FILES).filter(|(_, file)| !is_document(file.name)) {
        readable &= match read_file(index, file.bytes, &mut draft, &mut report) {
            Ok(()) => true,
            Err((at, problem)) => {
                report.add(at, problem);
                false
            }
        }
    }
    if files.len() > MAX_FILES {
        report.add(Spot::first(MAX_FILES), format!("a policy has at most {MAX_FILES} files"));
        readable = false;
    }
    if readable {
        // Without all definitions every reference would be reported as well.
        check::references(&draft, &mut report);
    }
    check::names(&draft, &mut report);
    check::aliases(&draft, &mut report);
    check::identities(&draft, &mut report);
    check::models(&draft, &mut report);
    if report.count() > 0 { Err(report.finish()) } else { Ok(draft.policy) }
}

/// Whether a file is a policy document of AWS, and not a part of the policy.
fn is_document(name: &str) -> bool {
    name.ends_with(".json")
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Reads one file.
///
/// # Errors
/// The last thing that is wrong with it as text or TOML: then nothing of it was read.
fn read_file<'a>(
    index: usize,
    bytes: &'a [u8],
    draft: &mut Draft,
    report: &mut Report<'a>,
) -> Result<(), (Spot, Problem)> {
    let text = text(index, bytes)?;
    let document = Document::new(index, text);
    if let Some(offset) = too_deep(text) {
        return Err((document.spot(offset), "the file is nested too deep here".into()));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut errors = errors.iter().map(|error| {
        let at = document.spot(error.span().map_or(0, |span| span.start));
        (at, Problem::new(error.message().escape_debug().to_string()))
    });
    if let Some(last) = errors.next_back() {
        errors.for_each(|(at, problem)| report.add(at, problem));
        return Err(last);
    }
    let called = "the policy".to_owned();
    let mut top = Reader { document: &document, table: table.get_ref(), at: Spot::first(index), called, report };
    top.only("source identity sandbox names allow deny");
    for kind in [Kind::Source, Kind::Identity, Kind::Sandbox, Kind::Names] {
        definitions(kind, &mut top, draft);
    }
    rules(RuleKind::Allow, &mut top, draft);
    rules(RuleKind::Deny, &mut top, draft);
    Ok(())
}

fn text(file: usize, bytes: &[u8]) -> Result<&str, (Spot, Problem)> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err((Spot::first(file), format!("the file is larger than {MAX_FILE_BYTES} bytes").into()));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let problem = Problem::new("the file begins with a byte order mark").hint("save it as plain UTF-8");
        return Err((Spot::first(file), problem));
    }
    let (good, rest) = match str::from_utf8(bytes) {
        Ok(text) => (text, ""),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).and_then(|good| str::from_utf8(good).ok());
            (good.unwrap_or_default(), "the file is not UTF-8 from here on")
        }
    };
    match good.find('\0') {
        Some(at) => Err((Document::new(file, good).spot(at), "the file has a NUL byte".into())),
        None if rest.is_empty() => Ok(good),
        None => Err((Document::new(file, good).spot(good.len()), rest.into())),
    }
}

/// All `[KIND.NAME]` tables.
fn definitions(kind: Kind, top: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    let (word, table) = (kind.word(), top.table);
    let Some(value) = table.get(word) else { return };
    let DeValue::Table(all) = value.get_ref() else {
        let problem = wrong_type(&format!("`{word}`"), &format!("tables [{word}.NAME]"), value.get_ref());
        return top.report.add(top.document.spot(value.span().start), problem);
    };
    for (name, value) in all {
        let at = top.document.spot(name.span().start);
        let called = format!("[{word}.{}]", name.get_ref().escape_debug());
        let name = match syntax::name(name.get_ref()) {
            Ok(name) => name,
            Err(problem) => {
                top.report.add(at, problem);
                continue;
            }
        };
        draft.names.push((kind, name.clone(), at));
        let DeValue::Table(table) = value.get_ref() else {
            let hint = format!("definitions stand below [{word}.NAME]");
            top.report.add(at, wrong_type(&called, "a table", value.get_ref()).hint(hint));
            continue;
        };
        let it = &mut top.enter(table, at, called);
        match kind {
            Kind::Source => draft.policy.sources.extend(source(name, it)),
            Kind::Identity => identity(name, it, draft),
            Kind::Sandbox => {
                let sandbox = sandbox(name, it, draft);
                draft.policy.sandboxes.push(sandbox);
            }
            Kind::Names => draft.policy.names.push(names(name, it)),
        }
    }
}

/// What a source may have, by what says where its credentials are.
const SOURCES: &[(&str, &[&str])] = &[
    ("profile-file", &["profile"]),
    ("credential-process", &[]),
    ("web-identity-token-file", &["web-identity-role"]),
    ("instance-role", &[]),
    ("container-credentials", &["container-token-file"]),
];

fn source(name: String, it: &mut Reader<'_, '_, '_>) -> Option<Source> {
    it.only(
        "profile-file profile credential-process web-identity-token-file web-identity-role instance-role \
         container-credentials container-token-file region sts-endpoint fips dual-stack",
    );
    let kind = source_kind(it);
    let region = it.text("region", syntax::region);
    let sts_endpoint = it.text("sts-endpoint", syntax::endpoint);
    let (fips, dual_stack) = (it.yes("fips"), it.yes("dual-stack"));
    if sts_endpoint.is_some() && (fips || dual_stack) {
        let problem = Problem::new(format!("{} has an sts-endpoint, and `fips` or `dual-stack`", it.called));
        it.report.add(it.at, problem.hint("they choose one of AWS's endpoints: leave either out"));
    }
    Some(Source { name, kind: kind?, region, sts_endpoint, fips, dual_stack, position: it.report.position(it.at) })
}

/// The one thing that says where its credentials are.
fn source_kind(it: &mut Reader<'_, '_, '_>) -> Option<SourceKind> {
    let has = |word: &str| it.table.get(word).is_some();
    let ways: Vec<_> = SOURCES.iter().filter(|(way, _)| has(way)).collect();
    let all = || SOURCES.iter().map(|(way, _)| *way).collect::<Vec<_>>().join(", ");
    let [(way, parts)] = ways.as_slice() else {
        let what = if ways.is_empty() { "does not say" } else { "says in more than one way" };
        let problem = Problem::new(format!("{} {what} where its credentials are", it.called));
        it.report.add(it.at, problem.hint(format!("one of {}", all())));
        return None;
    };
    let foreign = SOURCES.iter().flat_map(|(_, parts)| *parts).find(|part| has(part) && !parts.contains(part));
    if let Some(foreign) = foreign {
        it.report.add(it.at, format!("{}: `{foreign}` does not go with `{way}`", it.called));
        return None;
    }
    let part = parts.first().copied().unwrap_or_default();
    match *way {
        "profile-file" => {
            let path = it.text(way, syntax::absolute_path);
            let profile = it.text(part, syntax::profile).unwrap_or_else(|| "default".to_owned());
            Some(SourceKind::ProfileFile { path: path?, profile })
        }
        "credential-process" => {
            let faults = it.report.count();
            let words = it.texts(way, syntax::word)?;
            if it.report.count() > faults {
                return None;
            }
            let Some((program, arguments)) = words.split_first() else {
                it.report.add(it.at, format!("{}: `{way}` names no program", it.called));
                return None;
            };
            let program = syntax::absolute_path(program).map_err(|problem| it.report.add(it.at, problem)).ok()?;
            Some(SourceKind::Process { program, arguments: arguments.to_vec() })
        }
        "web-identity-token-file" => {
            it.needs(part);
            let token = it.text(way, syntax::absolute_path);
            let role = it.text(part, syntax::role_arn);
            Some(SourceKind::WebIdentity { token: token?, role: role? })
        }
        "container-credentials" => {
            let uri = it.text(way, syntax::container);
            let token = it.text(part, syntax::absolute_path);
            Some(SourceKind::Container { uri: uri?, token })
        }
        _ => it.yes(way).then_some(SourceKind::Instance).or_else(|| {
            it.report.add(it.at, format!("{}: `{way}` is true, or not there", it.called));
            None
        }),
    }
}

fn identity(name: String, it: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    it.only(
        "role source region duration access policy-arns session-policy deny-actions allow-actions regions accounts org may-assume \
         attribution aliases external-id",
    );
    it.needs("role");
    it.needs("source");
    let role = it.text("role", syntax::role_arn);
    let source = refer(Kind::Source, "source", it, draft);
    let aliases = it.list("aliases", "a string", |value| value.as_str().map(syntax::name)).unwrap_or_default();
    draft.aliases.extend(aliases.iter().map(|(alias, at)| (name.clone(), alias.clone(), *at)));
    let region = it.text("region", syntax::region);
    let duration = it.text("duration", syntax::duration).unwrap_or(Duration::from_secs(3600));
    let narrowing = narrowing(it, &draft.documents);
    let attribution = it.word("attribution", Attribution::WORDS).unwrap_or(Attribution::Full);
    let external_id = it.text("external-id", syntax::external_id);
    let (Some(role), Some(source)) = (role, source) else {
        return;
    };
    draft.policy.identities.push(Identity {
        name,
        role,
        source,
        region,
        duration,
        narrowing,
        attribution,
        aliases: plain(aliases),
        external_id,
        position: it.report.position(it.at),
    });
}

fn sandbox(name: String, it: &mut Reader<'_, '_, '_>, draft: &mut Draft) -> Sandbox {
    it.only(
        "home network allow-names allow-private local-ports publish upstream-proxy host-loopback metadata rw-paths nesting debug share-homes may-lift hide pids memory open-files max-sessions max-time waive model-identity model-region",
    );
    let limits = Limits {
        pids: it.count("pids", 16..=4_194_304),
        memory: it.text("memory", syntax::bytes),
        open_files: it.count("open-files", 256..=1_048_576),
        sessions: it.count("max-sessions", 1..=32),
        time: it.text("max-time", syntax::session_time),
    };
    Sandbox {
        name,
        home: it.word("home", Home::WORDS).unwrap_or(Home::Agent),
        network: it.word("network", Network::WORDS).unwrap_or(Network::Filtered),
        reach: reach(it, draft),
        publish: it.texts("publish", reach::ports).unwrap_or_default(),
        rw_paths: it.texts("rw-paths", syntax::bound_path).unwrap_or_else(|| vec![BoundPath::Home(PathBuf::new())]),
        nesting: it.yes("nesting"),
        debug: it.yes("debug"),
        share_homes: it.yes("share-homes"),
        may_lift: it.texts("may-lift", syntax::row).unwrap_or_default(),
        hide: it.texts("hide", syntax::bound_path).unwrap_or_default(),
        limits,
        waive: it.texts("waive", |text| word(text, Waiver::WORDS)).unwrap_or_default(),
        model_identity: refer(Kind::Identity, "model-identity", it, draft),
        model_region: it.text("model-region", syntax::region),
        position: it.report.position(it.at),
    }
}

/// What the network of a sandbox reaches.
fn reach(it: &mut Reader<'_, '_, '_>, draft: &mut Draft) -> Reach {
    let names = it.list("allow-names", "a string", |value| value.as_str().map(reach::allow_name));
    let words = names.iter().flatten().filter(|(name, _)| is_word(name));
    draft.uses.extend(words.map(|(word, at)| (Kind::Names, word.clone(), *at)));
    let port = |value: &DeValue<'_>| value.as_integer().map(|number| reach::port(number.as_str()));
    Reach {
        names: names.map_or_else(|| vec!["*".to_owned()], plain),
        private: it.texts("allow-private", reach::allow_name).unwrap_or_default(),
        local_ports: it.list("local-ports", "a number", port).map(plain).unwrap_or_default(),
        upstream_proxy: it.text("upstream-proxy", reach::proxy),
        host_loopback: it.value("host-loopback", "true or false", |v| v.as_bool().map(Ok)).is_none_or(|(yes, _)| yes),
        unguarded: it.word("metadata", &[("guarded", false), ("unguarded", true)]).unwrap_or_default(),
    }
}

/// `[names.WORD]`.
fn names(name: String, it: &mut Reader<'_, '_, '_>) -> Names {
    it.only("allow");
    it.needs("allow");
    let spelt = |text: &str| match is_word(text) {
        true => Err(Problem::new(format!("{text:?} is a preset itself: spell its names out"))),
        false => reach::allow_name(text),
    };
    Names { name, allow: it.texts("allow", spelt).unwrap_or_default() }
}

/// The name that a key refers to.
fn refer(kind: Kind, key: &str, it: &mut Reader<'_, '_, '_>, draft: &mut Draft) -> Option<String> {
    let (name, at) = it.value(key, "a string", |value| value.as_str().map(syntax::name))?;
    draft.uses.push((kind, name.clone(), at));
    Some(name)
}

/// All `[[allow]]` or all `[[deny]]` tables.
fn rules(kind: RuleKind, top: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    let (word, table) = (kind.to_string(), top.table);
    let Some(value) = table.get(word.as_str()) else { return };
    let hint = format!("write [[{word}]]");
    let DeValue::Array(entries) = value.get_ref() else {
        let problem = wrong_type(&format!("`{word}`"), "a list of tables", value.get_ref()).hint(hint);
        return top.report.add(top.document.spot(value.span().start), problem);
    };
    for entry in entries.iter() {
        let at = top.document.spot(entry.span().start);
        match entry.get_ref() {
            DeValue::Table(table) => rule(kind, &mut top.enter(table, at, format!("[[{word}]]")), draft),
            other => top.report.add(at, wrong_type("a rule", "a table", other).hint(hint.clone())),
        }
    }
}

fn rule(kind: RuleKind, it: &mut Reader<'_, '_, '_>, draft: &mut Draft) {
    it.only(match kind {
        RuleKind::Allow => "users groups identities sandbox",
        RuleKind::Deny => "users groups identities",
    });
    let faults = it.report.count();
    let wanted = "a name or a number";
    let users = it.list("users", wanted, |value| name_or_id(value, syntax::user, UserRef::Uid));
    let groups = it.list("groups", wanted, |value| name_or_id(value, syntax::group, GroupRef::Gid));
    let identities = it.list("identities", "a string", |value| value.as_str().map(syntax::identity_pattern));
    let (users, groups) = (plain(users.unwrap_or_default()), plain(groups.unwrap_or_default()));
    let identities = identities.unwrap_or_default();
    let whole = it.report.count() == faults; // else a list is empty because its entries are wrong
    if whole && users.is_empty() && groups.is_empty() {
        let hint = "users = [...] or groups = [...]; everybody is users = [\"*\"]";
        it.report.add(it.at, Problem::new(format!("{} speaks of nobody", it.called)).hint(hint));
    }
    if whole && identities.is_empty() {
        it.report.add(it.at, Problem::new(format!("{} names no identity", it.called)).hint("identities = [...]"));
    }
    draft.uses.extend(identities.iter().filter_map(|(pattern, at)| match pattern {
        IdentityPattern::Policy(name) => Some((Kind::Identity, name.clone(), *at)),
        _ => None,
    }));
    let (rules, sandbox) = if kind == RuleKind::Allow {
        it.needs("sandbox");
        let sandbox = refer(Kind::Sandbox, "sandbox", it, draft);
        (&mut draft.policy.allows, sandbox)
    } else {
        (&mut draft.policy.denies, None)
    };
    let position = it.report.position(it.at);
    rules.push(Rule { kind, users, groups, identities: plain(identities), sandbox, position });
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
