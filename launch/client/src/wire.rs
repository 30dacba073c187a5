//! The dialogue between a process and mpiexec: lines of text over a Unix stream socket, the same code for both ends.
//!
//! ```text
//! process  hello version=1 pid=4711
//! mpiexec  welcome version=1 job=<32 hex digits> rank=3 size=8 local_rank=3 local=0-7 cpus=2 appnum=0 launcher=4700
//!          (with it, as a descriptor: the job's empty memory file)
//!      or  refused reason=<percent-encoded>
//! process  finalized
//! process  abort code=7 message=<percent-encoded>
//! ```
//!
//! Fields stand in any order; unknown fields are ignored, so that a version can grow some. A line never exceeds
//! [`MAX_LINE`] bytes.

use core::fmt;

/// Names the descriptor of a process's socket to mpiexec.
pub const CHANNEL_VARIABLE: &str = "FERRITE_CHANNEL";

/// Version of the dialogue that this build speaks.
pub const VERSION: u32 = 1;

/// Longest line in bytes, its newline included.
pub const MAX_LINE: usize = 8192;

/// Longest message of an abort in bytes; the rest is cut off.
const MAX_ABORT_MESSAGE: usize = 1024;

/// What a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The first word of a process that initialises MPI.
    Hello {
        /// Version of the dialogue that it speaks.
        version: u32,
        /// Its process id, as it sees it.
        pid: u32,
    },
    /// Finalize was called: exiting is no failure from now on.
    Finalized,
    /// The job is to end.
    Abort {
        /// Exit code asked for.
        code: i32,
        /// Why, for people.
        message: String,
    },
}

impl Request {
    /// Reads a line, with or without its newline. `None`: not a request of this dialogue.
    pub fn parse(line: &str) -> Option<Request> {
        let (verb, fields) = split(line);
        match verb {
            "hello" => Some(Request::Hello {
                version: fields.number("version")?,
                pid: fields.number("pid")?,
            }),
            "finalized" => Some(Request::Finalized),
            "abort" => Some(Request::Abort {
                code: fields.number("code")?,
                message: decode(fields.get("message").unwrap_or("")),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Request {
    /// The line, newline included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Hello { version, pid } => writeln!(f, "hello version={version} pid={pid}"),
            Request::Finalized => writeln!(f, "finalized"),
            Request::Abort { code, message } => {
                let mut end = message.len().min(MAX_ABORT_MESSAGE);
                while !message.is_char_boundary(end) {
                    end -= 1;
                }
                writeln!(f, "abort code={code} message={}", encode(&message[..end]))
            }
        }
    }
}

/// What mpiexec answers to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The process is a rank of the job.
    Welcome(Welcome),
    /// It is not, for this reason.
    Refused(String),
}

/// The job, as mpiexec describes it to one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Version of the dialogue that mpiexec speaks.
    pub version: u32,
    /// The job's id.
    pub job: [u8; 16],
    /// The process's rank.
    pub rank: u32,
    /// Ranks in the job.
    pub size: u32,
    /// The process's place in `local`.
    pub local_rank: u32,
    /// Ranks on this node, ascending.
    pub local: Vec<u32>,
    /// Processors that they share.
    pub cpus: u32,
    /// Which of the programs separated by `:` this is.
    pub appnum: u32,
    /// Process id of the mpiexec that the rank descends from.
    pub launcher: u32,
}

impl Reply {
    /// Reads a line, with or without its newline. `None`: not a reply of this dialogue.
    pub fn parse(line: &str) -> Option<Reply> {
        let (verb, fields) = split(line);
        match verb {
            "welcome" => Some(Reply::Welcome(Welcome {
                version: fields.number("version")?,
                job: parse_id(fields.get("job")?)?,
                rank: fields.number("rank")?,
                size: fields.number("size")?,
                local_rank: fields.number("local_rank")?,
                local: parse_ranks(fields.get("local")?)?,
                cpus: fields.number("cpus")?,
                appnum: fields.number("appnum")?,
                launcher: fields.number("launcher")?,
            })),
            "refused" => Some(Reply::Refused(decode(fields.get("reason").unwrap_or("")))),
            _ => None,
        }
    }
}

impl fmt::Display for Reply {
    /// The line, newline included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Welcome(w) => {
                write!(f, "welcome version={} job=", w.version)?;
                for byte in w.job {
                    write!(f, "{byte:02x}")?;
                }
                writeln!(
                    f,
                    " rank={} size={} local_rank={} local={} cpus={} appnum={} launcher={}",
                    w.rank,
                    w.size,
                    w.local_rank,
                    format_ranks(&w.local),
                    w.cpus,
                    w.appnum,
                    w.launcher
                )
            }
            Reply::Refused(reason) => writeln!(f, "refused reason={}", encode(reason)),
        }
    }
}

