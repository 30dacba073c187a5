//! What a process calls, and has called last, on one communicator: its collective calls by number.
//!
//! All members make the same collective calls in the same order, so a call's number is the same for
//! all of them. Nobody looks at these notes while things go well. A process that has waited for
//! long asks the other members for theirs ([`crate::engine::progress::watchdog`]); what they answer
//! may refute a call, which then ends with an error instead of waiting for ever.
//!
//! Only what cannot be so in a right program refutes a call: a member that is merely late has made
//! no call of that number.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::Arc;

use crate::collective::{Function, Shape};
use crate::group::Members;
use crate::sync::{Class, ClassLock};
use crate::{Error, ErrorClass};

/// For how many rounds of asking the others nothing has moved in a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Rounds {
    /// While all of its threads were at rest.
    pub(in crate::engine) at_rest: u32,
    /// In the library at least: other threads of the program may have done anything.
    pub(in crate::engine) quiet: u32,
}

/// How many calls back notes are kept.
const RECENT: usize = 8;

/// The arguments of a collective call, as far as they have to be the same on all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(in crate::engine) function: Function,
    /// 0 where there is none.
    pub(in crate::engine) root: u32,
    /// Bytes of a reduction's element; otherwise 0.
    pub(in crate::engine) width: u32,
    /// [`ANY`] where they may differ.
    pub(in crate::engine) bytes: u64,
    /// Of a reduction: whether its operation commutes.
    pub(in crate::engine) commutative: bool,
}

/// For how many rounds of asking nothing may have moved in a process until others take it for one
/// that waits.
const QUIET: u32 = 2;

/// A length that need not be the others'.
const ANY: u64 = u64::MAX;

impl Arguments {
    /// Of a call of this shape. Between the groups of an intercommunicator roots and lengths may
    /// differ.
    #[inline]
    pub(crate) fn new(function: Function, shape: &Shape, is_across: bool) -> Arguments {
        let reduces = function.reduces() && !is_across;
        Arguments {
            function,
            root: if function.has_root() && !is_across {
                shape.root
            } else {
                0
            },
            width: if reduces { shape.width as u32 } else { 0 },
            bytes: if function.has_one_length() && !is_across {
                shape.bytes() as u64
            } else {
                ANY
            },
            commutative: reduces && shape.commutative,
        }
    }

    /// The class of error that two members make whose arguments are these; `None` where they agree.
    pub(super) fn disagreement(&self, other: &Arguments) -> Option<ErrorClass> {
        if self.function != other.function {
            return Some(ErrorClass::OTHER);
        }
        if self.root != other.root {
            return Some(ErrorClass::ROOT);
        }
        if self.bytes != other.bytes {
            return Some(ErrorClass::COUNT);
        }
        if self.width != other.width {
            return Some(ErrorClass::TYPE);
        }
        (self.commutative != other.commutative).then_some(ErrorClass::OP)
    }

