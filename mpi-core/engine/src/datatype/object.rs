//! Handles of datatypes: what a handle names, and what belongs to the handle rather than to the
//! type: whether it is committed, its name and its attributes (MPI 5.0, sections 5.1.9, 5.1.10, 7.7
//! and 7.8).
//!
//! Freeing a handle takes the type away from the program; operations and types that use it keep it.
//! A reduction that is under way keeps the handle itself valid, as the program's function gets it.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::predefined::{self, FIRST};
use super::recipe::{Combiner, Form, Recipe};
use super::type_map::bytes;
use super::{Type, fortran};
use crate::attribute::{Attributes, Owner};
use crate::handle::{Datatype, HandleKind};
use crate::slab::Slab;
use crate::{Error, ErrorClass, Result};

/// What a handle names.
pub struct Object {
    type_map: Type,
    committed: AtomicBool,
    name: Mutex<String>,
    /// The program has freed the handle. Changes under `CHANGES`, as the next.
    freed: AtomicBool,
    /// Who keeps the handle valid, beside the program.
    holders: AtomicU32,
    /// The attributes of the handle.
    pub attributes: Attributes,
}

impl Object {
    fn new(type_map: Type, committed: bool, name: &str) -> Object {
        Object {
            type_map,
            committed: AtomicBool::new(committed),
            name: Mutex::new(name.to_owned()),
            freed: AtomicBool::new(false),
            holders: AtomicU32::new(0),
            attributes: Attributes::new(Owner::Type),
        }
    }

    /// The type.
    pub fn type_map(&self) -> &Type {
        &self.type_map
    }

    /// The name (`MPI_Type_get_name`); empty when none was set.
    pub fn name(&self) -> String {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone()
    }

    /// Sets the name (`MPI_Type_set_name`).
    pub fn set_name(&self, name: &str) {
        let mut stored = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone_into(&mut stored);
    }
}

/// By the low byte of the handle.
static PREDEFINED: LazyLock<Box<[Option<Object>]>> = LazyLock::new(|| {
    let object = |handle| {
        let info = predefined::info(Datatype(handle))?;
        let type_map = Type::predefined(Datatype(handle), info);
        Some(Object::new(type_map, true, info.name))
    };
    (FIRST..FIRST + 0x100).map(object).collect()
});

static MADE: Slab<Object> = Slab::new(HandleKind::Datatype);

/// Taken around every change of `MADE`: unlike the slab's own lock it never collapses.
static CHANGES: Mutex<()> = Mutex::new(());

fn changes() -> MutexGuard<'static, ()> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a handle names. `MPI_ERR_TYPE` for the null handle, one that was freed, and what never was
/// one.
pub fn object(datatype: Datatype) -> Result<&'static Object> {
    let index = datatype.0.wrapping_sub(FIRST) as usize;
    let found = match PREDEFINED.get(index) {
        Some(predefined) => predefined.as_ref(),
        None => MADE.get(datatype.0),
    };
    found.ok_or_else(|| invalid(datatype))
}

/// The type that a handle names, committed or not. Errors as of [`object`].
pub fn get(datatype: Datatype) -> Result<Type> {
    object(datatype).map(|object| object.type_map.clone())
}

/// The type that a handle names, for communication. Errors as of [`object`], and when it is not
/// committed.
pub fn committed(datatype: Datatype) -> Result<Type> {
    let object = object(datatype)?;
    // Set by the program's own call before; other threads learn the handle by means of theirs.
    if !object.committed.load(Ordering::Relaxed) {
        return Err(Error::new(
            ErrorClass::TYPE,
            format!(
                "the datatype {:#x} is not committed: call MPI_Type_commit first",
                datatype.0
            ),
        ));
    }
    Ok(object.type_map.clone())
}

/// Commits a type (`MPI_Type_commit`). Errors as of [`object`].
pub fn commit(datatype: Datatype) -> Result<()> {
    object(datatype)?.committed.store(true, Ordering::Relaxed);
    Ok(())
}

/// A new handle, not committed.
pub(super) fn add(type_map: Type) -> Result<Datatype> {
    insert(Object::new(type_map, false, ""))
}

/// A new handle that is committed from the start.
pub(super) fn add_committed(type_map: Type) -> Result<Datatype> {
    insert(Object::new(type_map, true, ""))
}

fn insert(object: Object) -> Result<Datatype> {
    let _changes = changes();
    MADE.insert(object).map(Datatype).map_err(|_| {
        Error::new(
            ErrorClass::NO_MEM,
            "4,194,047 datatypes are alive, the most there can be: free some",
        )
    })
}

