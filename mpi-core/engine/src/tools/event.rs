//! Events (MPI 5.0, section 15.3.8): what happens inside the library, told to the functions of
//! tools.
//!
//! Events are raised where the engine holds locks, so they wait in a queue until it holds none;
//! then one thread at a time tells them, in their order. Events for which the queue has no room, or
//! a registration no function that is safe enough, are dropped and counted.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::{entry, error, index_of, tools};
use crate::callback::{Callback, DroppedFunction, EventFreeFunction, EventFunction};
use crate::{Error, ErrorClass, Result};

/// Events that wait for being told, at most.
const ROOM: usize = 1024;

/// What a function of a tool may be called from (`MPI_T_CB_REQUIRE_...`). Ordered: a function that
/// is safe enough for one is safe enough for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// It may do anything.
    None,
    /// It may not call MPI, but for what reads the event.
    MpiRestricted,
    /// In addition, several threads may call it together.
    ThreadSafe,
    /// In addition, signal handlers may call it.
    AsyncSignalSafe,
}

const LEVELS: [(Safety, i32); 4] = [
    (Safety::None, 0x00),
    (Safety::MpiRestricted, 0x03),
    (Safety::ThreadSafe, 0x0f),
    (Safety::AsyncSignalSafe, 0x3f),
];

impl Safety {
    /// The level of a constant's value. `MPI_T_ERR_INVALID` for another value.
    pub fn of(value: i32) -> Result<Safety> {
        let found = LEVELS.iter().find(|level| level.1 == value);
        found
            .map(|level| level.0)
            .ok_or_else(|| error(ErrorClass::T_INVALID, "no safety level has this value"))
    }

    /// The constant's value.
    pub fn value(self) -> i32 {
        LEVELS[self as usize].1
    }
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was there before its receive.
    Unexpected {
        /// Its sender, by rank in the job.
        process: u32,
        /// Its tag.
        tag: i32,
        /// Its length.
        bytes: u64,
    },
    /// A way to a process was opened.
    PeerOpened {
        /// By rank in the job.
        process: u32,
        /// Whether it is a network.
        is_remote: bool,
    },
}

/// The type of a part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `MPI_INT`
    Int,
    /// `MPI_UNSIGNED_LONG_LONG`
    Long,
}

/// A part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Of [`Element::Int`].
    Int(i32),
    /// Of [`Element::Long`].
    Long(u64),
}

/// A type of events.
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// What its events tell, in a sentence, with their elements.
    pub description: &'static str,
    /// The types of its elements, each with its place in a copy of an event, in bytes.
    pub elements: &'static [(Element, usize)],
}

/// All types of events.
pub static TYPES: [Type; 2] = [
    Type {
        name: "ferrite_unexpected_message",
        description: "A point-to-point message arrived before its receive was posted. Elements: \
            the sender's rank in MPI_COMM_WORLD, \
                      the tag, the length in bytes.",
        elements: &[(Element::Int, 0), (Element::Int, 4), (Element::Long, 8)],
    },
    Type {
        name: "ferrite_peer_opened",
        description: "A way to a process was opened. Elements: its rank in MPI_COMM_WORLD, whether \
            the way is a network (1 or 0).",
        elements: &[(Element::Int, 0), (Element::Int, 4)],
    },
];

impl Event {
    fn number(self) -> usize {
        match self {
            Event::Unexpected { .. } => 0,
            Event::PeerOpened { .. } => 1,
        }
    }

    fn parts(self) -> ([Part; 3], usize) {
        match self {
            Event::Unexpected {
                process,
                tag,
                bytes,
            } => {
                let parts = [Part::Int(process as i32), Part::Int(tag), Part::Long(bytes)];
                (parts, 3)
            }
            Event::PeerOpened { process, is_remote } => {
                let remote = Part::Int(i32::from(is_remote));
                ([Part::Int(process as i32), remote, remote], 2)
            }
        }
    }
}

/// The only source: this process. Its events come in order, and its clock counts nanoseconds.
pub const TICKS_PER_SECOND: i64 = 1_000_000_000;

/// The source's clock.
fn timestamp() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// An event that waits for being told, or is told just now.
#[derive(Clone, Copy)]
struct Instance {
    event: Event,
    timestamp: i64,
}

/// A function for a level, with what it gets.
#[derive(Clone, Copy)]
struct Listener {
    function: Callback<EventFunction>,
    user_data: usize,
}

struct Registration {
    of: usize,
    /// By safety level.
    listeners: [Option<Listener>; LEVELS.len()],
    on_dropped: Option<Callback<DroppedFunction>>,
    dropped: i64,
    /// A tool has freed it, and wants to be told when nobody calls its functions any more.
    freed: Option<(Option<Callback<EventFreeFunction>>, usize)>,
}

