//! The bytes that arrive on one connection, cut into frames.
//!
//! Bytes come in two ways: into a scratch buffer, whose content is fed to [`Inflow::feed`], or
//! straight to where the rest of a long body belongs ([`Inflow::rest`]). What is incomplete at the
//! end of the scratch buffer is carried over.
//!
//! Nothing that arrives is trusted: lengths are checked before they are used. Pure: no sockets.

use ferrite_fabric::{Header, Landing, OwnedBuf, RawBuf, RawBufMut, Sink};

/// The longest body of a frame, in bytes.
pub(crate) const FRAME: usize = 1 << 20;

/// A body longer than this is asked a place for when it is not there yet; a shorter one is carried
/// over.
const LAND: usize = 4 << 10;

/// In `Header::seq`, which is the transport's: nothing follows, the sender takes leave.
pub(crate) const GOODBYE: u16 = 1;

/// The peer does not speak the protocol any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbled(pub(crate) &'static str);

#[derive(Default)]
pub(crate) struct Inflow {
    /// The beginning of a frame that is too short to be worth a place.
    carry: Vec<u8>,
    body: Option<Body>,
    /// The last frame was a long one, and so will probably be the next.
    pub(crate) is_bulk: bool,
    /// The peer has taken leave.
    pub(crate) has_left: bool,
}

/// A long body on its way.
struct Body {
    header: Header,
    /// Bytes that have arrived, of `header.len`.
    done: usize,
    /// Where they go; what exceeds it is thrown away.
    place: RawBufMut,
    /// Memory of our own that `place` is, for a frame without one.
    own: Option<OwnedBuf>,
}

// SAFETY: `place` is writable until the frame has landed or the peer is down, whichever thread
// writes it (`Landing::At`).
unsafe impl Send for Inflow {}

impl Inflow {
    /// Where bytes should go that belong to a body on its way; empty when there is no such body, or
    /// no room for the rest of it.
    pub(crate) fn rest(&self) -> RawBufMut {
        match &self.body {
            Some(body) if body.done < body.place.len => {
                body.place.part(body.done, body.place.len - body.done)
            }
            _ => RawBufMut::EMPTY,
        }
    }

    /// Bytes carried over, which belong before what is received next. Call only when no body is on
    /// its way.
    pub(crate) fn carry(&mut self) -> &mut Vec<u8> {
        &mut self.carry
    }

    /// The first `len` bytes of [`Inflow::rest`] have been filled. Returns the number of frames
    /// that are complete now.
    pub(crate) fn filled(&mut self, peer: u32, len: usize, sink: &mut dyn Sink) -> usize {
        if let Some(body) = &mut self.body {
            body.done += len;
        }
        self.finish_body(peer, sink)
    }

