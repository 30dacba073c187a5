//! What engines say to each other: the one home of the wire format.
//!
//! A frame is a header of 24 bytes ([`Header`]) and a body. All numbers are little-endian. Frames
//! of the matching kinds carry an envelope: context, tag and source rank of a message. The others
//! use the header's fields for what their variant says.
//!
//! Requests in frames are handles, and every number may have been invented: whoever gets a frame
//! looks its request up, and drops the frame if there is no such request. What cannot be a frame is
//! dropped, too ([`Frame::decode`]).
//!
//! A frame of kind `Eager`, a whole message, is not among these: its body is the message and
//! nothing else, and the paths that send and receive it build and read the header themselves.

use ferrite_fabric::{CONTROL, Header, Kind, RawBuf, Region};

use super::peer::{Queued, QueuedBody};
use crate::engine::communicators::{Arguments, Rounds};
use crate::engine::matching::Envelope;
use crate::engine::requests::{ReceiversRequest, SendersRequest};

/// Bytes before the data of a synchronous message.
const SYNC_HEAD: usize = 8;

/// The longest synchronous message that goes with its envelope, in bytes: the sender's request
/// takes the rest of a slot.
pub(in crate::engine) const SYNC_DATA: usize = ferrite_shm::INLINE - SYNC_HEAD;

/// Flags of a `Clear` frame.
const HELP: u8 = 1;
const UNPACKED: u8 = 2;

/// Flags of a `Finished` frame.
const ALL: u8 = 1;
const RETURNED: u8 = 2;

/// Flags of a `Call` frame.
const ASKS: u8 = 1;
const ENDED: u8 = 2;

/// Bytes of the body of a request for help, and of a call's arguments.
const HELP_BODY: usize = 16;
const CALL_BODY: usize = 24;

/// The longest body: an offer with the longest key.
const _: () = assert!(CONTROL == 24 + size_of::<[u8; 64]>());

/// In the place of a key's length: no region.
const NO_REGION: u32 = u32::MAX;

/// The data of a short message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct ShortData {
    bytes: [u8; SYNC_DATA],
    len: u8,
}

impl ShortData {
    /// Data of this length, at most [`SYNC_DATA`] bytes, which `fill` writes.
    ///
    /// # Safety
    /// `fill` may write so many bytes to the address that it gets.
    pub(in crate::engine) unsafe fn filled(len: usize, fill: impl FnOnce(*mut u8)) -> ShortData {
        assert!(len <= SYNC_DATA);
        let mut bytes = [0; SYNC_DATA];
        fill(bytes.as_mut_ptr());
        let len = len as u8;
        ShortData { bytes, len }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The offer of a message whose data stay with the sender. Body of a `Rendezvous` frame: 8 bytes
/// length of the message, 4 the sender's request, 4 length of the region's key (all ones: no
/// region); with a region 8 bytes its address, and the key.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Offer {
    /// Bytes of the message.
    pub(in crate::engine) len: usize,
    pub(in crate::engine) request: SendersRequest,
    /// The message's memory, if the receiver may reach it.
    pub(in crate::engine) region: Option<Region>,
}

/// A receiver that wants help with a long message. Body of a `Clear` frame that asks for it: 4
/// bytes number of the claim, 4 its use, 8 bytes length of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Help {
    pub(in crate::engine) send: SendersRequest,
    pub(in crate::engine) receive: ReceiversRequest,
    /// Of the receiver's buffer.
    pub(in crate::engine) address: u64,
    /// Which words of the node's segment count the pieces, and in which use.
    pub(in crate::engine) claim: u32,
    pub(in crate::engine) turn: u32,
    /// Bytes of the message.
    pub(in crate::engine) len: u64,
}

/// How far the sender is with a collective call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct CallNews {
    /// Of the communicator.
    pub(in crate::engine) context: u64,
    pub(in crate::engine) number: u32,
    /// How often it was started, if it is persistent.
    pub(in crate::engine) started: u32,
    /// The sender wants to know the same of the receiver.
    pub(in crate::engine) asks: bool,
    /// The sender has ended the call.
    pub(in crate::engine) has_ended: bool,
    /// The call's arguments, where they are known, and for how many rounds of asking nothing has
    /// moved in the sender (255: or more). 24 bytes: function, whether its operation commutes,
    /// rounds at rest, quiet rounds; 4 bytes root, 4 width, 4 unused, 8 length.
    pub(in crate::engine) arguments: Option<(Arguments, Rounds)>,
}

