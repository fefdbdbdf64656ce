//! What is wrong with a policy is said with file, line, column and what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail loudly

mod common;

use agent_aws_policy_text::{MAX_FILE_BYTES, MAX_FILES, SourceFile};
use common::{BASE, errors, parse};

/// One error exactly, in a file that begins with `text`.
fn one(text: &str) -> String {
    let all = errors(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

/// Each says where the credentials of a source are.
const WAYS: [&str; 5] =
    ["profile-file", "credential-process", "web-identity-token-file", "instance-role", "container-credentials"];

/// The error of one line in a section that is right otherwise; the line is the file's second.
fn in_section(section: &str, line: &str) -> String {
    let rest = match section.split('.').next().unwrap() {
        "source" if WAYS.iter().any(|way| line.starts_with(way)) => "region = \"eu-west-1\"\n",
        "source" => "profile-file = \"/s\"\nregion = \"eu-west-1\"\n",
        "identity" if line.starts_with("role") => "source = \"w\"\nregion = \"eu-west-1\"\n",
        "identity" if line.starts_with("region") => "source = \"w\"\nrole = \"arn:aws:iam::111122223333:role/r\"\n",
        "identity" => "source = \"w\"\nrole = \"arn:aws:iam::111122223333:role/r\"\nregion = \"eu-west-1\"\n",
        _ => "",
    };
    one(&format!("[{section}]\n{line}\n{rest}[source.w]\nprofile-file = \"/w\"\nregion = \"eu-west-1\"\n"))
}

#[test]
fn the_shipped_policy_is_right() {
    parse(agent_aws_policy_text::DEFAULT_POLICY).unwrap();
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    for (text, expected) in [
        ("[sources.x]\n", "p:1:2: unknown key \"sources\" in the policy; did you mean `source`?"),
        (
            "\n  xyz = 1\n",
            "p:2:3: unknown key \"xyz\" in the policy; known here: source, identity, sandbox, names, allow, deny",
        ),
        (
            "[sandbox.a]\nhome = \"agent\"\n\tnetwrok = \"none\"\n",
            "p:3:2: unknown key \"netwrok\" in [sandbox.a]; did you mean `network`?",
        ),
        (
            "[sandbox.\"a\"]\r\n\"rw-path\" = []\r\n",
            "p:2:1: unknown key \"rw-path\" in [sandbox.a]; did you mean `rw-paths`?",
        ),
        (
            "[sandbox.s]\n[[deny]]\nusers = [\"jo\"]\nidentities = [\"own:*\"]\nsandbox = \"s\"\n",
            "p:5:1: unknown key \"sandbox\" in [[deny]]; known here: users, groups, identities",
        ),
        (
            "\"a\\u001b[2J\" = 1\n",
            "p:1:1: unknown key \"a\\u{1b}[2J\" in the policy; known here: source, identity, sandbox, names, allow, deny",
        ),
    ] {
        assert_eq!(one(text), expected);
    }
}

#[test]
fn a_wrong_value_is_an_error_at_that_value() {
    let table = include_str!("values.txt");
    let mut rows = 0;
    for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (section, rest) = row.split_once(" | ").unwrap();
        let (line, expected) = rest.split_once(" | ").unwrap();
        assert_eq!(in_section(section, line), format!("p:2:{expected}"), "{row}");
        rows += 1;
    }
    assert!(rows > 70, "{rows}");
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        one("[sandbox.a]\nallow-names = [\"*\", \"ä.example\"]\n"),
        "p:2:21: \"ä.example\" is not a name to allow; \"*\", \"example.com\", \"*.example.com\" or \"203.0.113.0/24\", with \":443\" or not"
    );
    assert!(
        one("[sandbox.a] # äöü\nhome = 'äöü'; x").starts_with("p:2:13: "),
        "{}",
        one("[sandbox.a]\nhome = 'äöü'; x")
    );
}

/// The errors of a source with these lines.
fn in_source(lines: &str) -> Vec<String> {
    errors(&format!("[source.a]\nregion = 'eu-west-1'\n{lines}\n"))
}

