//! The memory of messages.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::error::{Result, check};
use crate::raw;
use crate::world::World;

/// Page-aligned memory that MPI reads and writes.
///
/// Sending and receiving take it by shared reference (a window of messages may use one buffer, as
/// OSU's programs do); filling and checking take it exclusively, which proves that no operation is
/// in flight.
pub struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

impl Buffer {
    /// Alignment in bytes: a page, as OSU's programs ask for.
    pub const ALIGNMENT: usize = 4096;

    /// `bytes` bytes of zeros.
    pub fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), Self::ALIGNMENT)
            .expect("a message is smaller than the address space");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, layout }
    }

    /// Sets the first `bytes` bytes to `value`.
    pub fn fill(&mut self, bytes: usize, value: u8) {
        self.assert_holds(bytes);
        // SAFETY: the allocation holds `bytes` bytes, and `&mut self` excludes operations in
        // flight.
        unsafe { self.start.as_ptr().write_bytes(value, bytes) }
    }

    /// Sets byte `i` to `pattern(i)` for the first `bytes` bytes.
    pub fn write(&mut self, bytes: usize, pattern: impl Fn(usize) -> u8) {
        self.assert_holds(bytes);
        for i in 0..bytes {
            // SAFETY: `i` is below the allocation's size, and `&mut self` excludes operations in
            // flight.
            unsafe { self.start.add(i).write(pattern(i)) }
        }
    }

    /// Whether byte `i` equals `pattern(i)` for the first `bytes` bytes.
    pub fn matches(&mut self, bytes: usize, pattern: impl Fn(usize) -> u8) -> bool {
        self.assert_holds(bytes);
        // SAFETY: `i` is below the allocation's size, it was initialised when allocated, and `&mut
        // self` excludes operations in flight.
        (0..bytes).all(|i| unsafe { self.start.add(i).read() } == pattern(i))
    }

    /// The first elements that fit in `bytes` bytes, as the operand of a send or a receive.
    ///
    /// # Panics
    /// When the buffer is smaller than `bytes`, or their number exceeds what a `count` of MPI
    /// holds.
    pub fn payload(&self, bytes: usize, datatype: Datatype) -> Payload<'_> {
        self.assert_holds(bytes);
        let count = c_int::try_from(bytes / datatype.size()).expect("at most 2^31 - 1 elements");
        Payload {
            start: self.start.as_ptr(),
            count,
            datatype: datatype.handle(),
            buffer: PhantomData,
        }
    }

    fn assert_holds(&self, bytes: usize) {
        assert!(
            bytes <= self.layout.size(),
            "{bytes} bytes of a buffer of {}",
            self.layout.size()
        );
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; operations in flight would still borrow the
        // buffer.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// What a send or receive transfers: bounds-checked elements of a [`Buffer`].
#[derive(Clone, Copy)]
pub struct Payload<'buf> {
    start: *mut u8,
    count: c_int,
    datatype: raw::Datatype,
    buffer: PhantomData<&'buf Buffer>,
}

impl Payload<'_> {
    pub(crate) fn start(&self) -> *mut c_void {
        self.start.cast()
    }

    pub(crate) fn count(&self) -> c_int {
        self.count
    }

    pub(crate) fn datatype(&self) -> raw::Datatype {
        self.datatype
    }
}

/// The element types that a benchmark can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// `MPI_CHAR`
    Char,
    /// `MPI_INT`
    Int,
    /// `MPI_FLOAT`
    Float,
}

impl Datatype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Char => 1,
            Self::Int | Self::Float => 4,
        }
    }

    /// The name that the library gives the type (`MPI_Type_get_name`).
    pub fn name(self, _world: &World) -> Result<String> {
        let mut name = [0u8; raw::MAX_OBJECT_NAME];
        let mut len = 0;
        // SAFETY: MPI is initialised while a world lives, and the ABI bounds a name by
        // MAX_OBJECT_NAME bytes.
        let code = unsafe {
            raw::MPI_Type_get_name(self.handle(), name.as_mut_ptr().cast::<c_char>(), &mut len)
        };
        check("MPI_Type_get_name", code)?;
        let len = usize::try_from(len).unwrap_or(0).min(name.len());
        Ok(String::from_utf8_lossy(&name[..len]).into_owned())
    }

    fn handle(self) -> raw::Datatype {
        match self {
            Self::Char => raw::CHAR,
            Self::Int => raw::INT,
            Self::Float => raw::FLOAT,
        }
    }
}