/// A frame of the engine's own.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Frame {
    /// A whole message whose sender waits for the match. Body: 4 bytes request, 4 unused, the data.
    EagerSync {
        envelope: Envelope,
        request: SendersRequest,
        data: ShortData,
    },
    /// A message whose data stay with the sender.
    Rendezvous { envelope: Envelope, offer: Offer },
    /// Send the data of a rendezvous in `Data` frames. Context: bytes wanted; tag: sender's
    /// request; source: receiver's.
    Clear {
        send: SendersRequest,
        receive: ReceiversRequest,
        wanted: u64,
        /// The receiver unpacks every frame, so that short ones are better. Flag 2.
        is_unpacked: bool,
    },
    /// Write pieces of the message to the receiver's memory. A `Clear` with flag 1. Context:
    /// address; tag: sender's request; source: receiver's.
    Help(Help),
    /// A piece of the data of a rendezvous, which is the body. Context: offset in the message; tag:
    /// receiver's request.
    Data {
        receive: ReceiversRequest,
        offset: u64,
    },
    /// The receiver has the message, or has matched a synchronous one. Tag: sender's request.
    Finished { send: SendersRequest },
    /// The sender has finished a message with which it has helped. A `Finished` with flag 1. Tag:
    /// receiver's request.
    Helped { receive: ReceiversRequest },
    /// The sender cannot write a piece. A `Finished` with flag 2. Context: number of the piece;
    /// tag: receiver's request.
    Returned {
        receive: ReceiversRequest,
        piece: u64,
    },
    /// Context: 1: send envelopes only, as too much is kept here; 0: no longer.
    Credit { hold: bool },
    /// Give a message back that is not matched. Tag: sender's request.
    Cancel { send: SendersRequest },
    /// Context: whether it was given back. Tag: sender's request.
    Cancelled { send: SendersRequest, is_back: bool },
    /// Context: the communicator; tag: number of the call; source: how often it was started; flags
    /// 1 asks, 2 has ended.
    Call(CallNews),
}

/// The header of a frame with an envelope. `len` is the link's to fill in.
pub(in crate::engine) fn with_envelope(kind: Kind, envelope: Envelope) -> Header {
    Header {
        kind: kind as u8,
        flags: 0,
        seq: 0,
        len: 0,
        context: envelope.context,
        tag: envelope.tag,
        source: envelope.source,
    }
}

/// The envelope in a header.
#[inline]
pub(super) fn envelope_of(header: &Header) -> Envelope {
    Envelope {
        context: header.context,
        source: header.source,
        tag: header.tag,
    }
}

/// The header of a frame of another kind.
fn plain(kind: Kind, flags: u8, context: u64, tag: u32, source: u32) -> Header {
    let (tag, source) = (tag as i32, source as i32);
    let envelope = Envelope {
        context,
        source,
        tag,
    };
    Header {
        flags,
        ..with_envelope(kind, envelope)
    }
}

impl Frame {
    /// The header alone, of a frame whose body is data of a message.
    pub(in crate::engine) fn header(&self) -> Header {
        match *self {
            Frame::EagerSync { envelope, .. } => with_envelope(Kind::EagerSync, envelope),
            Frame::Rendezvous { envelope, .. } => with_envelope(Kind::Rendezvous, envelope),
            Frame::Clear {
                send,
                receive,
                wanted,
                is_unpacked,
            } => {
                let flags = if is_unpacked { UNPACKED } else { 0 };
                plain(Kind::Clear, flags, wanted, send.0, receive.0)
            }
            Frame::Help(Help {
                send,
                receive,
                address,
                ..
            }) => plain(Kind::Clear, HELP, address, send.0, receive.0),
            Frame::Data { receive, offset } => plain(Kind::Data, 0, offset, receive.0, 0),
            Frame::Finished { send } => plain(Kind::Finished, 0, 0, send.0, 0),
            Frame::Helped { receive } => plain(Kind::Finished, ALL, 0, receive.0, 0),
            Frame::Returned { receive, piece } => {
                plain(Kind::Finished, RETURNED, piece, receive.0, 0)
            }
            Frame::Credit { hold } => plain(Kind::Credit, 0, hold.into(), 0, 0),
            Frame::Cancel { send } => plain(Kind::Cancel, 0, 0, send.0, 0),
            Frame::Cancelled { send, is_back } => {
                plain(Kind::Cancelled, 0, is_back.into(), send.0, 0)
            }
            Frame::Call(news) => {
                let flags =
                    if news.asks { ASKS } else { 0 } | if news.has_ended { ENDED } else { 0 };
                plain(Kind::Call, flags, news.context, news.number, news.started)
            }
        }
    }

