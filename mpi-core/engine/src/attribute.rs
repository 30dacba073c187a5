//! Attributes: values that a program attaches to communicators, datatypes and windows (MPI 5.0,
//! section 7.7).
//!
//! A key (keyval) holds the functions that copy and delete its values; [`Attributes`] lives in an
//! object and holds the values. A value is an address or an integer of the program, never looked
//! behind. Every value keeps its key alive, so freeing a key changes nothing for the values that
//! exist.
//!
//! Functions of the program are called with no lock held, so they may themselves set, get and
//! delete attributes. Keys are static and behind a mutex of their own. This module does not know
//! what kind of object its handles name.

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::callback::{Callback, CopyFunction, DeleteFunction};
use crate::error::{Error, ErrorClass, Result};
use crate::handle::HandleKind;
use crate::slab::Slab;
use crate::sync::{Class, ClassLock};

mod predefined;

pub use predefined::{Predefined, predefined, publish};

/// An attribute key. An `int` in C.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keyval(pub i32);

/// The kind of object that a key is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Communicators
    Comm,
    /// Datatypes
    Type,
    /// Windows
    Win,
}

/// What happens to a value when its object is duplicated.
#[derive(Clone, Copy, Debug)]
pub enum Copy {
    /// There is no copy (`MPI_COMM_NULL_COPY_FN` and its siblings).
    Nothing,
    /// The copy has the same value (`MPI_COMM_DUP_FN` and its siblings).
    Same,
    /// The program's function says.
    Call(Callback<CopyFunction>),
}

/// What happens when a value is replaced or deleted, or its object freed.
#[derive(Clone, Copy, Debug)]
pub enum Delete {
    /// Nothing (`MPI_COMM_NULL_DELETE_FN` and its siblings).
    Nothing,
    /// The program's function is called.
    Call(Callback<DeleteFunction>),
}

#[derive(Debug)]
struct Key {
    owner: Owner,
    copy: Copy,
    delete: Delete,
    extra_state: usize,
    /// The program has freed the key; it lives on while values exist.
    freed: AtomicBool,
}

static KEYS: Slab<Arc<Key>> = Slab::new(HandleKind::Keyval);

/// Taken around every access to `KEYS` and every change of a key's reference count. Unlike the
/// slab's own lock it never collapses.
static ACCESS: Mutex<()> = Mutex::new(());

fn access() -> MutexGuard<'static, ()> {
    ACCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a key alive. May be cloned, but not dropped, while a lock of class leaf is held: the last
/// one takes the key out of the slab, whose lock is of that class.
#[derive(Debug)]
struct KeyRef {
    keyval: Keyval,
    key: Option<Arc<Key>>,
}

impl KeyRef {
    /// The key of this handle, made for this kind of object.
    fn find(keyval: Keyval, owner: Owner) -> Result<KeyRef> {
        let key = {
            let _access = access();
            KEYS.get(keyval.0 as u32).cloned()
        };
        let key = key.ok_or_else(|| invalid(keyval))?;
        let found = KeyRef {
            keyval,
            key: Some(key),
        };
        if found.owner != owner {
            let sentence = format!(
                "the attribute key was made for {}, not for {}",
                found.owner.plural(),
                owner.plural()
            );
            return Err(Error::new(ErrorClass::KEYVAL, sentence));
        }
        Ok(found)
    }
}

impl Deref for KeyRef {
    type Target = Key;
    fn deref(&self) -> &Key {
        self.key.as_ref().expect("taken when dropped only")
    }
}

impl Clone for KeyRef {
    fn clone(&self) -> KeyRef {
        let _access = access();
        KeyRef {
            keyval: self.keyval,
            key: self.key.clone(),
        }
    }
}

impl Drop for KeyRef {
    fn drop(&mut self) {
        let _access = access();
        let Some(key) = self.key.take() else { return };
        // The slab's own reference and this one are the last: counts change under the lock only.
        if key.freed.load(Ordering::Relaxed) && Arc::strong_count(&key) == 2 {
            KEYS.remove(self.keyval.0 as u32);
        }
    }
}

impl Owner {
    fn plural(self) -> &'static str {
        match self {
            Owner::Comm => "communicators",
            Owner::Type => "datatypes",
            Owner::Win => "windows",
        }
    }
}

#[cold]
fn invalid(keyval: Keyval) -> Error {
    let sentence = match keyval {
        Keyval::INVALID => String::from("MPI_KEYVAL_INVALID is not an attribute key"),
        _ if keyval.is_predefined() => {
            format!(
                "the attribute key {} is predefined, and not for this use",
                keyval.0
            )
        }
        _ => format!(
            "{:#x} is not an attribute key, or one that was freed",
            keyval.0
        ),
    };
    Error::new(ErrorClass::KEYVAL, sentence)
}

/// Makes a key (`MPI_Comm_create_keyval` and its siblings). The functions get `extra_state` at
/// every call.
pub fn create_keyval(
    owner: Owner,
    copy: Copy,
    delete: Delete,
    extra_state: usize,
) -> Result<Keyval> {
    let key = Key {
        owner,
        copy,
        delete,
        extra_state,
        freed: AtomicBool::new(false),
    };
    let _access = access();
    let handle = KEYS.insert(Arc::new(key));
    handle
        .map(|handle| Keyval(handle as i32))
        .map_err(|_| Error::new(ErrorClass::NO_MEM, "there are too many attribute keys"))
}

