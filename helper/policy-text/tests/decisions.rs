//! Who is granted what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail loudly

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_aws_policy::{
    Access, Ask, Attribution, BoundPath, Denial, Granted, Group, Network, Offered, SourceKind, Subject, Verdict,
    Waiver, Wanted,
};
use common::{BASE, UNNAMED, granted, groups, named, own, parse, subject, with_rules};

const DEVELOPERS: &str =
    "[[allow]]\ngroups = ['developers']\nidentities = ['incident', 'own:*']\nsandbox = 'standard'\n";

fn developer() -> Subject {
    subject(1000, "jo", &[(1000, "jo"), (50, "developers")])
}

#[test]
fn everything_that_is_written_is_read() {
    let policy = parse(
        "[source.w]\nprofile-file = '/s/w'\nprofile = 'main'\nregion = 'eu-west-1'\n\
         sts-endpoint = 'http://[::1]:4566'\n\
         [identity.i]\nrole = 'arn:aws-cn:iam::111122223333:role/path/name'\nsource = 'w'\nregion = 'cn-north-1'\n\
         duration = '1h30m'\naccess = 'read-metadata'\ndeny-actions = ['s3:Put*']\n\
         may-assume = ['arn:aws:iam::*:role/x*']\nattribution = 'name'\naliases = ['a', 'default']\nexternal-id = 'e:1'\n\
         [sandbox.s]\nhome = 'agent'\nnetwork = 'none'\nallow-names = ['*.example.com:443', 'github']\n\
         rw-paths = ['~', '~/src', '/srv/work', '/']\nnesting = true\nwaive = ['landlock', 'landlock-scopes']\n",
    )
    .unwrap();
    let (source, identity, sandbox) =
        (policy.source("w").unwrap(), policy.identity("i").unwrap(), policy.sandbox("s").unwrap());
    assert_eq!(source.kind, SourceKind::ProfileFile { path: "/s/w".into(), profile: "main".into() });
    assert_eq!(source.region.as_deref(), Some("eu-west-1"));
    assert_eq!(source.sts_endpoint.as_deref(), Some("http://[::1]:4566"));
    let role = &identity.role;
    assert_eq!(role.as_str(), "arn:aws-cn:iam::111122223333:role/path/name");
    assert_eq!(identity.duration, Duration::from_secs(5400));
    assert_eq!((identity.narrowing.access, identity.attribution), (Access::ReadMetadata, Attribution::Name));
    assert_eq!(identity.narrowing.deny_actions, ["s3:Put*"]);
    assert_eq!(identity.narrowing.may_assume, ["arn:aws:iam::*:role/x*"]);
    assert_eq!(identity.aliases, ["a", "default"]);
    assert_eq!(identity.external_id.as_deref(), Some("e:1"));
    assert_eq!(identity.position.to_string(), "p:6");
    assert_eq!((sandbox.network, sandbox.nesting), (Network::None, true));
    assert_eq!(sandbox.waive, [Waiver::Landlock, Waiver::LandlockScopes]);
    assert_eq!(sandbox.reach.names, ["*.example.com:443", "github"]);
    let resolved: Vec<PathBuf> = sandbox.rw_paths.iter().map(|path| path.resolve(Path::new("/home/jo"))).collect();
    assert_eq!(resolved, ["/home/jo", "/home/jo/src", "/srv/work", "/"].map(PathBuf::from));
    let shown: Vec<String> = sandbox.rw_paths.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["~", "~/src", "/srv/work", "/"]);
}

