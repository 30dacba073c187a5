//! `ferrite-gen [--check]`: writes the generated files, or fails and names those that are out of
//! date.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.as_slice() {
        [] => false,
        [one] if one == "--check" => true,
        _ => {
            eprintln!("usage: ferrite-gen [--check]");
            return ExitCode::from(2);
        }
    };
    match ferrite_gen::generate(&ferrite_gen::repository(), check) {
        Err(why) => {
            eprintln!("ferrite-gen: {why}");
            ExitCode::FAILURE
        }
        Ok(changed) => {
            for path in &changed {
                let verb = if check { "out of date" } else { "written" };
                eprintln!("{verb}: {}", path.display());
            }
            match check && !changed.is_empty() {
                true => ExitCode::FAILURE,
                false => ExitCode::SUCCESS,
            }
        }
    }
}
