//! The buffers of a window of messages.

use ferrite_bench_abi::{Buffer, Datatype, Payload};
use ferrite_osu::{Buffers, Options, Pattern};

/// What one process sends and receives.
pub(crate) struct Messages {
    send: Vec<Buffer>,
    recv: Vec<Buffer>,
}

impl Messages {
    /// Buffers for windows of up to `window` messages: one each way, or one for each message. All
    /// are touched.
    pub(crate) fn new(options: &Options, window: usize) -> Self {
        let number = match options.buffers {
            Buffers::Single => 1,
            Buffers::Multiple => window,
        };
        // Acknowledgements carry a byte.
        let bytes = options.largest.max(1);
        let make = |value| {
            let mut buffer = Buffer::new(bytes);
            buffer.fill(bytes, value);
            buffer
        };
        Self {
            send: (0..number).map(|_| make(b'a')).collect(),
            recv: (0..number).map(|_| make(b'b')).collect(),
        }
    }

    /// Fills what messages of `bytes` bytes use, so that all sizes start alike.
    pub(crate) fn reset(&mut self, bytes: usize) {
        self.send
            .iter_mut()
            .for_each(|buffer| buffer.fill(bytes, b'a'));
        self.recv
            .iter_mut()
            .for_each(|buffer| buffer.fill(bytes, b'b'));
    }

    /// Writes what iteration `iteration` sends, and clears what it receives.
    pub(crate) fn prepare(&mut self, bytes: usize, iteration: usize) {
        for (index, buffer) in self.send.iter_mut().enumerate() {
            let pattern = Pattern::new(bytes, iteration + index);
            buffer.write(bytes, |place| pattern.byte(place));
        }
        self.recv
            .iter_mut()
            .for_each(|buffer| buffer.fill(bytes, 0));
    }

    /// How many of the received buffers differ from what iteration `iteration` sends.
    pub(crate) fn wrong(&mut self, bytes: usize, iteration: usize) -> i32 {
        let mut wrong = 0;
        for (index, buffer) in self.recv.iter_mut().enumerate() {
            let pattern = Pattern::new(bytes, iteration + index);
            wrong += i32::from(!buffer.matches(bytes, |place| pattern.byte(place)));
        }
        wrong
    }

    /// The messages to send and to receive.
    pub(crate) fn payloads(&self, bytes: usize, datatype: Datatype) -> (Window<'_>, Window<'_>) {
        (
            Window::new(&self.send, bytes, datatype),
            Window::new(&self.recv, bytes, datatype),
        )
    }
}

/// The messages of one direction.
pub(crate) struct Window<'buf> {
    first: Payload<'buf>,
    /// All of them where each has a buffer of its own, else empty.
    each: Vec<Payload<'buf>>,
    /// One byte of the first buffer.
    pub(crate) byte: Payload<'buf>,
}

impl<'buf> Window<'buf> {
    fn new(buffers: &'buf [Buffer], bytes: usize, datatype: Datatype) -> Self {
        let payload = |buffer: &'buf Buffer| buffer.payload(bytes, datatype);
        Self {
            first: payload(&buffers[0]),
            each: if buffers.len() > 1 {
                buffers.iter().map(payload).collect()
            } else {
                Vec::new()
            },
            byte: buffers[0].payload(1, Datatype::Char),
        }
    }

    /// Message `index` of the window.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> Payload<'buf> {
        self.each.get(index).copied().unwrap_or(self.first)
    }
}
