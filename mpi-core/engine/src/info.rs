//! Info objects: keys with values, in the order in which they were set (MPI 5.0, chapter 10).
//!
//! All state is static and behind a mutex of its own: these functions are legal before
//! initialisation and after finalisation, from any thread, at every thread level. Keys and values
//! are bytes, because file names are. What a key means is known where it is used, not here.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::error::{Error, ErrorClass, Result};
use crate::handle::{HandleKind, Info};
use crate::slab::Slab;

mod environment;

pub use environment::{Environment, create_env, publish};

/// Length in bytes of the longest key.
pub const MAX_KEY: usize = 255;
/// Length in bytes of the longest value.
pub const MAX_VALUE: usize = 1024;

/// Keys with values in the order in which the keys were first set.
type Pairs = Vec<(Box<[u8]>, Box<[u8]>)>;

static INFOS: Slab<Mutex<Pairs>> = Slab::new(HandleKind::Info);

/// Taken around every access to `INFOS`: unlike the slab's own lock it never collapses. Reading for
/// what looks at or changes one object, writing for what makes or frees one.
static ACCESS: RwLock<()> = RwLock::new(());

#[cold]
fn invalid(info: Info) -> Error {
    let sentence = match info {
        Info::NULL => String::from("MPI_INFO_NULL is not an info object"),
        Info::ENV => {
            String::from("MPI_INFO_ENV cannot be changed or freed, only read and duplicated")
        }
        _ => format!("{:#x} is not an info object, or one that was freed", info.0),
    };
    Error::new(ErrorClass::INFO, sentence)
}

fn locked(pairs: &Mutex<Pairs>) -> MutexGuard<'_, Pairs> {
    pairs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `change` on an object that the program may change.
fn change<T>(info: Info, change: impl FnOnce(&mut Pairs) -> Result<T>) -> Result<T> {
    let _access = ACCESS.read().unwrap_or_else(PoisonError::into_inner);
    match INFOS.get(info.0) {
        Some(pairs) => change(&mut locked(pairs)),
        None => Err(invalid(info)),
    }
}

/// Runs `read` on any object.
fn read<T>(info: Info, read: impl FnOnce(&Pairs) -> Result<T>) -> Result<T> {
    if info == Info::ENV {
        return environment::with_env(read);
    }
    change(info, |pairs| read(pairs))
}

fn insert(pairs: Pairs) -> Result<Info> {
    let _access = ACCESS.write().unwrap_or_else(PoisonError::into_inner);
    let inserted = INFOS.insert(Mutex::new(pairs));
    inserted
        .map(Info)
        .map_err(|_| Error::new(ErrorClass::NO_MEM, "there are too many info objects"))
}

/// Makes an info object without keys (`MPI_Info_create`).
pub fn create() -> Result<Info> {
    insert(Pairs::new())
}

/// Makes an info object with the same keys and values in the same order (`MPI_Info_dup`).
pub fn dup(info: Info) -> Result<Info> {
    insert(read(info, |pairs| Ok(pairs.clone()))?)
}

/// Frees an info object (`MPI_Info_free`).
pub fn free(info: Info) -> Result<()> {
    let _access = ACCESS.write().unwrap_or_else(PoisonError::into_inner);
    INFOS.remove(info.0).map(drop).ok_or_else(|| invalid(info))
}

/// Sets a key, in place of an earlier value if there is one (`MPI_Info_set`). `MPI_ERR_INFO_KEY` or
/// `MPI_ERR_INFO_VALUE` for what is too long.
pub fn set(info: Info, key: &[u8], value: &[u8]) -> Result<()> {
    check_key(key)?;
    if value.len() > MAX_VALUE {
        let (length, key) = (value.len(), key.escape_ascii());
        let sentence =
            format!("the value of \"{key}\" has {length} bytes; at most {MAX_VALUE} are possible");
        return Err(Error::new(ErrorClass::INFO_VALUE, sentence));
    }
    change(info, |pairs| {
        match pairs.iter_mut().find(|pair| *pair.0 == *key) {
            Some(pair) => pair.1 = value.into(),
            None => pairs.push((key.into(), value.into())),
        }
        Ok(())
    })
}

/// Deletes a key (`MPI_Info_delete`). `MPI_ERR_INFO_NOKEY` when it is not set.
pub fn delete(info: Info, key: &[u8]) -> Result<()> {
    check_key(key)?;
    change(info, |pairs| {
        match pairs.iter().position(|pair| *pair.0 == *key) {
            Some(at) => {
                pairs.remove(at);
                Ok(())
            }
            None => {
                let sentence = format!("the key \"{}\" is not set", key.escape_ascii());
                Err(Error::new(ErrorClass::INFO_NOKEY, sentence))
            }
        }
    })
}

