//! What both processes do in one measurement, and its form on the partner's standard input.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// How a process waits for bytes, or for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It asks again and again.
    Spin,
    /// It sleeps in the system.
    Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message there, a message back.
    PingPong,
    /// Messages there, one byte back at the end.
    Stream,
    /// Messages from both at once.
    BothWays,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) waiting: Waiting,
    /// Length of a message.
    pub(super) bytes: usize,
    /// Timed rounds; as many as [`Plan::warmup`] go before.
    pub(super) rounds: usize,
    /// Bytes that one call moves at most. A message that is longer takes several calls.
    pub(super) call: usize,
    /// Sizes of the system's buffers, where they are set.
    pub(super) buffer: Option<usize>,
}

impl Plan {
    /// Rounds before the clock starts: the connection's windows grow meanwhile.
    pub(super) fn warmup(&self) -> usize {
        self.rounds.div_ceil(4)
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::PingPong => "ping-pong",
            Kind::Stream => "stream",
            Kind::BothWays => "both-ways",
        };
        let waiting = match self.waiting {
            Waiting::Spin => "spin",
            Waiting::Block => "block",
        };
        let (bytes, rounds, call) = (self.bytes, self.rounds, self.call);
        let buffer = self.buffer.unwrap_or(0);
        write!(f, "{kind} {waiting} {bytes} {rounds} {call} {buffer}")
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("{line:?} is no plan of a measurement");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, waiting, numbers @ ..] = &words[..] else {
            return Err(wrong());
        };
        let kind = match *kind {
            "ping-pong" => Kind::PingPong,
            "stream" => Kind::Stream,
            "both-ways" => Kind::BothWays,
            _ => return Err(wrong()),
        };
        let waiting = match *waiting {
            "spin" => Waiting::Spin,
            "block" => Waiting::Block,
            _ => return Err(wrong()),
        };
        let numbers: Vec<usize> = numbers.iter().map_while(|word| word.parse().ok()).collect();
        match numbers[..] {
            [bytes, rounds, call, buffer] if bytes > 0 && call > 0 => Ok(Self {
                kind,
                waiting,
                bytes,
                rounds,
                call,
                buffer: (buffer > 0).then_some(buffer),
            }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        for buffer in [None, Some(4096)] {
            let plan = Plan {
                kind: Kind::Stream,
                waiting: Waiting::Block,
                bytes: 8,
                rounds: 100,
                call: 65536,
                buffer,
            };
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for line in [
            "",
            "ping-pong",
            "ping-pong spin",
            "ping-pong spin 8 1 8",
            "ping-pong spin 8 1 8 0 0",
            "ping-pong spin 8 1 x 0",
            "ping-pong spin 0 1 8 0",
            "ping-pong spin 8 1 0 0",
            "ping-pong doze 8 1 8 0",
            "call spin 8 1 8 0",
        ] {
            assert!(line.parse::<Plan>().is_err(), "{line}");
        }
    }
}
