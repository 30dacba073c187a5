//! The dialogue between a process and mpiexec: lines of text over a Unix stream socket, the same
//! code for both ends.
//!
//! ```text
//! process  hello version=3 pid=4711
//! mpiexec  welcome version=3 job=<32 hex digits> secret=<64 hex digits> rank=3 size=8
//!          local_rank=3 local=0-7 cpus=2 appnum=0 launcher=4700
//!          (with it, if `local` has several: a descriptor of the empty memory file that they
//!          share)
//!      or  refused reason=<percent-encoded>
//! process  publish card=<percent-encoded>
//! process  fetch rank=5
//! mpiexec  card rank=5 value=<percent-encoded>
//!      or  card rank=5 none               (not published yet)
//! process  finalized
//! process  abort code=7 message=<percent-encoded>
//! process  lost rank=5 reason=<percent-encoded>
//! ```
//!
//! Only `hello` and `fetch` are answered. A process that has said `abort` or `lost` waits to be
//! ended.
//!
//! Fields stand in any order; unknown fields are ignored, so that a version can grow some. A line
//! never exceeds [`MAX_LINE`] bytes.

use core::fmt;

use ferrite_fabric::{Left, Secret, Wait};

use crate::pmi::mapping;

/// Names the descriptor of a process's socket to mpiexec.
pub const CHANNEL_VARIABLE: &str = "FERRITE_CHANNEL";

/// Version of the dialogue that this build speaks.
pub const VERSION: u32 = 3;

/// Longest line in bytes, its newline included.
pub const MAX_LINE: usize = 8192;

/// Longest message of an abort, and longest reason of a loss, in bytes; the rest is cut off.
const MAX_SENTENCE: usize = 1024;

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
    /// How others reach this process.
    Publish {
        /// Opaque; at most [`ferrite_fabric::MAX_CARD`] bytes.
        card: String,
    },
    /// What has the process of this rank published?
    Fetch {
        /// Its rank.
        rank: u32,
    },
    /// This process waits: who has left the job?
    Waiting(Wait),
    /// A process can no longer be reached, and this one cannot go on.
    Lost {
        /// The rank of the process that is lost.
        rank: u32,
        /// Why, for people.
        reason: String,
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
            "publish" => Some(Request::Publish {
                card: decode(fields.get("card")?),
            }),
            "fetch" => Some(Request::Fetch {
                rank: fields.number("rank")?,
            }),
            "waiting" => Some(Request::Waiting(Wait {
                quiet: fields.number("quiet")?,
                needs: match fields.get("needs") {
                    Some(rank) => Some(rank.parse().ok()?),
                    None => None,
                },
                known: fields.number("known")?,
                finalizing: fields.has("finalizing"),
            })),
            "lost" => Some(Request::Lost {
                rank: fields.number("rank")?,
                reason: decode(fields.get("reason").unwrap_or("")),
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
                writeln!(f, "abort code={code} message={}", encode(cut(message)))
            }
            Request::Publish { card } => writeln!(f, "publish card={}", encode(card)),
            Request::Fetch { rank } => writeln!(f, "fetch rank={rank}"),
            Request::Waiting(wait) => {
                write!(f, "waiting quiet={} known={}", wait.quiet, wait.known)?;
                if let Some(rank) = wait.needs {
                    write!(f, " needs={rank}")?;
                }
                writeln!(f, "{}", if wait.finalizing { " finalizing" } else { "" })
            }
            Request::Lost { rank, reason } => {
                writeln!(f, "lost rank={rank} reason={}", encode(cut(reason)))
            }
        }
    }
}

fn cut(sentence: &str) -> &str {
    let mut end = sentence.len().min(MAX_SENTENCE);
    while !sentence.is_char_boundary(end) {
        end -= 1;
    }
    &sentence[..end]
}

/// What mpiexec answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The process is a rank of the job.
    Welcome(Welcome),
    /// It is not, for this reason.
    Refused(String),
    /// How a process is reached.
    Card {
        /// The rank of the process that was asked for.
        rank: u32,
        /// What it has published; `None`: nothing yet.
        value: Option<String>,
    },
    /// Who has left the job.
    Left(Left),
}