    /// Takes received bytes, all of them. Returns the number of frames that were delivered.
    pub(crate) fn feed(
        &mut self,
        peer: u32,
        mut bytes: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<usize, Garbled> {
        let mut frames = 0;
        loop {
            if let Some(body) = &mut self.body {
                let missing = body.header.len as usize - body.done;
                let (now, later) = bytes.split_at(missing.min(bytes.len()));
                // SAFETY: the place is writable, see `Landing::At`, or our own.
                unsafe { body.take(now) };
                bytes = later;
                frames += self.finish_body(peer, sink);
                if self.body.is_some() {
                    // What was carried over has been fed; it must not come again when the body
                    // finds no room.
                    self.carry.clear();
                    return Ok(frames);
                }
            }
            let Some((head, rest)) = bytes.split_first_chunk::<{ Header::BYTES }>() else {
                break;
            };
            let header = Header::from_bytes(head);
            let len = header.len as usize;
            if header.seq == GOODBYE {
                self.has_left = true;
                bytes = rest;
                continue;
            }
            if self.has_left {
                return Err(Garbled("a frame after its goodbye"));
            }
            if len > FRAME {
                return Err(Garbled("a frame longer than any can be"));
            }
            if let Some(body) = rest.get(..len) {
                self.is_bulk = len > LAND;
                sink.frame(peer, &header, RawBuf::of(body));
                frames += 1;
                bytes = &rest[len..];
            } else if len > LAND {
                self.begin(peer, header, sink);
                bytes = rest;
            } else {
                break;
            }
        }
        self.carry.clear();
        self.carry.extend_from_slice(bytes);
        Ok(frames)
    }

    fn begin(&mut self, peer: u32, header: Header, sink: &mut dyn Sink) {
        self.is_bulk = true;
        let (place, own) = match sink.arriving(peer, &header) {
            Landing::At(place) => (place, None),
            Landing::Anywhere => {
                let memory = OwnedBuf::zeroed(header.len as usize);
                (memory.buf_mut(), Some(memory))
            }
        };
        self.body = Some(Body {
            header,
            done: 0,
            place,
            own,
        });
    }

    fn finish_body(&mut self, peer: u32, sink: &mut dyn Sink) -> usize {
        let whole = |body: &mut Body| body.done == body.header.len as usize;
        let Some(body) = self.body.take_if(whole) else {
            return 0;
        };
        match &body.own {
            Some(memory) => sink.frame(peer, &body.header, memory.buf()),
            None => sink.landed(peer, &body.header),
        }
        1
    }
}

impl Body {
    /// Takes the next bytes; those for which there is no room are counted only.
    ///
    /// # Safety
    /// The place is writable.
    unsafe fn take(&mut self, bytes: &[u8]) {
        let room = self.place.len.saturating_sub(self.done);
        let kept = RawBuf::of(&bytes[..bytes.len().min(room)]);
        if kept.len > 0 {
            // SAFETY: within the place, by the computation of `room`; the caller's promise.
            unsafe { kept.copy_to(self.place.ptr.add(self.done)) };
        }
        self.done += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_fabric::{LinkDown, Outcome, Token};
    use ferrite_fabric_testing::conformance::Random;

    /// Gives long bodies a place, or not, and collects everything.
    #[derive(Default)]
    struct Log {
        got: Vec<(Header, Vec<u8>)>,
        place: Vec<u8>,
        /// How much room to give, as a part of 4.
        room: usize,
    }

    impl Sink for Log {
        fn frame(&mut self, _: u32, header: &Header, body: RawBuf) {
            let mut copy = vec![0; body.len];
            // SAFETY: readable during the call.
            unsafe { body.copy_to(copy.as_mut_ptr()) };
            self.got.push((*header, copy));
        }
        fn arriving(&mut self, _: u32, header: &Header) -> Landing {
            if self.room > 4 {
                return Landing::Anywhere;
            }
            self.place = vec![0; header.len as usize * self.room / 4];
            Landing::At(RawBufMut::of(&mut self.place))
        }
        fn landed(&mut self, _: u32, header: &Header) {
            self.got.push((*header, std::mem::take(&mut self.place)));
        }
        fn completed(&mut self, _: u32, _: Token, _: Outcome) {}
        fn down(&mut self, _: u32, _: LinkDown) {}
    }

    fn stream(random: &mut Random) -> (Vec<u8>, Vec<(Header, Vec<u8>)>) {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for tag in 0..40 {
            let len = match random.below(4) {
                0 => 0,
                1 => random.below(100),
                2 => random.below(LAND + 10),
                _ => random.below(100_000),
            };
            let header = Header {
                kind: 1,
                flags: 0,
                seq: 0,
                len: len as u32,
                context: random.bits(),
                tag,
                source: 3,
            };
            let body = random.bytes(len);
            bytes.extend(header.to_bytes());
            bytes.extend(&body);
            frames.push((header, body));
        }
        (bytes, frames)
    }

    #[test]
    fn frames_come_out_whatever_the_pieces() {
        let seed = 0x1f10;
        println!("seed {seed:#x}");
        let mut random = Random(seed);
        for round in 0..200 {
            let (bytes, frames) = stream(&mut random);
            let mut log = Log {
                room: 4 + round % 2,
                ..Log::default()
            };
            let mut inflow = Inflow::default();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let direct = inflow.rest();
                let most = [1, 30, 5000, 200_000][random.below(4)];
                let len = (1 + random.below(most)).min(rest.len());
                if direct.len > 0 && round % 3 != 0 {
                    let len = len.min(direct.len);
                    // SAFETY: the place is writable.
                    unsafe { RawBuf::of(&rest[..len]).copy_to(direct.ptr) };
                    inflow.filled(0, len, &mut log);
                    rest = &rest[len..];
                    continue;
                }
                let mut scratch = std::mem::take(inflow.carry());
                scratch.extend_from_slice(&rest[..len]);
                inflow.feed(0, &scratch, &mut log).unwrap();
                rest = &rest[len..];
            }
            assert!(log.got == frames, "round {round}");
        }
    }

    #[test]
    fn what_has_no_room_is_thrown_away() {
        for room in 0..4 {
            let body = Random(1).bytes(100_000);
            let header = Header::from_bytes(&[0; Header::BYTES]);
            let header = Header {
                len: body.len() as u32,
                ..header
            };
            let mut log = Log {
                room,
                ..Log::default()
            };
            let mut inflow = Inflow::default();
            inflow.feed(0, &header.to_bytes(), &mut log).unwrap();
            for part in body.chunks(7777) {
                inflow.feed(0, part, &mut log).unwrap();
            }
            assert!(log.got == [(header, body[..25_000 * room].to_vec())]);
        }
    }

    #[test]
    fn nonsense_is_told() {
        let mut log = Log::default();
        let frame = |seq, len| {
            let header = Header::from_bytes(&[0; Header::BYTES]);
            Header { seq, len, ..header }.to_bytes()
        };
        let mut inflow = Inflow::default();
        assert!(
            inflow
                .feed(0, &frame(0, FRAME as u32 + 1), &mut log)
                .is_err()
        );
        let mut inflow = Inflow::default();
        assert_eq!(inflow.feed(0, &frame(GOODBYE, 0), &mut log), Ok(0));
        assert!(inflow.has_left);
        assert!(inflow.feed(0, &frame(0, 0), &mut log).is_err());
    }
}
