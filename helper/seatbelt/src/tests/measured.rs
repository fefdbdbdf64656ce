//! The evaluator, held to what people measured on Macs and published, so that it cannot drift to a plain "last match
//! wins"; and to refusing whatever it does not know.

use crate::{Object, Reading, Rules, Whose};

fn may(text: &str, operation: &str, object: Object<'_>) -> bool {
    let rules = Rules::read(text, std::iter::empty()).unwrap();
    rules.decide(Reading::Measured, operation, &object).unwrap().allowed
}

fn refusal(text: &str) -> String {
    Rules::read(text, std::iter::empty()).unwrap_err().to_string()
}

/// Homebrew/brew, extend/os/mac/sandbox.rb: every build depends on this order.
#[test]
fn an_allow_with_a_filter_survives_a_later_deny_without_one() {
    let text = r#"(version 1)(allow file-write* (subpath "/opt/x"))(deny file-write*)(allow default)"#;
    assert!(may(text, "file-write-data", Object::Path("/opt/x/f")));
    assert!(!may(text, "file-write-data", Object::Path("/opt/y/f")));
    assert!(may(text, "file-read-data", Object::Path("/opt/y/f")));
}

/// microsoft/mxc, pull request 754: a table of EPERM and CONNECT_OK.
#[test]
fn of_rules_with_filters_the_last_one_wins_and_one_without_never_beats_them() {
    let socket = Object::Socket("/Users/a/s.sock");
    let of = |rules: &str| may(&format!("(version 1)(deny default){rules}"), "network-outbound", socket);
    let (allow, deny) =
        (r#"(allow network-outbound (subpath "/Users/a"))"#, r#"(deny network-outbound (subpath "/Users/a"))"#);
    assert!(!of(&format!("{allow}{deny}")));
    assert!(of(&format!("{deny}{allow}")));
    assert!(!of(&format!("{deny}(allow network-outbound)")));
    assert!(!of(&format!("(allow network-outbound){deny}")));
}

/// nono, pull request 697: tests of the text alone passed, and reading the keychain broke.
#[test]
fn a_rule_that_names_an_operation_beats_one_that_names_its_parent_in_any_order() {
    let file = Object::Path("/Users/a/Library/Keychains/login.keychain-db");
    let deny = r#"(deny file-read-data (subpath "/Users/a/Library/Keychains"))"#;
    let of = |rules: &str| may(&format!("(version 1)(deny default){rules}"), "file-read-data", file);
    let allow =
        |operation: &str| format!(r#"(allow {operation} (literal "/Users/a/Library/Keychains/login.keychain-db"))"#);
    assert!(!of(&format!("{deny}{}", allow("file-read*"))));
    assert!(!of(&format!("{}{deny}", allow("file-read*"))));
    assert!(of(&format!("{deny}{}", allow("file-read-data"))));
}

/// agent-safehouse, profiles/10-system-runtime.sb: a rule for metadata of one path leaves that of others to `file-read*`.
#[test]
fn an_operation_whose_rules_say_nothing_asks_its_parent() {
    let text =
        r#"(version 1)(deny default)(allow file-read-metadata (literal "/home"))(allow file-read* (subpath "/usr"))"#;
    assert!(may(text, "file-read-metadata", Object::Path("/usr/bin")));
    assert!(!may(text, "file-read-metadata", Object::Path("/opt")));
}

/// Chromium and others: the information of processes is open unless a rule names it.
#[test]
fn default_does_not_reach_process_info() {
    let other = Object::Process(Whose::Other);
    assert!(may("(version 1)(deny default)", "process-info-pidinfo", other));
    assert!(!may("(version 1)(deny default)(deny process-info*)", "process-info-pidinfo", other));
    assert!(!may("(version 1)(deny default)", "signal", other));
}

/// nono, issue 483: a rule about files does not stop a connection to a socket.
#[test]
fn denying_a_socket_as_a_file_does_not_stop_connecting_to_it() {
    let text = r#"(version 1)(allow default)(deny file* (literal "/private/var/run/docker.sock"))"#;
    assert!(may(text, "network-outbound", Object::Socket("/private/var/run/docker.sock")));
    assert!(!may(text, "file-read-data", Object::Path("/private/var/run/docker.sock")));
}

#[test]
fn what_the_evaluator_does_not_know_is_an_error() {
    for (form, why) in [
        (r#"(allow process-exec (literal "/bin/ps") (with no-sandbox))"#, "`with`"),
        (r#"(import "system.sb")"#, "subset"),
        (r#"(define x "y")"#, "subset"),
        (r#"(deny file-raed* (subpath "/x"))"#, "no operation"),
        (r#"(deny file* (subpth "/x"))"#, "subset"),
        (r#"(deny file* (subpath "/tmp/x"))"#, "symbolic link"),
        (r#"(deny file* (subpath "/tmp"))"#, "symbolic link"),
        (r#"(deny file* (literal "/var/x"))"#, "symbolic link"),
        (r#"(deny file* (subpath "/x/../y"))"#, "`..`"),
        (r#"(deny file* (subpath "/x/"))"#, "empty parts"),
        (r#"(deny file* (subpath "x"))"#, "relative"),
        (r#"(deny file* (subpath "/x" "/y"))"#, "one argument"),
        (r#"(deny file* (subpath))"#, "one argument"),
        ("(deny file* (regex #\"a\"))", "pattern"),
        ("(deny file* (regex #\"^/x.*$\"))", "pattern"),
        (r#"(deny file* (regex "^/x[0-9]+$"))"#, "pattern"),
        (r#"(deny network-outbound (remote ip "169.254.169.254:80"))"#, "localhost"),
        (r#"(deny network-outbound (remote ip "localhost"))"#, "HOST:PORT"),
        (r#"(deny network-outbound (remote ip "localhost:99999"))"#, "number"),
        (r#"(deny network-outbound (local ip "*:*"))"#, "local"),
        (r#"(deny file* (subpath (param "NONE")))"#, "not given"),
        (r#"(deny file* (subpath (string-append "/x" "/y")))"#, "no string"),
        (r#"(deny mach-lookup (subpath "/x"))"#, "no filter"),
        (r#"(deny lsopen (literal "/x"))"#, "no filters"),
        (r#"(deny signal (target others))"#, "target"),
        (r#"(deny file* (require-not (literal "/x")))"#, "subset"),
        (r#"(deny file* (require-all))"#, "require-all"),
        (r#"(deny file* (extension "com.example"))"#, "extension"),
        (r#"(deny file* (literal "/x") file-read*)"#, "among the filters"),
        (r#"(deny (literal "/x"))"#, "no operation"),
        (r#"(deny {all} (literal "/x"))"#, "no operation"),
        ("(deny file*", "never closed"),
        ("(deny file*))", "closes nothing"),
        ("deny", "no form"),
        (r#"(deny file* (literal "/x)"#, "never closed"),
        (r#"(deny file* (literal "/\n"))"#, "escape"),
        ("(deny file* (literal \"/\u{7}\"))", "control character"),
        ("(((((((((((((x)))))))))))))", "deeply"),
        ("(deny fïle*)", "no word"),
    ] {
        let text = refusal(&format!("(version 1)(allow default){form}"));
        assert!(text.contains(why), "{form}: {text}");
    }
    assert!(refusal("(allow default)").contains("(version 1)"));
    assert!(refusal("(version 1)").contains("by default"));
    let extra = Rules::read("(version 1)(deny default)", [("X", "/x")].into_iter()).unwrap_err().to_string();
    assert!(extra.contains("never used"), "{extra}");
}

#[test]
fn a_question_that_is_not_understood_gets_no_answer() {
    let rules = Rules::read("(version 1)(allow default)", std::iter::empty()).unwrap();
    let ask = |operation, object| rules.decide(Reading::Measured, operation, &object).unwrap_err().to_string();
    assert!(ask("file-raed-data", Object::Path("/x")).contains("known"));
    assert!(ask("file*", Object::Path("/x")).contains("several"));
    assert!(ask("default", Object::Nothing).contains("several"));
    assert!(ask("file-read-data", Object::Nothing).contains("not about"));
    assert!(ask("file-read-data", Object::Service("x")).contains("not about"));
    assert!(ask("file-read-data", Object::Path("x")).contains("relative"));
    assert!(ask("file-read-data", Object::Path("/etc/x")).contains("symbolic link"));
    assert!(ask("network-outbound", Object::Socket("/x/../y")).contains("`..`"));
}

#[test]
fn a_subpath_ends_at_a_slash() {
    let text = r#"(version 1)(allow default)(deny file* (subpath "/Users/a/.aws"))"#;
    assert!(!may(text, "file-read-data", Object::Path("/Users/a/.aws")));
    assert!(!may(text, "file-read-data", Object::Path("/Users/a/.aws/x")));
    assert!(may(text, "file-read-data", Object::Path("/Users/a/.aws-notes")));
}
