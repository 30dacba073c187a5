//! What fuzzers aim at: everything that reads bytes of others. Each target is a function of bytes
//! that panics when something is wrong.
//!
//! Used twice: by `cargo fuzz` (the package around this file), and by a test of the workspace that
//! feeds each target its seeds and some thousand mutations of them, so that the targets stay alive
//! where no fuzzer is at hand.

use ferrite_fabric::{Header, Landing, LinkDown, Outcome, RawBuf, RawBufMut, Sink, Token};

/// Something to aim at.
pub struct Target {
    /// Its name, and that of its file in `fuzz_targets`.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "tcp_frames",
        run: tcp_frames,
        seeds: frame_seeds,
    },
    Target {
        name: "engine_frames",
        run: ferrite_engine::fuzzing::frame,
        seeds: ferrite_engine::fuzzing::frames,
    },
    Target {
        name: "tcp_handshake",
        run: tcp_handshake,
        seeds: handshake_seeds,
    },
    Target {
        name: "tcp_card",
        run: tcp_card,
        seeds: || {
            texts(&[
                "1,h1,ab12,10.0.0.1:4000,[fd00::1]:4000,127.0.0.1:4001",
                "1,h,s",
                "2,h,s,1.2.3.4:5",
                "",
            ])
        },
    },
    Target {
        name: "channel",
        run: channel,
        seeds: channel_seeds,
    },
    Target {
        name: "pmi_server",
        run: pmi_server,
        seeds: pmi_seeds,
    },
    Target {
        name: "pmi_lines",
        run: pmi_lines,
        seeds: pmi_seeds,
    },
    Target {
        name: "pmi_mapping",
        run: pmi_mapping,
        seeds: || {
            texts(&[
                "(vector,(0,1,2))",
                "(vector,(0,2,1))",
                " (vector, (0,2,4),(2,1,3) ) ",
                "(vector,(4294967295,1,1))",
                "(vector)",
            ])
        },
    },
    Target {
        name: "agent",
        run: agent,
        seeds: ferrite_launch::fuzzing::agent_seeds,
    },
    Target {
        name: "hostfile",
        run: hostfile,
        seeds: || {
            texts(&[
                "h1\nh2:4\n# comment\n\nh3 slots=2 max_slots=8\n[fd00::1]:3\nfd00::2\n10.0.0.1 \
                 slots = 4\n",
                "h1,h2:4,[::1]:2",
                "h1 slots=0\n",
                "h1:99999999999999999999\n",
            ])
        },
    },
];

/// The frames of a connection: however the bytes are cut, the same frames come out.
pub fn tcp_frames(bytes: &[u8]) {
    let mut once = Frames::default();
    ferrite_tcp::fuzzing::frames(bytes, &mut once);
    // The first eight bytes say in pieces of which size.
    let mut others = bytes.to_vec();
    others.iter_mut().take(8).for_each(|size| *size = !*size);
    let mut again = Frames::default();
    ferrite_tcp::fuzzing::frames(&others, &mut again);
    assert!(
        once.got == again.got,
        "the frames depend on how they were cut"
    );
}

/// What came out. Long bodies get a place, or none, as a bit of the header says.
#[derive(Default)]
struct Frames {
    got: Vec<(Header, Vec<u8>)>,
    place: Vec<u8>,
}

impl Sink for Frames {
    fn frame(&mut self, _: u32, header: &Header, body: RawBuf) {
        assert_eq!(header.len as usize, body.len);
        let mut copy = vec![0; body.len];
        // SAFETY: readable during the call; the copy is as long.
        unsafe { body.copy_to(copy.as_mut_ptr()) };
        self.got.push((*header, copy));
    }

    fn arriving(&mut self, _: u32, header: &Header) -> Landing {
        if header.tag & 1 == 0 {
            return Landing::Anywhere;
        }
        self.place = vec![0; header.len as usize];
        Landing::At(RawBufMut::of(&mut self.place))
    }

    fn landed(&mut self, _: u32, header: &Header) {
        self.got.push((*header, std::mem::take(&mut self.place)));
    }

    fn completed(&mut self, _: u32, _: Token, _: Outcome) {}

    fn down(&mut self, _: u32, _: LinkDown) {}
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let frame = |tag: i32, length: usize| {
        let header = Header {
            kind: 1,
            flags: 0,
            seq: 0,
            len: length as u32,
            context: 7,
            tag,
            source: 3,
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend((0..length).map(|i| i as u8));
        bytes
    };
    let stream = |frames: &[(i32, usize)]| {
        let mut bytes = vec![0, 1, 2, 50, 255, 3, 9, 0];
        frames
            .iter()
            .for_each(|(tag, length)| bytes.extend(frame(*tag, *length)));
        bytes
    };
    vec![
        stream(&[(1, 0), (2, 8), (3, 100)]),
        stream(&[(1, 20_000), (2, 3), (4, 20_000), (5, 0)]),
    ]
}

/// Both sides of a handshake; no proof is guessed.
pub fn tcp_handshake(bytes: &[u8]) {
    ferrite_tcp::fuzzing::handshake(bytes);
}

fn handshake_seeds() -> Vec<Vec<u8>> {
    // As a caller of the job that the target plays would begin: magic, job, ranks, nonce, proof.
    let hello = [
        &b"ferrite\x01"[..],
        &[1; 16],
        &[1, 0, 0, 0],
        &[0, 0, 0, 0],
        &[9; 32],
        &[5; 32],
    ];
    vec![hello.concat(), vec![0; 64]]
}

/// How a process says where it listens.
pub fn tcp_card(bytes: &[u8]) {
    ferrite_tcp::fuzzing::card(&String::from_utf8_lossy(bytes));
}

/// Lines between a process and its launcher: what was understood can be said again.
pub fn channel(bytes: &[u8]) {
    use ferrite_client::wire::{Reply, Request};
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Some(request) = Request::parse(line) {
            let said = request.to_string();
            assert_eq!(said.matches('\n').count(), 1, "{said:?}");
            // A message may be cut, once.
            let request = Request::parse(&said).expect("it was understood before");
            assert_eq!(Request::parse(&request.to_string()), Some(request));
        }
        if let Some(reply) = Reply::parse(line) {
            let said = reply.to_string();
            assert_eq!(said.matches('\n').count(), 1, "{said:?}");
            assert_eq!(Reply::parse(&said), Some(reply));
        }
        if let Some(ranks) = ferrite_client::wire::parse_ranks(line) {
            let said = ferrite_client::wire::format_ranks(&ranks);
            assert_eq!(ferrite_client::wire::parse_ranks(&said), Some(ranks));
        }
    }
}