impl Registration {
    /// The least demanding function that is safe enough.
    fn listener(&self, safety: Safety) -> Option<Listener> {
        self.listeners[safety as usize..]
            .iter()
            .flatten()
            .next()
            .copied()
    }

    fn listens(&self) -> bool {
        self.freed.is_none() && self.listeners.iter().any(Option::is_some)
    }
}

struct Events {
    registrations: BTreeMap<u32, Registration>,
    queue: VecDeque<Instance>,
    is_telling: bool,
    /// Names the instance that is told.
    serial: u32,
}

static EVENTS: Mutex<Events> = Mutex::new(Events {
    registrations: BTreeMap::new(),
    queue: VecDeque::new(),
    is_telling: false,
    serial: 0,
});

/// Bit N: somebody listens to events of type N. Advice, not synchronisation: relaxed everywhere.
static WANTED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The instance that a function of a tool is told of on this thread, with its handle.
    static TOLD: Cell<Option<(u32, Instance)>> = const { Cell::new(None) };
}

fn events() -> MutexGuard<'static, Events> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    fn update_wanted(&self) {
        let listening = self.registrations.values().filter(|it| it.listens());
        let bits = listening.fold(0, |bits, it| bits | 1 << it.of);
        WANTED.store(bits, Ordering::Relaxed);
    }

    fn registration(&mut self, handle: u32) -> Result<&mut Registration> {
        let found = self.registrations.get_mut(&handle);
        found
            .filter(|it| it.freed.is_none())
            .ok_or_else(no_registration)
    }
}

fn no_registration() -> Error {
    error(
        ErrorClass::T_INVALID_HANDLE,
        "this is no registration of an event",
    )
}

/// Whether anybody listens to such events.
#[inline]
pub(crate) fn is_wanted(event: Event) -> bool {
    WANTED.load(Ordering::Relaxed) & 1 << event.number() != 0
}

/// Keeps an event until [`deliver`]. Returns whether there was room.
#[cold]
pub(crate) fn queue(event: Event) -> bool {
    let mut events = events();
    let has_room = events.queue.len() < ROOM;
    if has_room {
        let timestamp = timestamp();
        events.queue.push_back(Instance { event, timestamp });
    } else {
        let listening = events.registrations.values_mut();
        for registration in listening.filter(|it| it.listens() && it.of == event.number()) {
            registration.dropped += 1;
        }
    }
    has_room
}

/// Tells tools what waits for that, from a thread that holds no lock and where functions must be as
/// safe as `safety`. Returns how many events no longer wait; none if another thread tells them, or
/// this very one in an outer call.
pub(crate) fn deliver(safety: Safety) -> u32 {
    let mut gone = 0;
    let mut now = events();
    if std::mem::replace(&mut now.is_telling, true) {
        return 0;
    }
    while let Some(instance) = now.queue.pop_front() {
        gone += 1;
        now.serial = now.serial.wrapping_add(1).max(1);
        let serial = now.serial;
        let mut calls = Vec::new();
        for (handle, registration) in &mut now.registrations {
            if registration.of != instance.event.number() || !registration.listens() {
                continue;
            }
            match registration.listener(safety) {
                Some(listener) => calls.push((*handle, listener)),
                None => registration.dropped += 1,
            }
        }
        drop(now);
        TOLD.set(Some((serial, instance)));
        for (registration, listener) in calls {
            let Listener {
                function,
                user_data,
            } = listener;
            // A function before this one may have freed it.
            if self::events().registration(registration).is_ok() {
                function.call(serial, registration, safety.value(), user_data);
            }
        }
        TOLD.set(None);
        now = events();
    }
    let lost: Vec<_> = lost(&mut now, safety);
    drop(now);
    for (function, count, registration, user_data) in lost {
        function.call(count, registration, 0, safety.value(), user_data);
    }
    now = events();
    now.is_telling = false;
    let freed = take_freed(&mut now);
    drop(now);
    tell_freed(freed, safety);
    gone
}

/// Whom to tell that events were dropped, how many, and with what.
fn lost(events: &mut Events, safety: Safety) -> Vec<(Callback<DroppedFunction>, i64, u32, usize)> {
    let registrations = events.registrations.iter_mut();
    let told = registrations.filter_map(|(handle, registration)| {
        let function = registration.on_dropped?;
        let count = std::mem::take(&mut registration.dropped);
        let user_data = registration
            .listener(safety)
            .map_or(0, |listener| listener.user_data);
        (count > 0).then_some((function, count, *handle, user_data))
    });
    told.collect()
}

type Freed = Vec<(u32, Option<Callback<EventFreeFunction>>, usize)>;

fn take_freed(events: &mut Events) -> Freed {
    let registrations = events.registrations.iter();
    let freed: Freed = registrations
        .filter_map(|(handle, it)| it.freed.map(|(function, data)| (*handle, function, data)))
        .collect();
    for (handle, ..) in &freed {
        events.registrations.remove(handle);
    }
    freed
}

