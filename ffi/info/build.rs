//! Tells the program how it was built.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (name, source) in [
        ("FERRITE_INFO_TARGET", "TARGET"),
        ("FERRITE_INFO_PROFILE", "PROFILE"),
    ] {
        let value = env::var(source).expect("set by cargo");
        println!("cargo::rustc-env={name}={value}");
    }
    let compiler = env::var_os("RUSTC").expect("set by cargo");
    let output = Command::new(compiler).arg("--version").output();
    let version = output.expect("cargo has just called it").stdout;
    println!(
        "cargo::rustc-env=FERRITE_INFO_RUSTC={}",
        String::from_utf8_lossy(&version).trim()
    );
}
