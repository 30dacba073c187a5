//! Where the processes of a job that hangs stand.

use rustix::process::Pid;
use std::fmt::Write;
use std::fs;
use std::process::Command;

/// A report on processes: what each one runs and where its threads wait.
pub(crate) fn report(processes: &[Pid]) -> String {
    let mut text = String::new();
    for pid in processes {
        let pid = pid.as_raw_nonzero();
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        let _ = writeln!(text, "--- process {pid}: {command}");
        match debugger(pid.get()) {
            Some(stacks) => text.push_str(&stacks),
            None => text.push_str(&kernel(pid.get())),
        }
    }
    text
}

/// The stacks as gdb prints them, if there is a gdb and it may look.
fn debugger(pid: i32) -> Option<String> {
    let output = Command::new("gdb")
        .args([
            "-batch",
            "-nx",
            "-p",
            &pid.to_string(),
            "-ex",
            "thread apply all bt 24",
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let stacks: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('#') || line.starts_with("Thread"))
        .collect();
    (!stacks.is_empty()).then(|| stacks.join("\n") + "\n")
}

/// What the kernel tells: state, wait channel and system call of each thread.
fn kernel(pid: i32) -> String {
    let mut text = String::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return text;
    };
    for thread in threads.flatten() {
        let read = |name: &str| {
            fs::read_to_string(thread.path().join(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let state = read("stat")
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .chars()
            .take(1)
            .collect::<String>();
        let _ = writeln!(
            text,
            "thread {}: state {state}, waits in '{}', system call {}",
            thread.file_name().to_string_lossy(),
            read("wchan"),
            read("syscall"),
        );
    }
    text
}