    /// The frame with its body, ready for a link.
    pub(in crate::engine) fn encode(&self) -> Queued {
        let mut bytes = [0u8; CONTROL];
        let len = match self {
            Frame::EagerSync { request, data, .. } => {
                let end = SYNC_HEAD + data.as_slice().len();
                bytes[..4].copy_from_slice(&request.0.to_le_bytes());
                bytes[SYNC_HEAD..end].copy_from_slice(data.as_slice());
                end
            }
            Frame::Rendezvous { offer, .. } => offer.encode(&mut bytes),
            Frame::Help(help) => {
                bytes[..4].copy_from_slice(&help.claim.to_le_bytes());
                bytes[4..8].copy_from_slice(&help.turn.to_le_bytes());
                bytes[8..HELP_BODY].copy_from_slice(&help.len.to_le_bytes());
                HELP_BODY
            }
            Frame::Call(CallNews {
                arguments: Some((arguments, rounds)),
                ..
            }) => {
                bytes[0] = arguments.function as u8;
                bytes[1] = arguments.commutative.into();
                bytes[2] = rounds.at_rest.min(255) as u8;
                bytes[3] = rounds.quiet.min(255) as u8;
                bytes[4..8].copy_from_slice(&arguments.root.to_le_bytes());
                bytes[8..12].copy_from_slice(&arguments.width.to_le_bytes());
                bytes[16..CALL_BODY].copy_from_slice(&arguments.bytes.to_le_bytes());
                CALL_BODY
            }
            _ => 0,
        };
        Queued {
            header: self.header(),
            body: QueuedBody::Control { bytes, len },
        }
    }

    /// What a frame says that has arrived. `None`: it is no frame of this version, or no such body
    /// can be.
    ///
    /// # Safety
    /// `body` is readable during the call. Others may write it meanwhile: it is copied once before
    /// it is looked at.
    pub(in crate::engine) unsafe fn decode(header: &Header, body: RawBuf) -> Option<Frame> {
        let kind = Kind::from_u8(header.kind)?;
        if kind == Kind::Data {
            return Frame::parse(header, kind, &[]);
        }
        if body.len > CONTROL {
            return None;
        }
        let mut bytes = [0u8; CONTROL];
        // SAFETY: the caller's promise; the length was checked.
        unsafe { body.copy_to(bytes.as_mut_ptr()) };
        Frame::parse(header, kind, &bytes[..body.len])
    }

    fn parse(header: &Header, kind: Kind, body: &[u8]) -> Option<Frame> {
        let envelope = envelope_of(header);
        let (context, flags) = (header.context, header.flags);
        let (tag, source) = (header.tag as u32, header.source as u32);
        let (send, receive) = (SendersRequest(tag), ReceiversRequest(tag));
        let is_yes = || match context {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        let has_body = matches!(kind, Kind::EagerSync | Kind::Rendezvous | Kind::Call)
            || kind == Kind::Clear && flags == HELP;
        if !has_body && !body.is_empty() {
            return None;
        }
        Some(match (kind, flags) {
            (Kind::EagerSync, 0) => {
                let (head, rest) = body.split_first_chunk::<SYNC_HEAD>()?;
                let mut bytes = [0; SYNC_DATA];
                bytes.get_mut(..rest.len())?.copy_from_slice(rest);
                let len = rest.len() as u8;
                Frame::EagerSync {
                    envelope,
                    request: SendersRequest(word(head, 0)?),
                    data: ShortData { bytes, len },
                }
            }
            (Kind::Rendezvous, 0) => Frame::Rendezvous {
                envelope,
                offer: Offer::decode(body)?,
            },
            (Kind::Clear, HELP) => Frame::Help(Help {
                send,
                receive: ReceiversRequest(source),
                address: context,
                claim: word(body, 0)?,
                turn: word(body, 4)?,
                len: long(body, 8).filter(|_| body.len() == HELP_BODY)?,
            }),
            (Kind::Clear, 0 | UNPACKED) => Frame::Clear {
                send,
                receive: ReceiversRequest(source),
                wanted: context,
                is_unpacked: flags == UNPACKED,
            },
            (Kind::Data, 0) => Frame::Data {
                receive,
                offset: context,
            },
            (Kind::Finished, 0) => Frame::Finished { send },
            (Kind::Finished, ALL) => Frame::Helped { receive },
            (Kind::Finished, RETURNED) => Frame::Returned {
                receive,
                piece: context,
            },
            (Kind::Credit, 0) => Frame::Credit { hold: is_yes()? },
            (Kind::Cancel, 0) => Frame::Cancel { send },
            (Kind::Cancelled, 0) => Frame::Cancelled {
                send,
                is_back: is_yes()?,
            },
            (Kind::Call, 0..=3) => Frame::Call(CallNews {
                context,
                number: tag,
                started: source,
                asks: flags & ASKS != 0,
                has_ended: flags & ENDED != 0,
                arguments: match body.is_empty() {
                    true => None,
                    false => Some(arguments(body)?),
                },
            }),
            _ => return None,
        })
    }
}

impl Offer {
    fn encode(&self, bytes: &mut [u8; CONTROL]) -> usize {
        bytes[..8].copy_from_slice(&(self.len as u64).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.request.0.to_le_bytes());
        let Some(region) = &self.region else {
            bytes[12..16].copy_from_slice(&NO_REGION.to_le_bytes());
            return 16;
        };
        let key = usize::from(region.key_len);
        bytes[12..16].copy_from_slice(&u32::from(region.key_len).to_le_bytes());
        bytes[16..24].copy_from_slice(&region.addr.to_le_bytes());
        bytes[24..24 + key].copy_from_slice(&region.key[..key]);
        24 + key
    }

