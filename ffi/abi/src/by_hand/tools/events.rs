//! Events and their source (section 15.3.8).

use ferrite_engine::callback::{Callback, DroppedFunction, EventFreeFunction, EventFunction};
use ferrite_engine::tools::Verbosity;
use ferrite_engine::tools::event::{self, Element, Part, Safety, TICKS_PER_SECOND};
use ferrite_engine::{Result, info};

use super::{NO_ENUM, NO_OBJECT, NUMBER, SMALL, demand, given, name, shown, wish, wish_text};
use crate::convert::{narrow_pointer, widen};
use crate::interface::t_safety_out;
use crate::types::{
    MPI_Aint, MPI_Count, MPI_Datatype, MPI_Info, MPI_T_enum, MPI_T_event_instance,
    MPI_T_event_registration, c_char, c_int, c_void,
};

/// `MPI_T_SOURCE_ORDERED`
const ORDERED: c_int = 1;

type Told =
    unsafe extern "C" fn(MPI_T_event_instance, MPI_T_event_registration, c_int, *mut c_void);
type Freed = unsafe extern "C" fn(MPI_T_event_registration, c_int, *mut c_void);
type Dropped = unsafe extern "C" fn(MPI_Count, MPI_T_event_registration, c_int, c_int, *mut c_void);

/// # Safety
/// `function` is the address of a [`Told`].
unsafe fn tell(function: usize, instance: u32, registration: u32, safety: c_int, data: usize) {
    // SAFETY: the caller's promise.
    let function: Told = unsafe { core::mem::transmute(function) };
    // SAFETY: the tool's function gets what it gave.
    unsafe {
        function(
            shown(instance),
            shown(registration),
            t_safety_out(safety),
            data as *mut c_void,
        )
    }
}

/// # Safety
/// `function` is the address of a [`Freed`].
unsafe fn tell_freed(function: usize, registration: u32, safety: c_int, data: usize) {
    // SAFETY: the caller's promise.
    let function: Freed = unsafe { core::mem::transmute(function) };
    // SAFETY: the tool's function gets what it gave.
    unsafe {
        function(
            shown(registration),
            t_safety_out(safety),
            data as *mut c_void,
        )
    }
}

/// # Safety
/// `function` is the address of a [`Dropped`].
unsafe fn tell_dropped(
    function: usize,
    count: i64,
    registration: u32,
    source: c_int,
    safety: c_int,
    data: usize,
) {
    // SAFETY: the caller's promise.
    let function: Dropped = unsafe { core::mem::transmute(function) };
    // SAFETY: the tool's function gets what it gave.
    unsafe {
        function(
            count,
            shown(registration),
            source,
            t_safety_out(safety),
            data as *mut c_void,
        )
    }
}

/// A function of the tool with its trampoline; none for a null pointer.
///
/// # Safety
/// As [`Callback::new`].
unsafe fn callback<F: Copy>(function: *const c_void, invoke: F) -> Option<Callback<F>> {
    // SAFETY: the caller's promise.
    (!function.is_null()).then(|| unsafe { Callback::new(function as usize, invoke) })
}

/// An info object without hints: there are none for events.
///
/// # Safety
/// `to` is as in [`demand`].
unsafe fn no_hints(to: *mut MPI_Info) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        given(to, "info_used")?;
        demand(to, widen(info::create()?.0), "info_used")
    }
}

pub(crate) unsafe fn t_source_get_num(number: *mut c_int) -> Result<()> {
    event::check_source(0)?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, 1, "num_sources") }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn t_source_get_info(
    index: c_int,
    name: *mut c_char,
    name_len: *mut c_int,
    desc: *mut c_char,
    desc_len: *mut c_int,
    ordering: *mut c_int,
    ticks_per_second: *mut MPI_Count,
    max_ticks: *mut MPI_Count,
    hints: *mut MPI_Info,
) -> Result<()> {
    event::check_source(index)?;
    // SAFETY: the tool's pointers.
    unsafe {
        wish_text(name, name_len, "ferrite");
        wish_text(
            desc,
            desc_len,
            "This process: its own clock, from the first event on.",
        );
        wish(ordering, ORDERED);
        wish(ticks_per_second, TICKS_PER_SECOND);
        wish(max_ticks, MPI_Count::MAX);
        match hints.is_null() {
            true => Ok(()),
            false => no_hints(hints),
        }
    }
}

pub(crate) unsafe fn t_source_get_timestamp(index: c_int, timestamp: *mut MPI_Count) -> Result<()> {
    let now = event::source_timestamp(index)?;
    // SAFETY: the tool's pointer.
    unsafe { demand(timestamp, now, "timestamp") }
}

pub(crate) unsafe fn t_event_get_num(number: *mut c_int) -> Result<()> {
    let count = event::count()?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, count, "num_events") }
}

