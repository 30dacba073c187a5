//! How two processes prove to each other that they are of one job, before anything else is said.
//!
//! | from | bytes | what |
//! |---|---|---|
//! | caller | [`HELLO`] | magic, job, caller's rank, rank called, caller's nonce |
//! | callee | [`CHALLENGE`] | callee's nonce, and a proof over everything so far |
//! | caller | [`PROOF`] | a proof over everything so far |
//! | callee | 1 | [`WELCOME`], or [`DUPLICATE`]: another connection of the pair is in use |
//!
//! A proof is a keyed hash (BLAKE3) with the job's secret. Both nonces are in it, so a recorded
//! dialogue proves nothing a second time; each side's has a word of its own, so it cannot be
//! reflected. Frames follow after the last byte.
//!
//! Pure: no sockets, no clock.

use ferrite_fabric::Secret;

/// Bytes of the caller's first message.
pub(crate) const HELLO: usize = 8 + 16 + 4 + 4 + 32;
/// Bytes of the callee's answer.
pub(crate) const CHALLENGE: usize = 32 + 32;
/// Bytes of the caller's second message.
pub(crate) const PROOF: usize = 32;
/// The connection is in use from now on.
pub(crate) const WELCOME: u8 = 1;
/// The pair has another connection already.
pub(crate) const DUPLICATE: u8 = 2;

/// Begins a dialogue, and names the version of the wire format.
const MAGIC: [u8; 8] = *b"ferrite\x01";

/// Random bits of one side.
pub(crate) type Nonce = [u8; 32];

/// What a process of a job knows about itself.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) job: [u8; 16],
    pub(crate) secret: Secret,
    pub(crate) rank: u32,
    pub(crate) size: u32,
}

/// Why a caller was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// It does not speak this protocol, or another version of it.
    Stranger,
    /// It wants a process of another job.
    OtherJob,
    /// It wants another process of this job, or claims to be one that is not there.
    OtherRank,
    /// It does not know the secret.
    WrongProof,
    /// It closed in the middle of a word, or said nothing for too long.
    Silent,
    /// It closed between two words, as a member does that has found another way, and a monitor that
    /// only knocks.
    Withdrawn,
    /// There are too many callers that have not proved anything.
    Crowd,
}

impl Refusal {
    /// The end of a sentence about the caller.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Refusal::Stranger => "it does not speak Ferrite's protocol in this version",
            Refusal::OtherJob => "it is of another job",
            Refusal::OtherRank => {
                "it wants a rank that this is not, or is a rank that does not exist"
            }
            Refusal::WrongProof => "it does not know the job's secret",
            Refusal::Silent => "it did not complete the handshake",
            Refusal::Withdrawn => "it withdrew",
            Refusal::Crowd => "too many connections wait that have proved nothing",
        }
    }
}

/// The caller's side.
pub(crate) struct Caller {
    hello: [u8; HELLO],
    secret: Secret,
}

impl Caller {
    pub(crate) fn new(own: &Identity, callee: u32, nonce: Nonce) -> Caller {
        let mut hello = [0; HELLO];
        hello[..8].copy_from_slice(&MAGIC);
        hello[8..24].copy_from_slice(&own.job);
        hello[24..28].copy_from_slice(&own.rank.to_le_bytes());
        hello[28..32].copy_from_slice(&callee.to_le_bytes());
        hello[32..].copy_from_slice(&nonce);
        Caller {
            hello,
            secret: own.secret,
        }
    }

    pub(crate) fn hello(&self) -> &[u8; HELLO] {
        &self.hello
    }

    /// The proof, if the challenge comes from a process that knows the secret.
    pub(crate) fn answer(&self, challenge: &[u8; CHALLENGE]) -> Option<[u8; PROOF]> {
        let (nonce, proof) = challenge.split_at(32);
        let expected = prove(&self.secret, Side::Callee, &self.hello, nonce);
        // In constant time.
        (expected == blake3::Hash::from_slice(proof).ok()?)
            .then(|| *prove(&self.secret, Side::Caller, &self.hello, nonce).as_bytes())
    }
}

/// The callee's side, once it has heard a hello.
pub(crate) struct Callee {
    hello: [u8; HELLO],
    secret: Secret,
    nonce: Nonce,
}

