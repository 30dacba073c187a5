//! Error codes, classes and strings that the program adds (MPI 5.0, section 9.5), and the answers
//! of `MPI_Error_class` and `MPI_Error_string`.
//!
//! All state is static and behind a mutex of its own: these functions are legal before
//! initialisation and after finalisation, from any thread, at every thread level. Values above
//! [`ErrorClass::LASTCODE`] are handed out from one range for classes and codes; a removed value is
//! handed out again only when everything above it is removed too, so that a program does not meet
//! an old code with a new meaning early.

use core::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorClass, Result, latest_sentence};

/// A class or code that the program added.
struct Added {
    /// The class that the value belongs to: for a class, the value itself.
    class: i32,
    string: Option<String>,
}

const FIRST: i32 = ErrorClass::LASTCODE.0 + 1;

/// What the program added; `None` marks a removed value. Index 0 has the value [`FIRST`].
static ADDED: Mutex<Vec<Option<Added>>> = Mutex::new(Vec::new());

/// The value of the attribute `MPI_LASTUSEDCODE`; its address is what the attribute yields.
static LAST_USED: AtomicI32 = AtomicI32::new(ErrorClass::LASTCODE.0);

fn added() -> MutexGuard<'static, Vec<Option<Added>>> {
    ADDED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(value: i32) -> Option<usize> {
    usize::try_from(value.checked_sub(FIRST)?).ok()
}

fn is_predefined(code: i32) -> bool {
    ErrorClass(code).is_predefined()
}

fn lookup(added: &[Option<Added>], code: i32) -> Option<&Added> {
    added.get(index(code)?)?.as_ref()
}

fn unknown(code: i32) -> Error {
    Error::new(
        ErrorClass::ARG,
        format!("{code} is not an error code that is defined now"),
    )
}

/// The class that an error code belongs to (`MPI_Error_class`); `MPI_ERR_ARG` when there is no such
/// code.
pub fn error_class(code: i32) -> Result<ErrorClass> {
    if is_predefined(code) {
        return Ok(ErrorClass(code));
    }
    let added = added();
    lookup(&added, code)
        .map(|entry| ErrorClass(entry.class))
        .ok_or_else(|| unknown(code))
}

/// The text for an error code (`MPI_Error_string`). For a predefined code: the class's name and
/// meaning, followed by the sentence of this thread's latest error when it had that code. For a
/// code of the program: the string it gave, or the empty string. `MPI_ERR_ARG` when there is no
/// such code.
pub fn error_string(code: i32) -> Result<String> {
    let latest = latest_sentence(code).map_or(String::new(), |sentence| format!(": {sentence}"));
    if is_predefined(code) {
        let class = ErrorClass(code);
        return Ok(format!("{}: {}{latest}", class.name(), class.text()));
    }
    let added = added();
    let entry = lookup(&added, code).ok_or_else(|| unknown(code))?;
    Ok(entry.string.clone().unwrap_or_default())
}

/// Adds an error class (`MPI_Add_error_class`).
pub fn add_error_class() -> Result<ErrorClass> {
    let mut added = added();
    let value = next(&added)?;
    push(&mut added, value);
    Ok(ErrorClass(value))
}

/// Adds an error code to a class, predefined or added (`MPI_Add_error_code`). `MPI_ERR_ARG` when
/// `class` is not a class.
pub fn add_error_code(class: ErrorClass) -> Result<i32> {
    let mut added = added();
    if !is_class(&added, class.0) {
        return Err(not_a_class(class));
    }
    let value = next(&added)?;
    push(&mut added, class.0);
    Ok(value)
}

/// Sets the string of an added class or code (`MPI_Add_error_string`). `MPI_ERR_ARG` for a
/// predefined or undefined one.
pub fn add_error_string(code: i32, string: &str) -> Result<()> {
    set_string(code, Some(string.to_owned()))
}

