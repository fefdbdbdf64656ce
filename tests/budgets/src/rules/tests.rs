//! Controls: every rule finds what it is for in a bad sample, and nothing in a good one.

use super::*;

fn sample(path: &str, text: &str) -> Source {
    Source::parse(path, text).unwrap()
}

fn places(rule: impl Fn(&[&Source]) -> Figure, path: &str, text: &str) -> Vec<String> {
    rule(&[&sample(path, text)]).places
}

const A: &str = "helper/x/src/a.rs";
const NONE: [&str; 0] = [];

#[test]
fn lines_are_counted_without_tests_comments_documentation_and_blanks() {
    let text = "//! Module.\n\n/// Says what.\nfn a() {\n    // why\n    b();\n\n    let t = \"x\n    y\";\n}\n#[cfg(test)]\nfn c() {}\n#[cfg(test)]\nmod tests {\n    fn d() {}\n}\n";
    let source = sample(A, text);
    assert_eq!(source.code_lines().into_iter().collect::<Vec<_>>(), [4, 6, 8, 9, 10]);
    assert!(lines("lines", &[&source], 4).is_over());
    assert!(!lines("lines", &[&source], 5).is_over());
}

#[test]
fn a_test_method_and_a_file_of_tests_do_not_count() {
    let source = sample(A, "struct S;\nimpl S {\n    #[cfg(test)]\n    fn t() {}\n}\n#[cfg(test)]\nmod tests;\n");
    assert_eq!(source.code_lines().into_iter().collect::<Vec<_>>(), [1, 2, 5]);
    assert!(source.test_files().contains(&"helper/x/src/a/tests.rs".into()));
    let root = sample("helper/x/src/lib.rs", "#[cfg(test)]\nmod tests;\nmod real;\n");
    assert!(root.test_files().contains(&"helper/x/src/tests.rs".into()));
    assert!(!root.test_files().contains(&"helper/x/src/real.rs".into()));
}

#[test]
fn a_function_of_61_lines_is_found_wherever_it_stands() {
    let body = "    b();\n".repeat(59);
    let long = format!("impl S {{\nfn a() {{\n{body}}}\n}}\n");
    assert_eq!(places(long_functions, A, &long), ["helper/x/src/a.rs:2 a has 61 lines"]);
    let short = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(58));
    assert_eq!(places(long_functions, A, &short), NONE);
}

#[test]
fn a_file_of_401_lines_is_found() {
    assert_eq!(places(long_files, A, &"const A: u8 = 1;\n".repeat(401)), ["helper/x/src/a.rs has 401 lines"]);
    assert_eq!(places(long_files, A, &"const A: u8 = 1;\n".repeat(400)), NONE);
}

#[test]
fn unsafe_has_its_address_even_in_a_macro() {
    let text =
        "fn a() { unsafe { b() } }\nfn c() { d!(unsafe { e() }) }\nunsafe fn f() {}\nunsafe impl Send for S {}\n";
    let found = ["helper/x/src/a.rs:1", "helper/x/src/a.rs:2", "helper/x/src/a.rs:3", "helper/x/src/a.rs:4"];
    assert_eq!(places(unsafe_outside_sys, A, text), found);
    assert_eq!(places(unsafe_outside_sys, "helper/x/src/sys.rs", text), NONE);
    assert_eq!(places(unsafe_outside_sys, A, "type F = unsafe fn();\n").len(), 1);
    assert_eq!(places(unsafe_outside_sys, A, "// unsafe { }\nconst S: &str = \"unsafe {}\";\n"), NONE);
}

#[test]
fn a_second_sys_module_in_a_crate_is_found() {
    let (one, two) = (sample("helper/x/src/sys.rs", ""), sample("helper/x/src/y/sys.rs", ""));
    let other = sample("helper/z/src/sys.rs", "");
    assert_eq!(several_sys(&[&one, &two, &other]).value, 1);
    assert_eq!(several_sys(&[&one, &other]).value, 0);
}

#[test]
fn unsafe_without_a_reason_right_above_it_is_found() {
    let bad = "fn a() {\n    // SAFETY: far away.\n    b();\n    c();\n    d();\n    unsafe { e() }\n}\n";
    assert_eq!(places(unsafe_without_reason, A, bad), ["helper/x/src/a.rs:6"]);
    let good =
        "fn a() {\n    // SAFETY: the descriptor is ours\n    // and open.\n    let x =\n        unsafe { e() };\n}\n";
    assert_eq!(places(unsafe_without_reason, A, good), NONE);
}

#[test]
fn what_panics_is_found_outside_tests_only() {
    let text = "fn a() {\n    b().unwrap();\n    c.expect(\"d\");\n    panic!(\"e\");\n    println!();\n    f!(g.unwrap());\n    h.unwrap_or(1);\n}\n#[cfg(test)]\nmod tests {\n    fn t() { b().unwrap(); }\n}\n";
    let lines = [2, 3, 4, 5, 6];
    let found: Vec<String> = places(panics, A, text);
    assert_eq!(found.len(), lines.len(), "{found:?}");
    for (place, line) in found.iter().zip(lines) {
        assert!(place.starts_with(&format!("helper/x/src/a.rs:{line} ")), "{place}");
    }
}

#[test]
fn notes_that_put_something_off_are_found_in_comments_too() {
    let word = ["TO", "DO"].concat();
    assert_eq!(places(marks, A, &format!("fn a() {{}}\n// {word}: later\n")), ["helper/x/src/a.rs:2"]);
    assert_eq!(places(marks, A, "const METHODS: u8 = 1; // a mastodon\n"), NONE);
}

#[test]
fn a_test_ignored_without_a_reason_is_found() {
    let bare = format!("#[{}]", "ignore");
    let text = format!(
        "mod tests {{\n    #[test]\n    {bare}\n    fn a() {{}}\n    #[test]\n    #[ignore = \"needs KVM\"]\n    fn b() {{}}\n}}\n"
    );
    assert_eq!(places(ignored_tests, A, &text), ["helper/x/src/a.rs:3"]);
}

#[test]
fn a_suite_that_no_manifest_names_is_found() {
    let text = "fn main() -> ExitCode {\n    suite(CASES)\n}\n";
    let manifest = |of: &Path| {
        assert_eq!(of, Path::new("tests/x"));
        "[[test]]\nname = \"known\"\nharness = false\n".to_owned()
    };
    let found = |path: &str| places(|sources| never_run(sources, manifest), path, text);
    assert_eq!(found("tests/x/tests/known.rs"), NONE);
    assert_eq!(found("tests/x/tests/unknown.rs"), ["tests/x/tests/unknown.rs:1"]);
}
