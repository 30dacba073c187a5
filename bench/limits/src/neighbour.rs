//! Copying out of another process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::copy::repeat;
use crate::sys::{self, Cores};

/// The word that makes a program a neighbour: `main` passes the words after it to [`serve`].
const WORD: &str = "--cross-memory-neighbour";

/// Another process, on another core where there is one, that holds memory for this one to read.
pub struct Neighbour {
    process: Child,
    address: usize,
    bytes: usize,
    target: Vec<u8>,
}

impl Neighbour {
    /// Starts this program again; its `main` must call [`crate::serve`] first of all.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(cores: Cores, bytes: usize) -> io::Result<Self> {
        let core = cores.second().unwrap_or(cores.first());
        let mut process = Command::new(std::env::current_exe()?)
            .args([WORD, &core.to_string(), &bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped")).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("the neighbour answered {line:?}")))?;
        Ok(Self {
            process,
            address,
            bytes,
            target: vec![0; bytes],
        })
    }

    /// Bytes per second of reading `bytes` of its bytes, over and over.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn read(&mut self, bytes: usize) -> io::Result<f64> {
        assert!(
            bytes <= self.bytes,
            "{bytes} bytes of a neighbour with {}",
            self.bytes
        );
        let process = self.process.id();
        let target = &mut self.target[..bytes];
        sys::read_process(process, self.address, target)?;
        if target.iter().any(|&byte| byte != CONTENT) {
            return Err(io::Error::other("the neighbour's bytes arrived wrong"));
        }
        let mut failure = None;
        let rate = repeat(bytes, || {
            if let Err(error) = sys::read_process(process, self.address, target) {
                failure = Some(error);
            }
        });
        failure.map_or(Ok(rate), Err)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Its standard input ends, and with that the process.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

const CONTENT: u8 = 0x5a;

/// Does a neighbour's work, and returns true when it is over, if `words` are those with which
/// [`Neighbour::start`] starts a program.
pub(crate) fn serve(words: &[String]) -> bool {
    let [_, word, core, bytes] = words else {
        return false;
    };
    let (true, Ok(core), Ok(bytes)) = (word == WORD, core.parse(), bytes.parse()) else {
        return false;
    };
    Cores::pin(core);
    let memory = vec![CONTENT; bytes];
    let mut output = io::stdout();
    let told = writeln!(output, "{}", memory.as_ptr().addr()).and_then(|()| output.flush());
    if told.is_ok() {
        // Until the other side closes the pipe, or is gone.
        let _ = io::stdin().read_to_end(&mut Vec::new());
    }
    drop(std::hint::black_box(memory));
    true
}
