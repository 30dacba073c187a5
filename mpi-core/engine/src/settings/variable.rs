//! Settings as control variables: lengths and times are numbers, everything else is a text.

use core::time::Duration;

use super::{Field, Setting, Settings};

/// What a write to a setting must agree with (`MPI_T_SCOPE_...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Local,
    /// All processes have the same.
    AllEq,
}

impl Setting {
    /// Whether it is a number: bytes or microseconds.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.field, Field::Bytes(_) | Field::Duration(_))
    }

    /// A sentence that says what the number is.
    pub(crate) fn unit(&self) -> &'static str {
        match self.field {
            Field::Duration(_) => "In microseconds.",
            _ => "In bytes.",
        }
    }

    /// What a write must agree with.
    pub(crate) fn scope(&self) -> Scope {
        match self.field {
            Field::Transports(_) | Field::Cma(_) | Field::Collectives(_) => Scope::AllEq,
            _ => Scope::Local,
        }
    }

    /// The value, if it is a number.
    pub(crate) fn number(&self, settings: &mut Settings) -> Option<u64> {
        match self.field {
            Field::Bytes(at) => Some(*at(settings) as u64),
            Field::Duration(at) => {
                Some(u64::try_from(at(settings).as_micros()).unwrap_or(u64::MAX))
            }
            _ => None,
        }
    }

    /// Sets the value, if it is a number, and not too large for the machine.
    pub(crate) fn set_number(&self, settings: &mut Settings, number: u64) -> Option<()> {
        match self.field {
            Field::Bytes(at) => *at(settings) = usize::try_from(number).ok()?,
            Field::Duration(at) => *at(settings) = Duration::from_micros(number),
            _ => return None,
        }
        Some(())
    }
}
