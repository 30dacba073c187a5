//! Operations under way that own their buffers, to be waited for or awaited.
//!
//! The buffer is in the request, on the heap, and is given back when the operation is complete. A request that is forgotten
//! never frees its buffer; one that is dropped is cancelled if it receives, and if it sends, the buffer is kept until the message has left.

use core::any::Any;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Mutex, PoisonError};

use ferrite_engine::{Datatype as Predefined, Engine, Request as Handle, SENT};

use crate::datatype::{engine_items, packed, unpack_items};
use crate::point_to_point::arrived;
use crate::universe::enter;
use crate::{Communicator, Datatype, Destination, Result, Source, Status, Tag, wake};

/// A buffer on the heap that an operation can own: a vector or a boxed slice.
pub trait OwnedBuffer: Send + 'static {
    /// What it consists of.
    type Item: Datatype;
    /// Its items.
    fn into_vec(self) -> Vec<Self::Item>;
    /// A buffer of these items.
    fn from_vec(items: Vec<Self::Item>) -> Self;
}

impl<T: Datatype> OwnedBuffer for Vec<T> {
    type Item = T;
    fn into_vec(self) -> Vec<T> {
        self
    }
    fn from_vec(items: Vec<T>) -> Vec<T> {
        items
    }
}

impl<T: Datatype> OwnedBuffer for Box<[T]> {
    type Item = T;
    fn into_vec(self) -> Vec<T> {
        self.into()
    }
    fn from_vec(items: Vec<T>) -> Box<[T]> {
        items.into()
    }
}

/// An operation under way that owns its buffer. Wait for it, or await it in any executor; both give the buffer back.
///
/// ```
/// # let universe = mpi_core::init()?;
/// let world = universe.world();
/// let (next, previous) = ((world.rank() + 1) % world.size(), (world.rank() + world.size() - 1) % world.size());
/// let received = mpi_core::block_on(async {
///     let receive = world.irecv_owned(vec![0u32; 8], previous, 1)?;
///     let (sent, _) = world.isend_owned(vec![5, 6, 7], next, 1)?.await?;
///     assert_eq!(sent, [5, 6, 7]);
///     let (received, status) = receive.await?;
///     assert_eq!(status.source(), Some(previous));
///     mpi_core::Result::Ok(received)
/// })?;
/// assert_eq!(received, [5, 6, 7]);
/// # mpi_core::Result::Ok(())
/// ```
#[must_use = "dropping it cancels a receive, and gives the buffer of a send away"]
pub struct OwnedRequest<B: OwnedBuffer> {
    under_way: Option<UnderWay<B::Item>>,
}

struct UnderWay<T: Datatype> {
    handle: Handle,
    /// Not dropped before the operation is complete.
    items: ManuallyDrop<Vec<T>>,
    /// The packed form that the operation works on, if it is not the items.
    packed: ManuallyDrop<Option<Box<[u8]>>>,
    receives: bool,
    /// Whether the waking thread knows of it.
    watched: bool,
}

// SAFETY: items are `Send`, and the engine may complete an operation in any thread that `enter` lets in.
unsafe impl<B: OwnedBuffer> Send for OwnedRequest<B> {}

impl<B: OwnedBuffer> Unpin for OwnedRequest<B> {}

impl<B: OwnedBuffer> OwnedRequest<B> {
    /// Waits until the operation is complete. A receive gives back as many items as have come.
    ///
    /// # Errors
    /// That of the operation.
    pub fn wait(mut self) -> Result<(B, Status)> {
        let engine = enter()?;
        let mut under_way = self
            .under_way
            .take()
            .expect("a request that was awaited to its end is gone");
        under_way.unwatch();
        let done = engine.wait(&mut under_way.handle);
        under_way.finish(done)
    }

    /// The buffer and the status if the operation is complete, otherwise the request again.
    ///
    /// # Errors
    /// That of the operation.
    pub fn test(mut self) -> Result<core::result::Result<(B, Status), Self>> {
        match self.look(enter()?) {
            Some(done) => done.map(Ok),
            None => Ok(Err(self)),
        }
    }

    fn look(&mut self, engine: &Engine) -> Option<Result<(B, Status)>> {
        let under_way = self.under_way.as_mut().expect("polled after it was ready");
        under_way.unwatch();
        let done = match engine.test(&mut under_way.handle) {
            Ok(None) => return None,
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(error),
        };
        Some(self.under_way.take().expect("looked at").finish(done))
    }
}

impl<T: Datatype> UnderWay<T> {
    /// From here on no other thread looks at the handle, which may soon name another request.
    fn unwatch(&mut self) {
        if self.watched {
            wake::unwatch(self.handle);
            self.watched = false;
        }
    }

    /// The operation is complete: what becomes of its buffers.
    fn finish<B: OwnedBuffer<Item = T>>(
        self,
        done: ferrite_engine::Result<ferrite_engine::Status>,
    ) -> Result<(B, Status)> {
        let mut items = ManuallyDrop::into_inner(self.items);
        let packed = ManuallyDrop::into_inner(self.packed);
        let status = Status(done?);
        if self.receives {
            let count = arrived::<T>(status);
            if let Some(packed) = packed {
                // SAFETY: the bytes were received into `packed`, which has room for as many items as `items`.
                unsafe { unpack_items(packed.as_ptr(), count, items.as_mut_ptr()) };
            }
            items.truncate(count);
        }
        Ok((B::from_vec(items), status))
    }
}

