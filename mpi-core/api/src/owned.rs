//! Operations under way that own their buffers, to be waited for or awaited.
//!
//! The buffer is in the request, on the heap, and is given back when the operation is complete. A
//! request that is forgotten never frees its buffer; one that is dropped is taken back if it
//! receives, and if it sends, the buffer is kept until the message has left.

use core::any::Any;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use ferrite_engine::{Engine, Request as Handle, SENT};
use ferrite_fabric::OwnedBuf;

use crate::datatype::{engine_items, packed, room, sent_bytes, unpack_items};
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

/// An operation under way that owns its buffer. Wait for it, or await it in any executor; both give
/// the buffer back.
///
/// ```
/// # let universe = mpi_core::init()?;
/// let world = universe.world();
/// let (rank, size) = (world.rank(), world.size());
/// let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
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
///
/// A receive may be dropped at any time, by a `select` for instance, and no message is lost: one
/// that it was given goes to the next receive that takes it, in the order in which messages were
/// sent, except that receives which were under way already may have been given later ones. Dropping
/// waits for a message that has begun to arrive. A message that was too long for the buffer is
/// gone, with the error.
///
/// A send may be dropped, too: the message is sent nevertheless. One that nobody has received when
/// all ranks finalise is reported by [`Universe::finalize`](crate::Universe::finalize), or on
/// standard error when the `Universe` is dropped.
#[must_use = "dropping it takes a receive back, and gives the buffer of a send away"]
pub struct OwnedRequest<B: OwnedBuffer> {
    under_way: Option<UnderWay<B::Item>>,
}

struct UnderWay<T: Datatype> {
    handle: Handle,
    /// Not dropped before the operation is complete.
    items: ManuallyDrop<Vec<T>>,
    /// The packed form that the operation works on, if it is not the items.
    packed: ManuallyDrop<Option<OwnedBuf>>,
    /// What is sent; `None`: it receives.
    sent: Option<Envelope>,
    /// Whether the waking thread knows of it.
    watched: bool,
}

// SAFETY: items are `Send`, and the engine may complete an operation in any thread that `enter`
// lets in.
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
        if self.sent.is_none() {
            let count = arrived::<T>(status);
            if let Some(packed) = packed {
                // SAFETY: the bytes were received into `packed`, which has room for as many items
                // as `items`.
                unsafe { unpack_items(packed.buf().ptr, count, items.as_mut_ptr()) };
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
        let UnderWay {
            items,
            packed,
            sent,
            mut handle,
            ..
        } = under_way;
        let buffers = ManuallyDrop::new((
            ManuallyDrop::into_inner(items),
            ManuallyDrop::into_inner(packed),
        ));
        let Some(what) = sent else {
            if engine.give_back(&mut handle).is_ok() {
                drop(ManuallyDrop::into_inner(buffers));
            }
            return;
        };
        let buffers: Box<dyn Any + Send> = Box::new(ManuallyDrop::into_inner(buffers));
        let send = Abandoned {
            handle,
            buffers: ManuallyDrop::new(buffers),
            what,
        };
        abandon(engine, send);
    }
}

/// A send that nobody waits for any more.
struct Abandoned {
    handle: Handle,
    /// Not dropped before the operation is complete.
    buffers: ManuallyDrop<Box<dyn Any + Send>>,
    what: Envelope,
}

/// What a message is, for a sentence about it.
struct Envelope {
    bytes: usize,
    dest: i32,
    tag: i32,
    /// Kept, so that its handle names nothing else.
    comm: Communicator,
}

static ABANDONED: Mutex<Vec<Abandoned>> = Mutex::new(Vec::new());

fn abandon(engine: &Engine, send: Abandoned) {
    // Not under the lock: a look at a request makes progress, which may call the program's
    // closures.
    let mut all = take_abandoned();
    all.push(send);
    let mut left = sweep(engine, all);
    let mut all = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    all.append(&mut left);
}

/// Lets go of sends that are complete. Returns the others.
fn sweep(engine: &Engine, mut all: Vec<Abandoned>) -> Vec<Abandoned> {
    all.retain_mut(|send| {
        let complete = !matches!(engine.test(&mut send.handle), Ok(None));
        if complete {
            // SAFETY: dropped once, as the entry goes now; the operation is complete.
            unsafe { ManuallyDrop::drop(&mut send.buffers) };
        }
        !complete
    });
    all
}

/// How long messages that were received take to be known to be, once all ranks finalise.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the other ranks may take to finalise until a sentence says what this one has sent in
/// vain so far.
const LATE: Duration = Duration::from_secs(5);

