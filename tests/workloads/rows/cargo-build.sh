#: expect
built by build.rs
test result: ok. 1 passed
#: alike
s/[0-9.]+s$/Ns/; s/ in [0-9.]+s/ in Ns/; s/-[0-9a-f]{16}/-HASH/
#: setup
mkdir -p app/src part/src
printf '[workspace]\nmembers = ["app", "part"]\nresolver = "2"\n' >Cargo.toml
printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\npart = { path = "../part" }\n' >app/Cargo.toml
printf '[package]\nname = "part"\nversion = "0.1.0"\nedition = "2021"\n[lib]\nproc-macro = true\n' >part/Cargo.toml
cat >part/src/lib.rs <<'X'
use proc_macro::TokenStream;
#[proc_macro]
pub fn answer(_: TokenStream) -> TokenStream { "42".parse().unwrap() }
X
cat >app/build.rs <<'X'
use std::{env, fs, path::Path, process::Command};
fn main() {
    let shell = Command::new("sh").args(["-c", "echo built by build.rs"]).output().unwrap();
    let out = Path::new(&env::var("OUT_DIR").unwrap()).join("made.rs");
    fs::write(out, format!("pub const MADE: &str = {:?};", String::from_utf8(shell.stdout).unwrap().trim())).unwrap();
}
X
cat >app/src/main.rs <<'X'
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() { println!("{MADE} {}", part::answer!()); }
#[test]
fn it_is_42() { assert_eq!(part::answer!(), 42); }
X
#: run
cargo build --offline
cargo run --offline -q
cargo test --offline 2>&1
touch app/src/main.rs; cargo build --offline
