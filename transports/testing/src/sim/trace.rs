//! What has happened: as a hash, and for a reader.

use ferrite_fabric::Header;

/// FNV-1a over all events, word by word.
pub(super) struct Trace {
    hash: u64,
    tell: bool,
}

impl Trace {
    pub(super) fn new(tell: bool) -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            tell,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Something happened at a process.
    pub(super) fn note(&mut self, now: u64, what: &str, rank: usize, numbers: &[u64]) {
        what.bytes().for_each(|byte| self.mix(byte.into()));
        self.mix(now);
        self.mix(rank as u64);
        numbers.iter().for_each(|number| self.mix(*number));
        if self.tell {
            let numbers: Vec<String> = numbers.iter().map(|n| format!("{n:#x}")).collect();
            eprintln!("{now:>10}  {rank}: {what} {}", numbers.join(" "));
        }
    }

    /// Something happened to a frame between a process and a peer.
    pub(super) fn frame(
        &mut self,
        now: u64,
        what: &str,
        rank: usize,
        peer: usize,
        header: &Header,
    ) {
        let Header {
            kind,
            flags,
            len,
            context,
            tag,
            source,
            ..
        } = *header;
        for number in [
            now,
            rank as u64,
            peer as u64,
            kind.into(),
            flags.into(),
            len.into(),
            context,
            tag as u64,
            source as u64,
        ] {
            self.mix(number);
        }
        what.bytes().for_each(|byte| self.mix(byte.into()));
        if self.tell {
            eprintln!(
                "{now:>10}  {rank}: {what} {peer}: kind {kind} flags {flags} len {len} context \
                 {context:#x} tag {tag} source {source}"
            );
        }
    }

    /// The content of a body.
    pub(super) fn body(&mut self, body: &[u8]) {
        for chunk in body.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }
}
