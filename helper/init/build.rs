//! What ships has no C library, so no start files of one: `sys` has the program's own entry.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // As in the sources, where `panic = "abort"` says it: the profile of what ships.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-nostartfiles");
        println!("cargo:rustc-link-arg-bins=-Wl,-z,nopack-relative-relocs");
    }
}
