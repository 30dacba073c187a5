//! Operations on peers' memory, as a process of the suite begins and ends them.

use super::process::{All, Process, spoil};
use ferrite_fabric::{
    Atomic, Failure, Limits, Link, Outcome, OwnedBuf, RawBufMut, Refused, Region, Registration,
    Token, Transfer, Uses, Width,
};

/// An operation that is under way, and the buffer that it has.
pub(super) struct UnderWay {
    peer: u32,
    buffer: OwnedBuf,
}

impl UnderWay {
    pub(super) fn buffer(self) -> OwnedBuf {
        self.buffer
    }
}

/// What became of the attempt to begin one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is over, and what it brought.
    Over(Result<Vec<u8>, Failure>),
    UnderWay(Token),
    Full,
    Unavailable,
}

/// Part of a region.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) region: &'a Region,
    pub(super) offset: u64,
}

impl Process {
    pub(super) fn limits(&self, peer: usize) -> Limits {
        self.end.links[peer].limits()
    }

    pub(super) fn read(&mut self, peer: usize, at: Place<'_>, len: usize) -> Begun {
        self.begin(peer, OwnedBuf::zeroed(len), |link, buffer, token| {
            // SAFETY: `begin` keeps the buffer.
            unsafe { link.read(buffer, at.region, at.offset, token) }
        })
    }

    pub(super) fn write(&mut self, peer: usize, at: Place<'_>, bytes: &[u8]) -> Begun {
        let inline = self.limits(peer).rma.inline;
        let buffer = OwnedBuf::from(Box::<[u8]>::from(bytes));
        let begun = self.begin(peer, buffer, |link, buffer, token| {
            // SAFETY: `begin` keeps the buffer.
            unsafe { link.write(buffer.as_buf(), at.region, at.offset, token) }
        });
        let is_queued = matches!(begun, Begun::UnderWay(_));
        let len = bytes.len();
        assert!(
            !is_queued || len > inline,
            "a write of {len} bytes is to be done"
        );
        begun
    }

    pub(super) fn atomic(
        &mut self,
        peer: usize,
        at: Place<'_>,
        operation: Atomic,
        width: Width,
    ) -> Begun {
        let has = if operation.has_result() {
            width.bytes()
        } else {
            0
        };
        self.begin(peer, OwnedBuf::zeroed(has), |link, result, token| {
            // SAFETY: `begin` keeps the buffer.
            unsafe { link.atomic(operation, width, result, at.region, at.offset, token) }
        })
    }

    pub(super) fn flush_writes(&mut self, peer: usize) -> Begun {
        self.begin(peer, OwnedBuf::zeroed(0), |link, _, token| {
            link.flush_writes(token)
        })
    }

    fn begin(
        &mut self,
        peer: usize,
        buffer: OwnedBuf,
        begin: impl FnOnce(&mut dyn Link, RawBufMut, Token) -> Transfer,
    ) -> Begun {
        let token = self.token();
        match begin(&mut *self.end.links[peer], buffer.buf_mut(), token) {
            Transfer::Done => {
                self.coverage.direct += 1;
                Begun::Over(Ok(bytes_of(buffer)))
            }
            Transfer::Queued(named) => {
                assert_eq!(named, token);
                self.coverage.direct_later += 1;
                let peer = peer as u32;
                self.under_way.insert(token, UnderWay { peer, buffer });
                Begun::UnderWay(token)
            }
            Transfer::Full => {
                self.coverage.full += 1;
                Begun::Full
            }
            Transfer::Unavailable => Begun::Unavailable,
            Transfer::Failed(failure) => Begun::Over(Err(failure)),
        }
    }

    /// How something that was begun has ended, if it has by now.
    pub(super) fn ended(&mut self, begun: &Begun) -> Option<Result<Vec<u8>, Failure>> {
        match begun {
            Begun::Over(ended) => Some(ended.clone()),
            Begun::UnderWay(token) => self.ended.remove(token),
            Begun::Full | Begun::Unavailable => unreachable!("nothing was begun"),
        }
    }

    pub(super) fn operation_ended(&mut self, peer: u32, token: Token, outcome: Outcome) {
        let operation = self
            .under_way
            .remove(&token)
            .expect("the caller has looked");
        assert_eq!(operation.peer, peer, "the peer of {token:?}");
        let bytes = bytes_of(operation.buffer);
        self.ended.insert(token, outcome.map(|()| bytes));
    }

