//! Error handlers: what happens when an operation on an object fails (MPI 5.0, section 9.3).
//!
//! Handlers are static and behind a mutex of their own, because creating and freeing them is legal
//! before initialisation, from any thread, at every thread level. A handler lives until the program
//! has freed every handle to it and no object has it attached: freeing the handle of an attached
//! handler changes nothing for the object.
//!
//! This module does not run handlers: [`Attached::action`] says what to do, and the one place in
//! the ABI layer does it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::callback::{Callback, ErrorFunction};
use crate::error::{Error, ErrorClass, Result};
use crate::handle::{Errhandler, HandleKind};
use crate::slab::Slab;

/// The kind of object that an error handler is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Communicators
    Comm,
    /// Windows
    Win,
    /// Files
    File,
    /// Sessions
    Session,
}

impl Owner {
    fn plural(self) -> &'static str {
        match self {
            Owner::Comm => "communicators",
            Owner::Win => "windows",
            Owner::File => "files",
            Owner::Session => "sessions",
        }
    }
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End every process that is connected (`MPI_ERRORS_ARE_FATAL`).
    Fatal,
    /// End the processes of the object that the error occurred on (`MPI_ERRORS_ABORT`).
    Abort,
    /// Return the code (`MPI_ERRORS_RETURN`).
    Return,
    /// Call the program's function, then return the code.
    Call(Callback<ErrorFunction>),
}

struct Handler {
    owner: Owner,
    function: Callback<ErrorFunction>,
    /// Handles that the program has to free.
    handles: u32,
    /// Objects that the handler is attached to.
    objects: u32,
}

static HANDLERS: Slab<Mutex<Handler>> = Slab::new(HandleKind::Errhandler);

/// Taken around every access to `HANDLERS`: unlike the slab's own lock it never collapses.
static ACCESS: Mutex<()> = Mutex::new(());

fn access() -> MutexGuard<'static, ()> {
    ACCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_predefined(handle: Errhandler) -> bool {
    matches!(
        handle,
        Errhandler::ARE_FATAL | Errhandler::ABORT | Errhandler::RETURN
    )
}

#[cold]
fn invalid(handle: Errhandler) -> Error {
    let sentence = match handle {
        Errhandler::NULL => String::from("MPI_ERRHANDLER_NULL is not an error handler"),
        _ => format!(
            "{:#x} is not an error handler, or one that was freed",
            handle.0
        ),
    };
    Error::new(ErrorClass::ERRHANDLER, sentence)
}

/// Runs `change` on a handler of the program, which must be alive, and removes the handler when
/// nothing refers to it any more. `None` when `change` refuses.
fn with<T>(handle: Errhandler, change: impl FnOnce(&mut Handler) -> Option<T>) -> Option<T> {
    let _access = access();
    let mut handler = HANDLERS
        .get(handle.0)?
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let answer = change(&mut handler);
    let unused = handler.handles == 0 && handler.objects == 0;
    drop(handler);
    if unused {
        HANDLERS.remove(handle.0);
    }
    answer
}

/// Makes an error handler for a kind of object (`MPI_Comm_create_errhandler` and its siblings).
pub fn create(owner: Owner, function: Callback<ErrorFunction>) -> Result<Errhandler> {
    let _access = access();
    let handler = Handler {
        owner,
        function,
        handles: 1,
        objects: 0,
    };
    let handle = HANDLERS.insert(Mutex::new(handler));
    handle
        .map(Errhandler)
        .map_err(|_| Error::new(ErrorClass::NO_MEM, "there are too many error handlers"))
}

/// Gives a handle back (`MPI_Errhandler_free`). Objects that have the handler attached keep it.
/// Freeing a predefined handler does nothing, because `MPI_Comm_get_errhandler` hands those out
/// too. `MPI_ERR_ERRHANDLER` for a stale handle.
pub fn free(handle: Errhandler) -> Result<()> {
    if is_predefined(handle) {
        return Ok(());
    }
    let freed = with(handle, |handler| {
        handler.handles = handler.handles.checked_sub(1)?;
        Some(())
    });
    freed.ok_or_else(|| invalid(handle))
}

/// An error handler as an object holds it. A clone, made when an object is duplicated, is one more
/// object that holds it.
#[derive(Debug)]
pub struct Attached(Errhandler);

impl Attached {
    /// `MPI_ERRORS_ARE_FATAL`
    pub const FATAL: Attached = Attached(Errhandler::ARE_FATAL);
    /// `MPI_ERRORS_ABORT`
    pub const ABORT: Attached = Attached(Errhandler::ABORT);
    /// `MPI_ERRORS_RETURN`
    pub const RETURN: Attached = Attached(Errhandler::RETURN);