#[test]
fn a_sandbox_gives_a_model_identity_and_a_caller_may_name_another_that_is_theirs_there() {
    let rules = "[sandbox.models]\nmodel-identity = 'incident'\nmodel-region = 'us-east-1'\n[sandbox.other]\n\
                 [[allow]]\nusers = ['jo']\nidentities = ['own:dev', 'own:brain']\nsandbox = 'models'\n\
                 [[allow]]\nusers = ['jo']\nidentities = ['own:x']\nsandbox = 'other'\n\
                 [[allow]]\nusers = ['bo']\nidentities = ['own:dev']\nsandbox = 'models'\n\
                 [[deny]]\nusers = ['bo']\nidentities = ['incident']\n";
    let policy = with_rules(rules);
    assert_eq!(policy.sandbox("models").unwrap().model_region.as_deref(), Some("us-east-1"));
    let ask = |wanted, sandbox| Ask { wanted, sandbox: Some(sandbox), network: None };
    let (jo, bo) = (subject(1000, "jo", &[]), subject(1001, "bo", &[]));
    let first = policy.decide(&jo, &ask(Wanted::Own("dev"), "models")).unwrap();
    let model = |asked| policy.decide_model(&jo, &first, asked).map(|it| it.map(|it| it.identity.to_string()));
    assert_eq!(model(None), Ok(Some("incident".into())));
    assert_eq!(model(Some(Wanted::Own("brain"))), Ok(Some("own:brain".into())));
    assert_eq!(model(Some(Wanted::Named("incident"))), Err(Denial::NotGranted), "the sandbox's is not the caller's");
    assert!(model(Some(Wanted::Own("x"))).is_err(), "it is theirs, but elsewhere");
    let first = policy.decide(&bo, &ask(Wanted::Own("dev"), "models")).unwrap();
    assert_eq!(policy.decide_model(&bo, &first, None), Err(Denial::NotGranted), "a deny wins");
}

#[test]
fn every_way_to_credentials_and_every_bound_is_read() {
    let policy = parse(
        "[source.p]\ncredential-process = ['/usr/libexec/signer', '--profile', 'x y']\nregion = 'eu-west-1'\nfips = true\n\
         [source.t]\nweb-identity-token-file = '/t'\nweb-identity-role = 'arn:aws:iam::111122223333:role/base'\n\
         [source.i]\ninstance-role = true\ndual-stack = true\n\
         [source.c]\ncontainer-credentials = 'http://169.254.170.23/v1/credentials'\ncontainer-token-file = '/k'\n\
         [identity.i]\nrole = 'arn:aws:iam::111122223333:role/r'\nsource = 'p'\nallow-actions = ['s3:*']\n\
         regions = ['eu-west-1', 'eu-west-2']\naccounts = ['111122223333']\norg = 'o-abcdefghij'\n\
         policy-arns = ['arn:aws:iam::aws:policy/X', 'arn:aws:iam::111122223333:policy/path/Y']\n\
         [identity.j]\nrole = 'arn:aws:iam::111122223333:role/r'\nsource = 't'\nregion = 'eu-west-1'\n\
         session-policy = '''{\"Version\": \"2012-10-17\", \"Statement\": []}'''\n",
    )
    .unwrap();
    let kind = |name: &str| policy.source(name).unwrap().kind.clone();
    let arguments = vec!["--profile".into(), "x y".into()];
    assert_eq!(kind("p"), SourceKind::Process { program: "/usr/libexec/signer".into(), arguments });
    let role = "arn:aws:iam::111122223333:role/base".to_owned();
    assert_eq!(kind("t"), SourceKind::WebIdentity { token: "/t".into(), role });
    assert_eq!(kind("i"), SourceKind::Instance);
    let uri = "http://169.254.170.23/v1/credentials".to_owned();
    assert_eq!(kind("c"), SourceKind::Container { uri, token: Some("/k".into()) });
    let of_aws = |name: &str| (policy.source(name).unwrap().fips, policy.source(name).unwrap().dual_stack);
    assert_eq!((of_aws("p"), of_aws("i"), of_aws("t")), ((true, false), (false, true), (false, false)));
    let narrowing = &policy.identity("i").unwrap().narrowing;
    assert_eq!((narrowing.allow_actions.len(), narrowing.regions.len(), narrowing.policy_arns.len()), (1, 2, 2));
    assert_eq!(
        (narrowing.accounts.as_slice(), narrowing.org.as_deref()),
        (&["111122223333".to_owned()][..], Some("o-abcdefghij"))
    );
    assert!(policy.identity("j").unwrap().narrowing.session_policy.is_some());
}

#[test]
fn what_is_not_written_has_a_narrow_default() {
    let policy = parse(&format!("{BASE}[sandbox.plain]\n")).unwrap();
    let identity = policy.identity("incident").unwrap();
    assert_eq!(identity.duration, Duration::from_secs(3600));
    assert_eq!((identity.narrowing.access, identity.attribution), (Access::Full, Attribution::Full));
    assert_eq!(identity.narrowing.may_assume, Vec::<String>::new());
    let sandbox = policy.sandbox("plain").unwrap();
    assert_eq!((sandbox.network, sandbox.nesting), (Network::Filtered, false));
    assert_eq!(sandbox.rw_paths, [BoundPath::Home(PathBuf::new())]);
    assert_eq!(sandbox.reach.names, ["*"]);
    assert_eq!(sandbox.waive, []);
}