    /// The call in words; `in_full` with what seldom matters.
    pub(in crate::engine) fn describe(&self, in_full: bool) -> String {
        let function = self.function;
        let mut words = String::from(function.name());
        if self.bytes != ANY && function != Function::Making {
            words += &format!(" of {} bytes", self.bytes);
        }
        if in_full && self.width > 0 {
            let order = if self.commutative { "" } else { "not " };
            words += &format!(
                " in elements of {} with an operation that does {order}commute",
                self.width
            );
        }
        if function.has_root() {
            words += &format!(", root {}", self.root);
        }
        words
    }
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Stage {
    /// Not made yet: it may still come.
    ToCome,
    /// Under way.
    UnderWay(Arguments),
    /// Ended. Its arguments, where they are still known.
    Ended(Option<Arguments>),
    /// It was made; nothing is known of it any more.
    Forgotten,
}

/// A note of a call. Written by the thread that makes the call, and read by any.
#[derive(Default)]
struct Note {
    /// The call's number and what stands in [`UNDER_WAY`] and below; 0 while the note is written.
    head: AtomicU64,
    root_and_width: AtomicU64,
    bytes: AtomicU64,
}

const UNDER_WAY: u64 = 1 << 31;
const COMMUTATIVE: u64 = 1 << 30;

/// See the module.
pub(crate) struct Calls {
    /// The members of the communicator, of both groups of an intercommunicator.
    members: [Arc<Members>; 2],
    groups: usize,
    /// The number of the last call; calls are counted from 1.
    last: AtomicU32,
    recent: [Note; RECENT],
    /// Nonblocking calls under way.
    later: AtomicU32,
    /// Persistent calls under way.
    active: AtomicU32,
    /// Whether any call was refuted.
    any_refuted: AtomicBool,
    told: ClassLock<Told>,
}

/// A persistent call.
struct Persistent {
    number: u32,
    arguments: Arguments,
    /// How often it was started, and has ended.
    started: u32,
    ended: u32,
}

/// Why a member will do nothing more for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hopeless {
    /// It has ended the call.
    Ended,
    /// It has waited for long, all of its threads at rest, and told so when this process had asked
    /// so often.
    Rests(u32),
    /// It has waited for long, but has threads that may do anything.
    Waits(u32),
}

/// A call under way: number, how often it was started (0 for one that is not persistent), and
/// arguments.
pub(in crate::engine) type UnderWay = (u32, u32, Arguments);

/// What others have told of a call under way.
struct WithoutHope {
    number: u32,
    started: u32,
    /// The processes that are no hope for it.
    members: Vec<(u32, Hopeless)>,
    /// That it may hang was said.
    is_doubted: bool,
}

/// What is seldom looked at: persistent calls, and what others have told of calls that are under
/// way here.
#[derive(Default)]
struct Told {
    persistent: Vec<Persistent>,
    /// Calls of which others are no hope: they have ended them as often, or nothing has moved in
    /// them since this process asked for the last time but one.
    hopeless: Vec<WithoutHope>,
    refuted: Vec<(u32, ErrorClass, String)>,
}

impl Calls {
    /// Of a communicator of these members, and of the remote ones where it is between groups.
    pub(in crate::engine) fn new(local: Arc<Members>, remote: Option<Arc<Members>>) -> Calls {
        Calls {
            groups: 1 + usize::from(remote.is_some()),
            members: [local.clone(), remote.unwrap_or(local)],
            last: AtomicU32::new(0),
            recent: Default::default(),
            later: AtomicU32::new(0),
            active: AtomicU32::new(0),
            any_refuted: AtomicBool::new(false),
            told: ClassLock::new(Class::Leaf, Told::default()),
        }
    }

    fn note(&self, number: u32) -> &Note {
        &self.recent[number as usize % RECENT]
    }

