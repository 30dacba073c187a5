//! mpiexec's end of PMI-1, which the programs of the MPICH family speak: the dialect alone, no
//! socket and no store.
//!
//! A [`Session`] is fed what a rank's socket yields and says, one [`Action`] at a time, what the
//! launcher is to do. Where the answer is not known here, the launcher gives it back
//! ([`Session::got`], [`Session::done`], [`Session::barrier_out`]) and receives the line to send.
//! Until then the session holds back what follows: PMI-1 numbers neither requests nor replies, so
//! replies go out in the order of the requests. An abort alone overtakes.
//!
//! Every request is answered, if only with `rc=-1`: a client waits for a reply for ever. Names that
//! are published stand in the same store as what ranks put, under keys that no put can have (they
//! contain a space).

use ferrite_client::pmi::line::{Cut, Line, Lines};
use ferrite_client::pmi::mapping;
use std::collections::VecDeque;

/// Longest key of a put, in bytes.
pub(crate) const MAX_KEY: usize = 64;

/// Longest value of a put, in bytes.
pub(crate) const MAX_VALUE: usize = 1024;

/// Longest name of the key-value space that clients make room for, in bytes.
const MAX_KVSNAME: usize = 256;

/// Longest line that is read, in bytes: a put of the longest value, with room to spare.
const MAX_LINE: usize = 4096;

/// What a rank may send ahead of the answers that it waits for, in bytes. Clients that keep to PMI
/// send nothing ahead.
const MAX_AHEAD: usize = 64 * 1024;

/// What all sessions of a job know.
#[derive(Debug)]
pub(crate) struct About {
    kvsname: String,
    universe: u32,
    mapping: Option<String>,
}

impl About {
    /// A job, by its id and the node of each rank. `universe`: how many processes could run at the
    /// same time.
    pub(crate) fn new(job: [u8; 16], nodes: &[u32], universe: u32) -> About {
        let mapping = mapping::format(nodes);
        About {
            // MPICH names files in /dev/shm after it: no two jobs may have the same, even where one
            // was killed and left them.
            kvsname: format!("kvs_{:032x}", u128::from_be_bytes(job)),
            universe,
            // Without it, clients find out by themselves who is near.
            mapping: (mapping.len() <= MAX_VALUE).then_some(mapping),
        }
    }
}

/// What the launcher is to do for a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send it this line; the newline is part of it.
    Reply(String),
    /// It has begun to use MPI. The reply follows as an action of its own.
    Init,
    /// It is done with MPI, its exit is no failure from now on. The reply follows.
    Finalize,
    /// Store this, in place of what may be stored under the key. The reply follows: other ranks may
    /// ask for it after a barrier, not before.
    Put { key: String, value: String },
    /// Answer with [`Session::got`] what is stored under the key.
    Get { key: String },
    /// Store this unless something is stored under the key, and answer with [`Session::done`]
    /// whether it was.
    Publish { key: String, value: String },
    /// Remove what is stored under the key, and answer with [`Session::done`] whether there was
    /// something.
    Unpublish { key: String },
    /// It waits in a barrier: answer with [`Session::barrier_out`] when all ranks do.
    BarrierIn,
    /// End the job with this code. There is no reply.
    Abort { code: i32, message: String },
    /// This is not PMI-1: tell the user, once. A reply follows if one makes sense.
    Garbled(String),
}

/// The dialogue with one rank.
#[derive(Debug)]
pub(crate) struct Session {
    appnum: u32,
    lines: Lines,
    /// Whole lines that wait for their turn.
    ahead: VecDeque<Cut>,
    ahead_bytes: usize,
    /// Actions that wait to be carried out.
    due: VecDeque<Action>,
    awaited: Awaited,
    /// Within a message of several lines: those up to now.
    spawn: Option<Spawn>,
}

/// What the rank waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    Value,
    Port,
    Published,
    Unpublished,
    Barrier,
}

/// How far a spawn of several commands has come. They are sent one after the other, and the last
/// one is answered.
#[derive(Debug)]
struct Spawn {
    /// `spawn`, unless it is something unknown.
    command: String,
    commands: Option<u32>,
    number: Option<u32>,
}

impl Session {
    /// A rank that has said nothing yet. `appnum`: which of the programs separated by `:` it is.
    pub(crate) fn new(appnum: u32) -> Session {
        Session {
            appnum,
            lines: Lines::new(MAX_LINE),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            due: VecDeque::new(),
            awaited: Awaited::Nothing,
            spawn: None,
        }
    }