fn tell_freed(freed: Freed, safety: Safety) {
    for (handle, function, user_data) in freed {
        if let Some(function) = function {
            function.call(handle, safety.value(), user_data);
        }
    }
}

/// Nobody uses the interface any more.
pub(super) fn forget_all() {
    let mut events = events();
    events.registrations.clear();
    events.update_wanted();
}

/// `MPI_T_event_get_num`
pub fn count() -> Result<i32> {
    let _tools = tools()?;
    Ok(TYPES.len() as i32)
}

/// `MPI_T_event_get_index`
pub fn index(name: &str) -> Result<i32> {
    let _tools = tools()?;
    index_of(TYPES.iter().map(|event| event.name), name)
}

/// `MPI_T_event_get_info`
pub fn info(index: i32) -> Result<&'static Type> {
    let _tools = tools()?;
    entry(&TYPES, index)
}

/// Checks the number of a source: there is one.
pub fn check_source(index: i32) -> Result<()> {
    let _tools = tools()?;
    match index {
        0 => Ok(()),
        _ => Err(error(
            ErrorClass::T_INVALID_INDEX,
            "no source has this number",
        )),
    }
}

/// `MPI_T_source_get_timestamp`
pub fn source_timestamp(index: i32) -> Result<i64> {
    check_source(index)?;
    Ok(timestamp())
}

/// `MPI_T_event_handle_alloc`
pub fn register(index: i32) -> Result<u32> {
    let mut tools = tools()?;
    entry(&TYPES, index)?;
    let handle = tools.handle()?;
    let registration = Registration {
        of: index as usize,
        listeners: [None; LEVELS.len()],
        on_dropped: None,
        dropped: 0,
        freed: None,
    };
    events().registrations.insert(handle, registration);
    Ok(handle)
}

/// Checks a registration's handle.
pub fn check_registration(registration: u32) -> Result<()> {
    let _tools = tools()?;
    events().registration(registration).map(|_| ())
}

/// `MPI_T_event_register_callback`: replaces the function of a level; none takes it away.
pub fn listen(
    registration: u32,
    safety: Safety,
    function: Option<Callback<EventFunction>>,
    user_data: usize,
) -> Result<()> {
    let _tools = tools()?;
    let mut events = events();
    let listener = function.map(|function| Listener {
        function,
        user_data,
    });
    events.registration(registration)?.listeners[safety as usize] = listener;
    events.update_wanted();
    Ok(())
}

/// `MPI_T_event_set_dropped_handler`
pub fn on_dropped(registration: u32, function: Option<Callback<DroppedFunction>>) -> Result<()> {
    let _tools = tools()?;
    events().registration(registration)?.on_dropped = function;
    Ok(())
}

/// `MPI_T_event_handle_free`: `function` is called once no other function of the registration will
/// be.
pub fn unregister(
    registration: u32,
    function: Option<Callback<EventFreeFunction>>,
    user_data: usize,
) -> Result<()> {
    let tools = tools()?;
    let mut events = events();
    events.registration(registration)?.freed = Some((function, user_data));
    events.update_wanted();
    // Whoever tells events just now does it later.
    let freed = match events.is_telling {
        true => Freed::new(),
        false => take_freed(&mut events),
    };
    drop(events);
    drop(tools);
    tell_freed(freed, Safety::None);
    Ok(())
}

/// The instance of a handle, on the thread whose function is told of it.
fn told(instance: u32) -> Result<Instance> {
    let told = TOLD
        .get()
        .filter(|(serial, _)| *serial == instance && instance != 0);
    told.map(|(_, instance)| instance).ok_or_else(|| {
        error(
            ErrorClass::T_INVALID_HANDLE,
            "an event can be read in the function that is told of it, nowhere else",
        )
    })
}

/// `MPI_T_event_copy`: the elements of an event, each with its place.
pub fn parts(instance: u32) -> Result<Vec<(Part, usize)>> {
    let event = told(instance)?.event;
    let (parts, count) = event.parts();
    let places = TYPES[event.number()].elements.iter().map(|(_, at)| *at);
    Ok(parts[..count].iter().copied().zip(places).collect())
}

/// `MPI_T_event_read`. `MPI_T_ERR_INVALID_INDEX` for an element that the event does not have.
pub fn part(instance: u32, index: i32) -> Result<Part> {
    let parts = parts(instance)?;
    let part = usize::try_from(index).ok().and_then(|at| parts.get(at));
    part.map(|(part, _)| *part).ok_or_else(|| {
        error(
            ErrorClass::T_INVALID_INDEX,
            "the event has no element of this number",
        )
    })
}

/// `MPI_T_event_get_timestamp`
pub fn event_timestamp(instance: u32) -> Result<i64> {
    Ok(told(instance)?.timestamp)
}
