//! Receives that are given back at random: their messages come again, to whom they would have come
//! had those receives never been posted.

use ferrite_fabric_testing::conformance::Random;

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, isend, pattern};
use crate::engine::Engine;
use crate::engine::requests::Mode;
use crate::status::{ANY_SOURCE, ANY_TAG};

const TAGS: usize = 3;
const LENGTHS: [usize; 5] = [0, 8, 1_000, 20_000, 300_000];

/// Tags and lengths, in the order in which each of two ranks sends to the other.
type Plan = Vec<(i32, usize)>;

pub(super) fn what_is_given_back_comes_again(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            let mut random = Random(over.seed() | 1);
            let mut draw = || (random.below(TAGS) as i32, over.len(random.choose(&LENGTHS)));
            let plan: Plan = (0..over.many(60)).map(|_| draw()).collect();
            let messages = plan.iter().enumerate();
            let messages: Vec<_> = messages.map(|(at, it)| pattern(it.1, at)).collect();
            let peer = 1 - e.comm_rank(WORLD).unwrap();
            let sends = plan.iter().zip(&messages);
            let sends: Vec<_> = sends
                .map(|((tag, len), it)| isend(e, mode(*len), it, peer, *tag))
                .collect();
            receive_all(e, &plan, &messages, random);
            for mut send in sends {
                e.wait(&mut send).unwrap();
            }
            e.meet(e.comms.world()).unwrap();
        });
    }
}

fn mode(len: usize) -> Mode {
    match len % 3 {
        0 => Mode::Synchronous,
        _ => Mode::Standard,
    }
}

fn receive_all(e: &Engine, plan: &Plan, messages: &[Vec<u8>], mut random: Random) {
    let peer = 1 - e.comm_rank(WORLD).unwrap();
    let mut left: Vec<usize> = (0..plan.len()).collect();
    let mut room = vec![0; plan.iter().map(|it| it.1).max().unwrap_or(0)];
    while !left.is_empty() {
        let tag = random.choose(&[ANY_TAG, 0, 1, 2]);
        let source = random.choose(&[ANY_SOURCE, peer]);
        let (to, len) = (room.as_mut_ptr(), room.len() as i64);
        // SAFETY: the room stays, and is as long, until the request is done or given back.
        let posted = unsafe { e.irecv_returnable(to, len, BYTE, source, tag, WORLD) };
        let mut request = posted.unwrap();
        let mut done = None;
        for _ in 0..random.below(4) {
            done = e.test(&mut request).unwrap();
            if done.is_some() {
                break;
            }
        }
        let Some(status) = done else {
            e.give_back(&mut request).unwrap();
            continue;
        };
        // With one receive at a time: the first message that it takes of those that have not come.
        let takes = |at: &&usize| tag == ANY_TAG || plan[**at].0 == tag;
        let expected = left.iter().find(takes).copied();
        let expected = expected.expect("there is one");
        left.retain(|at| *at != expected);
        let len = plan[expected].1;
        assert_eq!((status.tag, status.bytes), (plan[expected].0, len as i64));
        assert!(room[..len] == messages[expected], "message {expected}");
    }
}