/// Frees a key (`MPI_Comm_free_keyval` and its siblings). Values that exist stay, and their
/// functions are called when they are deleted. `MPI_ERR_KEYVAL` for a key that is predefined, was
/// freed or was made for another kind of object.
pub fn free_keyval(owner: Owner, keyval: Keyval) -> Result<()> {
    // Freed once more while attributes keep it alive, nothing changes: programs do that with copies
    // of a handle.
    KeyRef::find(keyval, owner)?
        .freed
        .store(true, Ordering::Relaxed);
    Ok(())
}

#[derive(Clone, Debug)]
struct Attribute {
    key: KeyRef,
    value: usize,
}

impl Attribute {
    /// Tells the program that the value goes.
    fn deleting(&self, object: u32) -> Result<()> {
        let Delete::Call(function) = self.key.delete else {
            return Ok(());
        };
        match function.call(object, self.key.keyval, self.value, self.key.extra_state) {
            0 => Ok(()),
            code => Err(Error::with_code(
                code,
                "the attribute's delete function failed",
            )),
        }
    }

    /// Asks the program for the copy's value.
    fn copied(&self, object: u32) -> Result<Option<usize>> {
        match self.key.copy {
            Copy::Nothing => Ok(None),
            Copy::Same => Ok(Some(self.value)),
            Copy::Call(function) => {
                let copied =
                    function.call(object, self.key.keyval, self.key.extra_state, self.value);
                copied
                    .map_err(|code| Error::with_code(code, "the attribute's copy function failed"))
            }
        }
    }
}

/// The attributes of one object, in the order in which they were first set.
pub struct Attributes {
    owner: Owner,
    values: ClassLock<Vec<Attribute>>,
}

impl Attributes {
    /// No attributes, for an object of this kind.
    pub const fn new(owner: Owner) -> Attributes {
        Attributes {
            owner,
            values: ClassLock::new(Class::Leaf, Vec::new()),
        }
    }

    /// The value under a key, `None` when none is set (`MPI_Comm_get_attr` and its siblings). For
    /// the predefined keys of communicators: the address of an `int`, which never moves.
    /// `MPI_ERR_KEYVAL` for a key that is not alive or was made for another kind of object.
    pub fn get(&self, keyval: Keyval) -> Result<Option<usize>> {
        if self.owner == Owner::Comm && keyval.is_predefined() {
            return Ok(predefined(keyval).map(|value| value as *const _ as usize));
        }
        KeyRef::find(keyval, self.owner)?;
        Ok(self.find(keyval).map(|attribute| attribute.value))
    }

    /// Sets the value under a key (`MPI_Comm_set_attr` and its siblings). `object` is the handle of
    /// the object that these attributes belong to, for the program's functions. A value that is
    /// there already is deleted first; when its function fails, it stays and its error is returned.
    /// Otherwise errors as of [`Attributes::get`], and for predefined keys.
    pub fn set(&self, object: u32, keyval: Keyval, value: usize) -> Result<()> {
        let key = KeyRef::find(keyval, self.owner)?;
        if key.freed.load(Ordering::Relaxed) {
            return Err(invalid(keyval));
        }
        if let Some(before) = self.find(keyval) {
            before.deleting(object)?;
        }
        let mut values = self.values.lock();
        let unused = match position(&values, keyval) {
            Some(at) => {
                values[at].value = value;
                Some(key)
            }
            None => {
                values.push(Attribute { key, value });
                None
            }
        };
        drop(values);
        drop(unused);
        Ok(())
    }

    /// Deletes the value under a key (`MPI_Comm_delete_attr` and its siblings). When its function
    /// fails, the value stays and the function's error is returned. `MPI_ERR_KEYVAL` when no value
    /// is set, otherwise errors as of [`Attributes::set`].
    pub fn delete(&self, object: u32, keyval: Keyval) -> Result<()> {
        KeyRef::find(keyval, self.owner)?;
        let Some(attribute) = self.find(keyval) else {
            return Err(Error::new(
                ErrorClass::KEYVAL,
                "the object has no attribute under this key",
            ));
        };
        attribute.deleting(object)?;
        self.remove(keyval);
        Ok(())
    }

    /// Deletes every value, the last one set first, before the object is freed. Stops at the first
    /// function that fails: that value and those set before it stay, and the function's error is
    /// returned.
    pub fn delete_all(&self, object: u32) -> Result<()> {
        loop {
            let last = self.values.lock().last().cloned();
            let Some(last) = last else { return Ok(()) };
            last.deleting(object)?;
            self.remove(last.key.keyval);
        }
    }

    /// Copies the values to a duplicate of the object with handle `object`, as their keys say, in
    /// the order in which they were set. Stops at the first function that fails and returns its
    /// error; what `into` has by then is for the caller to delete.
    pub fn copy_to(&self, object: u32, into: &Attributes) -> Result<()> {
        let values: Vec<Attribute> = self.values.lock().clone();
        for attribute in values {
            if let Some(value) = attribute.copied(object)? {
                let key = attribute.key.clone();
                into.values.lock().push(Attribute { key, value });
            }
        }
        Ok(())
    }

    fn find(&self, keyval: Keyval) -> Option<Attribute> {
        let values = self.values.lock();
        position(&values, keyval).map(|at| values[at].clone())
    }

    fn remove(&self, keyval: Keyval) {
        let mut values = self.values.lock();
        // The program's function may have deleted the value itself.
        let removed = position(&values, keyval).map(|at| values.remove(at));
        drop(values);
        drop(removed);
    }
}

fn position(values: &[Attribute], keyval: Keyval) -> Option<usize> {
    values
        .iter()
        .position(|attribute| attribute.key.keyval == keyval)
}

#[cfg(test)]
mod tests;