    /// The handler of this handle, to be stored in an object of this kind
    /// (`MPI_Comm_set_errhandler` and its siblings). `MPI_ERR_ERRHANDLER` for a stale handle or a
    /// handler that was made for another kind of object.
    pub fn new(handle: Errhandler, owner: Owner) -> Result<Attached> {
        if is_predefined(handle) {
            return Ok(Attached(handle));
        }
        let made_for = with(handle, |handler| {
            if handler.handles == 0 {
                return None;
            }
            handler.objects += u32::from(handler.owner == owner);
            Some(handler.owner)
        });
        match made_for {
            Some(made_for) if made_for == owner => Ok(Attached(handle)),
            Some(made_for) => Err(Error::new(
                ErrorClass::ERRHANDLER,
                format!(
                    "the error handler was made for {}, not for {}",
                    made_for.plural(),
                    owner.plural()
                ),
            )),
            None => Err(invalid(handle)),
        }
    }

    /// A handle for the program, which has to free it (`MPI_Comm_get_errhandler` and its siblings).
    pub fn handle(&self) -> Errhandler {
        // A predefined handler is not in the slab, and needs no count.
        with(self.0, |handler| {
            handler.handles += 1;
            Some(())
        });
        self.0
    }

    /// What to do about an error.
    pub fn action(&self) -> Action {
        match self.0 {
            Errhandler::ARE_FATAL => Action::Fatal,
            Errhandler::ABORT => Action::Abort,
            Errhandler::RETURN => Action::Return,
            handle => {
                let function = with(handle, |handler| Some(handler.function));
                Action::Call(function.expect("an attached handler is alive"))
            }
        }
    }
}

impl Clone for Attached {
    fn clone(&self) -> Attached {
        with(self.0, |handler| {
            handler.objects += 1;
            Some(())
        });
        Attached(self.0)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        with(self.0, |handler| {
            handler.objects -= 1;
            Some(())
        });
    }
}

/// The place in an object where its error handler is. Read when something fails, so a mutex is
/// cheap enough.
#[derive(Debug)]
pub struct Slot(Mutex<Attached>);

impl Slot {
    /// A place with a handler.
    pub const fn new(attached: Attached) -> Slot {
        Slot(Mutex::new(attached))
    }

    /// The handler that is attached now.
    pub fn get(&self) -> Attached {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Attaches another handler.
    pub fn set(&self, attached: Attached) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = attached;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static CALLED: Cell<(usize, u32, i32)> = const { Cell::new((0, 0, 0)) };
    }

    unsafe fn note(function: usize, object: u32, code: i32) {
        CALLED.set((function, object, code));
    }

    fn function(number: usize) -> Callback<ErrorFunction> {
        // SAFETY: `note` accepts any number.
        unsafe { Callback::new(number, note) }
    }

    #[test]
    fn a_freed_handler_stays_with_the_objects_that_have_it() {
        let handle = create(Owner::Comm, function(7)).unwrap();
        let place = Slot::new(Attached::new(handle, Owner::Comm).unwrap());
        free(handle).unwrap();
        assert_eq!(free(handle).unwrap_err().class(), ErrorClass::ERRHANDLER);
        assert!(Attached::new(handle, Owner::Comm).is_err());

        let duplicate = place.get();
        place.set(Attached::RETURN);
        assert_eq!(place.get().action(), Action::Return);
        let Action::Call(callback) = duplicate.action() else {
            panic!("the program's function")
        };
        callback.call(0x101, 15);
        assert_eq!(CALLED.get(), (7, 0x101, 15));

        // A handle asked from the object is a new one to free.
        assert_eq!(duplicate.handle(), handle);
        drop(duplicate);
        free(handle).unwrap();
        assert_eq!(free(handle).unwrap_err().class(), ErrorClass::ERRHANDLER);
    }

    #[test]
    fn a_handler_fits_the_kind_of_object_that_it_was_made_for() {
        let handle = create(Owner::Session, function(1)).unwrap();
        let error = Attached::new(handle, Owner::Comm).unwrap_err();
        assert!(
            error.sentence().contains("sessions, not for communicators"),
            "{error}"
        );
        drop(Attached::new(handle, Owner::Session).unwrap());
        free(handle).unwrap();
        assert!(Attached::new(handle, Owner::Session).is_err());
    }

    #[test]
    fn predefined_handlers() {
        let cases = [
            (Errhandler::ARE_FATAL, Action::Fatal),
            (Errhandler::ABORT, Action::Abort),
            (Errhandler::RETURN, Action::Return),
        ];
        for (handle, action) in cases {
            for owner in [Owner::Comm, Owner::Win, Owner::File, Owner::Session] {
                let attached = Attached::new(handle, owner).unwrap();
                assert_eq!((attached.action(), attached.handle()), (action, handle));
            }
            free(handle).unwrap();
        }
        for invalid in [
            Errhandler::NULL,
            Errhandler(0),
            Errhandler(0x4000_0000),
            Errhandler(u32::MAX),
        ] {
            assert_eq!(free(invalid).unwrap_err().class(), ErrorClass::ERRHANDLER);
            assert!(Attached::new(invalid, Owner::Comm).is_err());
        }
    }
}
