use std::cell::RefCell;

use super::*;

/// An object's handle in these tests.
const OBJECT: u32 = 0x101;
/// The value that the copy and delete functions refuse.
const POISON: usize = 666;

thread_local! {
    /// What the functions were called with: (number of the function, keyval, value).
    static CALLS: RefCell<Vec<(usize, Keyval, usize)>> = const { RefCell::new(Vec::new()) };
    /// The attributes that `reentrant` looks at.
    static OPEN: RefCell<Option<Arc<Attributes>>> = const { RefCell::new(None) };
}

fn calls() -> Vec<(usize, Keyval, usize)> {
    CALLS.take()
}

unsafe fn copy(
    function: usize,
    object: u32,
    keyval: Keyval,
    extra_state: usize,
    value: usize,
) -> core::result::Result<Option<usize>, i32> {
    assert_eq!((object, extra_state), (OBJECT, 42));
    CALLS.with_borrow_mut(|calls| calls.push((function, keyval, value)));
    match value {
        POISON => Err(ErrorClass::OTHER.0),
        0 => Ok(None),
        value => Ok(Some(value + 1000)),
    }
}

unsafe fn delete(
    function: usize,
    object: u32,
    keyval: Keyval,
    value: usize,
    extra_state: usize,
) -> i32 {
    assert_eq!((object, extra_state), (OBJECT, 42));
    CALLS.with_borrow_mut(|calls| calls.push((function, keyval, value)));
    if value == POISON { ErrorClass::IO.0 } else { 0 }
}

/// A delete function that sets and deletes attributes of the same object.
unsafe fn reentrant(_: usize, object: u32, keyval: Keyval, _: usize, other: usize) -> i32 {
    let open = OPEN.with_borrow(|open| open.clone().expect("set by the test"));
    assert!(open.get(keyval).unwrap().is_some());
    open.set(object, Keyval(other as i32), 5).unwrap();
    open.delete(object, Keyval(other as i32)).unwrap();
    0
}

fn key(number: usize) -> Keyval {
    // SAFETY: the functions accept any number.
    let (copy, delete) = unsafe {
        (
            Callback::new(number, copy as CopyFunction),
            Callback::new(number, delete as DeleteFunction),
        )
    };
    create_keyval(Owner::Comm, Copy::Call(copy), Delete::Call(delete), 42).unwrap()
}

fn plain_key(copy: Copy) -> Keyval {
    create_keyval(Owner::Comm, copy, Delete::Nothing, 0).unwrap()
}

fn comm() -> Attributes {
    Attributes::new(Owner::Comm)
}

#[test]
fn values_are_set_replaced_and_deleted() {
    let (attributes, keyval) = (comm(), key(1));
    assert_eq!(attributes.get(keyval).unwrap(), None);
    attributes.set(OBJECT, keyval, 10).unwrap();
    assert_eq!(calls(), []);
    attributes.set(OBJECT, keyval, 11).unwrap();
    assert_eq!(calls(), [(1, keyval, 10)]);
    assert_eq!(attributes.get(keyval).unwrap(), Some(11));
    attributes.delete(OBJECT, keyval).unwrap();
    assert_eq!(calls(), [(1, keyval, 11)]);
    assert_eq!(
        attributes.delete(OBJECT, keyval).unwrap_err().class(),
        ErrorClass::KEYVAL
    );
    free_keyval(Owner::Comm, keyval).unwrap();
}

#[test]
fn a_key_that_was_freed_serves_its_values_to_the_end() {
    let (attributes, keyval) = (comm(), key(2));
    attributes.set(OBJECT, keyval, 20).unwrap();
    free_keyval(Owner::Comm, keyval).unwrap();
    // Once more changes nothing, while the value is there.
    free_keyval(Owner::Comm, keyval).unwrap();
    assert_eq!(
        attributes.set(OBJECT, keyval, 21).unwrap_err().class(),
        ErrorClass::KEYVAL
    );
    assert_eq!(attributes.get(keyval).unwrap(), Some(20));
    attributes.delete_all(OBJECT).unwrap();
    assert_eq!(calls(), [(2, keyval, 20)]);
    // With the last value the key is gone.
    assert_eq!(
        attributes.get(keyval).unwrap_err().class(),
        ErrorClass::KEYVAL
    );
    assert_eq!(KEYS.get(keyval.0 as u32).map(|_| ()), None);
    assert!(free_keyval(Owner::Comm, keyval).is_err());
}

#[test]
fn values_are_copied_as_their_keys_say() {
    let (from, into) = (comm(), comm());
    let (asks, same, nothing) = (key(3), plain_key(Copy::Same), plain_key(Copy::Nothing));
    let refuses = key(4);
    for (keyval, value) in [(asks, 1), (same, 2), (nothing, 3), (refuses, 0)] {
        from.set(OBJECT, keyval, value).unwrap();
    }
    from.copy_to(OBJECT, &into).unwrap();
    assert_eq!(calls(), [(3, asks, 1), (4, refuses, 0)]);
    let copied = [asks, same, nothing, refuses].map(|keyval| into.get(keyval).unwrap());
    assert_eq!(copied, [Some(1001), Some(2), None, None]);
}

