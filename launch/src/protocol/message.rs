//! What mpiexec and its agents tell each other, and how that is cut out of a stream of bytes.
//!
//! A stream begins with a preamble that names the version, before which a remote shell may have
//! printed anything. Frames follow: a length (32 bits, little-endian), then the number of a node
//! and a message in postcard's encoding. Down the tree the number says who is meant, up the tree
//! who speaks; an agent in between passes frames on. Both directions start anew with each
//! connection.

use super::{Finding, Target};
use crate::plan::Spec;
use crate::process::End;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Every node, in a frame that goes down.
pub(crate) const ALL: u32 = u32::MAX;

/// The longest frame. Environments and arguments of programs are far shorter: the kernel's limit
/// for them is 6 MiB.
const MAX_FRAME: usize = 64 << 20;

/// From mpiexec to agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Down {
    /// I am alive.
    Beat,
    /// The job. `node`: which node of it the agent is; `below`: the nodes whose agents it starts.
    Setup {
        node: u32,
        below: Vec<u32>,
        spec: Box<Spec>,
    },
    /// A program is a rank of the job with this identity.
    Welcome {
        rank: u32,
        /// The process that said hello, as its host's kernel says.
        pid: Option<i32>,
        id: [u8; 16],
        secret: Key,
    },
    /// Text for a rank's socket. `joined`: it makes this process a member of the job.
    Tell {
        rank: u32,
        text: String,
        joined: Option<i32>,
    },
    /// A signal for every rank.
    Signal(i32),
    /// Ask every process of the job to end.
    Terminate,
    /// Kill every process of the job.
    Kill,
    /// For the rank that has mpiexec's standard input; empty: that has ended.
    Input(Vec<u8>),
    /// So many bytes of standard output (0) or error (1) have found room.
    Took { which: u8, bytes: u64 },
    /// Nobody reads standard output (0) or error (1) any more.
    Closed { which: u8 },
    /// mpiexec stops for a while, and so do its heartbeats; ends with the next message.
    Pause,
    /// Look at your host.
    Examine,
    /// Listen for the others.
    Listen { ports: Option<(u16, u16)> },
    /// Try to connect to these.
    Dial(Vec<Target>),
}

/// From agents to mpiexec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Up {
    /// I am alive.
    Beat,
    /// The agent has understood its job.
    Ready,
    /// A rank's process runs.
    Started { rank: u32, pid: i32 },
    /// A rank of this node cannot be started, and none after it has been. `status`: mpiexec's exit
    /// code.
    Unstartable { sentence: String, status: u8 },
    /// A line from a rank's socket, and the process that sent it as the host's kernel says.
    Said {
        rank: u32,
        pid: Option<i32>,
        line: Vec<u8>,
    },
    /// The MPI program of a rank is no more, while the wrapper that was started for the rank may
    /// run on.
    ProgramGone { rank: u32 },
    /// The process of a rank has ended. `hint`: what else is known about that.
    Ended { rank: u32, end: End, hint: String },
    /// What a rank has written to standard output (0) or error (1): whole lines, mostly.
    Output {
        rank: u32,
        which: u8,
        bytes: Vec<u8>,
    },
    /// So many bytes of standard input have been taken by the rank.
    InputTaken(u64),
    /// Nobody reads standard input any more.
    InputClosed,
    /// A sentence for the user.
    Say(String),
    /// Every process of this node has ended, and all that they wrote has been sent.
    Done,
    /// These nodes cannot be had (`lost`: any more), for this reason.
    Without {
        nodes: Vec<u32>,
        sentence: String,
        status: u8,
        lost: bool,
    },
    /// What the agent has found on its host, and the time there in microseconds since 1970.
    Found { findings: Vec<Finding>, clock: u64 },
    /// The agent listens at these addresses.
    Listens(Result<Target, String>),
    /// At which address each of the targets was reached; the error is a sentence.
    Dialled(Vec<Result<String, String>>),
}

/// The job's secret on its way. Prints as nothing.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Begins every stream. No shell prints the first byte.
const MARK: &[u8] = b"\x01ferrite-agent ";

/// What this build writes into its preamble. Agents and mpiexec must be of one build: the frames
/// carry no version.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".1");

/// Where a preamble ends that goes on for ever.
const MAX_VERSION: usize = 64;

/// The bytes with which a stream begins.
pub(crate) fn preamble() -> Vec<u8> {
    [b"\n", MARK, VERSION.as_bytes(), b"\n"].concat()
}

/// Appends a frame.
pub(crate) fn encode<T: Serialize>(node: u32, message: &T, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend([0; 4]);
    let taken = std::mem::take(into);
    // Appending to memory does not fail.
    if let Ok(bytes) = postcard::to_extend(&(node, message), taken) {
        *into = bytes;
    }
    let length = (into.len() - start - 4) as u32;
    into[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    synced: bool,
    /// What stood before the preamble, as far as it is cut off.
    noise: Vec<u8>,
}

/// What has been cut out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<T> {
    /// The preamble, with the version of the other end.
    Preamble(String),
    /// A message, and the number of its node.
    Frame(u32, T),
}

/// The stream holds something that is no frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// Noise that is kept for a message about it.
const MAX_NOISE: usize = 4096;

impl Decoder {
    /// Takes bytes as they arrive.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What stood, or so far stands, before the preamble.
    pub(crate) fn noise(&self) -> Vec<u8> {
        let rest = if self.synced { &[] } else { &self.bytes[..] };
        [&self.noise, rest].concat()
    }