/// Removes an added class without a string, to which no code belongs any more
/// (`MPI_Remove_error_class`). `MPI_ERR_ARG` otherwise.
pub fn remove_error_class(class: ErrorClass) -> Result<()> {
    let mut added = added();
    refuse_predefined(class.0)?;
    if !is_class(&added, class.0) {
        return Err(not_a_class(class));
    }
    let codes = added
        .iter()
        .flatten()
        .filter(|entry| entry.class == class.0)
        .count()
        - 1;
    if codes > 0 {
        let sentence = format!(
            "error class {} still has {codes} error codes; remove them first",
            class.0
        );
        return Err(Error::new(ErrorClass::ARG, sentence));
    }
    refuse_string(&added, class.0)?;
    remove(&mut added, class.0);
    Ok(())
}

/// What has a string is not removed.
fn refuse_string(added: &[Option<Added>], code: i32) -> Result<()> {
    let has_string = lookup(added, code).is_some_and(|entry| entry.string.is_some());
    match has_string {
        false => Ok(()),
        true => Err(Error::new(
            ErrorClass::ARG,
            format!("{code} still has an error string; remove that first"),
        )),
    }
}

/// Removes an added code without a string (`MPI_Remove_error_code`). `MPI_ERR_ARG` when it is not
/// an added code, or has one.
pub fn remove_error_code(code: i32) -> Result<()> {
    let mut added = added();
    refuse_predefined(code)?;
    lookup(&added, code).ok_or_else(|| unknown(code))?;
    if is_class(&added, code) {
        let sentence =
            format!("{code} is an error class, not a code; MPI_Remove_error_class removes it");
        return Err(Error::new(ErrorClass::ARG, sentence));
    }
    refuse_string(&added, code)?;
    remove(&mut added, code);
    Ok(())
}

/// Removes the string of an added class or code (`MPI_Remove_error_string`). `MPI_ERR_ARG` for any
/// other.
pub fn remove_error_string(code: i32) -> Result<()> {
    set_string(code, None)
}

/// The value of the attribute `MPI_LASTUSEDCODE`: the largest code or class in use, at a place that
/// never moves.
pub fn last_used_code() -> &'static AtomicI32 {
    &LAST_USED
}

fn is_class(added: &[Option<Added>], value: i32) -> bool {
    // `MPI_ERR_LASTCODE` is a bound, not a class that a code could belong to.
    is_predefined(value) && value != ErrorClass::LASTCODE.0
        || lookup(added, value).is_some_and(|entry| entry.class == value)
}

fn not_a_class(class: ErrorClass) -> Error {
    Error::new(
        ErrorClass::ARG,
        format!("{} is not an error class that is defined now", class.0),
    )
}

fn refuse_predefined(code: i32) -> Result<()> {
    if !is_predefined(code) {
        return Ok(());
    }
    let name = ErrorClass(code).name();
    Err(Error::new(
        ErrorClass::ARG,
        format!("{name} is predefined; only what the program added can be changed"),
    ))
}

fn next(added: &[Option<Added>]) -> Result<i32> {
    let value = i32::try_from(added.len())
        .ok()
        .and_then(|used| FIRST.checked_add(used));
    value.ok_or_else(|| Error::new(ErrorClass::NO_MEM, "no error code is left to hand out"))
}

fn push(added: &mut Vec<Option<Added>>, class: i32) {
    added.push(Some(Added {
        class,
        string: None,
    }));
    publish(added);
}

fn remove(added: &mut Vec<Option<Added>>, value: i32) {
    if let Some(entry) = index(value).and_then(|at| added.get_mut(at)) {
        *entry = None;
    }
    while let Some(None) = added.last() {
        added.pop();
    }
    publish(added);
}

fn publish(added: &[Option<Added>]) {
    // Relaxed: the number is all there is to see, and stores are ordered by the mutex.
    LAST_USED.store(
        ErrorClass::LASTCODE.0 + added.len() as i32,
        Ordering::Relaxed,
    );
}