impl Callee {
    pub(crate) fn hear(
        own: &Identity,
        hello: &[u8; HELLO],
        nonce: Nonce,
    ) -> Result<Callee, Refusal> {
        if hello[..8] != MAGIC {
            return Err(Refusal::Stranger);
        }
        if hello[8..24] != own.job {
            return Err(Refusal::OtherJob);
        }
        let callee = Callee {
            hello: *hello,
            secret: own.secret,
            nonce,
        };
        let caller = callee.caller();
        if callee.word(28) != own.rank || caller >= own.size || caller == own.rank {
            return Err(Refusal::OtherRank);
        }
        Ok(callee)
    }

    /// The rank that the caller says it is. Believe it after [`Callee::judge`].
    pub(crate) fn caller(&self) -> u32 {
        self.word(24)
    }

    pub(crate) fn challenge(&self) -> [u8; CHALLENGE] {
        let mut challenge = [0; CHALLENGE];
        challenge[..32].copy_from_slice(&self.nonce);
        let proof = prove(&self.secret, Side::Callee, &self.hello, &self.nonce);
        challenge[32..].copy_from_slice(proof.as_bytes());
        challenge
    }

    /// Whether the caller knows the secret.
    pub(crate) fn judge(&self, proof: &[u8; PROOF]) -> Result<(), Refusal> {
        let expected = prove(&self.secret, Side::Caller, &self.hello, &self.nonce);
        // In constant time.
        if expected == blake3::Hash::from_bytes(*proof) {
            Ok(())
        } else {
            Err(Refusal::WrongProof)
        }
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.hello[at..at + 4].try_into();
        u32::from_le_bytes(bytes.expect("4 bytes"))
    }
}

#[derive(Clone, Copy)]
enum Side {
    Caller,
    Callee,
}

fn prove(secret: &Secret, side: Side, hello: &[u8; HELLO], nonce: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&secret.0);
    hasher.update(match side {
        Side::Caller => b"caller",
        Side::Callee => b"callee",
    });
    hasher.update(hello);
    hasher.update(nonce);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(rank: u32) -> Identity {
        Identity {
            job: [7; 16],
            secret: Secret([9; 32]),
            rank,
            size: 4,
        }
    }

    #[test]
    fn members_of_a_job_agree() {
        let caller = Caller::new(&identity(1), 2, [3; 32]);
        let callee = Callee::hear(&identity(2), caller.hello(), [4; 32])
            .ok()
            .unwrap();
        assert_eq!(callee.caller(), 1);
        let proof = caller.answer(&callee.challenge()).unwrap();
        assert_eq!(callee.judge(&proof), Ok(()));
    }

    #[test]
    fn a_recorded_dialogue_proves_nothing() {
        let caller = Caller::new(&identity(1), 2, [3; 32]);
        let first = Callee::hear(&identity(2), caller.hello(), [4; 32])
            .ok()
            .unwrap();
        let proof = caller.answer(&first.challenge()).unwrap();
        let second = Callee::hear(&identity(2), caller.hello(), [5; 32])
            .ok()
            .unwrap();
        assert_eq!(second.judge(&proof), Err(Refusal::WrongProof));
        // The callee's own proof, reflected.
        let reflected = second.challenge()[32..].try_into().unwrap();
        assert_eq!(second.judge(&reflected), Err(Refusal::WrongProof));
    }

    #[test]
    fn another_secret_is_found_out_on_both_sides() {
        let wrong = Identity {
            secret: Secret([8; 32]),
            ..identity(1)
        };
        let caller = Caller::new(&wrong, 2, [3; 32]);
        let callee = Callee::hear(&identity(2), caller.hello(), [4; 32])
            .ok()
            .unwrap();
        assert_eq!(caller.answer(&callee.challenge()), None);
        assert_eq!(callee.judge(&[0; 32]), Err(Refusal::WrongProof));
    }

    #[test]
    fn whoever_is_wrong_here_is_told_apart() {
        let refusal = |caller: &Identity, callee: u32, at: u32| {
            let caller = Caller::new(caller, callee, [3; 32]);
            Callee::hear(&identity(at), caller.hello(), [4; 32]).err()
        };
        assert_eq!(refusal(&identity(1), 2, 2), None);
        assert_eq!(refusal(&identity(1), 3, 2), Some(Refusal::OtherRank));
        assert_eq!(refusal(&identity(2), 2, 2), Some(Refusal::OtherRank));
        assert_eq!(refusal(&identity(9), 2, 2), Some(Refusal::OtherRank));
        let other = Identity {
            job: [6; 16],
            ..identity(1)
        };
        assert_eq!(refusal(&other, 2, 2), Some(Refusal::OtherJob));
        assert_eq!(
            Callee::hear(&identity(2), &[b'G'; HELLO], [4; 32]).err(),
            Some(Refusal::Stranger)
        );
    }
}