fn take_abandoned() -> Vec<Abandoned> {
    core::mem::take(&mut *ABANDONED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sends that nobody waits for, in words.
fn in_words(engine: &Engine, all: &[Abandoned]) -> String {
    let tell = |send: &Abandoned| {
        let Envelope {
            bytes,
            dest,
            tag,
            comm,
        } = &send.what;
        let name = engine.comm_get_name(comm.comm()).unwrap_or_default();
        let name = match &*name {
            "" => "a communicator without a name",
            name => name,
        };
        format!("{bytes} bytes to rank {dest} of {name} with tag {tag}")
    };
    let some: Vec<_> = all.iter().take(5).map(tell).collect();
    match all.len() - some.len() {
        0 => some.join("; "),
        more => format!("{}; and {more} more", some.join("; ")),
    }
}

/// Before finalisation, which waits for the other ranks: tells of sends that nobody waits for if
/// that takes long, as the others may wait for something else. Dropped, it tells nothing any more.
pub(crate) fn tell_if_late(engine: &Engine) -> Option<Late> {
    let mut all = sweep(engine, take_abandoned());
    if all.is_empty() {
        return None;
    }
    let (rank, words) = (engine.job_rank(), in_words(engine, &all));
    let mut later = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    later.append(&mut all);
    drop(later);
    let (end, ended) = mpsc::channel();
    let tell = move || {
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LATE) {
            eprintln!(
                "mpi_core: rank {rank} has waited {LATE:?} for the other ranks to finalise; nobody \
                 has received yet what it has sent without \
                 waiting for it: {words}"
            );
        }
    };
    let thread = thread::Builder::new().spawn(tell).ok()?;
    Some(Late {
        end: Some(end),
        thread: Some(thread),
    })
}

/// A thread that tells that finalisation takes long.
pub(crate) struct Late {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Late {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has no result.
            let _ = thread.join();
        }
    }
}

/// Within finalisation, when all ranks have come so far: nothing more will be received. Waits for
/// sends that nobody waits for to be over, and tells of those that are not received. Their buffers
/// stay for ever.
pub(crate) fn complete_abandoned(engine: &Engine) -> Option<String> {
    let mut all = sweep(engine, take_abandoned());
    let until = Instant::now() + LAST_WORDS;
    while !all.is_empty() && Instant::now() < until {
        thread::sleep(Duration::from_micros(100));
        all = sweep(engine, all);
    }
    if all.is_empty() {
        return None;
    }
    let sentence = format!(
        "all ranks have finalised, and nobody has received what rank {} has sent without waiting \
         for it: {}",
        engine.job_rank(),
        in_words(engine, &all)
    );
    // Neither the buffers nor the communicators may go.
    core::mem::forget(all);
    Some(sentence)
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
        let dest = self.destination(dest)?;
        let items = ManuallyDrop::new(buffer.into_vec());
        let bytes = (!B::Item::PLAIN).then(|| packed(&items));
        let (start, (count, of)) = match &bytes {
            None => (items.as_ptr().cast(), engine_items::<B::Item>(items.len())),
            Some(bytes) => sent_bytes(bytes),
        };
        let what = Envelope {
            bytes: items.len() * B::Item::PACKED,
            dest,
            tag,
            comm: self.clone(),
        };
        // SAFETY: items and packed form are the request's until the operation is complete.
        let started = unsafe { engine.isend(start, count, of, dest, tag, self.comm()) };
        OwnedRequest::started(started, items, bytes, Some(what))
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
        let bytes = (!B::Item::PLAIN).then(|| OwnedBuf::zeroed(items.len() * B::Item::PACKED));
        let (start, (count, of)) = match &bytes {
            None => {
                let start = items.as_mut_ptr().cast();
                (start, engine_items::<B::Item>(items.len()))
            }
            Some(bytes) => room(bytes),
        };
        // SAFETY: items and packed form are the request's until the operation is complete.
        let started =
            unsafe { engine.irecv_returnable(start, count, of, source, tag, self.comm()) };
        OwnedRequest::started(started, items, bytes, None)
    }
}

impl<B: OwnedBuffer> OwnedRequest<B> {
    fn started(
        started: ferrite_engine::Result<Handle>,
        items: ManuallyDrop<Vec<B::Item>>,
        packed: Option<OwnedBuf>,
        sent: Option<Envelope>,
    ) -> Result<OwnedRequest<B>> {
        let handle = match started {
            Ok(handle) => handle,
            Err(error) => {
                // Nothing was started.
                drop(ManuallyDrop::into_inner(items));
                return Err(error.into());
            }
        };
        debug_assert!(sent.is_some() || handle != SENT);
        Ok(OwnedRequest {
            under_way: Some(UnderWay {
                handle,
                items,
                packed: ManuallyDrop::new(packed),
                sent,
                watched: false,
            }),
        })
    }
}
