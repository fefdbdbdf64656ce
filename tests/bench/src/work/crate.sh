mkdir -p crate/src crate/part/src
cd crate
printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\npart = { path = "part" }\n' >Cargo.toml
printf '[package]\nname = "part"\nversion = "0.1.0"\nedition = "2021"\n' >part/Cargo.toml
cat >build.rs <<'X'
fn main() {
    let made = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("made.rs");
    std::fs::write(made, "pub const MADE: u32 = 42;").unwrap();
}
X
cat >part/src/lib.rs <<'X'
use std::collections::BTreeMap;
pub fn words(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in text.split_whitespace() { *found.entry(word.to_lowercase()).or_insert(0) += 1; }
    found
}
X
cat >src/main.rs <<'X'
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap_or_default()).unwrap_or_default();
    for (word, count) in part::words(&text) { println!("{count:8} {word} {MADE}"); }
}
X
