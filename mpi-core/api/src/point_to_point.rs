//! Blocking point-to-point communication (MPI 5.0, sections 3.2 to 3.8).

use core::mem::MaybeUninit;

use ferrite_engine::{Comm, Datatype as Predefined, Engine, Mode};

use crate::buffer::collect_vec;
use crate::datatype::{engine_items, packed, sent_bytes, unpack_items};
use crate::universe::enter;
use crate::{
    Buffer, BufferMut, Communicator, Datatype, Destination, Error, ErrorClass, Result, Source,
    Status, Tag,
};

impl Communicator {
    /// Sends, and returns when the buffer may be used again; the message may still be on its way.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let (rank, size) = (world.rank(), world.size());
    /// let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    /// world.send(&[1.5, 2.5][..], next, 7)?;
    /// let (items, status) = world.recv_vec::<f64>(previous, 7)?;
    /// assert_eq!((items, status.source()), (vec![1.5, 2.5], Some(previous)));
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the destination is no rank of this communicator or the tag is negative, or when the
    /// destination is lost.
    #[inline]
    pub fn send<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<()> {
        let engine = enter()?;
        let (items, dest) = (buffer.items(), self.destination(dest)?);
        if B::Item::PLAIN {
            let (count, of) = engine_items::<B::Item>(items.len());
            // SAFETY: the items are borrowed until the call returns.
            return unsafe {
                engine.send(items.as_ptr().cast(), count, of, dest, tag, self.comm())
            }
            .map_err(Error::from);
        }
        let bytes = packed(items);
        let (start, (count, of)) = sent_bytes(&bytes);
        // SAFETY: as above, for the packed form.
        unsafe { engine.send(start, count, of, dest, tag, self.comm()) }.map_err(Error::from)
    }

    /// Sends, and returns when the receiver has begun to receive.
    ///
    /// # Errors
    /// As [`Communicator::send`].
    pub fn ssend<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<()> {
        let engine = enter()?;
        let (items, dest, mode) = (buffer.items(), self.destination(dest)?, Mode::Synchronous);
        if B::Item::PLAIN {
            let (count, of) = engine_items::<B::Item>(items.len());
            // SAFETY: the items are borrowed until the call returns.
            return unsafe {
                engine.send_mode(
                    mode,
                    items.as_ptr().cast(),
                    count,
                    of,
                    dest,
                    tag,
                    self.comm(),
                )
            }
            .map_err(Error::from);
        }
        let bytes = packed(items);
        let (start, (count, of)) = sent_bytes(&bytes);
        // SAFETY: as above, for the packed form.
        unsafe { engine.send_mode(mode, start, count, of, dest, tag, self.comm()) }
            .map_err(Error::from)
    }

