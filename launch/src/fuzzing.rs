//! Doors for fuzzers: what files of users and bytes of other hosts reach, as functions of bytes.
//! Not part of the interface.
#![doc(hidden)]

use crate::job::pmi::{About, Action, Session};
use crate::protocol::{Decoder, Down, Piece, Up, encode, preamble};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a hostfile, and the same as a list of the command line.
pub fn hostfile(text: &str) {
    let sound = |entries: &[crate::command::Entry]| {
        for entry in entries {
            let name = &entry.name;
            assert!(
                !name.is_empty() && !name.contains(char::is_whitespace),
                "{entry:?}"
            );
            // Remote shells take it for an option.
            assert!(!name.starts_with('-'), "{entry:?}");
        }
    };
    match crate::command::parse_file(text) {
        Ok(entries) => sound(&entries),
        Err(error) => assert!(error.number <= text.lines().count(), "{error}"),
    }
    if let Ok(entries) = crate::command::parse_list(text) {
        sound(&entries);
    }
}

/// A rank that speaks PMI-1, or something like it, to mpiexec. Every request has at most one reply,
/// a line; what is answered at once is as good as what is answered late. The first byte says in
/// pieces of which size.
pub fn pmi_server(bytes: &[u8]) {
    let (size, bytes) = bytes
        .split_first()
        .map_or((1, bytes), |(size, rest)| (usize::from(*size) + 1, rest));
    let about = About::new([7; 16], &[0, 0, 1, 1], 4);
    let mut session = Session::new(0);
    let mut replies = 0;
    let mut reply = |line: String| {
        assert!(
            line.ends_with('\n') && line.matches('\n').count() == 1,
            "{line:?}"
        );
        assert!(line.starts_with("cmd="), "{line:?}");
        replies += 1;
    };
    for piece in bytes.chunks(size) {
        session.feed(piece);
        while let Some(action) = session.next(&about) {
            match action {
                Action::Reply(line) => reply(line),
                Action::Get { key } => {
                    let value = (key.len() % 2 == 0).then_some("value");
                    reply(session.got(value));
                }
                Action::Publish { key, .. } | Action::Unpublish { key } => {
                    assert!(key.contains(' '), "a put could have this key: {key:?}");
                    reply(session.done(key.len() % 2 == 0));
                }
                Action::Put { key, value } => {
                    assert!(
                        key.len() <= crate::job::pmi::MAX_KEY && !key.contains(' '),
                        "{key:?}"
                    );
                    assert!(value.len() <= crate::job::pmi::MAX_VALUE, "{value:?}");
                }
                Action::BarrierIn => reply(session.barrier_out()),
                Action::Init | Action::Finalize | Action::Abort { .. } | Action::Garbled(_) => {}
            }
        }
    }
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    // A line that is too long is answered before its end.
    assert!(replies <= lines + 1, "{replies} replies to {lines} lines");
}

/// What an agent hears from mpiexec, and mpiexec from an agent. The first byte says in pieces of
/// which size.
pub fn agent(bytes: &[u8]) {
    let (size, bytes) = bytes
        .split_first()
        .map_or((1, bytes), |(size, rest)| (usize::from(*size) + 1, rest));
    hear::<Down>(bytes, size, |message| {
        if let Down::Setup { spec, .. } = message
            && spec.is_sound()
        {
            for rank in 0..spec.size() {
                let node = spec.node(rank).expect("a rank of the job");
                assert!(!spec.name(node).is_empty() || spec.nodes.iter().any(String::is_empty));
            }
            assert_eq!(spec.appnums().count(), spec.size() as usize);
        }
    });
    hear::<Up>(bytes, size, |_| {});
}

fn hear<T: DeserializeOwned + Serialize + PartialEq + core::fmt::Debug>(
    bytes: &[u8],
    size: usize,
    each: impl Fn(&T),
) {
    let mut decoder = Decoder::default();
    for piece in bytes.chunks(size) {
        decoder.put(piece);
        loop {
            match decoder.next::<T>() {
                Ok(None) => break,
                Ok(Some(Piece::Preamble(_))) => {}
                Ok(Some(Piece::Frame(node, message))) => {
                    each(&message);
                    survives(node, message);
                }
                Err(_) => return,
            }
        }
    }
}

/// What was understood can be said again.
fn survives<T: DeserializeOwned + Serialize + PartialEq + core::fmt::Debug>(node: u32, message: T) {
    let mut stream = preamble();
    encode(node, &message, &mut stream);
    let mut decoder = Decoder::default();
    decoder.put(&stream);
    assert!(matches!(decoder.next::<T>(), Ok(Some(Piece::Preamble(_)))));
    assert_eq!(decoder.next::<T>(), Ok(Some(Piece::Frame(node, message))));
}

/// Streams to begin with: of each kind of message, some.
pub fn agent_seeds() -> Vec<Vec<u8>> {
    let down = [
        Down::Beat,
        Down::Setup {
            node: 1,
            below: vec![2, 3],
            spec: Box::default(),
        },
        Down::Tell {
            rank: 1,
            text: "barrier_out".into(),
            joined: Some(17),
        },
        Down::Input(vec![1, 2, 3]),
        Down::Took {
            which: 1,
            bytes: 300,
        },
        Down::Listen {
            ports: Some((40000, 40010)),
        },
    ];
    let up = [
        Up::Ready,
        Up::Started { rank: 3, pid: 4711 },
        Up::Said {
            rank: 1,
            pid: None,
            line: b"hello version=3 pid=4".to_vec(),
        },
        Up::Output {
            rank: 2,
            which: 0,
            bytes: b"text\n".to_vec(),
        },
        Up::Without {
            nodes: vec![1],
            sentence: "it is gone".into(),
            status: 1,
            lost: true,
        },
        Up::Dialled(vec![Ok("10.0.0.1:4000".into()), Err("refused".into())]),
    ];
    let stream = |frames: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = vec![40];
        bytes.extend(preamble());
        frames(&mut bytes);
        bytes
    };
    vec![
        stream(&|bytes| down.iter().for_each(|message| encode(1, message, bytes))),
        stream(&|bytes| up.iter().for_each(|message| encode(1, message, bytes))),
    ]
}