#[test]
fn the_error_of_a_copy_function_ends_the_copying() {
    let (from, into) = (comm(), comm());
    let (first, second, third) = (key(1), key(2), key(3));
    for (keyval, value) in [(first, 1), (second, POISON), (third, 3)] {
        from.set(OBJECT, keyval, value).unwrap();
    }
    assert_eq!(
        from.copy_to(OBJECT, &into).unwrap_err().code(),
        ErrorClass::OTHER.0
    );
    assert_eq!(calls(), [(1, first, 1), (2, second, POISON)]);
    into.delete_all(OBJECT).unwrap();
    assert_eq!(calls(), [(1, first, 1001)]);
}

#[test]
fn values_are_deleted_last_set_first_and_an_error_keeps_the_rest() {
    let attributes = comm();
    let keys = [key(1), key(2), key(3)];
    for (keyval, value) in keys.into_iter().zip([1, POISON, 3]) {
        attributes.set(OBJECT, keyval, value).unwrap();
    }
    let error = attributes.delete_all(OBJECT).unwrap_err();
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::IO, ErrorClass::IO.0)
    );
    assert_eq!(calls(), [(3, keys[2], 3), (2, keys[1], POISON)]);
    let left = keys.map(|keyval| attributes.get(keyval).unwrap());
    assert_eq!(left, [Some(1), Some(POISON), None]);
    // Neither replaces nor deletes a value whose function refuses.
    assert!(attributes.set(OBJECT, keys[1], 5).is_err());
    assert!(attributes.delete(OBJECT, keys[1]).is_err());
    assert_eq!(attributes.get(keys[1]).unwrap(), Some(POISON));
}

#[test]
fn a_delete_function_may_use_the_attributes() {
    let attributes = Arc::new(comm());
    OPEN.set(Some(Arc::clone(&attributes)));
    let other = plain_key(Copy::Nothing);
    // SAFETY: `reentrant` accepts any number.
    let function = unsafe { Callback::new(0, reentrant as DeleteFunction) };
    let keyval = create_keyval(
        Owner::Comm,
        Copy::Nothing,
        Delete::Call(function),
        other.0 as usize,
    )
    .unwrap();
    attributes.set(OBJECT, keyval, 1).unwrap();
    attributes.delete_all(OBJECT).unwrap();
    assert_eq!(attributes.get(keyval).unwrap(), None);
    OPEN.set(None);
}

#[test]
fn keys_fit_the_kind_of_object_that_they_were_made_for() {
    let keyval = create_keyval(Owner::Type, Copy::Same, Delete::Nothing, 0).unwrap();
    let attributes = comm();
    for error in [
        attributes.get(keyval).unwrap_err(),
        attributes.set(OBJECT, keyval, 1).unwrap_err(),
        attributes.delete(OBJECT, keyval).unwrap_err(),
        free_keyval(Owner::Comm, keyval).unwrap_err(),
    ] {
        assert_eq!(error.class(), ErrorClass::KEYVAL);
        assert!(
            error
                .sentence()
                .contains("datatypes, not for communicators"),
            "{error}"
        );
    }
    Attributes::new(Owner::Type).set(0x209, keyval, 1).unwrap();
    for invented in [0, 1, -1, 600, 0x6000_0000 + 4_000_000, i32::MAX] {
        assert_eq!(
            attributes.get(Keyval(invented)).unwrap_err().class(),
            ErrorClass::KEYVAL
        );
    }
}

#[test]
fn predefined_attributes_are_integers_that_do_not_move() {
    publish(&Predefined {
        wtime_is_global: true,
        appnum: Some(3),
        universe_size: None,
    });
    let read = |keyval| {
        let address = comm().get(keyval).unwrap()?;
        // SAFETY: the address of an `int` that lives as long as the process.
        Some(unsafe { *(address as *const i32) })
    };
    assert_eq!(read(Keyval::TAG_UB), Some(crate::status::TAG_UB));
    assert_eq!(read(Keyval::WTIME_IS_GLOBAL), Some(1));
    assert_eq!(read(Keyval::APPNUM), Some(3));
    assert_eq!(read(Keyval::UNIVERSE_SIZE), None);
    assert!(read(Keyval::LASTUSEDCODE) >= Some(ErrorClass::LASTCODE.0));
    assert_eq!(
        comm().get(Keyval::IO).unwrap(),
        comm().get(Keyval::IO).unwrap()
    );
    for keyval in [Keyval::TAG_UB, Keyval::LASTUSEDCODE] {
        assert_eq!(
            comm().set(OBJECT, keyval, 1).unwrap_err().class(),
            ErrorClass::KEYVAL
        );
        assert_eq!(
            comm().delete(OBJECT, keyval).unwrap_err().class(),
            ErrorClass::KEYVAL
        );
        assert!(free_keyval(Owner::Comm, keyval).is_err());
    }
    assert!(Attributes::new(Owner::Win).get(Keyval::TAG_UB).is_err());
}