/// The value of a key, `None` when it is not set (`MPI_Info_get`, `MPI_Info_get_string`,
/// `MPI_Info_get_valuelen`).
pub fn get(info: Info, key: &[u8]) -> Result<Option<Box<[u8]>>> {
    check_key(key)?;
    read(info, |pairs| {
        let found = pairs.iter().find(|pair| *pair.0 == *key);
        Ok(found.map(|pair| pair.1.clone()))
    })
}

/// The number of keys (`MPI_Info_get_nkeys`).
pub fn nkeys(info: Info) -> Result<usize> {
    read(info, |pairs| Ok(pairs.len()))
}

/// The key with this number, counted from 0 (`MPI_Info_get_nthkey`). `MPI_ERR_ARG` when there are
/// not so many.
pub fn nth_key(info: Info, n: usize) -> Result<Box<[u8]>> {
    read(info, |pairs| {
        pairs.get(n).map(|pair| pair.0.clone()).ok_or_else(|| {
            let keys = pairs.len();
            Error::new(
                ErrorClass::ARG,
                format!("there is no key {n}: the info object has {keys} keys"),
            )
        })
    })
}

fn check_key(key: &[u8]) -> Result<()> {
    let sentence = match key.len() {
        0 => String::from("the key is empty"),
        1..=MAX_KEY => return Ok(()),
        length => format!("the key has {length} bytes; at most {MAX_KEY} are possible"),
    };
    Err(Error::new(ErrorClass::INFO_KEY, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class<T>(result: Result<T>) -> ErrorClass {
        result.err().expect("an error").class()
    }

    #[test]
    fn keys_keep_their_order_and_values_change() {
        let info = create().unwrap();
        for (key, value) in [("one", "1"), ("two", "2"), ("three", "3"), ("two", "II")] {
            set(info, key.as_bytes(), value.as_bytes()).unwrap();
        }
        assert_eq!(nkeys(info).unwrap(), 3);
        let keys: Vec<_> = (0..3).map(|n| nth_key(info, n).unwrap()).collect();
        assert_eq!(keys, [&b"one"[..], b"two", b"three"].map(Box::from));
        assert_eq!(get(info, b"two").unwrap().as_deref(), Some(&b"II"[..]));
        assert_eq!(get(info, b"four").unwrap(), None);

        let copy = dup(info).unwrap();
        delete(info, b"two").unwrap();
        assert_eq!(class(delete(info, b"two")), ErrorClass::INFO_NOKEY);
        assert_eq!(*nth_key(info, 1).unwrap(), *b"three");
        assert_eq!(class(nth_key(info, 2)), ErrorClass::ARG);
        assert_eq!(nkeys(copy).unwrap(), 3);

        free(info).unwrap();
        assert_eq!(class(free(info)), ErrorClass::INFO);
        assert_eq!(class(nkeys(info)), ErrorClass::INFO);
        free(copy).unwrap();
    }

    #[test]
    fn lengths_have_limits() {
        let info = create().unwrap();
        set(info, &[b'k'; MAX_KEY], &[b'v'; MAX_VALUE]).unwrap();
        assert_eq!(
            get(info, &[b'k'; MAX_KEY]).unwrap().unwrap().len(),
            MAX_VALUE
        );
        assert_eq!(
            class(set(info, &[b'k'; MAX_KEY + 1], b"")),
            ErrorClass::INFO_KEY
        );
        assert_eq!(class(set(info, b"", b"value")), ErrorClass::INFO_KEY);
        assert_eq!(class(get(info, &[b'k'; MAX_KEY + 1])), ErrorClass::INFO_KEY);
        assert_eq!(
            class(set(info, b"k", &[b'v'; MAX_VALUE + 1])),
            ErrorClass::INFO_VALUE
        );
        set(info, b"empty", b"").unwrap();
        assert_eq!(get(info, b"empty").unwrap().as_deref(), Some(&b""[..]));
        free(info).unwrap();
    }

    #[test]
    fn what_is_not_an_info_object_is_refused() {
        for info in [Info::NULL, Info(0), Info(0x3800_0000), Info(u32::MAX)] {
            assert_eq!(class(set(info, b"key", b"value")), ErrorClass::INFO);
            assert_eq!(class(dup(info)), ErrorClass::INFO);
            assert_eq!(class(free(info)), ErrorClass::INFO);
        }
    }

    #[test]
    fn threads_may_share_an_object() {
        let info = create().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    for i in 0..100u8 {
                        set(info, &[b'a' + thread, b'0' + i % 10], &[i]).unwrap();
                        let own = create().unwrap();
                        set(own, b"thread", &[thread]).unwrap();
                        assert_eq!(get(own, b"thread").unwrap().as_deref(), Some(&[thread][..]));
                        free(own).unwrap();
                    }
                });
            }
        });
        assert_eq!(nkeys(info).unwrap(), 40);
        free(info).unwrap();
    }
}