impl<B: OwnedBuffer> Future for OwnedRequest<B> {
    type Output = Result<(B, Status)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let engine = match enter() {
            Ok(engine) => engine,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Some(done) = self.look(engine) {
            return Poll::Ready(done);
        }
        let under_way = self.under_way.as_mut().expect("pending");
        let handle = under_way.handle;
        under_way.watched = wake::watch(engine, handle, context.waker());
        // It may have been completed before it was watched.
        if engine.is_done(handle)
            && let Some(done) = self.look(engine)
        {
            return Poll::Ready(done);
        }
        Poll::Pending
    }
}

impl<B: OwnedBuffer> Drop for OwnedRequest<B> {
    fn drop(&mut self) {
        let Some(mut under_way) = self.under_way.take() else {
            return;
        };
        under_way.unwatch();
        let Ok(engine) = enter() else {
            // Nobody can say when the operation is complete: the buffers stay.
            return;
        };
        if under_way.receives {
            let _ = engine.cancel(under_way.handle);
            let done = engine.wait(&mut under_way.handle);
            let _ = under_way.finish::<B>(done);
            return;
        }
        let buffers = (
            ManuallyDrop::into_inner(under_way.items),
            ManuallyDrop::into_inner(under_way.packed),
        );
        abandon(engine, under_way.handle, Box::new(buffers));
    }
}

type Abandoned = (Handle, ManuallyDrop<Box<dyn Any + Send>>);

/// Sends that nobody waits for any more, with their buffers.
static ABANDONED: Mutex<Vec<Abandoned>> = Mutex::new(Vec::new());

fn abandon(engine: &Engine, handle: Handle, buffers: Box<dyn Any + Send>) {
    let mut all = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    all.push((handle, ManuallyDrop::new(buffers)));
    all.retain_mut(|(handle, buffers)| {
        let complete = !matches!(engine.test(handle), Ok(None));
        if complete {
            // SAFETY: dropped once, as the entry goes now; the operation is complete.
            unsafe { ManuallyDrop::drop(buffers) };
        }
        !complete
    });
}

/// Before finalisation: waits until all that nobody waits for has left.
pub(crate) fn complete_abandoned(engine: &Engine) {
    let all = core::mem::take(&mut *ABANDONED.lock().unwrap_or_else(PoisonError::into_inner));
    for (mut handle, buffers) in all {
        let _ = engine.wait(&mut handle);
        drop(ManuallyDrop::into_inner(buffers));
    }
}

impl Communicator {
    /// Starts to send a buffer, which the request owns.
    ///
    /// # Errors
    /// As [`Communicator::send`]; the buffer is gone then.
    pub fn isend_owned<B: OwnedBuffer>(
        &self,
        buffer: B,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<OwnedRequest<B>> {
        let engine = enter()?;
        let (items, dest) = (
            ManuallyDrop::new(buffer.into_vec()),
            self.destination(dest)?,
        );
        let bytes = if B::Item::PLAIN {
            None
        } else {
            Some(packed(&items))
        };
        let (start, (count, of)) = match &bytes {
            None => (items.as_ptr().cast(), engine_items::<B::Item>(items.len())),
            Some(bytes) => (bytes.as_ptr(), (bytes.len() as i64, Predefined::BYTE)),
        };
        // SAFETY: items and packed form are the request's until the operation is complete.
        let started = unsafe { engine.isend(start, count, of, dest, tag, self.comm()) };
        OwnedRequest::started(started, items, bytes, false)
    }

    /// Starts to receive up to as many items as the buffer has, which the request owns.
    ///
    /// # Errors
    /// As [`Communicator::recv_into`]; the buffer is gone then.
    pub fn irecv_owned<B: OwnedBuffer>(
        &self,
        buffer: B,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<OwnedRequest<B>> {
        let engine = enter()?;
        let (source, tag) = (source.into().raw()?, tag.into().raw()?);
        let mut items = ManuallyDrop::new(buffer.into_vec());
        let mut bytes = None;
        let (start, (count, of)) = if B::Item::PLAIN {
            (
                items.as_mut_ptr().cast(),
                engine_items::<B::Item>(items.len()),
            )
        } else {
            let bytes = bytes.insert(vec![0u8; items.len() * B::Item::PACKED].into_boxed_slice());
            (bytes.as_mut_ptr(), (bytes.len() as i64, Predefined::BYTE))
        };
        // SAFETY: items and packed form are the request's until the operation is complete.
        let started = unsafe { engine.irecv(start, count, of, source, tag, self.comm()) };
        OwnedRequest::started(started, items, bytes, true)
    }
}

impl<B: OwnedBuffer> OwnedRequest<B> {
    fn started(
        started: ferrite_engine::Result<Handle>,
        items: ManuallyDrop<Vec<B::Item>>,
        packed: Option<Box<[u8]>>,
        receives: bool,
    ) -> Result<OwnedRequest<B>> {
        let handle = match started {
            Ok(handle) => handle,
            Err(error) => {
                // Nothing was started.
                drop(ManuallyDrop::into_inner(items));
                return Err(error.into());
            }
        };
        debug_assert!(!receives || handle != SENT);
        Ok(OwnedRequest {
            under_way: Some(UnderWay {
                handle,
                items,
                packed: ManuallyDrop::new(packed),
                receives,
                watched: false,
            }),
        })
    }
}