/// An ascending list of ranks in short form: `0-3,7,9-10`.
pub fn format_ranks(ranks: &[u32]) -> String {
    let mut text = String::new();
    let mut rest = ranks.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while rest.next_if_eq(&last.wrapping_add(1)).is_some() {
            last += 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if last > first {
            text.push_str(&format!("-{last}"));
        }
    }
    text
}

/// The inverse of [`format_ranks`]; `None` unless the list is ascending and of at most 2^20 ranks.
pub fn parse_ranks(text: &str) -> Option<Vec<u32>> {
    let mut ranks: Vec<u32> = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let ascending = ranks.last().is_none_or(|&before| before < first) && first <= last;
        if !ascending || last - first >= 1 << 20 || ranks.len() >= 1 << 20 {
            return None;
        }
        ranks.extend(first..=last);
    }
    Some(ranks)
}

struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .split(' ')
            .find_map(|f| f.strip_prefix(name)?.strip_prefix('='))
    }

    fn number<T: core::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }
}

fn split(line: &str) -> (&str, Fields<'_>) {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let (verb, fields) = line.split_once(' ').unwrap_or((line, ""));
    (verb, Fields(fields))
}

fn parse_id(hex: &str) -> Option<[u8; 16]> {
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes())
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

/// Lenient: what is no escape stands for itself.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome() -> Welcome {
        Welcome {
            version: 1,
            job: *b"\x00\x01\x02 abcdefghij\xff\x7f",
            rank: 3,
            size: 12,
            local_rank: 1,
            local: vec![1, 3, 4, 5, 9],
            cpus: 2,
            appnum: 1,
            launcher: 4711,
        }
    }

    #[test]
    fn every_message_survives_the_wire() {
        let message = "line one\nline two 100% done \u{fc}";
        for request in [
            Request::Hello {
                version: 1,
                pid: 77,
            },
            Request::Finalized,
            Request::Abort {
                code: -3,
                message: message.into(),
            },
            Request::Abort {
                code: 0,
                message: String::new(),
            },
        ] {
            let line = request.to_string();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert_eq!(Request::parse(&line), Some(request));
        }
        for reply in [
            Reply::Welcome(welcome()),
            Reply::Refused("not you = no".into()),
        ] {
            let line = reply.to_string();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert_eq!(Reply::parse(&line), Some(reply));
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_are_not() {
        assert_eq!(
            Request::parse("hello colour=red pid=5 version=1"),
            Some(Request::Hello { version: 1, pid: 5 })
        );
        assert_eq!(Request::parse("hello version=1"), None);
        assert_eq!(Request::parse("hello version=one pid=5"), None);
        assert_eq!(Request::parse(""), None);
        assert_eq!(Reply::parse("welcome version=1"), None);
        assert_eq!(Reply::parse("\u{0}\u{1}"), None);
    }

    #[test]
    fn a_long_abort_message_is_cut_at_a_character() {
        let message = "\u{fc}".repeat(5000);
        let line = Request::Abort { code: 1, message }.to_string();
        assert!(line.len() < MAX_LINE, "{}", line.len());
        let Some(Request::Abort { message, .. }) = Request::parse(&line) else {
            panic!("{line}")
        };
        assert_eq!(message, "\u{fc}".repeat(512));
    }

    #[test]
    fn rank_lists() {
        assert_eq!(format_ranks(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(format_ranks(&[5]), "5");
        assert_eq!(parse_ranks("0-3,7,9-10"), Some(vec![0, 1, 2, 3, 7, 9, 10]));
        for bad in ["", "3-1", "1,1", "2,1", "a", "0-4294967295", "1-", "-"] {
            assert_eq!(parse_ranks(bad), None, "{bad}");
        }
    }
}