/// Makes a duplicate with the attributes that their keys want copied, committed if the original is
/// (`MPI_Type_dup`). Errors as of [`object`], and that of an attribute's function, in which case
/// there is no duplicate.
pub fn dup(datatype: Datatype) -> Result<Datatype> {
    let original = object(datatype)?;
    let recipe = Recipe::new(Combiner::Dup, Form::Int, vec![original.type_map.clone()]);
    let is_committed = original.committed.load(Ordering::Relaxed);
    let copy = Object::new(original.type_map.again(recipe), is_committed, "");
    let made = insert(copy)?;
    let copy = object(made)?;
    if let Err(error) = original.attributes.copy_to(datatype.0, &copy.attributes) {
        // What was copied so far goes unseen, its functions' complaints with it: the first error is
        // the answer.
        let _ = copy.attributes.delete_all(made.0);
        drop(remove(made));
        return Err(error);
    }
    Ok(made)
}

/// Frees a handle after its attributes (`MPI_Type_free`). Errors as of [`object`], for a predefined
/// type, and that of an attribute's function, in which case the handle stays.
pub fn free(datatype: &mut Datatype) -> Result<()> {
    let object = object(*datatype)?;
    if predefined::info(*datatype).is_some() || fortran::is_by_range(&object.type_map) {
        return Err(Error::new(
            ErrorClass::TYPE,
            format!("{} cannot be freed: it is predefined", describe(*datatype)),
        ));
    }
    // Relaxed, here and below: under the lock, or the program's own calls in their order.
    if object.freed.load(Ordering::Relaxed) {
        return Err(invalid(*datatype));
    }
    object.attributes.delete_all(datatype.0)?;
    object.freed.store(true, Ordering::Relaxed);
    remove_unless_held(*datatype);
    *datatype = Datatype::NULL;
    Ok(())
}

/// Keeps a handle valid when the program frees it.
#[derive(Debug)]
pub(crate) struct Held(Datatype);

impl Held {
    /// `None` for a predefined type, which is always there.
    pub(crate) fn new(datatype: Datatype) -> Option<Held> {
        let _changes = changes();
        MADE.get(datatype.0)?
            .holders
            .fetch_add(1, Ordering::Relaxed);
        Some(Held(datatype))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(object) = MADE.get(self.0.0) {
            let _changes = changes();
            object.holders.fetch_sub(1, Ordering::Relaxed);
        }
        remove_unless_held(self.0);
    }
}

fn remove_unless_held(datatype: Datatype) {
    let changes = changes();
    let is_unused = |object: &Object| {
        object.freed.load(Ordering::Relaxed) && object.holders.load(Ordering::Relaxed) == 0
    };
    let removed = match MADE.get(datatype.0) {
        Some(object) if is_unused(object) => MADE.remove(datatype.0),
        _ => None,
    };
    drop(changes);
    drop(removed);
}

fn remove(datatype: Datatype) -> Option<Object> {
    let _changes = changes();
    MADE.remove(datatype.0)
}

/// A handle for a type that another one was made from: the predefined one, or a new one that the
/// program frees.
pub fn handle_of(type_map: &Type) -> Result<Datatype> {
    match type_map.recipe().named {
        Some(named) => Ok(named),
        None if fortran::is_by_range(type_map) => fortran::handle_of(type_map),
        None => add(type_map.clone()),
    }
}

fn describe(datatype: Datatype) -> String {
    match object(datatype).map(Object::name) {
        Ok(name) if !name.is_empty() => name,
        _ => format!("the datatype {:#x}", datatype.0),
    }
}

#[cold]
fn invalid(datatype: Datatype) -> Error {
    let sentence = match datatype {
        Datatype::NULL => String::from("the datatype is MPI_DATATYPE_NULL"),
        _ => format!(
            "{:#x} is not the handle of a datatype; it may have been freed",
            datatype.0
        ),
    };
    Error::new(ErrorClass::TYPE, sentence)
}

/// A datatype argument of an operation.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    /// Items without gaps, of this many bytes: nothing else is to be known.
    Plain(u32),
    /// Any other type.
    Typed(Type),
}

impl Argument {
    /// Errors as of [`committed`].
    #[inline(always)]
    pub(crate) fn new(datatype: Datatype) -> Result<Argument> {
        match predefined::contiguous_size(datatype) {
            Some(size) => Ok(Argument::Plain(size)),
            None => committed(datatype).map(Argument::Typed),
        }
    }

    /// The same for `count` items of a message. No items need no type: programs send so.
    #[inline(always)]
    pub(crate) fn of(datatype: Datatype, count: i64) -> Result<Argument> {
        match predefined::contiguous_size(datatype) {
            Some(size) => Ok(Argument::Plain(size)),
            None if datatype == Datatype::NULL && count == 0 => Ok(Argument::Plain(1)),
            None => committed(datatype).map(Argument::Typed),
        }
    }

    /// Bytes of data in `count` items. Errors as of [`Type::bytes`].
    #[inline(always)]
    pub(crate) fn bytes(&self, count: i64) -> Result<usize> {
        match self {
            // Both are below 2^32: no overflow.
            Argument::Plain(size) if count as u64 <= u64::from(u32::MAX) => {
                Ok(count as usize * *size as usize)
            }
            Argument::Plain(size) => bytes(count, (*size).into()),
            Argument::Typed(type_map) => type_map.bytes(count),
        }
    }
}
