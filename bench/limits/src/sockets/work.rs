//! The loops of both processes: plain calls of send and recv on one connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::plan::{Kind, Plan};

/// What every byte of a message is.
const CONTENT: u8 = 0x5a;
/// The byte that says that all messages of a stream have arrived.
const ANSWER: u8 = 0xa5;

/// The side that measures: the time of the timed rounds. `shared`: both processes have one core.
pub(super) fn lead(stream: &TcpStream, plan: &Plan, shared: bool) -> io::Result<Duration> {
    let mut end = End::new(stream, plan, shared);
    end.lead(plan, plan.warmup())?;
    let start = Instant::now();
    end.lead(plan, plan.rounds)?;
    let elapsed = start.elapsed();
    end.check()?;
    Ok(elapsed)
}

/// The partner's side.
pub(super) fn follow(stream: &TcpStream, plan: &Plan, shared: bool) -> io::Result<()> {
    let mut end = End::new(stream, plan, shared);
    end.follow(plan, plan.warmup())?;
    end.follow(plan, plan.rounds)?;
    end.check()
}

/// One end of the connection, with a message to send and room for one that comes.
struct End<'a> {
    stream: &'a TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// Bytes that one call moves at most.
    call: usize,
    shared: bool,
    idle: u32,
}

impl<'a> End<'a> {
    fn new(stream: &'a TcpStream, plan: &Plan, shared: bool) -> Self {
        Self {
            stream,
            outgoing: vec![CONTENT; plan.bytes],
            // A stream of short messages is taken many at a time.
            incoming: vec![0; plan.bytes.max(plan.call)],
            call: plan.call,
            shared,
            idle: 0,
        }
    }

    fn lead(&mut self, plan: &Plan, rounds: usize) -> io::Result<()> {
        match plan.kind {
            Kind::PingPong => {
                for _ in 0..rounds {
                    self.send_message()?;
                    self.receive(plan.bytes)?;
                }
            }
            Kind::Stream => {
                for _ in 0..rounds {
                    self.send_message()?;
                }
                let mut answer = [0];
                while self.take(&mut answer)? == 0 {}
                if answer != [ANSWER] {
                    return Err(io::Error::other("the partner answered out of turn"));
                }
            }
            Kind::BothWays => self.exchange(plan.bytes, rounds)?,
        }
        Ok(())
    }

    fn follow(&mut self, plan: &Plan, rounds: usize) -> io::Result<()> {
        match plan.kind {
            Kind::PingPong => {
                for _ in 0..rounds {
                    self.receive(plan.bytes)?;
                    self.send_message()?;
                }
            }
            Kind::Stream => {
                self.receive_stream(plan.bytes * rounds)?;
                while self.give(&[ANSWER])? == 0 {}
            }
            Kind::BothWays => self.exchange(plan.bytes, rounds)?,
        }
        Ok(())
    }

    fn send_message(&mut self) -> io::Result<()> {
        let message = std::mem::take(&mut self.outgoing);
        let mut sent = 0;
        while sent < message.len() {
            let end = message.len().min(sent + self.call);
            sent += self.give(&message[sent..end])?;
        }
        self.outgoing = message;
        Ok(())
    }

    /// Receives a message into its place.
    fn receive(&mut self, bytes: usize) -> io::Result<()> {
        let mut room = std::mem::take(&mut self.incoming);
        let mut received = 0;
        while received < bytes {
            let end = bytes.min(received + self.call);
            received += self.take(&mut room[received..end])?;
        }
        self.incoming = room;
        Ok(())
    }

    /// Receives `bytes` bytes of messages, each behind the one before, from the start again where
    /// the room ends.
    fn receive_stream(&mut self, bytes: usize) -> io::Result<()> {
        let mut room = std::mem::take(&mut self.incoming);
        let (mut received, mut place) = (0, 0);
        while received < bytes {
            let end = room.len().min(place + self.call.min(bytes - received));
            let taken = self.take(&mut room[place..end])?;
            received += taken;
            place += taken;
            if place == room.len() {
                place = 0;
            }
        }
        self.incoming = room;
        Ok(())
    }

    /// Sends and receives `rounds` messages, whatever goes.
    fn exchange(&mut self, bytes: usize, rounds: usize) -> io::Result<()> {
        let message = std::mem::take(&mut self.outgoing);
        let mut room = std::mem::take(&mut self.incoming);
        let total = bytes * rounds;
        let (mut sent, mut received) = (0, 0);
        while sent < total || received < total {
            if sent < total {
                let place = sent % bytes;
                let end = bytes.min(place + self.call);
                sent += self.give(&message[place..end])?;
            }
            if received < total {
                let place = received % bytes;
                let end = bytes.min(place + self.call);
                received += self.take(&mut room[place..end])?;
            }
        }
        self.outgoing = message;
        self.incoming = room;
        Ok(())
    }

    /// One call of send; 0 if there was no room.
    fn give(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Ok(sent) => {
                self.idle = 0;
                Ok(sent)
            }
            Err(error) => self.wait(error),
        }
    }

    /// One call of recv; 0 if nothing was there.
    fn take(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(room) {
            Ok(0) => Err(io::Error::other("the partner closed the connection")),
            Ok(received) => {
                self.idle = 0;
                Ok(received)
            }
            Err(error) => self.wait(error),
        }
    }

    /// After a call that moved nothing. Yields now and then: where a hypervisor took the other core
    /// away, or both processes have one core, this one is not needed.
    fn wait(&mut self, error: io::Error) -> io::Result<usize> {
        match error.kind() {
            ErrorKind::WouldBlock => {
                self.idle += 1;
                if self.shared || self.idle.is_multiple_of(1 << 12) {
                    thread::yield_now();
                }
                Ok(0)
            }
            ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// The bytes of the last message that was received, if any was.
    fn check(&self) -> io::Result<()> {
        let message = &self.incoming[..self.outgoing.len()];
        let received = message.iter().any(|&byte| byte != 0);
        if received && message.iter().any(|&byte| byte != CONTENT) {
            return Err(io::Error::other("bytes arrived wrong"));
        }
        Ok(())
    }
}