    /// What was under way to a peer that is gone is lost, and its buffers are left alone.
    pub(super) fn lose_operations(&mut self) {
        for (buffer, then) in &self.lost {
            // SAFETY: ours.
            let now = unsafe { buffer.buf().to_vec() };
            assert!(now == *then, "a buffer was touched after its peer was lost");
        }
        let gone = &self.log.gone;
        let all = std::mem::take(&mut self.under_way).into_iter();
        let (lost, others): (Vec<_>, Vec<_>) = all.partition(|(_, one)| gone.contains(&one.peer));
        self.under_way = others.into_iter().collect();
        for (_, one) in lost {
            // SAFETY: ours.
            let then = unsafe { one.buffer.buf().to_vec() };
            self.lost.push((one.buffer, then));
        }
    }
}

/// The content of a buffer, which is spoilt for whoever still reads it.
fn bytes_of(buffer: OwnedBuf) -> Vec<u8> {
    let mut bytes = Box::<[u8]>::from(buffer);
    let content = bytes.to_vec();
    spoil(&mut bytes);
    content
}

impl All {
    /// Registers memory, for which there is room. `None`: the transport has no use for it.
    pub(super) fn register(
        &mut self,
        owner: usize,
        memory: &OwnedBuf,
        uses: Uses,
    ) -> Option<Registration> {
        let link = (owner + 1) % self.0.len();
        for _ in 0..1000 {
            // SAFETY: the memory outlives the registration: the suite's tests end before they drop
            // it.
            let answer = unsafe { self.0[owner].end.links[link].register(memory.buf_mut(), uses) };
            match answer {
                Ok(registration) => {
                    let region = registration.region();
                    let rest = region.key.iter().skip(region.key_len.into());
                    assert!(rest.copied().all(|byte| byte == 0), "{region:?}");
                    self.0[owner].coverage.registered += 1;
                    return Some(registration);
                }
                Err(Refused::Unavailable) => return None,
                Err(Refused::NoRoom(reason)) => {
                    assert!(!reason.is_empty(), "a refusal has a reason");
                    self.0[owner].coverage.refused += 1;
                }
            }
            self.poll(owner);
        }
        panic!("memory is not registered, though there is room");
    }

    /// Begins an operation of a process as soon as there is room. `None`: it is unavailable.
    pub(super) fn begin(
        &mut self,
        process: usize,
        mut begin: impl FnMut(&mut Process) -> Begun,
    ) -> Option<Begun> {
        let mut begun = Begun::Full;
        self.until(process, "room for an operation", |all| {
            begun = begin(&mut all.0[process]);
            begun != Begun::Full
        });
        (begun != Begun::Unavailable).then_some(begun)
    }

    /// Waits for what was begun.
    pub(super) fn end(&mut self, process: usize, begun: Begun) -> Result<Vec<u8>, Failure> {
        let token = match begun {
            Begun::Over(ended) => return ended,
            Begun::UnderWay(token) => token,
            Begun::Full | Begun::Unavailable => panic!("nothing was begun"),
        };
        self.until(process, "an operation is completed", |all| {
            all.0[process].ended.contains_key(&token)
        });
        let ended = self.0[process].ended.remove(&token);
        ended.expect("waited for")
    }

    /// The whole of an operation.
    pub(super) fn perform(
        &mut self,
        process: usize,
        begin: impl FnMut(&mut Process) -> Begun,
    ) -> Option<Result<Vec<u8>, Failure>> {
        let begun = self.begin(process, begin)?;
        Some(self.end(process, begun))
    }

    /// Flushes the writes of a process. `None`: it cannot write.
    pub(super) fn flush(&mut self, process: usize, peer: usize) -> Option<Outcome> {
        self.0[process].coverage.flushed += 1;
        let ended = self.perform(process, |process| process.flush_writes(peer))?;
        Some(ended.map(|_| ()))
    }
}

/// What is in memory now, whoever wrote it.
pub(super) fn now(memory: &OwnedBuf, at: usize, len: usize) -> Vec<u8> {
    // SAFETY: it is there, and nobody writes to it in this thread's turn.
    unsafe { memory.buf().part(at, len).to_vec() }
}

/// The owner's processor writes to memory.
pub(super) fn put(memory: &OwnedBuf, at: usize, bytes: &[u8]) {
    let place = memory.buf_mut().part(at, bytes.len());
    // SAFETY: it is there, and nobody else uses it in this thread's turn.
    unsafe { ferrite_fabric::RawBuf::of(bytes).copy_to(place.ptr) };
}

/// Memory of the suite's own.
pub(super) fn memory(bytes: Vec<u8>) -> OwnedBuf {
    bytes.into_boxed_slice().into()
}