/// The job, as mpiexec describes it to one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Version of the dialogue that mpiexec speaks.
    pub version: u32,
    /// The job's id.
    pub job: [u8; 16],
    /// What only the job's members know.
    pub secret: Secret,
    /// The process's rank.
    pub rank: u32,
    /// Ranks in the job.
    pub size: u32,
    /// The process's place in `local`.
    pub local_rank: u32,
    /// Ranks that share a memory file, ascending, this one among them.
    pub local: Vec<u32>,
    /// The node of each rank, where there are several; otherwise empty.
    pub nodes: Vec<u32>,
    /// Processors that they share.
    pub cpus: u32,
    /// Which of the programs separated by `:` this is.
    pub appnum: u32,
    /// Ranks of that program.
    pub part: u32,
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
                job: parse_hex(fields.get("job")?)?,
                secret: Secret(parse_hex(fields.get("secret")?)?),
                rank: fields.number("rank")?,
                size: fields.number("size")?,
                nodes: match fields.get("nodes") {
                    Some(text) => {
                        let size: u32 = fields.number("size")?;
                        let known = (size <= MOST).then(|| mapping::parse(text, size as usize));
                        known??
                    }
                    None => Vec::new(),
                },
                local_rank: fields.number("local_rank")?,
                local: parse_ranks(fields.get("local")?)?,
                cpus: fields.number("cpus")?,
                appnum: fields.number("appnum")?,
                part: fields.number("part")?,
                launcher: fields.number("launcher")?,
            })),
            "refused" => Some(Reply::Refused(decode(fields.get("reason").unwrap_or("")))),
            "left" => Some(Reply::Left(Left {
                ranks: match fields.get("ranks") {
                    Some(ranks) => parse_ranks(ranks)?,
                    None => Vec::new(),
                },
                all_finalize: fields.has("finalize"),
            })),
            "card" => Some(Reply::Card {
                rank: fields.number("rank")?,
                value: match fields.get("value") {
                    Some(value) => Some(decode(value)),
                    None if fields.has("none") => None,
                    None => return None,
                },
            }),
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
                write_hex(f, &w.job)?;
                write!(f, " secret=")?;
                write_hex(f, &w.secret.0)?;
                write!(
                    f,
                    " rank={} size={} local_rank={} local={} cpus={} appnum={} part={} launcher={}",
                    w.rank,
                    w.size,
                    w.local_rank,
                    format_ranks(&w.local),
                    w.cpus,
                    w.appnum,
                    w.part,
                    w.launcher
                )?;
                if (1..=MOST as usize).contains(&w.nodes.len()) {
                    let text = mapping::format(&w.nodes);
                    // A placement without order is not told, as a line has an end: collectives take
                    // all ranks for equally far then.
                    if text.len() <= MAX_NODES {
                        write!(f, " nodes={text}")?;
                    }
                }
                writeln!(f)
            }
            Reply::Left(left) => {
                write!(f, "left")?;
                if !left.ranks.is_empty() {
                    // So many as fit on a line are enough to know one of.
                    let ranks = &left.ranks[..left.ranks.len().min(MOST_LEFT)];
                    write!(f, " ranks={}", format_ranks(ranks))?;
                }
                writeln!(f, "{}", if left.all_finalize { " finalize" } else { "" })
            }
            Reply::Refused(reason) => writeln!(f, "refused reason={}", encode(reason)),
            Reply::Card {
                rank,
                value: Some(value),
            } => writeln!(f, "card rank={rank} value={}", encode(value)),
            Reply::Card { rank, value: None } => writeln!(f, "card rank={rank} none"),
        }
    }
}

/// The most ranks that are said to have left.
pub const MOST_LEFT: usize = 100;

/// The longest text, in bytes, that tells the node of each rank.
const MAX_NODES: usize = 1000;

/// The most ranks that a list is read with.
const MOST: u32 = 1 << 20;