    /// Takes note of a call that begins, and returns its number. Calls of one communicator are made
    /// one after the other.
    #[inline]
    pub(in crate::engine) fn begin(&self, arguments: &Arguments) -> u32 {
        // Relaxed: only this thread counts.
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1).max(1);
        let note = self.note(number);
        note.head.store(0, Ordering::Relaxed);
        // Partner: the acquire fence in `read`. Whoever reads what follows sees that the note is
        // being written.
        fence(Ordering::Release);
        let root_and_width = u64::from(arguments.root) << 32 | u64::from(arguments.width);
        note.root_and_width.store(root_and_width, Ordering::Relaxed);
        note.bytes.store(arguments.bytes, Ordering::Relaxed);
        let commutative = if arguments.commutative {
            COMMUTATIVE
        } else {
            0
        };
        let head =
            u64::from(number) << 32 | UNDER_WAY | commutative | u64::from(arguments.function as u8);
        // Release: partner is the acquire in `read`.
        note.head.store(head, Ordering::Release);
        self.last.store(number, Ordering::Release);
        number
    }

    /// Takes note that a call has ended.
    #[inline]
    pub(in crate::engine) fn end(&self, number: u32) {
        let note = self.note(number);
        // Relaxed: whoever has called since has done so in this thread, or after it was told by
        // this thread.
        let head = note.head.load(Ordering::Relaxed);
        if (head >> 32) as u32 == number {
            // Release: whoever is told that the call has ended may rely on what it has sent.
            note.head.store(head & !UNDER_WAY, Ordering::Release);
        }
        if self.any_refuted.load(Ordering::Relaxed) {
            self.forget(number);
        }
    }

    /// As [`Calls::begin`], for a call that is not waited for where it is made.
    pub(in crate::engine) fn begin_later(&self, arguments: &Arguments) -> u32 {
        self.later.fetch_add(1, Ordering::Relaxed);
        self.begin(arguments)
    }

    /// The end of a call begun by [`Calls::begin_later`].
    pub(in crate::engine) fn end_later(&self, number: u32) {
        self.end(number);
        self.later.fetch_sub(1, Ordering::Release);
    }

    /// A persistent call is made, to be started later.
    pub(in crate::engine) fn begin_persistent(&self, arguments: &Arguments) -> u32 {
        let number = self.begin(arguments);
        self.end(number);
        self.told.lock().persistent.push(Persistent {
            number,
            arguments: *arguments,
            started: 0,
            ended: 0,
        });
        number
    }

    /// A persistent call is started, or has ended.
    pub(in crate::engine) fn restarted(&self, number: u32, has_ended: bool) {
        {
            let mut told = self.told.lock();
            let mut all = told.persistent.iter_mut();
            if let Some(call) = all.find(|call| call.number == number) {
                match has_ended {
                    true => {
                        call.ended += 1;
                        self.active.fetch_sub(1, Ordering::Relaxed);
                    }
                    false => {
                        call.started += 1;
                        self.active.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        if has_ended && self.any_refuted.load(Ordering::Relaxed) {
            self.forget(number);
        }
    }

    /// A persistent call will not be started any more.
    pub(in crate::engine) fn end_persistent(&self, number: u32) {
        let mut told = self.told.lock();
        told.persistent.retain(|call| call.number != number);
    }

    #[cold]
    fn forget(&self, number: u32) {
        let mut told = self.told.lock();
        told.hopeless.retain(|call| call.number != number);
        told.refuted.retain(|(other, ..)| *other != number);
        let any = !told.refuted.is_empty();
        self.any_refuted.store(any, Ordering::Relaxed);
    }

    /// A note of this number, if it is kept: arguments, and whether the call is under way.
    fn read(&self, number: u32) -> Option<(Arguments, bool)> {
        let note = self.note(number);
        let head = note.head.load(Ordering::Acquire);
        let root_and_width = note.root_and_width.load(Ordering::Relaxed);
        let bytes = note.bytes.load(Ordering::Relaxed);
        // Partner: the release fence in `begin`.
        fence(Ordering::Acquire);
        if note.head.load(Ordering::Relaxed) != head || (head >> 32) as u32 != number {
            return None;
        }
        let arguments = Arguments {
            function: Function::from_u8(head as u8)?,
            root: (root_and_width >> 32) as u32,
            width: root_and_width as u32,
            bytes,
            commutative: head & COMMUTATIVE != 0,
        };
        Some((arguments, head & UNDER_WAY != 0))
    }

    /// How far the call of a number is; of a persistent one, that was started so often. What is
    /// known of one that was not started so often yet are its arguments.
    pub(in crate::engine) fn stage(&self, number: u32, started: u32) -> Stage {
        if let Some(call) = self
            .told
            .lock()
            .persistent
            .iter()
            .find(|call| call.number == number)
        {
            return match call.ended >= started {
                true => Stage::Ended(Some(call.arguments)),
                false => Stage::UnderWay(call.arguments),
            };
        }
        // Acquire: partner is the release in `begin`.
        let last = self.last.load(Ordering::Acquire);
        if number > last {
            return Stage::ToCome;
        }
        match self.read(number) {
            Some((arguments, true)) => Stage::UnderWay(arguments),
            Some((arguments, false)) => Stage::Ended(Some(arguments)),
            // Without nonblocking calls under way only the last one can be. Acquire: partner is the
            // release in `end_later`.
            None if number < last && self.later.load(Ordering::Acquire) == 0 => Stage::Ended(None),
            None => Stage::Forgotten,
        }
    }

    /// The calls under way that there are notes of.
    pub(in crate::engine) fn under_way(&self) -> Vec<UnderWay> {
        let last = self.last.load(Ordering::Acquire);
        let numbers = last.saturating_sub(RECENT as u32 - 1).max(1)..=last;
        let notes = numbers.filter_map(|number| {
            let (arguments, is_under_way) = self.read(number)?;
            is_under_way.then_some((number, 0, arguments))
        });
        let mut all: Vec<UnderWay> = notes.collect();
        let told = self.told.lock();
        let started = told
            .persistent
            .iter()
            .filter(|call| call.started > call.ended);
        all.extend(started.map(|call| (call.number, call.started, call.arguments)));
        all
    }

    /// Whether any call may be under way.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        let last = self.last.load(Ordering::Acquire);
        // Relaxed: advice.
        let later = self.later.load(Ordering::Relaxed) + self.active.load(Ordering::Relaxed) > 0;
        later
            || self
                .read(last)
                .is_some_and(|(_, is_under_way)| is_under_way)
    }

    /// The processes of all members.
    pub(in crate::engine) fn processes(&self) -> impl Iterator<Item = u32> + '_ {
        self.members[..self.groups].iter().flat_map(|g| g.iter())
    }

    /// How a person calls a process that is a member.
    pub(super) fn name_of(&self, process: u32) -> String {
        match (self.groups, self.members[0].rank_of(process)) {
            (1, Some(rank)) => format!("rank {rank}"),
            (_, Some(rank)) => format!("rank {rank} of the local group"),
            (_, None) => match self.members[1].rank_of(process) {
                Some(rank) => format!("rank {rank} of the remote group"),
                None => format!("process {process}"),
            },
        }
    }

    /// Whether a call was refuted.
    #[inline]
    pub(crate) fn is_refuted(&self, number: u32) -> bool {
        // Relaxed: what refuted it is read under the lock.
        self.any_refuted.load(Ordering::Relaxed) && self.find_refuted(number)
    }

    #[cold]
    fn find_refuted(&self, number: u32) -> bool {
        let told = self.told.lock();
        told.refuted.iter().any(|(other, ..)| *other == number)
    }

    /// Why a call was refuted.
    #[cold]
    pub(crate) fn refutation(&self, number: u32) -> Error {
        let told = self.told.lock();
        let found = told.refuted.iter().find(|(other, ..)| *other == number);
        match found {
            Some((_, class, sentence)) => Error::new(*class, sentence.clone()),
            None => Error::new(ErrorClass::OTHER, "the collective call was given up"),
        }
    }

    /// A call cannot end well.
    fn refute(&self, number: u32, class: ErrorClass, sentence: String) {
        let mut told = self.told.lock();
        if told.refuted.iter().all(|(other, ..)| *other != number) {
            told.refuted.push((number, class, sentence));
            self.any_refuted.store(true, Ordering::Relaxed);
        }
    }

    /// A member, `process`, tells how far it is with a call that is under way in this process,
    /// `own`, which has asked so often; and for how many rounds of asking nothing has moved there.
    pub(in crate::engine) fn told(
        &self,
        (number, started): (u32, u32),
        (own, asked): (u32, u32),
        process: u32,
        (theirs, rounds): (Stage, Option<Rounds>),
    ) {
        let mut all = self.under_way().into_iter();
        let is_it = |call: &UnderWay| call.0 == number && call.1 == started;
        let Some((.., ours)) = all.find(is_it) else {
            return;
        };
        let (arguments, has_ended) = match theirs {
            Stage::UnderWay(arguments) => (Some(arguments), false),
            Stage::Ended(arguments) => (arguments, true),
            Stage::ToCome | Stage::Forgotten => return,
        };
        if let Some(theirs) = arguments
            && let Some(class) = ours.disagreement(&theirs)
        {
            let in_full = matches!(class, ErrorClass::TYPE | ErrorClass::OP);
            let sentence = format!(
                "the members do not agree about collective call {number} of the communicator: \
                 here, on {}, it is {}, on {} {}",
                self.name_of(own),
                ours.describe(in_full),
                self.name_of(process),
                theirs.describe(in_full)
            );
            self.refute(number, class, sentence);
            return;
        }
        let why = match rounds {
            _ if has_ended => Some(Hopeless::Ended),
            Some(rounds) if rounds.at_rest >= QUIET => Some(Hopeless::Rests(asked)),
            Some(rounds) if rounds.quiet >= QUIET => Some(Hopeless::Waits(asked)),
            Some(_) => None,
            None => return,
        };
        let mut told = self.told.lock();
        let is_it = |call: &WithoutHope| (call.number, call.started) == (number, started);
        let at = told.hopeless.iter().position(is_it).unwrap_or_else(|| {
            told.hopeless.push(WithoutHope {
                number,
                started,
                members: Vec::new(),
                is_doubted: false,
            });
            told.hopeless.len() - 1
        });
        let hopeless = &mut told.hopeless[at].members;
        hopeless.retain(|(other, _)| *other != process);
        hopeless.extend(why.map(|why| (process, why)));
    }

    /// Refutes a call for which nobody will do anything any more. This process has waited for it so
    /// long that it has asked for so many `rounds` without anything that has moved since, and for
    /// the `asked`th time at all. Where only threads outside the library may do something yet,
    /// returns a sentence that says so, once.
    pub(in crate::engine) fn give_up(
        &self,
        (number, started, ours): UnderWay,
        own: u32,
        (rounds, asked): (Rounds, u32),
    ) -> Option<String> {
        // One round longer than the others, so that there was a time when all of them waited.
        if rounds.quiet <= QUIET {
            return None;
        }
        let others = self.processes().filter(|member| *member != own).count();
        let is_certain = {
            let mut told = self.told.lock();
            let mut all = told.hopeless.iter_mut();
            let call = all.find(|call| (call.number, call.started) == (number, started))?;
            let (mut resting, mut waiting) = (0, 0);
            for (_, why) in &call.members {
                match why {
                    Hopeless::Ended => resting += 1,
                    Hopeless::Rests(then) if asked - then <= 1 => resting += 1,
                    Hopeless::Waits(then) if asked - then <= 1 => waiting += 1,
                    Hopeless::Rests(_) | Hopeless::Waits(_) => {}
                }
            }
            if resting + waiting < others {
                return None;
            }
            let is_certain = resting == others && rounds.at_rest > QUIET;
            if !is_certain && core::mem::replace(&mut call.is_doubted, true) {
                return None;
            }
            is_certain
        };
        let (call, own) = (ours.describe(false), self.name_of(own));
        if !is_certain {
            return Some(format!(
                "collective call {number} of the communicator, {call}, waits on {own}, and all \
                 other members have ended it, or wait in it as \
                 well. Unless a thread of theirs or of this process that does not wait in MPI now \
                 goes on with it, it never ends, as counts, \
                 types or neighbours of some members do not agree with those of others"
            ));
        }
        let sentence = format!(
            "collective call {number} of the communicator, {call}, waits on {own} for what nobody \
             sends or receives: all other members have \
             ended it, or wait in it as well. Counts, types or neighbours of some members do not \
             agree with those of others"
        );
        self.refute(number, ErrorClass::COUNT, sentence);
        None
    }
}

#[cfg(test)]
mod tests;
