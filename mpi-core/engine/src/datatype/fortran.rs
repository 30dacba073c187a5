//! Types by precision and range, and by size (MPI 5.0, sections 19.1.9 and 19.1.10).
//!
//! A type by range is a Fortran type that behaves as a predefined one: it is committed, is not
//! freed, and the same arguments answer the same handle.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Type;
use super::object::{add_committed, get};
use super::predefined::info;
use super::recipe::{Combiner, Form, Recipe};
use crate::handle::Datatype;
use crate::{Error, ErrorClass, Result};

/// `MPI_UNDEFINED`: an argument that does not matter.
const ANY: i32 = crate::status::UNDEFINED;

type Key = (Combiner, Box<[i64]>);
static BY_RANGE: LazyLock<Mutex<HashMap<Key, Datatype>>> = LazyLock::new(Mutex::default);

/// `MPI_Type_create_f90_real`: at least `precision` decimal digits, and a decimal exponent range of
/// at least `range`; `MPI_UNDEFINED` for one that does not matter. `MPI_ERR_ARG` when no type has
/// them.
pub fn f90_real(precision: i32, range: i32) -> Result<Datatype> {
    let base = real(precision, range)?;
    by_range(Combiner::F90Real, &[precision, range], base.0)
}

/// `MPI_Type_create_f90_complex`, by the precision and range of the parts as [`f90_real`].
pub fn f90_complex(precision: i32, range: i32) -> Result<Datatype> {
    let base = real(precision, range)?;
    by_range(Combiner::F90Complex, &[precision, range], base.1)
}

/// `MPI_Type_create_f90_integer`: integers of at least `range` decimal digits. `MPI_ERR_ARG` when
/// no type has them.
pub fn f90_integer(range: i32) -> Result<Datatype> {
    let base = match range {
        ..=2 => Datatype::INTEGER1,
        3..=4 => Datatype::INTEGER2,
        5..=9 => Datatype::INTEGER4,
        10..=18 => Datatype::INTEGER8,
        19..=38 => Datatype::INTEGER16,
        _ => {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("no integer type has a decimal range of {range}: the largest is 38"),
            ));
        }
    };
    by_range(Combiner::F90Integer, &[range], base)
}

/// The real type, and the complex one of two of them.
fn real(precision: i32, range: i32) -> Result<(Datatype, Datatype)> {
    if precision == ANY && range == ANY {
        return Err(Error::new(
            ErrorClass::ARG,
            "precision and range are both MPI_UNDEFINED: give one of them",
        ));
    }
    // MPI_UNDEFINED is below every limit.
    match (precision, range) {
        (..=6, ..=37) => Ok((Datatype::REAL4, Datatype::COMPLEX8)),
        (..=15, ..=307) => Ok((Datatype::REAL8, Datatype::COMPLEX16)),
        (..=33, ..=4931) => Ok((Datatype::REAL16, Datatype::COMPLEX32)),
        _ => Err(Error::new(
            ErrorClass::ARG,
            format!(
                "no real type has {precision} digits and an exponent range of {range}: the largest \
                 has 33 and 4931"
            ),
        )),
    }
}

fn by_range(combiner: Combiner, arguments: &[i32], base: Datatype) -> Result<Datatype> {
    let integers: Vec<i64> = arguments.iter().map(|value| (*value).into()).collect();
    let mut known = BY_RANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (combiner, integers.clone().into());
    if let Some(handle) = known.get(&key) {
        return Ok(*handle);
    }
    let recipe = Recipe::new(combiner, Form::Int, Vec::new()).with_integers(integers);
    let made = add_committed(get(base)?.again(recipe))?;
    known.insert(key, made);
    Ok(made)
}

/// Whether a type was made by its range.
pub(super) fn is_by_range(type_map: &Type) -> bool {
    matches!(
        type_map.recipe().combiner,
        Combiner::F90Real | Combiner::F90Complex | Combiner::F90Integer
    )
}

/// The handle of a type that was made by its range.
pub(super) fn handle_of(type_map: &Type) -> Result<Datatype> {
    let recipe = type_map.recipe();
    let known = BY_RANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (recipe.combiner, recipe.integers.clone());
    known
        .get(&key)
        .copied()
        .ok_or_else(|| Error::new(ErrorClass::INTERN, "a Fortran type by range has no handle"))
}

/// What kind of Fortran type to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `MPI_TYPECLASS_INTEGER`
    Integer,
    /// `MPI_TYPECLASS_REAL`
    Real,
    /// `MPI_TYPECLASS_COMPLEX`
    Complex,
}

/// The Fortran type of this class and size in bytes (`MPI_Type_match_size`). `MPI_ERR_ARG` when
/// there is none.
pub fn match_size(class: Class, size: i32) -> Result<Datatype> {
    let (name, all): (_, &[Datatype]) = match class {
        Class::Integer => (
            "integer",
            &[
                Datatype::INTEGER1,
                Datatype::INTEGER2,
                Datatype::INTEGER4,
                Datatype::INTEGER8,
                Datatype::INTEGER16,
            ],
        ),
        Class::Real => (
            "real",
            &[
                Datatype::REAL2,
                Datatype::REAL4,
                Datatype::REAL8,
                Datatype::REAL16,
            ],
        ),
        Class::Complex => (
            "complex",
            &[
                Datatype::COMPLEX4,
                Datatype::COMPLEX8,
                Datatype::COMPLEX16,
                Datatype::COMPLEX32,
            ],
        ),
    };
    let has_size =
        |datatype: &&Datatype| info(**datatype).map(|info| info.size as i64) == Some(size.into());
    all.iter()
        .find(has_size)
        .copied()
        .ok_or_else(|| Error::new(ErrorClass::ARG, format!("no {name} type has {size} bytes")))
}