#[test]
fn a_source_has_one_way_and_what_goes_with_it() {
    let two = in_source("profile-file = '/a'\ninstance-role = true");
    assert!(two[0].starts_with("p:1:9: [source.a] says in more than one way where its credentials are"), "{two:?}");
    assert_eq!(
        in_source("instance-role = true\nprofile = 'x'"),
        ["p:1:9: [source.a]: `profile` does not go with `instance-role`"]
    );
    assert_eq!(in_source("instance-role = false"), ["p:1:9: [source.a]: `instance-role` is true, or not there"]);
    assert_eq!(in_source("web-identity-token-file = '/t'"), ["p:1:9: [source.a] lacks `web-identity-role`"]);
    assert_eq!(in_source("credential-process = []"), ["p:1:9: [source.a]: `credential-process` names no program"]);
    let endpoint = in_source("instance-role = true\nsts-endpoint = 'https://sts.example'\nfips = true");
    assert!(endpoint[0].contains("has an sts-endpoint, and `fips` or `dual-stack`"), "{endpoint:?}");
}

#[test]
fn an_identity_begins_from_one_thing_and_its_region_is_one_of_its_regions() {
    let identity = |lines: &str| {
        errors(&format!(
            "{BASE}[identity.x]\nrole = 'arn:aws:iam::111122223333:role/r'\nsource = 'workstation'\n{lines}\n"
        ))
    };
    let two = identity("access = 'read'\npolicy-arns = ['arn:aws:iam::aws:policy/X']");
    assert!(two[0].contains("[identity.x] says in more than one way what is allowed to begin with"), "{two:?}");
    let region = identity("region = 'eu-west-1'\nregions = ['us-east-1']");
    assert!(region[0].contains("region \"eu-west-1\" of [identity.x] is not one of its regions"), "{region:?}");
}

#[test]
fn what_is_missing_is_said_at_the_table() {
    let all = errors("[source.a]\n\n[identity.b]\n\n[[allow]]\n\n[[deny]]\n");
    assert_eq!(
        all,
        [
            "p:1:9: [source.a] does not say where its credentials are; one of profile-file, credential-process, \
             web-identity-token-file, instance-role, container-credentials",
            "p:3:11: [identity.b] lacks `role`",
            "p:3:11: [identity.b] lacks `source`",
            "p:5:1: [[allow]] speaks of nobody; users = [...] or groups = [...]; everybody is users = [\"*\"]",
            "p:5:1: [[allow]] names no identity; identities = [...]",
            "p:5:1: [[allow]] lacks `sandbox`",
            "p:7:1: [[deny]] speaks of nobody; users = [...] or groups = [...]; everybody is users = [\"*\"]",
            "p:7:1: [[deny]] names no identity; identities = [...]",
        ]
    );
}

#[test]
fn a_reference_that_leads_nowhere_names_the_nearest() {
    let all = errors(
        "[source.work]\nprofile-file = \"/w\"\nregion = \"eu-west-1\"\n[identity.dev]\nsource = \"wrk\"\n\
         role = \"arn:aws:iam::111122223333:role/r\"\n[sandbox.standard]\n[[allow]]\nusers = [\"jo\"]\n\
         identities = [\"own:x\", \"def\", \"*\"]\nsandbox = \"other\"\n",
    );
    assert_eq!(
        all,
        [
            "p:5:10: there is no [source.wrk]; did you mean \"work\"?",
            "p:10:24: there is no [identity.def]; did you mean \"dev\"?",
            "p:11:11: there is no [sandbox.other]",
        ]
    );
}

#[test]
fn a_faulty_definition_is_one_error_and_not_one_more_for_each_reference() {
    assert_eq!(
        one(&BASE.replace("/etc/agent-aws", "etc")),
        "p:3:16: \"etc/sources/workstation\" is not an absolute path"
    );
}

#[test]
fn a_name_defined_twice_is_an_error_over_all_files() {
    let file = |name, text: &'static str| SourceFile { name, bytes: text.as_bytes() };
    let all = agent_aws_policy_text::parse(&[file("a", "[sandbox.x]\n"), file("b", "\n[sandbox.y]\n[sandbox.x]\n")])
        .unwrap_err();
    assert_eq!(all[0].to_string(), "b:3:10: [sandbox.x] is defined twice; first at a:1");
    assert_eq!(one("[sandbox.x]\n[sandbox.x]\n"), "p:2:10: duplicate key");
    assert_eq!(one("[sandbox.x]\nhome = \"agent\"\nhome = \"agent\"\n"), "p:3:1: duplicate key");
}