fn set_string(code: i32, string: Option<String>) -> Result<()> {
    refuse_predefined(code)?;
    let mut added = added();
    let entry = index(code)
        .and_then(|at| added.get_mut(at))
        .and_then(Option::as_mut);
    entry.ok_or_else(|| unknown(code))?.string = string;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests share the process's codes, so they take turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_used() -> i32 {
        LAST_USED.load(Ordering::Relaxed)
    }

    #[test]
    fn added_classes_codes_and_strings_are_found_until_removed() {
        let _turn = turn();
        let before = last_used();
        let class = add_error_class().unwrap();
        let code = add_error_code(class).unwrap();
        assert!(class.0 > ErrorClass::LASTCODE.0 && code > class.0);
        assert_eq!(last_used(), code);
        assert_eq!(error_class(class.0).unwrap(), class);
        assert_eq!(error_class(code).unwrap(), class);
        assert_eq!(error_string(code).unwrap(), "");
        add_error_string(code, "the moon is full").unwrap();
        assert_eq!(error_string(code).unwrap(), "the moon is full");
        remove_error_string(code).unwrap();
        assert_eq!(error_string(code).unwrap(), "");
        assert_eq!(
            remove_error_class(class).unwrap_err().class(),
            ErrorClass::ARG
        );
        assert!(remove_error_code(class.0).is_err());
        add_error_string(code, "half").unwrap();
        assert_eq!(
            remove_error_code(code).unwrap_err().class(),
            ErrorClass::ARG
        );
        remove_error_string(code).unwrap();
        remove_error_code(code).unwrap();
        add_error_string(class.0, "phases").unwrap();
        assert_eq!(
            remove_error_class(class).unwrap_err().class(),
            ErrorClass::ARG
        );
        remove_error_string(class.0).unwrap();
        remove_error_class(class).unwrap();
        assert_eq!(last_used(), before);
        assert!(error_class(code).is_err() && error_string(class.0).is_err());
    }

    #[test]
    fn a_code_may_belong_to_a_predefined_class() {
        let _turn = turn();
        let code = add_error_code(ErrorClass::IO).unwrap();
        assert_eq!(error_class(code).unwrap(), ErrorClass::IO);
        let error = Error::with_code(code, "the tape is torn");
        assert_eq!((error.class(), error.code()), (ErrorClass::IO, code));
        remove_error_code(code).unwrap();
        assert_eq!(Error::with_code(code, "stale").class(), ErrorClass::UNKNOWN);
    }

    #[test]
    fn a_removed_value_is_not_handed_out_while_a_later_one_lives() {
        let _turn = turn();
        let first = add_error_class().unwrap();
        let second = add_error_class().unwrap();
        remove_error_class(first).unwrap();
        let third = add_error_class().unwrap();
        assert!(third.0 > second.0);
        for class in [second, third] {
            remove_error_class(class).unwrap();
        }
    }

    #[test]
    fn what_is_predefined_stays_as_it_is() {
        assert!(add_error_string(ErrorClass::RANK.0, "other").is_err());
        assert!(remove_error_class(ErrorClass::RANK).is_err());
        assert!(remove_error_code(ErrorClass::RANK.0).is_err());
        assert!(remove_error_string(0).is_err());
        for undefined in [-1, 63, 999, i32::MAX, i32::MIN] {
            assert!(error_class(undefined).is_err() && error_string(undefined).is_err());
            assert!(add_error_code(ErrorClass(undefined)).is_err());
        }
    }

    #[test]
    fn the_string_of_the_latest_error_carries_its_sentence() {
        Error::new(ErrorClass::COUNT, "count -1 is negative")
            .with_context("MPI_Send")
            .raise();
        assert_eq!(
            error_string(2).unwrap(),
            "MPI_ERR_COUNT: invalid count: MPI_Send: count -1 is negative"
        );
        assert_eq!(error_string(3).unwrap(), "MPI_ERR_TYPE: invalid datatype");
    }
}