    /// The next piece; `None`: it has not arrived yet.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Piece<T>>, Broken> {
        if !self.synced {
            return self.sync();
        }
        let Some((head, _)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(Broken("a frame of impossible length"));
        }
        let Some(body) = self.bytes.get(4..4 + length) else {
            return Ok(None);
        };
        let (node, message) = match postcard::take_from_bytes(body) {
            Ok((frame, [])) => frame,
            _ => return Err(Broken("a frame that is no message")),
        };
        self.bytes.drain(..4 + length);
        Ok(Some(Piece::Frame(node, message)))
    }

    fn sync<T>(&mut self) -> Result<Option<Piece<T>>, Broken> {
        let Some(at) = find(&self.bytes, MARK) else {
            // Its beginning may be there.
            let keep = self.bytes.len().saturating_sub(MARK.len() - 1);
            self.hush(keep);
            return Ok(None);
        };
        self.hush(at);
        let version = &self.bytes[MARK.len()..];
        let Some(end) = version.iter().position(|&b| b == b'\n') else {
            return match version.len() > MAX_VERSION {
                true => Err(Broken("a preamble that does not end")),
                false => Ok(None),
            };
        };
        let version = String::from_utf8_lossy(&version[..end])
            .trim_end()
            .to_string();
        self.bytes.drain(..MARK.len() + end + 1);
        self.synced = true;
        Ok(Some(Piece::Preamble(version)))
    }

    fn hush(&mut self, count: usize) {
        let room = MAX_NOISE.saturating_sub(self.noise.len());
        self.noise.extend(self.bytes.drain(..count).take(room));
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(decoder: &mut Decoder) -> Vec<Piece<Up>> {
        let mut pieces = Vec::new();
        while let Some(piece) = decoder.next().unwrap() {
            pieces.push(piece);
        }
        pieces
    }

    fn up() -> impl Strategy<Value = Up> {
        prop_oneof![
            Just(Up::Beat),
            (any::<u32>(), any::<i32>()).prop_map(|(rank, pid)| Up::Started { rank, pid }),
            (
                any::<u32>(),
                prop::option::of(any::<i32>()),
                any::<Vec<u8>>()
            )
                .prop_map(|(rank, pid, line)| Up::Said { rank, pid, line }),
            (any::<u32>(), any::<i32>(), any::<bool>(), any::<String>()).prop_map(
                |(rank, signal, core, hint)| Up::Ended {
                    rank,
                    end: End::Signal { signal, core },
                    hint
                }
            ),
            (any::<u32>(), 0u8..2, any::<Vec<u8>>()).prop_map(|(rank, which, bytes)| Up::Output {
                rank,
                which,
                bytes
            }),
            (
                any::<Vec<u32>>(),
                any::<String>(),
                any::<u8>(),
                any::<bool>()
            )
                .prop_map(|(nodes, sentence, status, lost)| Up::Without {
                    nodes,
                    sentence,
                    status,
                    lost
                }),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_noise_and_any_cutting(
            noise in any::<Vec<u8>>(),
            frames in prop::collection::vec((any::<u32>(), up()), 0..8),
            cut in 1usize..50,
        ) {
            prop_assume!(find(&noise, MARK).is_none());
            let mut stream = noise.clone();
            stream.extend(preamble());
            for (node, message) in &frames {
                encode(*node, message, &mut stream);
            }
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in stream.chunks(cut) {
                decoder.put(part);
                found.extend(pieces(&mut decoder));
            }
            let mut expected = vec![Piece::Preamble(VERSION.to_string())];
            expected.extend(frames.into_iter().map(|(node, message)| Piece::Frame(node, message)));
            prop_assert_eq!(found, expected);
            prop_assert!(decoder.noise().starts_with(&noise));
        }

        #[test]
        fn garbage_is_refused_or_waited_for(bytes in any::<Vec<u8>>()) {
            let mut decoder = Decoder { synced: true, ..Decoder::default() };
            decoder.put(&bytes);
            for _ in 0..bytes.len() {
                match decoder.next::<Down>() {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }

    #[test]
    fn orders_survive() {
        let spec = Spec {
            nodes: vec!["a".into(), "b".into()],
            node_of: vec![0, 1],
            programs: vec![crate::plan::Program {
                count: 2,
                words: vec!["./a".into(), "x y".into()],
                variables: vec![("A".into(), "1=2\n".into())],
                of_host: true,
                directory: Some("/tmp".into()),
            }],
            folder: "/somewhere".into(),
            ..Spec::default()
        };
        for down in [
            Down::Setup {
                node: 1,
                below: vec![2, 3],
                spec: Box::new(spec),
            },
            Down::Welcome {
                rank: 1,
                pid: Some(7),
                id: [3; 16],
                secret: Key([4; 32]),
            },
            Down::Took {
                which: 1,
                bytes: u64::MAX,
            },
        ] {
            let mut stream = preamble();
            encode(ALL, &down, &mut stream);
            let mut decoder = Decoder::default();
            decoder.put(&stream);
            let preamble = decoder.next::<Down>().unwrap();
            assert_eq!(preamble, Some(Piece::Preamble(VERSION.into())));
            assert_eq!(decoder.next(), Ok(Some(Piece::Frame(ALL, down))));
        }
        assert_eq!(format!("{:?}", Key([7; 32])), "Key");
    }

    #[test]
    fn a_frame_of_impossible_length_is_refused_at_once() {
        let mut decoder = Decoder {
            synced: true,
            ..Decoder::default()
        };
        decoder.put(&[0xff; 4]);
        assert!(decoder.next::<Up>().is_err());
    }
}