#[test]
fn an_empty_policy_grants_nothing() {
    let policy = parse("").unwrap();
    assert_eq!(policy.decide(&developer(), &named("incident")), Err(Denial::NotGranted));
    assert_eq!(policy.decide(&developer(), &own("dev")), Err(Denial::NotGranted));
    assert_eq!(policy.decide(&developer(), &UNNAMED), Err(Denial::NoChoice { offers: vec![] }));
}

#[test]
fn the_shipped_policy_gives_everybody_their_own_profiles_and_nothing_silently() {
    let policy = parse(agent_aws_policy_text::DEFAULT_POLICY).unwrap();
    let anybody = subject(4242, "nobody-special", &[]);
    let expected = ("own:dev".to_owned(), "standard".to_owned(), Network::Filtered);
    assert_eq!(granted(&policy, &anybody, &own("dev")), Some(expected));
    assert_eq!(policy.decide(&anybody, &UNNAMED), Err(Denial::NoChoice { offers: vec!["own:*".into()] }));
    assert_eq!(policy.decide(&anybody, &named("incident")), Err(Denial::NotGranted));
}

#[test]
fn an_identity_comes_with_its_source_and_the_rule_that_gives_it() {
    let policy = with_rules(DEVELOPERS);
    let decision = policy.decide(&developer(), &named("incident")).map(|it| (it.identity, it.rule.to_string()));
    let (Granted::Policy(identity, source), rule) = decision.unwrap() else { panic!("an own one") };
    assert_eq!((identity.name.as_str(), source.name.as_str(), rule.as_str()), ("incident", "workstation", "p:19"));
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    let deny = "[[deny]]\nusers = ['jo']\nidentities = ['incident']\n";
    for rules in [format!("{deny}{DEVELOPERS}"), format!("{DEVELOPERS}{deny}")] {
        let policy = with_rules(&rules);
        assert_eq!(policy.decide(&developer(), &named("incident")), Err(Denial::NotGranted));
        assert!(policy.decide(&developer(), &own("dev")).is_ok());
        assert!(policy.decide(&subject(1001, "al", &[(50, "developers")]), &named("incident")).is_ok());
    }
}

#[test]
fn denied_and_unknown_are_one_answer() {
    let policy = with_rules(&format!("{DEVELOPERS}[[deny]]\nusers = ['jo']\nidentities = ['incident', 'own:prod']\n"));
    let jo = developer();
    let unknown = policy.decide(&jo, &named("no-such")).unwrap_err();
    for ask in [named("incident"), named("deploy"), named(""), named("*"), own("prod"), own("a]b"), own("")] {
        let denial = policy.decide(&jo, &ask).unwrap_err();
        assert_eq!((&denial, denial.to_string()), (&unknown, unknown.to_string()), "{ask:?}");
        let with_options = Ask { sandbox: Some("no-such"), network: Some(Network::Shared), ..ask };
        assert_eq!(policy.decide(&jo, &with_options).unwrap_err(), unknown);
        let (this, other) = (policy.explain(&jo, &ask, false), policy.explain(&jo, &named("no-such"), false));
        assert_eq!(this, other, "{ask:?}");
    }
}

#[test]
fn an_allow_by_group_needs_process_and_database() {
    let policy = with_rules(DEVELOPERS);
    let with = |process: &[(u32, &str)], database: &[(u32, &str)]| Subject {
        process_groups: groups(process),
        database_groups: groups(database),
        ..subject(1000, "jo", &[])
    };
    let is = |who: &Subject| policy.decide(who, &named("incident")).is_ok();
    assert!(is(&with(&[(50, "developers")], &[(50, "developers")])));
    assert!(!is(&with(&[(50, "developers")], &[])));
    assert!(!is(&with(&[], &[(50, "developers")])));
    assert!(!is(&with(&[(50, "developers")], &[(51, "developers")])), "one name, two groups");
    assert!(!is(&with(&[(50, "other")], &[(50, "developers")])), "one group, two names");
    let nameless = Subject { process_groups: vec![Group { gid: 50, name: None }], ..with(&[], &[(50, "developers")]) };
    assert!(!is(&nameless));
}

