//! How a type was made: its combiner and the arguments of its constructor (MPI 5.0, section
//! 5.1.13).

use super::Type;
use crate::handle::Datatype;

/// The constructor that made a type. The values are the standard ABI's.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combiner {
    /// A predefined type
    Named = 101,
    /// `MPI_Type_dup`
    Dup = 102,
    /// `MPI_Type_contiguous`
    Contiguous = 103,
    /// `MPI_Type_vector`
    Vector = 104,
    /// `MPI_Type_create_hvector`
    Hvector = 105,
    /// `MPI_Type_indexed`
    Indexed = 106,
    /// `MPI_Type_create_hindexed`
    Hindexed = 107,
    /// `MPI_Type_create_indexed_block`
    IndexedBlock = 108,
    /// `MPI_Type_create_hindexed_block`
    HindexedBlock = 109,
    /// `MPI_Type_create_struct`
    Struct = 110,
    /// `MPI_Type_create_subarray`
    Subarray = 111,
    /// `MPI_Type_create_darray`
    Darray = 112,
    /// `MPI_Type_create_f90_real`
    F90Real = 113,
    /// `MPI_Type_create_f90_complex`
    F90Complex = 114,
    /// `MPI_Type_create_f90_integer`
    F90Integer = 115,
    /// `MPI_Type_create_resized`
    Resized = 116,
}

/// The form of the constructor, which decides where `MPI_Type_get_contents` puts an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Counts are `int`, displacements in bytes are addresses.
    Int,
    /// The form with the suffix `_c`: counts and displacements are `MPI_Count`.
    Large,
}

/// The arguments of a constructor, each kind in the order of the standard's table.
#[derive(Debug)]
pub struct Recipe {
    /// The constructor
    pub combiner: Combiner,
    /// Its form
    pub form: Form,
    /// Integers
    pub integers: Box<[i64]>,
    /// Addresses
    pub addresses: Box<[i64]>,
    /// Large counts
    pub counts: Box<[i64]>,
    /// Types
    pub types: Box<[Type]>,
    /// The handle of a predefined type
    pub(super) named: Option<Datatype>,
}

impl Recipe {
    pub(super) fn named(datatype: Datatype) -> Recipe {
        Recipe {
            named: Some(datatype),
            ..Recipe::new(Combiner::Named, Form::Int, Vec::new())
        }
    }

    pub(super) fn new(combiner: Combiner, form: Form, types: Vec<Type>) -> Recipe {
        Recipe {
            combiner,
            form,
            integers: Box::default(),
            addresses: Box::default(),
            counts: Box::default(),
            types: types.into(),
            named: None,
        }
    }

    /// With counts, which are integers in the form that has no large ones.
    pub(super) fn with_counts(mut self, counts: Vec<i64>) -> Recipe {
        match self.form {
            Form::Int => self.integers = counts.into(),
            Form::Large => self.counts = counts.into(),
        }
        self
    }

    /// With counts and, after them, displacements in bytes.
    pub(super) fn with_counts_and_bytes(self, mut counts: Vec<i64>, bytes: &[i64]) -> Recipe {
        match self.form {
            Form::Int => Recipe {
                integers: counts.into(),
                addresses: bytes.into(),
                ..self
            },
            Form::Large => {
                counts.extend(bytes);
                Recipe {
                    counts: counts.into(),
                    ..self
                }
            }
        }
    }

    /// With integers that stay integers in both forms.
    pub(super) fn with_integers(self, integers: Vec<i64>) -> Recipe {
        Recipe {
            integers: integers.into(),
            ..self
        }
    }
}
