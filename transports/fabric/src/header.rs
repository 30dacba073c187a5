//! The frame header: 24 bytes, the same for every transport, little-endian on a wire.

/// What a frame means to the engine. The values are part of the wire format.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole message; the body is its data.
    Eager = 1,
    /// A whole message whose sender waits until it is matched (synchronous mode). Body: sender's
    /// request, then data.
    EagerSync = 2,
    /// The envelope of a message whose data stay with the sender. Body: length, sender's request,
    /// registered region.
    Rendezvous = 3,
    /// Receiver to sender: how to move the data of a rendezvous.
    Clear = 4,
    /// A piece of the data of a rendezvous.
    Data = 5,
    /// The other side has done its part of a rendezvous, or has matched a synchronous message.
    Finished = 6,
    /// Receiver to sender: send envelopes only from now on, because too much is kept here; or no
    /// longer.
    Credit = 7,
    /// Sender to receiver: take an unmatched message back.
    Cancel = 8,
    /// Receiver to sender: whether it was taken back.
    Cancelled = 9,
    /// Among members of a communicator: how far the sender is with a collective call. Body: the
    /// call's arguments.
    Call = 10,
}

impl Kind {
    /// The kind of a received byte, or `None` when no such kind exists.
    #[inline]
    pub fn from_u8(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Eager,
            2 => Kind::EagerSync,
            3 => Kind::Rendezvous,
            4 => Kind::Clear,
            5 => Kind::Data,
            6 => Kind::Finished,
            7 => Kind::Credit,
            8 => Kind::Cancel,
            9 => Kind::Cancelled,
            10 => Kind::Call,
            _ => return None,
        })
    }
}

/// The header of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is. A raw byte: it came from another process and is checked with
    /// [`Kind::from_u8`].
    pub kind: u8,
    /// Meaning depends on the kind.
    pub flags: u8,
    /// Reserved for a second path to the same peer; a transport with one path may use the bits for
    /// itself.
    pub seq: u16,
    /// Bytes of body in this frame.
    pub len: u32,
    /// The communication context (a communicator has two).
    pub context: u64,
    /// The tag of a message.
    pub tag: i32,
    /// The sender's rank within the context.
    pub source: i32,
}

const _: () = assert!(size_of::<Header>() == Header::BYTES);

impl Header {
    /// Length on a wire.
    pub const BYTES: usize = 24;

    /// The header as it stands on a wire.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Header::BYTES] {
        let mut bytes = [0; Header::BYTES];
        bytes[0] = self.kind;
        bytes[1] = self.flags;
        bytes[2..4].copy_from_slice(&self.seq.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.context.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.tag.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.source.to_le_bytes());
        bytes
    }

    /// The inverse of [`Header::to_bytes`]; every content is a header.
    #[inline]
    pub fn from_bytes(bytes: &[u8; Header::BYTES]) -> Header {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Header {
            kind: bytes[0],
            flags: bytes[1],
            seq: u16::from_le_bytes([bytes[2], bytes[3]]),
            len: u32::from_le_bytes(word(4)),
            context: long(8),
            tag: i32::from_le_bytes(word(16)),
            source: i32::from_le_bytes(word(20)),
        }
    }
}
