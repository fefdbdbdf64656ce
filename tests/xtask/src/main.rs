//! The logic behind the Makefile: what `make VERB` does, VERB by VERB.

mod cases;
mod check;
mod fuzz;
mod install;
mod needs;
mod package;
mod products;
mod shell;
mod show;
mod stage;
mod tables;
mod tally;
mod test;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use shell::{Failure, Outcome};

const USAGE: &str =
    "usage: xtask build | install [--destdir DIR] [--prefix DIR] [--no-setuid] [--for-package] | test [PART...] | check | \
budgets | deb [--from-source] [--to DIR] | rpm [--from-source] [--to DIR] | vendor | reproducible | tables | demo | bench | fuzz [SECONDS]
parts of test: unit, budgets, e2e, attacks, workloads, clients, packages, vm, fuzz; none given means all";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match shell::to_workspace().and_then(|root| verb(&root, &words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn verb(root: &std::path::Path, words: &[String]) -> Outcome {
    let (verb, rest) = words.split_first().ok_or_else(|| Failure::new(USAGE))?;
    match (verb.as_str(), rest) {
        ("build", []) => products::build(root),
        ("install", _) => install::install(root, &install_options(rest)?),
        ("test", parts) => test::test(root, parts),
        ("check", []) => check::check(root),
        ("budgets", []) => check::budgets(root),
        ("deb", more) => package::deb(root, &package_options(more)?),
        ("rpm", more) => package::rpm(root, &package_options(more)?),
        ("vendor", []) => package::vendor(root),
        ("reproducible", []) => package::reproducible(root),
        ("tables", []) => tables::write(root),
        ("demo", []) => show::demo(root),
        ("bench", more) => show::bench(root, more),
        ("fuzz", more) => fuzz::fuzz(root, more),
        _ => Err(Failure::new(USAGE)),
    }
}

fn package_options(words: &[String]) -> Result<package::Options, Failure> {
    package::Options::parse(words).ok_or_else(|| Failure::new(USAGE))
}

fn install_options(words: &[String]) -> Result<install::Options, Failure> {
    let mut options = install::Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value =
            || words.next().map(PathBuf::from).ok_or_else(|| Failure::new(format!("{word} needs a directory")));
        match word.as_str() {
            "--destdir" => options.destdir = value()?,
            "--prefix" => options.prefix = value()?,
            "--no-setuid" => options.setuid = false,
            "--for-package" => options.for_package = true,
            _ => return Err(Failure::new(USAGE)),
        }
    }
    if options.for_package && options.destdir.as_os_str().is_empty() {
        return Err(Failure::new("--for-package needs --destdir DIR"));
    }
    match options.prefix.is_absolute() {
        true => Ok(options),
        false => Err(Failure::new(format!("the prefix {} is not absolute", options.prefix.display()))),
    }
}
