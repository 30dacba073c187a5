//! Jobs of two processes, one program each.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::fabric::Fabric;

/// A job that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs a program of the prefix on two processes and returns what it prints; says why where that
/// fails.
pub(crate) fn run(
    prefix: &Path,
    fabric: Fabric,
    program: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let what = [&[program], arguments].concat().join(" ");
    let bin = prefix.join("bin");
    let mut job = Command::new(bin.join("mpiexec"));
    job.args(["-n", "2"])
        .arg(bin.join(program))
        .args(arguments)
        // Cargo names its own folders there; the prefix's library is meant, wherever else one may
        // lie.
        .env_remove("LD_LIBRARY_PATH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    fabric.choose(&mut job);
    let mut mpiexec = job
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", bin.join("mpiexec").display()))?;
    let output = collect(mpiexec.stdout.take().expect("stdout is piped"));
    let errors = collect(mpiexec.stderr.take().expect("stderr is piped"));
    let Ok(output) = output.recv_timeout(DEADLINE) else {
        // It may have ended in between.
        let _ = mpiexec.kill();
        let _ = mpiexec.wait();
        return Err(format!("{what} took more than {} s", DEADLINE.as_secs()));
    };
    let status = mpiexec.wait().map_err(|error| format!("{what}: {error}"))?;
    // The program closed its standard output, so this does not wait for more than the end of
    // mpiexec.
    let errors = errors.recv_timeout(DEADLINE).unwrap_or_default();
    if status.success() {
        eprint!("{errors}");
        return Ok(output);
    }
    Err(match errors.trim() {
        "" => format!("{what}: {status}"),
        errors => format!("{what}: {status}\n{errors}"),
    })
}

/// Reads a stream to its end, beside whatever else happens.
fn collect(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until an error is all there is.
        let _ = stream.read_to_end(&mut bytes);
        // Nobody listens after the deadline.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
