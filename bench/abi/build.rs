//! Makes a stand-in for `libmpi_abi.so.1` to link the programs against.
//!
//! Which MPI library a program runs on is decided when it starts, so none has to exist when it is
//! linked. The stand-in has the real library's soname and the symbols that `src/raw.rs` names, and
//! nothing else. The compiler that builds this crate also builds the stand-in: no second tool is
//! needed, and it follows `--target` and the configured linker.
//!
//! Dependents get its path as `DEP_MPI_ABI_STANDIN` and pass it to the linker themselves. It is not
//! a `rustc-link-search` directory, because cargo would put that into the LD_LIBRARY_PATH of every
//! test it runs, and its file name is not the soname, so that no loader ever finds it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/raw.rs");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let source = out.join("standin.rs");
    let library = out.join("libmpi_abi_standin.so");
    let bindings = fs::read_to_string("src/raw.rs").expect("src/raw.rs is part of this crate");
    fs::write(&source, stand_in(&bindings)).expect("OUT_DIR is writable");
    compile(&source, &library);
    println!("cargo::metadata=standin={}", library.display());
}

/// The source of a library that defines every function that `bindings` declares.
fn stand_in(bindings: &str) -> String {
    let names: Vec<&str> = bindings
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub(crate) fn MPI_"))
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .collect();
    assert!(
        !names.is_empty(),
        "src/raw.rs declares no function in the form this script reads"
    );
    let mut text = String::from(
        "#![no_std]\n#![allow(non_snake_case)]\n\
         #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n",
    );
    for name in names {
        text += &format!("#[unsafe(no_mangle)]\npub extern \"C\" fn MPI_{name}() {{}}\n");
    }
    text
}

fn compile(source: &Path, library: &Path) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut command = Command::new(rustc);
    command
        .args([
            "--crate-type=cdylib",
            "--crate-name=mpi_abi",
            "--edition=2024",
        ])
        .args(["-Cpanic=abort", "-Copt-level=1", "-Cdebuginfo=0"])
        .args(["-Clink-arg=-Wl,-soname,libmpi_abi.so.1", "--target"])
        .arg(target)
        .arg("-o")
        .arg(library)
        .arg(source);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("-Clinker=");
        option.push(linker);
        command.arg(option);
    }
    let status = command
        .status()
        .expect("the compiler that builds this crate runs");
    assert!(
        status.success(),
        "building the stand-in for libmpi_abi.so.1 failed: {status}"
    );
}
