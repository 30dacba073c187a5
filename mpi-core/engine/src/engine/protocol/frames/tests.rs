//! Every frame survives its way over a wire, and nothing that arrives harms.

use ferrite_fabric::{CONTROL, Header, RawBuf, Region};
use ferrite_fabric_testing::sim::Seeds;

use super::*;
use crate::collective::Function;

/// Numbers of a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn small(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn yes(&mut self) -> bool {
        self.small(2) == 1
    }

    fn envelope(&mut self) -> Envelope {
        Envelope {
            context: self.next(),
            source: self.next() as i32,
            tag: self.next() as i32,
        }
    }

    fn send(&mut self) -> SendersRequest {
        SendersRequest(self.next() as u32)
    }

    fn receive(&mut self) -> ReceiversRequest {
        ReceiversRequest(self.next() as u32)
    }

    fn region(&mut self) -> Region {
        let key_len = self.small(65) as u8;
        let mut key = [0; 64];
        key[..key_len.into()].fill_with(|| self.next() as u8);
        Region {
            addr: self.next(),
            key_len,
            key,
        }
    }

    fn news(&mut self) -> CallNews {
        let arguments = Arguments {
            function: Function::from_u8(self.small(256) as u8).unwrap_or(Function::Scan),
            root: self.next() as u32,
            width: self.next() as u32,
            bytes: self.next(),
            commutative: self.yes(),
        };
        let rounds = Rounds {
            at_rest: self.small(256) as u32,
            quiet: self.small(256) as u32,
        };
        CallNews {
            context: self.next(),
            number: self.next() as u32,
            started: self.next() as u32,
            asks: self.yes(),
            has_ended: self.yes(),
            arguments: self.yes().then_some((arguments, rounds)),
        }
    }

    /// A frame of the kind with this number.
    fn frame(&mut self, kind: u64) -> Frame {
        match kind {
            0 => {
                let len = self.small(SYNC_DATA as u64 + 1) as usize;
                let bytes: Vec<u8> = (0..len).map(|_| self.next() as u8).collect();
                // SAFETY: there is room for so many bytes.
                let data = unsafe { ShortData::filled(len, |to| RawBuf::of(&bytes).copy_to(to)) };
                Frame::EagerSync {
                    envelope: self.envelope(),
                    request: self.send(),
                    data,
                }
            }
            1 => Frame::Rendezvous {
                envelope: self.envelope(),
                offer: Offer {
                    len: self.next() as usize,
                    request: self.send(),
                    region: self.yes().then(|| self.region()),
                },
            },
            2 => Frame::Clear {
                send: self.send(),
                receive: self.receive(),
                wanted: self.next(),
                is_unpacked: self.yes(),
            },
            3 => Frame::Help(Help {
                send: self.send(),
                receive: self.receive(),
                address: self.next(),
                claim: self.next() as u32,
                turn: self.next() as u32,
                len: self.next(),
            }),
            4 => Frame::Data {
                receive: self.receive(),
                offset: self.next(),
            },
            5 => Frame::Finished { send: self.send() },
            6 => Frame::Helped {
                receive: self.receive(),
            },
            7 => Frame::Returned {
                receive: self.receive(),
                piece: self.next(),
            },
            8 => Frame::Credit { hold: self.yes() },
            9 => Frame::Cancel { send: self.send() },
            10 => Frame::Cancelled {
                send: self.send(),
                is_back: self.yes(),
            },
            _ => Frame::Call(self.news()),
        }
    }
}

const KINDS: u64 = 12;

/// A frame in words, of which two are equal if the frames are.
fn shown(frame: &Frame) -> String {
    let region = |region: &Region| (region.addr, region.key[..region.key_len.into()].to_vec());
    match frame {
        Frame::EagerSync {
            envelope,
            request,
            data,
        } => format!("sync {envelope:?} {request:?} {:?}", data.as_slice()),
        Frame::Rendezvous { envelope, offer } => format!(
            "rendezvous {envelope:?} {} {:?} {:?}",
            offer.len,
            offer.request,
            offer.region.as_ref().map(region)
        ),
        Frame::Clear {
            send,
            receive,
            wanted,
            is_unpacked,
        } => format!("clear {send:?} {receive:?} {wanted} {is_unpacked}"),
        Frame::Help(help) => format!("{help:?}"),
        Frame::Data { receive, offset } => format!("data {receive:?} {offset}"),
        Frame::Finished { send } => format!("finished {send:?}"),
        Frame::Helped { receive } => format!("helped {receive:?}"),
        Frame::Returned { receive, piece } => format!("returned {receive:?} {piece}"),
        Frame::Credit { hold } => format!("credit {hold}"),
        Frame::Cancel { send } => format!("cancel {send:?}"),
        Frame::Cancelled { send, is_back } => format!("cancelled {send:?} {is_back}"),
        Frame::Call(news) => format!("{news:?}"),
    }
}

#[test]
fn every_frame_survives_its_way() {
    for seed in Seeds::new("every_frame_survives_its_way", 300) {
        let mut numbers = Numbers(seed);
        for kind in 0..KINDS {
            let frame = numbers.frame(kind);
            let sent = frame.encode();
            // Over a wire the header is bytes.
            let header = Header::from_bytes(&sent.header.to_bytes());
            // SAFETY: the body is alive.
            let arrived = unsafe { Frame::decode(&header, sent.body.control()) };
            let arrived = arrived.expect("what was encoded is a frame");
            assert_eq!(shown(&arrived), shown(&frame));
        }
    }
}

#[test]
fn nonsense_is_no_frame_and_harms_nobody() {
    for seed in Seeds::new("nonsense_is_no_frame_and_harms_nobody", 2000) {
        let mut numbers = Numbers(seed);
        // Bytes at random hardly ever are a frame: a kind that there is, few flags, a length near a
        // right one.
        let mut bytes = vec![0u8; Header::BYTES + numbers.small(CONTROL as u64 + 8) as usize];
        bytes.fill_with(|| numbers.next() as u8);
        bytes[0] = numbers.small(12) as u8;
        bytes[1] = numbers.small(5) as u8;
        if numbers.yes() {
            bytes[9..16].fill(0);
            bytes[8] = numbers.small(3) as u8;
        }
        fuzz_frame(&bytes);
    }
}

#[test]
fn bodies_of_a_wrong_length_are_no_frames() {
    let mut numbers = Numbers(1);
    for kind in [0, 1, 3, 11] {
        let sent = match kind {
            11 => Frame::Call(CallNews {
                arguments: Some((
                    Arguments {
                        function: Function::Barrier,
                        root: 0,
                        width: 0,
                        bytes: 0,
                        commutative: false,
                    },
                    Rounds::default(),
                )),
                ..numbers.news()
            }),
            kind => numbers.frame(kind),
        }
        .encode();
        let body = sent.body.control();
        let shorter = match kind {
            0 => 0..SYNC_HEAD,
            // Without arguments a call is told, too.
            11 => 1..body.len,
            _ => 0..body.len,
        };
        for len in shorter {
            // SAFETY: a part of a body that is alive.
            let arrived = unsafe { Frame::decode(&sent.header, body.part(0, len)) };
            assert!(arrived.is_none(), "{len} bytes of {}", body.len);
        }
    }
    let long = [0; CONTROL + 1];
    let header = Frame::Credit { hold: true }.encode().header;
    // SAFETY: a slice is readable.
    assert!(unsafe { Frame::decode(&header, RawBuf::of(&long)) }.is_none());
}