#[test]
fn a_deny_by_group_needs_either() {
    let policy = with_rules(
        "[[allow]]\nusers = ['*']\nidentities = ['incident']\nsandbox = 'standard'\n\
         [[deny]]\ngroups = ['contractors', 77]\nidentities = ['*']\n",
    );
    for group in [(60, "contractors"), (77, "x")] {
        let process = Subject { process_groups: groups(&[group]), ..subject(1000, "jo", &[]) };
        let database = Subject { database_groups: groups(&[group]), ..subject(1000, "jo", &[]) };
        assert_eq!(policy.decide(&process, &named("incident")), Err(Denial::NotGranted));
        assert_eq!(policy.decide(&database, &named("incident")), Err(Denial::NotGranted));
    }
    assert!(policy.decide(&subject(1000, "jo", &[(61, "x")]), &named("incident")).is_ok());
}

#[test]
fn users_are_matched_by_login_name_or_uid_and_nobody_is_nobody() {
    let rule = |users: &str| {
        with_rules(&format!("[[allow]]\nusers = {users}\nidentities = ['incident']\nsandbox = 'standard'\n"))
    };
    let is = |users: &str, who: &Subject| rule(users).decide(who, &named("incident")).is_ok();
    assert!(is("['jo']", &subject(1000, "jo", &[])));
    assert!(!is("['jo']", &subject(1000, "Jo", &[])));
    assert!(!is("['jo']", &Subject { login: None, ..subject(1000, "", &[]) }));
    assert!(is("[1000]", &Subject { login: None, ..subject(1000, "", &[]) }));
    assert!(is("[0]", &subject(0, "root", &[])));
    assert!(is("['*']", &Subject { login: None, ..subject(7, "", &[]) }));
    assert!(!is("['*']", &subject(u32::MAX, "jo", &[])), "(uid_t)-1 is no user");
}

#[test]
fn a_star_is_every_identity_of_the_policy_and_no_own_one() {
    let policy = with_rules("[[allow]]\nusers = ['*']\nidentities = ['*']\nsandbox = 'standard'\n");
    assert!(policy.decide(&developer(), &named("deploy")).is_ok());
    assert!(policy.decide(&developer(), &named("no-such")).is_err());
    assert!(policy.decide(&developer(), &own("deploy")).is_err());
    let policy = with_rules("[[allow]]\nusers = ['*']\nidentities = ['own:*']\nsandbox = 'standard'\n");
    assert!(policy.decide(&developer(), &named("deploy")).is_err());
}

#[test]
fn of_several_sandboxes_the_caller_chooses_one_and_only_of_these() {
    let allow =
        |sandbox: &str| format!("[[allow]]\nusers = ['jo']\nidentities = ['incident']\nsandbox = '{sandbox}'\n");
    let policy = with_rules(&format!("{}{}{}", allow("strict"), allow("standard"), allow("strict")));
    let names = vec!["strict".to_owned(), "standard".to_owned()];
    let ask = |sandbox| Ask { sandbox, ..named("incident") };
    assert_eq!(policy.decide(&developer(), &ask(None)), Err(Denial::AmbiguousSandbox { names: names.clone() }));
    for name in ["strict", "standard"] {
        assert_eq!(policy.decide(&developer(), &ask(Some(name))).unwrap().sandbox.name, name);
    }
    let other = policy.decide(&developer(), &ask(Some("no-such")));
    assert_eq!(other, Err(Denial::UnknownSandboxForYou { names }));
    let one = with_rules(&allow("strict"));
    let names = vec!["strict".to_owned()];
    for elsewhere in ["standard", "no-such"] {
        let denial = one.decide(&developer(), &ask(Some(elsewhere)));
        assert_eq!(denial, Err(Denial::UnknownSandboxForYou { names: names.clone() }), "there or not");
    }
}

