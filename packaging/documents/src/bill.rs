//! The bill of materials: which crates are linked into which program, as CycloneDX 1.5.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

/// A crate: name and version.
type Id = (String, String);

/// What is known of all crates that are linked.
#[derive(Default)]
struct Graph {
    licences: BTreeMap<Id, String>,
    needs: BTreeMap<Id, BTreeSet<Id>>,
}

pub(crate) fn of(programs: &[String]) -> Result<String, String> {
    let mut graph = Graph::default();
    for program in programs {
        graph.add(&tree(program)?)?;
    }
    let lock = crate::read("Cargo.lock")?;
    let bill = graph.bill(programs, &checksums(&lock));
    serde_json::to_string_pretty(&bill).map(|text| text + "\n").map_err(|e| e.to_string())
}

/// What cargo says is linked into a program: a line for each crate, its depth before it.
fn tree(program: &str) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["tree", "--quiet", "--locked", "-e", "normal,no-proc-macro", "--prefix", "depth", "-f", " {p}\t{l}"];
    let output = Command::new(cargo).args(words).args(["-p", program]).output();
    let output = output.map_err(|e| format!("cargo tree: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("cargo tree -p {program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// SHA-256 of each crate that comes from a registry.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let packages = lock.split("[[package]]").skip(1).filter_map(|package| {
        let value = |key: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.trim_end_matches('"').to_owned()))
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

impl Graph {
    /// A crate's own needs stand below it, one deeper, where it is named for the first time.
    fn add(&mut self, tree: &str) -> Result<(), String> {
        let mut above: Vec<Id> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let odd = || format!("cargo tree says `{line}`");
            let (depth, rest) = line.split_once(' ').ok_or_else(odd)?;
            let (package, licence) = rest.split_once('\t').ok_or_else(odd)?;
            let mut words = package.split(' ');
            let (name, version) = words.next().zip(words.next()).ok_or_else(odd)?;
            let id: Id = (name.to_owned(), version.trim_start_matches('v').to_owned());
            above.truncate(depth.parse().map_err(|_| odd())?);
            if let Some(needing) = above.last() {
                self.needs.entry(needing.clone()).or_default().insert(id.clone());
            }
            self.needs.entry(id.clone()).or_default();
            self.licences.insert(id.clone(), licence.trim_end_matches(" (*)").replace('/', " OR "));
            above.push(id);
        }
        Ok(())
    }

    fn bill(&self, programs: &[String], checksums: &BTreeMap<Id, String>) -> Value {
        let component = |id: &Id| {
            let (name, version) = id;
            let kind = if programs.contains(name) { "application" } else { "library" };
            let hashes = checksums.get(id).map(|sum| ("hashes", json!([{"alg": "SHA-256", "content": sum}])));
            let licence = self.licences.get(id).filter(|licence| !licence.is_empty());
            let licences = licence.map(|licence| ("licenses", json!([{"expression": licence}])));
            let always = [
                ("type", json!(kind)),
                ("bom-ref", json!(reference(id))),
                ("name", json!(name)),
                ("version", json!(version)),
                ("purl", json!(reference(id))),
            ];
            let all = always.into_iter().chain(hashes).chain(licences);
            Value::Object(all.map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let needs = self.needs.iter().map(
            |(id, needs)| json!({"ref": reference(id), "dependsOn": needs.iter().map(reference).collect::<Vec<_>>()}),
        );
        let whole =
            json!({"type": "application", "bom-ref": "agent-aws-all", "name": "agent-aws", "version": crate::VERSION});
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": whole},
            "components": self.needs.keys().map(component).collect::<Vec<_>>(),
            "dependencies": needs.collect::<Vec<_>>(),
        })
    }
}

fn reference(id: &Id) -> String {
    format!("pkg:cargo/{}@{}", id.0, id.1.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_links_is_in_its_bill_with_checksum_licence_and_who_needs_it() {
        let mut graph = Graph::default();
        let tree =
            "0 tool v0.1.0 (/home/x/tool)\tMIT\n1 a v1.2.3\tApache-2.0/MIT\n2 b v2.0.0+x\tISC\n1 b v2.0.0+x\tISC (*)\n";
        graph.add(tree).unwrap();
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nchecksum = \"00ff\"\n";
        let bill = graph.bill(&["tool".into()], &checksums(lock));
        let text = bill.to_string();
        assert!(!text.contains("/home/x"), "{text}");
        let parts = bill["components"].as_array().unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0]["hashes"][0]["content"], "00ff");
        assert_eq!(parts[0]["licenses"][0]["expression"], "Apache-2.0 OR MIT");
        assert_eq!(parts[2]["type"], "application");
        assert_eq!(bill["dependencies"][2]["dependsOn"], json!(["pkg:cargo/a@1.2.3", "pkg:cargo/b@2.0.0%2Bx"]));
        assert_eq!(bill["dependencies"][0]["dependsOn"], json!(["pkg:cargo/b@2.0.0%2Bx"]));
    }

    #[test]
    fn a_line_that_cargo_does_not_say_is_refused() {
        assert!(Graph::default().add("no depth").is_err());
    }
}