    fn decode(body: &[u8]) -> Option<Offer> {
        let key_len = word(body, 12)?;
        let region = match key_len {
            NO_REGION => (body.len() == 16).then_some(None)?,
            _ => {
                let mut region = Region {
                    addr: long(body, 16)?,
                    key_len: u8::try_from(key_len).ok()?,
                    key: [0; 64],
                };
                let end = 24 + usize::from(region.key_len);
                let key = body.get(24..end).filter(|_| body.len() == end)?;
                region.key.get_mut(..key.len())?.copy_from_slice(key);
                Some(region)
            }
        };
        Some(Offer {
            len: usize::try_from(long(body, 0)?).ok()?,
            request: SendersRequest(word(body, 8)?),
            region,
        })
    }
}

/// The body of a `Call` frame.
fn arguments(body: &[u8]) -> Option<(Arguments, Rounds)> {
    let body: &[u8; CALL_BODY] = body.try_into().ok()?;
    let arguments = Arguments {
        function: crate::collective::Function::from_u8(body[0])?,
        commutative: match body[1] {
            0 => false,
            1 => true,
            _ => return None,
        },
        root: word(body, 4)?,
        width: word(body, 8)?,
        bytes: long(body, 16)?,
    };
    let rounds = Rounds {
        at_rest: body[2].into(),
        quiet: body[3].into(),
    };
    Some((arguments, rounds))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// For fuzzers: the bytes are a header and a body. What they say, said again, says the same.
pub(crate) fn fuzz_frame(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk::<{ Header::BYTES }>() else {
        return;
    };
    let header = Header::from_bytes(head);
    // SAFETY: a slice is readable.
    let Some(frame) = (unsafe { Frame::decode(&header, RawBuf::of(body)) }) else {
        return;
    };
    let first = frame.encode();
    // SAFETY: the body is alive.
    let again = unsafe { Frame::decode(&first.header, first.body.control()) };
    let second = again.expect("what was encoded is a frame").encode();
    assert_eq!(on_a_wire(&first), on_a_wire(&second));
}

/// For fuzzers: what to begin with.
pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let envelope = Envelope {
        context: 2,
        source: 1,
        tag: 3,
    };
    let (send, receive) = (SendersRequest(7), ReceiversRequest(8));
    let arguments = Arguments {
        function: crate::collective::Function::Barrier,
        root: 0,
        width: 4,
        bytes: 64,
        commutative: true,
    };
    let region = Region {
        addr: 0x1000,
        key_len: 4,
        key: [5; 64],
    };
    let frames = [
        Frame::EagerSync {
            envelope,
            request: send,
            // SAFETY: there is room for so many bytes.
            data: unsafe { ShortData::filled(5, |to| to.write_bytes(9, 5)) },
        },
        Frame::Rendezvous {
            envelope,
            offer: Offer {
                len: 1 << 20,
                request: send,
                region: Some(region),
            },
        },
        Frame::Clear {
            send,
            receive,
            wanted: 100,
            is_unpacked: true,
        },
        Frame::Help(Help {
            send,
            receive,
            address: 0x2000,
            claim: 1,
            turn: 2,
            len: 1 << 20,
        }),
        Frame::Returned { receive, piece: 3 },
        Frame::Cancelled {
            send,
            is_back: true,
        },
        Frame::Call(CallNews {
            context: 2,
            number: 5,
            started: 0,
            asks: true,
            has_ended: false,
            arguments: Some((arguments, Rounds::default())),
        }),
    ];
    frames
        .iter()
        .map(|frame| on_a_wire(&frame.encode()))
        .collect()
}

/// Header and body in a row.
fn on_a_wire(queued: &Queued) -> Vec<u8> {
    // SAFETY: the body is alive.
    let body = unsafe { queued.body.control().to_vec() };
    [&queued.header.to_bytes()[..], &body].concat()
}

#[cfg(test)]
mod tests;