pub(crate) unsafe fn t_event_get_index(wanted: *const c_char, index: *mut c_int) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        let found = event::index(name(wanted)?)?;
        demand(index, found, "event_index")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn t_event_get_info(
    index: c_int,
    name: *mut c_char,
    name_len: *mut c_int,
    verbosity: *mut c_int,
    datatypes: *mut MPI_Datatype,
    displacements: *mut MPI_Aint,
    num_elements: *mut c_int,
    enumtype: *mut MPI_T_enum,
    hints: *mut MPI_Info,
    desc: *mut c_char,
    desc_len: *mut c_int,
    bind: *mut c_int,
) -> Result<()> {
    let event = event::info(index)?;
    // SAFETY: the tool's pointers; the arrays are as long as `num_elements` says.
    unsafe {
        wish_text(name, name_len, event.name);
        wish(verbosity, Verbosity::TunerBasic as c_int);
        if let Some(length) = num_elements.as_mut() {
            let room = usize::try_from(*length).unwrap_or(0);
            for (at, (of, place)) in event.elements.iter().enumerate().take(room) {
                let of = match of {
                    Element::Int => SMALL,
                    Element::Long => NUMBER,
                };
                if !datatypes.is_null() {
                    datatypes.add(at).write(widen(of.0));
                }
                if !displacements.is_null() {
                    displacements.add(at).write(*place as MPI_Aint);
                }
            }
            *length = event.elements.len() as c_int;
        }
        wish(enumtype, NO_ENUM);
        wish_text(desc, desc_len, event.description);
        wish(bind, NO_OBJECT);
        match hints.is_null() {
            true => Ok(()),
            false => no_hints(hints),
        }
    }
}

pub(crate) unsafe fn t_event_handle_alloc(
    index: c_int,
    _object: *mut c_void,
    _hints: MPI_Info,
    registration: *mut MPI_T_event_registration,
) -> Result<()> {
    // SAFETY: the tool's pointer.
    unsafe {
        given(registration, "event_registration")?;
        demand(
            registration,
            shown(event::register(index)?),
            "event_registration",
        )
    }
}

pub(crate) unsafe fn t_event_handle_free(
    registration: MPI_T_event_registration,
    user_data: *mut c_void,
    function: *const c_void,
) -> Result<()> {
    // SAFETY: the trampoline may be called with the tool's function.
    let function = unsafe { callback(function, tell_freed as EventFreeFunction) };
    event::unregister(narrow_pointer(registration), function, user_data as usize)
}

pub(crate) unsafe fn t_event_register_callback(
    registration: MPI_T_event_registration,
    safety: c_int,
    _hints: MPI_Info,
    user_data: *mut c_void,
    function: *const c_void,
) -> Result<()> {
    // SAFETY: the trampoline may be called with the tool's function.
    let function = unsafe { callback(function, tell as EventFunction) };
    let safety = Safety::of(safety)?;
    event::listen(
        narrow_pointer(registration),
        safety,
        function,
        user_data as usize,
    )
}

pub(crate) unsafe fn t_event_set_dropped_handler(
    registration: MPI_T_event_registration,
    function: *const c_void,
) -> Result<()> {
    // SAFETY: the trampoline may be called with the tool's function.
    let function = unsafe { callback(function, tell_dropped as DroppedFunction) };
    event::on_dropped(narrow_pointer(registration), function)
}

pub(crate) unsafe fn t_event_handle_get_info(
    registration: MPI_T_event_registration,
    used: *mut MPI_Info,
) -> Result<()> {
    event::check_registration(narrow_pointer(registration))?;
    // SAFETY: the tool's pointer.
    unsafe { no_hints(used) }
}

pub(crate) unsafe fn t_event_handle_set_info(
    registration: MPI_T_event_registration,
    _hints: MPI_Info,
) -> Result<()> {
    event::check_registration(narrow_pointer(registration))
}

pub(crate) unsafe fn t_event_callback_get_info(
    registration: MPI_T_event_registration,
    safety: c_int,
    used: *mut MPI_Info,
) -> Result<()> {
    Safety::of(safety)?;
    event::check_registration(narrow_pointer(registration))?;
    // SAFETY: the tool's pointer.
    unsafe { no_hints(used) }
}

pub(crate) unsafe fn t_event_callback_set_info(
    registration: MPI_T_event_registration,
    safety: c_int,
    _hints: MPI_Info,
) -> Result<()> {
    Safety::of(safety)?;
    event::check_registration(narrow_pointer(registration))
}

/// Stores an element.
///
/// # Safety
/// `to` is null or has room for it.
unsafe fn put(to: *mut c_void, part: Part) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        match part {
            Part::Int(value) => demand(to.cast(), value, "buffer"),
            Part::Long(value) => demand(to.cast(), value, "buffer"),
        }
    }
}

pub(crate) unsafe fn t_event_read(
    instance: MPI_T_event_instance,
    index: c_int,
    buffer: *mut c_void,
) -> Result<()> {
    let part = event::part(narrow_pointer(instance), index)?;
    // SAFETY: the tool's buffer.
    unsafe { put(buffer, part) }
}

pub(crate) unsafe fn t_event_copy(
    instance: MPI_T_event_instance,
    buffer: *mut c_void,
) -> Result<()> {
    let parts = event::parts(narrow_pointer(instance))?;
    // SAFETY: the tool's buffer has room for all elements at their displacements.
    unsafe {
        given(buffer.cast::<u8>(), "buffer")?;
        for (part, place) in parts {
            put(buffer.cast::<u8>().add(place).cast(), part)?;
        }
    }
    Ok(())
}

pub(crate) unsafe fn t_event_get_source(
    instance: MPI_T_event_instance,
    source: *mut c_int,
) -> Result<()> {
    event::event_timestamp(narrow_pointer(instance))?;
    // SAFETY: the tool's pointer.
    unsafe { demand(source, 0, "source_index") }
}

pub(crate) unsafe fn t_event_get_timestamp(
    instance: MPI_T_event_instance,
    timestamp: *mut MPI_Count,
) -> Result<()> {
    let when = event::event_timestamp(narrow_pointer(instance))?;
    // SAFETY: the tool's pointer.
    unsafe { demand(timestamp, when, "event_timestamp") }
}
