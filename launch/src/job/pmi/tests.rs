use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const JOB: [u8; 16] = *b"0123456789abcdef";

/// What the launcher does, for one job.
struct Server {
    about: About,
    sessions: Vec<Session>,
    store: BTreeMap<String, String>,
    waiting: Vec<usize>,
    seen: Vec<(usize, Action)>,
}

impl Server {
    fn new(nodes: &[u32]) -> Server {
        Server {
            about: About::new(JOB, nodes, 16),
            sessions: nodes.iter().map(|_| Session::new(3)).collect(),
            store: BTreeMap::new(),
            waiting: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Feeds a rank's bytes; returns the replies, each with its rank.
    fn feed(&mut self, rank: usize, bytes: &[u8]) -> Vec<(usize, String)> {
        self.sessions[rank].feed(bytes);
        let mut replies = Vec::new();
        let mut busy = vec![rank];
        while let Some(rank) = busy.pop() {
            while let Some(action) = self.sessions[rank].next(&self.about) {
                let session = &mut self.sessions[rank];
                match action.clone() {
                    Action::Reply(line) => replies.push((rank, line)),
                    Action::Put { key, value } => {
                        self.store.insert(key, value);
                    }
                    Action::Get { key } => {
                        let value = self.store.get(&key).map(String::as_str);
                        replies.push((rank, session.got(value)));
                    }
                    Action::Publish { key, value } => {
                        let free = !self.store.contains_key(&key);
                        self.store.entry(key).or_insert(value);
                        replies.push((rank, session.done(free)));
                    }
                    Action::Unpublish { key } => {
                        let there = self.store.remove(&key).is_some();
                        replies.push((rank, session.done(there)));
                    }
                    Action::BarrierIn => {
                        self.waiting.push(rank);
                        if self.waiting.len() == self.sessions.len() {
                            for rank in std::mem::take(&mut self.waiting) {
                                replies.push((rank, self.sessions[rank].barrier_out()));
                                busy.push(rank);
                            }
                            self.seen.push((rank, action));
                            break;
                        }
                    }
                    _ => {}
                }
                self.seen.push((rank, action));
            }
        }
        for (_, reply) in &replies {
            assert!(
                reply.ends_with('\n') && reply.matches('\n').count() == 1,
                "{reply:?}"
            );
        }
        replies
    }

    /// The only reply to a rank's line.
    fn ask(&mut self, rank: usize, line: &str) -> String {
        let replies = self.feed(rank, format!("{line}\n").as_bytes());
        let [(to, reply)] = &replies[..] else {
            panic!("{line}: {replies:?}")
        };
        assert_eq!(*to, rank);
        reply.trim_end().into()
    }

    fn garbled(&self) -> usize {
        let garbled = |(_, action): &&(usize, Action)| matches!(action, Action::Garbled(_));
        self.seen.iter().filter(garbled).count()
    }
}

const KVS: &str = "kvs_30313233343536373839616263646566";

#[test]
fn what_mpich_says_from_init_to_finalize() {
    let mut server = Server::new(&[0, 0]);
    for rank in 0..2 {
        for (line, reply) in [
            (
                "cmd=init pmi_version=1 pmi_subversion=1".into(),
                "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1".into(),
            ),
            (
                "cmd=get_maxes".into(),
                "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024".into(),
            ),
            (
                "cmd=get_appnum".to_owned(),
                "cmd=appnum rc=0 appnum=3".into(),
            ),
            (
                "cmd=get_my_kvsname".into(),
                format!("cmd=my_kvsname rc=0 kvsname={KVS}"),
            ),
            (
                format!("cmd=get kvsname={KVS} key=PMI_process_mapping"),
                "cmd=get_result rc=0 msg=success value=(vector,(0,1,2))".to_owned(),
            ),
            (
                format!("cmd=get kvsname={KVS} key=PMI_hwloc_xmlfile"),
                "cmd=get_result rc=-1 msg=key_not_found value=unknown".into(),
            ),
            (
                "cmd=get_universe_size".into(),
                "cmd=universe_size rc=0 size=16".into(),
            ),
            (
                format!("cmd=put kvsname={KVS} key=addr-{rank} value=host {rank} key=x"),
                "cmd=put_result rc=0 msg=success".into(),
            ),
        ] {
            assert_eq!(server.ask(rank, &line), reply);
        }
    }
    assert_eq!(server.feed(1, b"cmd=barrier_in\n"), []);
    let out = || "cmd=barrier_out rc=0\n".to_owned();
    assert_eq!(
        server.feed(0, b"cmd=barrier_in\n"),
        [(1, out()), (0, out())]
    );
    assert_eq!(
        server.ask(0, &format!("cmd=get kvsname={KVS} key=addr-1")),
        "cmd=get_result rc=0 msg=success value=host 1 key=x"
    );
    for rank in 0..2 {
        assert_eq!(server.ask(rank, "cmd=finalize"), "cmd=finalize_ack rc=0");
        assert!(server.seen.contains(&(rank, Action::Init)));
        assert!(server.seen.contains(&(rank, Action::Finalize)));
    }
    assert_eq!(server.garbled(), 0);
}

#[test]
fn names() {
    let mut server = Server::new(&[0]);
    for (line, reply) in [
        (
            "cmd=lookup_name service=serv",
            "cmd=lookup_result rc=1 msg=service_not_found",
        ),
        (
            "cmd=publish_name service=serv port=tag#0$x y",
            "cmd=publish_result info=ok rc=0 msg=success",
        ),
        (
            "cmd=publish_name service=serv port=other",
            "cmd=publish_result rc=1 msg=service_already_published",
        ),
        (
            "cmd=publish_name service=my own port=p",
            "cmd=publish_result info=ok rc=0 msg=success",
        ),
        (
            "cmd=lookup_name service=serv",
            "cmd=lookup_result info=ok rc=0 msg=success port=tag#0$x y",
        ),
        (
            "cmd=lookup_name service=my own",
            "cmd=lookup_result info=ok rc=0 msg=success port=p",
        ),
        (
            "cmd=unpublish_name service=serv",
            "cmd=unpublish_result info=ok rc=0 msg=success",
        ),
        (
            "cmd=unpublish_name service=serv",
            "cmd=unpublish_result rc=1 msg=service_not_found",
        ),
        (
            "cmd=lookup_name service=serv",
            "cmd=lookup_result rc=1 msg=service_not_found",
        ),
    ] {
        assert_eq!(server.ask(0, line), reply, "{line}");
    }
    // A put cannot forge a name.
    let put = format!("cmd=put kvsname={KVS} key=published serv value=evil");
    server.ask(0, &put);
    assert!(
        server
            .ask(0, "cmd=lookup_name service=serv")
            .contains("rc=1")
    );
}

#[test]
fn spawning_is_refused_once_for_all_its_commands() {
    let one = "mcmd=spawn\nnprocs=2\nexecname=/bin/true\ntotspawns=1\nspawnssofar=1\nargcnt=2\narg1=cmd=finalize\narg2=y z\n\
               preput_num=1\npreput_key_0=PARENT_ROOT_PORT_NAME\npreput_val_0=tag#0$x\ninfo_num=0\nendcmd\n";
    let first = one.replace("totspawns=1", "totspawns=2");
    let second = first.replace("spawnssofar=1", "spawnssofar=2");
    let refused = "cmd=spawn_result rc=-1 msg=this_mpiexec_does_not_start_processes_later \
                   errmsg=this_mpiexec_does_not_start_processes_later\n";
    let mut server = Server::new(&[0]);
    assert_eq!(server.feed(0, one.as_bytes()), [(0, refused.into())]);
    assert_eq!(server.feed(0, first.as_bytes()), []);
    assert_eq!(server.feed(0, second.as_bytes()), [(0, refused.into())]);
    // A command line beyond measure is skipped like any other.
    let long = one.replace("y z", &"x".repeat(100_000));
    for piece in long.as_bytes().chunks(4096) {
        let replies = server.feed(0, piece);
        assert!(replies.is_empty() || replies == [(0, refused.to_owned())]);
    }
    assert_eq!(server.ask(0, "cmd=finalize"), "cmd=finalize_ack rc=0");
    let other = "mcmd=dance\nsteps=2\nendcmd";
    assert!(
        server
            .ask(0, other)
            .starts_with("cmd=dance_result rc=-1 msg=unknown_command")
    );
    assert_eq!(server.garbled(), 0);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let mut server = Server::new(&[0]);
    let long = "k".repeat(65);
    let huge = "v".repeat(1025);
    for (line, reply) in [
        (
            "cmd=init pmi_version=2 pmi_subversion=0".to_owned(),
            "cmd=response_to_init rc=-1 pmi_version=1 pmi_subversion=1",
        ),
        ("cmd=fly".into(), "cmd=fly_result rc=-1 msg=unknown_command"),
        (
            "cmd=put kvsname=other key=a value=b".into(),
            "cmd=put_result rc=-1 msg=no_such_kvsname",
        ),
        (
            format!("cmd=put kvsname={KVS} key=a"),
            "cmd=put_result rc=-1 msg=no_value",
        ),
        (
            format!("cmd=put kvsname={KVS} value=a"),
            "cmd=put_result rc=-1 msg=no_key",
        ),
        (
            format!("cmd=put kvsname={KVS} key={long} value=a"),
            "cmd=put_result rc=-1 msg=key_too_long",
        ),
        (
            format!("cmd=put kvsname={KVS} key=a value={huge}"),
            "cmd=put_result rc=-1 msg=value_too_long",
        ),
        (
            format!("cmd=put kvsname={KVS} key=a value={}", huge.repeat(5)),
            "cmd=put_result rc=-1 msg=line_too_long",
        ),
        (
            "cmd=get key=a".into(),
            "cmd=get_result rc=-1 msg=no_such_kvsname",
        ),
        (
            format!("cmd=get kvsname={KVS}"),
            "cmd=get_result rc=-1 msg=no_key",
        ),
        (
            "cmd=publish_name service=a".into(),
            "cmd=publish_result rc=-1",
        ),
        ("cmd=lookup_name".into(), "cmd=lookup_result rc=-1"),
        ("GET / HTTP/1.1".into(), "cmd=error rc=-1"),
        ("".into(), "cmd=error rc=-1"),
    ] {
        let got = server.ask(0, &line);
        assert!(got.starts_with(reply), "{line}: {got}");
    }
    assert!(server.store.is_empty());
    let largest = "v".repeat(1024);
    assert_eq!(
        server.ask(
            0,
            &format!("cmd=put kvsname={KVS} key={} value={largest}", &long[1..])
        ),
        "cmd=put_result rc=0 msg=success"
    );
    assert_eq!(server.store[&long[1..]], largest);
}

#[test]
fn an_abort_overtakes_what_waits() {
    let mut server = Server::new(&[0, 0]);
    server.feed(
        0,
        format!(
            "cmd=barrier_in\ncmd=get kvsname={KVS} key=x\ncmd=abort exitcode=7 \
        message=out of luck\n"
        )
        .as_bytes(),
    );
    let abort = Action::Abort {
        code: 7,
        message: "out of luck".into(),
    };
    assert_eq!(server.seen, [(0, abort), (0, Action::BarrierIn)]);
    server.feed(1, b"cmd=abort\n");
    let abort = Action::Abort {
        code: 1,
        message: String::new(),
    };
    assert_eq!(server.seen.last(), Some(&(1, abort)));
}

#[test]
fn requests_sent_ahead_are_answered_in_order_and_not_hoarded() {
    let mut server = Server::new(&[0, 0]);
    let replies = server.feed(
        0,
        b"cmd=get_appnum\ncmd=barrier_in\ncmd=get_maxes\ncmd=finalize\n",
    );
    assert_eq!(replies, [(0, "cmd=appnum rc=0 appnum=3\n".into())]);
    let replies = server.feed(1, b"cmd=barrier_in\n");
    let names: Vec<(usize, &str)> = replies
        .iter()
        .map(|(rank, reply)| (*rank, reply.split_whitespace().next().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            (0, "cmd=barrier_out"),
            (1, "cmd=barrier_out"),
            (0, "cmd=maxes"),
            (0, "cmd=finalize_ack"),
        ]
    );
    server.feed(0, b"cmd=barrier_in\n");
    for _ in 0..1000 {
        server.feed(0, "cmd=get_appnum\n".repeat(100).as_bytes());
    }
    assert!(server.garbled() > 0);
    assert!(server.sessions[0].ahead_bytes <= MAX_AHEAD);
    let replies = server.feed(1, b"cmd=barrier_in\n");
    assert!(replies.len() > 2 && replies.len() <= 2 + MAX_AHEAD / 15);
    assert_eq!(server.sessions[0].ahead_bytes, 0);
}

#[test]
fn a_mapping_too_long_for_a_value_is_not_told() {
    // No two neighbours alike, nothing repeats.
    let nodes: Vec<u32> = (0..500)
        .map(|rank: u32| rank * rank % 251 + rank % 7)
        .collect();
    let mut server = Server::new(&nodes);
    let get = format!("cmd=get kvsname={KVS} key=PMI_process_mapping");
    assert!(server.ask(0, &get).contains("rc=-1"));
}

proptest! {
    /// Whatever arrives, in whatever pieces: no panic, and the session goes on.
    #[test]
    fn garbage_is_survived(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..50),
                Just(b"\n".to_vec()),
                Just(b"cmd=".to_vec()),
                Just(b"mcmd=spawn\n".to_vec()),
                Just(b"endcmd\n".to_vec()),
                Just(b"put".to_vec()),
                Just(b"get kvsname=".to_vec()),
                Just(KVS.as_bytes().to_vec()),
                Just(b" key=a value=b".to_vec()),
                Just(b"cmd=lookup_name service=".to_vec()),
                Just(vec![b'x'; 5000]),
            ],
            0..40,
        ),
    ) {
        let mut server = Server::new(&[0]);
        for piece in pieces {
            server.feed(0, &piece);
        }
        server.feed(0, b"\nendcmd\n");
        prop_assert_eq!(server.ask(0, "cmd=finalize"), "cmd=finalize_ack rc=0");
    }
}