    /// Takes bytes from the rank's socket. [`Session::next`] then says what is to be done.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.lines.feed(bytes);
        while let Some(cut) = self.lines.cut() {
            if let Some(abort) = abort(&cut) {
                self.due.push_front(abort);
                continue;
            }
            let length = match &cut {
                Cut::Line(line) | Cut::TooLong(line) => line.len(),
            } + 1;
            if self.ahead_bytes + length > MAX_AHEAD {
                // What it waits for is answered in time; what it says beyond that is lost, and so
                // is the rank that says it.
                self.due.push_back(Action::Garbled(
                    "many requests without waiting for the replies".into(),
                ));
                continue;
            }
            self.ahead_bytes += length;
            self.ahead.push_back(cut);
        }
    }

    /// What is to be done next. `None`: nothing before more bytes, or the answer that the rank
    /// waits for, are there.
    pub(crate) fn next(&mut self, about: &About) -> Option<Action> {
        loop {
            if let Some(action) = self.due.pop_front() {
                return Some(action);
            }
            if self.awaited != Awaited::Nothing {
                return None;
            }
            let cut = self.ahead.pop_front()?;
            let (Cut::Line(bytes) | Cut::TooLong(bytes)) = &cut;
            self.ahead_bytes -= bytes.len() + 1;
            let whole = matches!(cut, Cut::Line(_));
            if self.spawn.is_some() {
                self.go_on_spawning(bytes);
                continue;
            }
            match Line::parse(bytes) {
                Some(line) if line.continues() => {
                    self.spawn = Some(Spawn {
                        command: line.command().into(),
                        commands: None,
                        number: None,
                    });
                }
                Some(line) if whole => self.request(line, about),
                Some(line) => {
                    self.garbled(bytes);
                    self.refuse(line.command(), "line_too_long");
                }
                None => {
                    // Whatever sent this may wait for a reply, or may not: the user learns of it.
                    self.garbled(bytes);
                    self.reply("cmd=error rc=-1 msg=not_a_request".into());
                }
            }
        }
    }

    /// The reply to a [`Action::Get`]; `None`: nothing is stored under the key.
    pub(crate) fn got(&mut self, value: Option<&str>) -> String {
        let port = self.awaited == Awaited::Port;
        self.answered(&[Awaited::Value, Awaited::Port]);
        match (port, value) {
            (false, Some(value)) => format!("cmd=get_result rc=0 msg=success value={value}\n"),
            (false, None) => "cmd=get_result rc=-1 msg=key_not_found value=unknown\n".into(),
            (true, Some(port)) => {
                format!("cmd=lookup_result info=ok rc=0 msg=success port={port}\n")
            }
            (true, None) => "cmd=lookup_result rc=1 msg=service_not_found\n".into(),
        }
    }

    /// The reply to a [`Action::Publish`] or [`Action::Unpublish`].
    pub(crate) fn done(&mut self, done: bool) -> String {
        let published = self.awaited == Awaited::Published;
        self.answered(&[Awaited::Published, Awaited::Unpublished]);
        match (published, done) {
            (true, true) => "cmd=publish_result info=ok rc=0 msg=success\n",
            (true, false) => "cmd=publish_result rc=1 msg=service_already_published\n",
            (false, true) => "cmd=unpublish_result info=ok rc=0 msg=success\n",
            (false, false) => "cmd=unpublish_result rc=1 msg=service_not_found\n",
        }
        .into()
    }

    /// The reply to a [`Action::BarrierIn`].
    pub(crate) fn barrier_out(&mut self) -> String {
        self.answered(&[Awaited::Barrier]);
        "cmd=barrier_out rc=0\n".into()
    }

    fn answered(&mut self, expected: &[Awaited]) {
        debug_assert!(expected.contains(&self.awaited), "{:?}", self.awaited);
        self.awaited = Awaited::Nothing;
    }

    fn request(&mut self, line: Line<'_>, about: &About) {
        match line.command() {
            "init" => self.init(line),
            "get_maxes" => self.reply(format!(
                "cmd=maxes rc=0 kvsname_max={MAX_KVSNAME} keylen_max={MAX_KEY} \
                 vallen_max={MAX_VALUE}"
            )),
            "get_appnum" => self.reply(format!("cmd=appnum rc=0 appnum={}", self.appnum)),
            "get_universe_size" => {
                self.reply(format!("cmd=universe_size rc=0 size={}", about.universe));
            }
            "get_my_kvsname" => {
                self.reply(format!("cmd=my_kvsname rc=0 kvsname={}", about.kvsname));
            }
            "put" => self.put(line, about),
            "get" => self.get(line, about),
            "barrier_in" => {
                self.awaited = Awaited::Barrier;
                self.due.push_back(Action::BarrierIn);
            }
            "publish_name" => match (service(line), line.rest("port")) {
                (Some(key), Some(port)) if port.len() <= MAX_VALUE => {
                    self.awaited = Awaited::Published;
                    let value = port.into();
                    self.due.push_back(Action::Publish { key, value });
                }
                _ => self.refuse("publish_name", "service_or_port_missing_or_too_long"),
            },
            "lookup_name" => match service(line) {
                Some(key) => {
                    self.awaited = Awaited::Port;
                    self.due.push_back(Action::Get { key });
                }
                None => self.refuse("lookup_name", "service_missing_or_too_long"),
            },
            "unpublish_name" => match service(line) {
                Some(key) => {
                    self.awaited = Awaited::Unpublished;
                    self.due.push_back(Action::Unpublish { key });
                }
                None => self.refuse("unpublish_name", "service_missing_or_too_long"),
            },
            "finalize" => {
                self.due.push_back(Action::Finalize);
                self.reply("cmd=finalize_ack rc=0".into());
            }
            unknown => self.refuse(unknown, "unknown_command"),
        }
    }

    fn init(&mut self, line: Line<'_>) {
        // A client of PMI-2 asks in the same words, and can do with a refusal.
        let rc = match line.number::<u32>("pmi_version") {
            Some(1) => 0,
            _ => -1,
        };
        if rc == 0 {
            self.due.push_back(Action::Init);
        }
        self.reply(format!(
            "cmd=response_to_init rc={rc} pmi_version=1 pmi_subversion=1"
        ));
    }

    fn put(&mut self, line: Line<'_>, about: &About) {
        if line.get("kvsname") != Some(&about.kvsname) {
            return self.refuse("put", "no_such_kvsname");
        }
        match (line.get("key"), line.rest("value")) {
            (Some(""), _) | (None, _) => self.refuse("put", "no_key"),
            (_, None) => self.refuse("put", "no_value"),
            (Some(key), _) if key.len() > MAX_KEY => self.refuse("put", "key_too_long"),
            (_, Some(value)) if value.len() > MAX_VALUE => self.refuse("put", "value_too_long"),
            (Some(key), Some(value)) => {
                let (key, value) = (key.into(), value.into());
                self.due.push_back(Action::Put { key, value });
                self.reply("cmd=put_result rc=0 msg=success".into());
            }
        }
    }

    fn get(&mut self, line: Line<'_>, about: &About) {
        if line.get("kvsname") != Some(&about.kvsname) {
            return self.refuse("get", "no_such_kvsname");
        }
        match line.get("key") {
            Some("PMI_process_mapping") => {
                self.awaited = Awaited::Value;
                let reply = self.got(about.mapping.as_deref());
                self.due.push_back(Action::Reply(reply));
            }
            Some(key) if !key.is_empty() && key.len() <= MAX_KEY => {
                self.awaited = Awaited::Value;
                self.due.push_back(Action::Get { key: key.into() });
            }
            _ => self.refuse("get", "no_key"),
        }
    }

    /// A line of a spawn. What is to be spawned does not matter, since it is refused.
    fn go_on_spawning(&mut self, bytes: &[u8]) {
        let Some(mut spawn) = self.spawn.take() else {
            return;
        };
        if bytes != b"endcmd" {
            let text = String::from_utf8_lossy(bytes);
            match text.split_once('=') {
                Some(("totspawns", count)) => spawn.commands = count.trim().parse().ok(),
                Some(("spawnssofar", number)) => spawn.number = number.trim().parse().ok(),
                _ => {}
            }
            self.spawn = Some(spawn);
            return;
        }
        match (spawn.commands, spawn.number) {
            (Some(commands), Some(number)) if number < commands => {}
            _ if spawn.command == "spawn" => {
                self.refuse("spawn", "this_mpiexec_does_not_start_processes_later");
            }
            _ => self.refuse(&spawn.command, "unknown_command"),
        }
    }

    fn reply(&mut self, mut line: String) {
        line.push('\n');
        self.due.push_back(Action::Reply(line));
    }

    /// Replies that a request fails. Clients look for the name of the reply, so it is right also
    /// then.
    fn refuse(&mut self, command: &str, why: &str) {
        let reply = match command {
            "init" => "response_to_init",
            "get_maxes" => "maxes",
            "get_appnum" => "appnum",
            "get_universe_size" => "universe_size",
            "get_my_kvsname" => "my_kvsname",
            "put" => "put_result",
            "get" => "get_result",
            "barrier_in" => "barrier_out",
            "publish_name" => "publish_result",
            "lookup_name" => "lookup_result",
            "unpublish_name" => "unpublish_result",
            "spawn" => "spawn_result",
            "finalize" => "finalize_ack",
            unknown => &format!("{}_result", unknown.chars().take(64).collect::<String>()),
        };
        self.reply(format!("cmd={reply} rc=-1 msg={why} errmsg={why}"));
    }

    fn garbled(&mut self, bytes: &[u8]) {
        const SHOWN: usize = 60;
        let text = String::from_utf8_lossy(bytes);
        let shown: String = text.chars().take(SHOWN).collect();
        self.due.push_back(Action::Garbled(format!("{shown:?}")));
    }
}

/// The key of the published name that a request is about.
fn service(line: Line<'_>) -> Option<String> {
    let service = line.rest("service")?;
    let service = match service.find(" port=") {
        Some(end) => &service[..end],
        None => service,
    };
    (!service.is_empty() && service.len() <= MAX_VALUE).then(|| format!("published {service}"))
}

fn abort(cut: &Cut) -> Option<Action> {
    let (Cut::Line(bytes) | Cut::TooLong(bytes)) = cut;
    let line = Line::parse(bytes).filter(|line| !line.continues() && line.command() == "abort")?;
    Some(Action::Abort {
        code: line.number("exitcode").unwrap_or(1),
        message: line.rest("message").unwrap_or("").into(),
    })
}

#[cfg(test)]
mod tests;