/// An ascending list of ranks in short form: `0-3,7,9-10`, with `10-18/4` for 10, 14, 18.
pub fn format_ranks(ranks: &[u32]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < ranks.len() {
        let first = ranks[at];
        let step = ranks
            .get(at + 1)
            .map_or(1, |&next| next.wrapping_sub(first));
        let mut end = at + 1;
        while end < ranks.len() && ranks[end].wrapping_sub(ranks[end - 1]) == step {
            end += 1;
        }
        // Two ranks with a gap are a list, not a pattern.
        if step != 1 && end - at < 3 {
            end = at + 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if end - at > 1 {
            text.push_str(&format!("-{}", ranks[end - 1]));
            if step != 1 {
                text.push_str(&format!("/{step}"));
            }
        }
        at = end;
    }
    text
}

/// The inverse of [`format_ranks`]; `None` unless the list is ascending and of at most 2^20 ranks.
pub fn parse_ranks(text: &str) -> Option<Vec<u32>> {
    let mut ranks: Vec<u32> = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let step: u32 = step.parse().ok().filter(|&step| step > 0)?;
        let ascending = ranks.last().is_none_or(|&before| before < first) && first <= last;
        if !ascending || (last - first) / step >= MOST || ranks.len() >= MOST as usize {
            return None;
        }
        ranks.extend((first..=last).step_by(step as usize));
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

    fn has(&self, word: &str) -> bool {
        self.0.split(' ').any(|f| f == word)
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

fn parse_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
            secret: Secret(*b"\x00\xff 0123456789012345678901234567\n"),
            rank: 3,
            size: 12,
            local_rank: 1,
            local: vec![1, 3, 4, 5, 9],
            nodes: vec![0, 1, 0, 1, 1, 1, 2, 0, 2, 1, 2, 2],
            cpus: 2,
            appnum: 1,
            part: 7,
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
            Request::Publish {
                card: "tcp:10.0.0.1=7;x".into(),
            },
            Request::Publish {
                card: String::new(),
            },
            Request::Fetch { rank: 70 },
            Request::Lost {
                rank: 7,
                reason: message.into(),
            },
            Request::Waiting(Wait::default()),
            Request::Waiting(Wait {
                quiet: 7,
                needs: Some(0),
                known: 2,
                finalizing: true,
            }),
        ] {
            let line = request.to_string();
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert_eq!(Request::parse(&line), Some(request));
        }
        for reply in [
            Reply::Welcome(welcome()),
            Reply::Refused("not you = no".into()),
            Reply::Card {
                rank: 4,
                value: Some("a b=c".into()),
            },
            Reply::Card {
                rank: 4,
                value: Some(String::new()),
            },
            Reply::Card {
                rank: 4,
                value: None,
            },
            Reply::Left(Left::default()),
            Reply::Left(Left {
                ranks: vec![0, 3, 4],
                all_finalize: true,
            }),
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
        assert_eq!(Reply::parse("welcome version=2"), None);
        assert_eq!(Reply::parse("card rank=1"), None);
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
        assert_eq!(format_ranks(&[1, 3, 5, 7, 8]), "1-7/2,8");
        assert_eq!(format_ranks(&[0, 4, 5, 6]), "0,4-6");
        assert_eq!(parse_ranks("1-7/2,8"), Some(vec![1, 3, 5, 7, 8]));
        let cyclic: Vec<u32> = (0..4000).map(|n| 3 + 16 * n).collect();
        assert_eq!(format_ranks(&cyclic), "3-63987/16");
        assert_eq!(parse_ranks("3-63987/16"), Some(cyclic));
        assert_eq!(parse_ranks("0-3,7,9-10"), Some(vec![0, 1, 2, 3, 7, 9, 10]));
        for bad in [
            "",
            "3-1",
            "1,1",
            "2,1",
            "a",
            "0-4294967295",
            "1-",
            "-",
            "0-4/0",
            "0-4/",
        ] {
            assert_eq!(parse_ranks(bad), None, "{bad}");
        }
    }
}
