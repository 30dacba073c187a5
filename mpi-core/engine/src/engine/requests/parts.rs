//! Requests that are made of others, their parts, which nobody else knows of. Each part tells its
//! parent when it is done.

use core::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::partitioned::Cycle;
use super::request::{Body, RequestRef};
use crate::engine::Engine;
use crate::{Error, Result};

/// The request that a part belongs to.
#[derive(Clone)]
pub(crate) struct Parent {
    pub(in crate::engine) request: RequestRef,
    pub(in crate::engine) parts: Arc<Parts>,
    /// Of a partitioned receive: which piece this part is.
    pub(in crate::engine) piece: Option<(Arc<Cycle>, usize)>,
}

/// What the parts of a request have in common.
pub(in crate::engine) struct Parts {
    /// Those that are not done.
    pub(in crate::engine) left: AtomicU32,
    /// Of the first one that failed.
    pub(in crate::engine) error: Mutex<Option<Error>>,
}

impl Parent {
    /// A request that is done when so many parts are.
    pub(in crate::engine) fn new(request: RequestRef, parts: u32) -> Parent {
        Parent {
            request,
            parts: Arc::new(Parts {
                left: AtomicU32::new(parts),
                error: Mutex::new(None),
            }),
            piece: None,
        }
    }

    /// The same, for the part that is a piece of a partitioned message.
    pub(in crate::engine) fn with_piece(self, cycle: Arc<Cycle>, piece: usize) -> Parent {
        let piece = Some((cycle, piece));
        Parent { piece, ..self }
    }
}

impl Engine {
    /// A request that removes itself when it is done, after it has told the parent.
    pub(in crate::engine) fn add_part(
        &self,
        mut body: Body,
        parent: &Parent,
    ) -> Result<RequestRef> {
        body.extra().parent = Some(parent.clone());
        let part = self.add_request(parent.request.data().comm(), || body)?;
        part.abandon();
        Ok(part)
    }
}
