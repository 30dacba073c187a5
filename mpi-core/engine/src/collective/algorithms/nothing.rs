//! What a call without data comes to.

use super::Generator;
use crate::collective::operation::Round;
use crate::collective::shape::Shape;

/// No operations.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct Nothing;

impl Generator for Nothing {
    fn generate(&mut self, _: &Shape, _: &mut Round) -> bool {
        false
    }
}