    /// Receives a message that may be shorter than the buffer. [`Status::count`] says how many
    /// items came; the others keep their values.
    ///
    /// # Errors
    /// Of class [`ErrorClass::TRUNCATE`] when the message is longer than the buffer; when the
    /// source is no rank of this communicator, or is lost; when another thread finalises MPI
    /// meanwhile.
    #[inline]
    pub fn recv_into<B: BufferMut + ?Sized>(
        &self,
        buffer: &mut B,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<Status> {
        let engine = enter()?;
        let items = buffer.items_mut();
        let (source, tag) = (source.into().raw()?, tag.into().raw()?);
        // SAFETY: the items are borrowed until the call returns.
        unsafe {
            receive(
                engine,
                items.as_mut_ptr(),
                items.len(),
                source,
                tag,
                self.comm(),
            )
        }
    }

    /// Receives one value.
    ///
    /// # Errors
    /// As [`Communicator::recv_into`], and when the message has no value in it.
    #[inline]
    pub fn recv<T: Datatype>(
        &self,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<(T, Status)> {
        let engine = enter()?;
        let mut item = MaybeUninit::<T>::uninit();
        let (source, tag) = (source.into().raw()?, tag.into().raw()?);
        // SAFETY: the item is here until the call returns.
        let status = unsafe { receive(engine, item.as_mut_ptr(), 1, source, tag, self.comm())? };
        if status.bytes() != T::PACKED {
            return Err(not_one(status, T::PACKED));
        }
        // SAFETY: a whole item has been received, and what is received is a value.
        Ok((unsafe { item.assume_init() }, status))
    }

    /// Receives a message of any length.
    ///
    /// # Errors
    /// As [`Communicator::recv_into`], and when the message is no whole number of items; it is
    /// taken nevertheless.
    pub fn recv_vec<T: Datatype>(
        &self,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<(Vec<T>, Status)> {
        let engine = enter()?;
        // Matched, so that another thread cannot take it in between.
        let (mut message, status) =
            engine.mprobe(source.into().raw()?, tag.into().raw()?, self.comm())?;
        let status = Status(status);
        let Some(count) = status.count::<T>() else {
            let mut bytes = vec![0u8; status.bytes()];
            // SAFETY: the bytes are here until the call returns.
            unsafe {
                engine.mrecv(
                    bytes.as_mut_ptr(),
                    bytes.len() as i64,
                    Predefined::BYTE,
                    &mut message,
                )?
            };
            let sentence = format!(
                "a message of {} bytes is no whole number of items of {} bytes",
                status.bytes(),
                T::PACKED
            );
            return Err(Error::new(ErrorClass::TYPE, sentence));
        };
        let fill = |items: *mut T| {
            if T::PLAIN {
                let (count, of) = engine_items::<T>(count);
                // SAFETY: there is room for as many items as the message has.
                unsafe { engine.mrecv(items.cast(), count, of, &mut message)? };
                return Ok(());
            }
            let mut bytes = vec![0u8; status.bytes()];
            // SAFETY: the bytes are here until the call returns; there is room for as many items.
            unsafe {
                engine.mrecv(
                    bytes.as_mut_ptr(),
                    bytes.len() as i64,
                    Predefined::BYTE,
                    &mut message,
                )?;
                unpack_items(bytes.as_ptr(), count, items);
            }
            Ok(())
        };
        // SAFETY: the message fills all items, or there is an error.
        let items = unsafe { collect_vec(count, fill)? };
        Ok((items, status))
    }

    /// Sends one buffer and receives into another at the same time, which cannot deadlock.
    ///
    /// # Errors
    /// As [`Communicator::send`] and [`Communicator::recv_into`].
    pub fn sendrecv<B: Buffer + ?Sized, C: BufferMut + ?Sized>(
        &self,
        send: &B,
        dest: impl Into<Destination>,
        send_tag: i32,
        recv: &mut C,
        source: impl Into<Source>,
        recv_tag: impl Into<Tag>,
    ) -> Result<Status> {
        let engine = enter()?;
        let dest = self.destination(dest)?;
        let (source, recv_tag) = (source.into().raw()?, recv_tag.into().raw()?);
        let out;
        let (sent, (count, of)) = if B::Item::PLAIN {
            let items = send.items();
            (items.as_ptr().cast(), engine_items::<B::Item>(items.len()))
        } else {
            out = packed(send.items());
            sent_bytes(&out)
        };
        let items = recv.items_mut();
        let comm = self.comm();
        if C::Item::PLAIN {
            let (room, of_room) = engine_items::<C::Item>(items.len());
            let into = items.as_mut_ptr().cast();
            // SAFETY: both buffers are borrowed until the call returns, one of them mutably, so
            // they do not overlap.
            return Ok(Status(unsafe {
                engine.sendrecv(
                    sent, count, of, dest, send_tag, into, room, of_room, source, recv_tag, comm,
                )?
            }));
        }
        let mut bytes = vec![0u8; items.len() * C::Item::PACKED];
        let (into, room, of_room) = (bytes.as_mut_ptr(), bytes.len() as i64, Predefined::BYTE);
        // SAFETY: as above; what has arrived is unpacked into its place.
        unsafe {
            let status = Status(engine.sendrecv(
                sent, count, of, dest, send_tag, into, room, of_room, source, recv_tag, comm,
            )?);
            unpack_items(
                bytes.as_ptr(),
                arrived::<C::Item>(status),
                items.as_mut_ptr(),
            );
            Ok(status)
        }
    }

    /// Waits for a message and says what it is, without receiving it.
    ///
    /// # Errors
    /// When the source is no rank of this communicator, or is lost; when another thread finalises
    /// MPI meanwhile.
    pub fn probe(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<Status> {
        let engine = enter()?;
        Ok(Status(engine.probe(
            source.into().raw()?,
            tag.into().raw()?,
            self.comm(),
        )?))
    }

    /// Says what message has arrived, if any has.
    ///
    /// # Errors
    /// As [`Communicator::probe`].
    pub fn try_probe(
        &self,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<Option<Status>> {
        let engine = enter()?;
        let found = engine.iprobe(source.into().raw()?, tag.into().raw()?, self.comm())?;
        Ok(found.map(Status))
    }
}

/// Whole items in a message that was received as bytes.
pub(crate) fn arrived<T: Datatype>(status: Status) -> usize {
    status.bytes().checked_div(T::PACKED).unwrap_or(0)
}

/// Receives up to `count` items.
///
/// # Safety
/// `items` is writable for `count` items.
#[inline(always)]
unsafe fn receive<T: Datatype>(
    engine: &Engine,
    items: *mut T,
    count: usize,
    source: i32,
    tag: i32,
    comm: Comm,
) -> Result<Status> {
    if T::PLAIN {
        let (count, of) = engine_items::<T>(count);
        // SAFETY: the caller's promise.
        return Ok(Status(unsafe {
            engine.recv(items.cast(), count, of, source, tag, comm)?
        }));
    }
    let mut bytes = vec![0u8; count * T::PACKED];
    // SAFETY: the bytes are here until the call returns; what has arrived is unpacked into the
    // caller's items.
    unsafe {
        let (into, room) = (bytes.as_mut_ptr(), bytes.len() as i64);
        let status = Status(engine.recv(into, room, Predefined::BYTE, source, tag, comm)?);
        unpack_items(bytes.as_ptr(), arrived::<T>(status), items);
        Ok(status)
    }
}

#[cold]
fn not_one(status: Status, size: usize) -> Error {
    let sentence = match status.source() {
        Some(source) => format!(
            "the message of rank {source} has {} bytes, one value has {size}: to receive none or \
             several, use recv_vec",
            status.bytes()
        ),
        None => String::from(
            "there is no value to receive from Source::Null: use recv_into or recv_vec",
        ),
    };
    Error::new(ErrorClass::TYPE, sentence)
}