fn channel_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "hello version=3 pid=4711\npublish card=1,h1,ab,10.0.0.1:4000\nfetch rank=3\nlost rank=2 \
         reason=it%20is%20gone\nfinalized\nabort code=7 message=over%0a\n",
        "welcome version=3 job=000102206162636465666768696aff7f rank=3 size=12 local_rank=1 \
         local=1,3-5,9 cpus=2 neighbours=3 appnum=1 part=1 \
         launcher=4711 secret=0001020304050607080900010203040506070809000102030405060708090a0b\n",
        "card rank=3 value=1,h1,ab,10.0.0.1:4000\ncard rank=3 none\nrefused reason=not%20you\n",
        "0-3,7,9-10\n",
    ])
}

/// mpiexec's end of PMI-1.
pub fn pmi_server(bytes: &[u8]) {
    ferrite_launch::fuzzing::pmi_server(bytes);
}

/// Lines of PMI-1, as both ends read them: however the bytes are cut, the same lines come out, none
/// longer than it may be.
pub fn pmi_lines(bytes: &[u8]) {
    use ferrite_client::pmi::line::{Cut, Line, Lines};
    const LONGEST: usize = 300;
    let cut = |size: usize| {
        let mut lines = Lines::new(LONGEST);
        let mut cuts = Vec::new();
        for piece in bytes.chunks(size) {
            lines.feed(piece);
            while let Some(cut) = lines.cut() {
                cuts.push(cut);
            }
            assert!(lines.waiting() <= LONGEST + size);
        }
        cuts
    };
    let cuts = cut(1);
    assert_eq!(cuts, cut(7));
    assert_eq!(cuts, cut(bytes.len().max(1)));
    for Cut::Line(line) | Cut::TooLong(line) in &cuts {
        assert!(line.len() <= LONGEST && !line.contains(&b'\n'));
        if let Some(line) = Line::parse(line) {
            assert!(!line.command().contains(' '));
            for name in ["rc", "value", "key", "size"] {
                if let (Some(value), Some(rest)) = (line.get(name), line.rest(name)) {
                    assert!(rest.starts_with(value));
                }
            }
        }
    }
}

/// Which ranks share a node, as launchers write it.
pub fn pmi_mapping(bytes: &[u8]) {
    use ferrite_client::pmi::mapping::{format, parse};
    let text = String::from_utf8_lossy(bytes);
    for size in [0, 1, 7, 64] {
        if let Some(nodes) = parse(&text, size) {
            assert_eq!(nodes.len(), size);
            assert_eq!(parse(&format(&nodes), size), Some(nodes));
        }
    }
}

fn pmi_seeds() -> Vec<Vec<u8>> {
    let all = "\x20cmd=initack pmiid=0\ncmd=init pmi_version=1 \
        pmi_subversion=1\ncmd=get_maxes\ncmd=get_appnum\ncmd=get_universe_size\n\
               cmd=get_my_kvsname\ncmd=put kvsname=kvs key=card-1 \
               value=1,h1,ab,10.0.0.1:4000\ncmd=barrier_in\ncmd=get kvsname=kvs key=card-0\n\
               cmd=publish_name service=s port=p q\ncmd=lookup_name service=s\ncmd=unpublish_name \
               service=s\n\
               mcmd=spawn\nnprocs=2\nexecname=a\ntotspawns=1\nspawnssofar=1\nargcnt=0\npreput_num=0\ninfo_num=0\nendcmd\n\
               cmd=abort exitcode=7 message=it is over\ncmd=finalize\n";
    let replies = "\x20cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\ncmd=maxes rc=0 \
        kvsname_max=256 keylen_max=64 vallen_max=1024\n\
                   cmd=get_result rc=0 msg=success value=a b=c\ncmd=barrier_out rc=0\n";
    texts(&[all, replies])
}

/// What mpiexec and its agents on other hosts tell each other.
pub fn agent(bytes: &[u8]) {
    ferrite_launch::fuzzing::agent(bytes);
}

/// Hostfiles, and lists of hosts on the command line.
pub fn hostfile(bytes: &[u8]) {
    ferrite_launch::fuzzing::hostfile(&String::from_utf8_lossy(bytes));
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