#[test]
fn a_network_is_only_narrowed() {
    let policy = with_rules(&DEVELOPERS.replace("standard", "mid").replace("[[allow]]", "[sandbox.mid]\n[[allow]]"));
    let ask = |network| Ask { network, ..named("incident") };
    let network = |asked| policy.decide(&developer(), &ask(asked)).map(|it| it.network);
    assert_eq!(network(None), Ok(Network::Filtered));
    assert_eq!(network(Some(Network::Filtered)), Ok(Network::Filtered));
    assert_eq!(network(Some(Network::None)), Ok(Network::None));
    let denial = network(Some(Network::Shared)).unwrap_err();
    assert_eq!(denial, Denial::WiderNetwork { asked: Network::Shared, allowed: Network::Filtered });
    assert_eq!(denial.to_string(), "network \"shared\" is wider than \"filtered\", which this sandbox has");
}

#[test]
fn without_a_name_the_only_identity_is_meant() {
    let incident = ("incident".to_owned(), "standard".to_owned(), Network::Shared);
    assert_eq!(granted(&with_rules(DEVELOPERS), &developer(), &UNNAMED), Some(incident));
    let two = with_rules(&DEVELOPERS.replace("'incident'", "'incident', 'own:dev'"));
    let offers = ["incident", "own:dev", "own:*"].map(str::to_owned).to_vec();
    let denial = two.decide(&developer(), &UNNAMED).unwrap_err();
    assert_eq!(denial.to_string(), "name an identity; you may use incident, own:dev, own:*");
    assert_eq!(denial, Denial::NoChoice { offers });
}

#[test]
fn offers_are_what_can_be_had() {
    let policy = with_rules(&format!(
        "{DEVELOPERS}[[allow]]\nusers = ['jo']\nidentities = ['own:dev', 'deploy']\nsandbox = 'strict'\n\
         [[deny]]\nusers = ['*']\nidentities = ['own:prod', 'deploy']\n"
    ));
    let offers: Vec<(String, Vec<&str>)> = policy
        .offers(&developer())
        .iter()
        .map(|offer| (offer.identity.to_string(), offer.sandboxes.iter().map(|it| it.name.as_str()).collect()))
        .collect();
    assert_eq!(
        offers,
        [
            ("incident".to_owned(), vec!["standard"]),
            ("own:dev".to_owned(), vec!["standard", "strict"]),
            ("own:*".to_owned(), vec!["standard"])
        ]
    );
    let last = policy.offers(&developer()).pop().unwrap().identity;
    assert_eq!(last, Offered::AnyOwn { except: vec!["prod"] });
    assert_eq!(policy.offers(&subject(7, "other", &[])), []);
}

#[test]
fn a_caller_is_shown_only_rules_that_speak_of_them() {
    let policy = with_rules(&format!(
        "{DEVELOPERS}[[allow]]\nusers = ['al']\nidentities = ['deploy']\nsandbox = 'strict'\n\
         [[deny]]\nusers = ['jo']\nidentities = ['own:prod']\n"
    ));
    let shown = |who: &Subject, ask: &Ask<'static>, admin| {
        let rules = policy.explain(who, ask, admin).rules;
        rules.into_iter().map(|it| (it.position.to_string(), it.verdict)).collect::<Vec<_>>()
    };
    let allows = Verdict::Allows { sandbox: "standard".into() };
    let own_rules = vec![("p:27".to_owned(), Verdict::OtherIdentity), ("p:19".to_owned(), allows)];
    assert_eq!(shown(&developer(), &named("incident"), false), own_rules);
    let all = [own_rules, vec![("p:23".to_owned(), Verdict::OtherSubject)]].concat();
    assert_eq!(shown(&developer(), &named("incident"), true), all);
    let hidden = vec![("p:27".to_owned(), Verdict::Applies), ("p:19".to_owned(), Verdict::Applies)];
    assert_eq!(shown(&developer(), &own("prod"), false), hidden);
    assert_eq!(shown(&developer(), &own("prod"), true)[0], ("p:27".to_owned(), Verdict::Denies));
    assert_eq!(shown(&subject(7, "other", &[]), &named("incident"), false), []);
    let early = Subject { database_groups: groups(&[(50, "developers")]), ..subject(7, "new", &[]) };
    let group = "developers".to_owned();
    let expected = vec![("p:19".to_owned(), Verdict::GroupOnlyInDatabase { group })];
    assert_eq!(shown(&early, &named("incident"), false), expected, "they must log in again");
}