#[test]
fn aliases_that_collide_are_errors() {
    let identity = |name: &str, aliases: &str| {
        format!("[identity.{name}]\nrole = \"arn:aws:iam::111122223333:role/r\"\nsource = \"w\"\naliases = {aliases}\n")
    };
    let source = "[source.w]\nprofile-file = \"/w\"\nregion = \"eu-west-1\"\n";
    let two = |a, b| format!("{source}{}{}", identity("a", a), identity("b", b));
    parse(&two("['x', 'y']", "['z']")).unwrap();
    assert_eq!(one(&two("['x', 'y']", "['y']")), "p:11:12: alias \"y\" is already taken by [identity.a]");
    assert_eq!(one(&two("['b']", "[]")), "p:7:12: alias \"b\" is already taken by [identity.b]");
    assert_eq!(one(&two("['x', 'x']", "[]")), "p:7:17: alias \"x\" is already taken by [identity.a]");
}

#[test]
fn an_identity_needs_a_region_of_its_own_or_of_its_source() {
    let text = BASE.replace("region = \"eu-west-1\"", "");
    assert_eq!(
        errors(&text)[0],
        "p:6:11: neither [identity.incident] nor its source has a region; region = \"...\" in one of them"
    );
}

#[test]
fn a_file_that_is_no_toml_is_an_error_at_its_place_and_hides_no_other_file() {
    let files = [
        SourceFile { name: "a", bytes: b"[sandbox.a]\nhome = \"agent\n" },
        SourceFile {
            name: "b",
            bytes: b"[sandbox.b]\nhome = 1\n[[allow]]\nusers = ['x']\nidentities = ['*']\nsandbox = 'a'",
        },
    ];
    let all: Vec<String> = agent_aws_policy_text::parse(&files).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        all,
        ["a:2:14: invalid basic string, expected `\\\"`", "b:2:8: `home` must be a string, not an integer"]
    );
}

#[test]
fn what_is_no_text_is_refused_at_its_place() {
    let bytes = |bytes: &[u8]| {
        let all = agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes }]).unwrap_err();
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        bytes(b"\xef\xbb\xbf[sandbox.a]"),
        ["p:1:1: the file begins with a byte order mark; save it as plain UTF-8"]
    );
    assert_eq!(bytes(b"# \xc3\xa4\n# \xc3\xa4\xff"), ["p:2:4: the file is not UTF-8 from here on"]);
    assert_eq!(bytes(b"#\n# \0"), ["p:2:3: the file has a NUL byte"]);
    assert_eq!(bytes(&vec![b' '; MAX_FILE_BYTES + 1]), ["p:1:1: the file is larger than 262144 bytes"]);
    assert!(agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: &vec![b'\n'; MAX_FILE_BYTES] }]).is_ok());
    let many: Vec<SourceFile<'_>> = (0..=MAX_FILES).map(|_| SourceFile { name: "f", bytes: b"" }).collect();
    assert_eq!(agent_aws_policy_text::parse(&many).unwrap_err()[0].to_string(), "f:1:1: a policy has at most 64 files");
}

#[test]
fn crlf_is_a_line_end() {
    parse(&BASE.replace('\n', "\r\n")).unwrap();
    assert_eq!(one("[sandbox.a]\r\nhome = 1\r\n"), "p:2:8: `home` must be a string, not an integer");
}

#[test]
fn no_depth_of_nesting_overflows_the_stack() {
    let deep = |unit: &str, times: usize| unit.repeat(times);
    for text in [
        format!("a = {}", deep("[", 200_000)),
        format!("a = {}1{}", deep("[", 100_000), deep("]", 100_000)),
        format!("a = {}", deep("{a=", 80_000)),
        format!("{}a = 1", deep("a.", 100_000)),
        format!("[{}a]", deep("a.", 100_000)),
        // Every level that the parser admits, and in each all the dots that it admits.
        format!(
            "[{0}a]\n{0}a = {1}1{2}",
            deep("a.", 78),
            deep(&format!("{{{}a = ", deep("a.", 78)), 79),
            deep("}", 79)
        ),
        deep("[[allow]]\n", 20_000),
        deep("[allow.a]\n", 20_000),
        deep("a", 262_144),
    ] {
        // A helper started with the smallest stack that the kernel gives a setuid program has far more than this.
        let parse = move || {
            agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }]).map_err(|all| all.len())
        };
        let errors = std::thread::Builder::new().stack_size(1 << 20).spawn(parse).unwrap().join().unwrap().unwrap_err();
        assert!((1..=200).contains(&errors));
    }
}
