//! Writes the seeds of every target into `corpus/TARGET` of the folder that is the argument.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).expect("a folder").into();
    for target in ferrite_fuzz::targets::TARGETS {
        let corpus = folder.join("corpus").join(target.name);
        std::fs::create_dir_all(&corpus)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
