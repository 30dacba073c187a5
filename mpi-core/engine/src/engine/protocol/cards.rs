//! What ranks publish of themselves: with whom each shares memory, and how each of its networks
//! reaches it.
//!
//! A card is `FIRST:NAME@CARD|NAME@CARD`: the first of those that the rank shares memory with, and
//! each network by name with its own card, the best first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferrite_fabric::{Bootstrap, Job, MAX_CARD};

use super::transports::Joined;

/// The launcher, as one network sees it: its part of the cards alone.
pub(in crate::engine) struct NetworkCards {
    pub(in crate::engine) bootstrap: Arc<dyn Bootstrap>,
    pub(in crate::engine) network: &'static str,
}

/// How long the card of each of so many networks may be, in bytes.
pub(in crate::engine) fn room_for_cards(networks: usize) -> usize {
    /// A rank and a colon.
    const FIRST: usize = 11;
    /// A network's name with what stands around it.
    const NAME: usize = 16;
    (MAX_CARD - FIRST) / networks.max(1) - NAME
}

/// The card of this rank. The error is a sentence.
pub(in crate::engine) fn card(job: &Job, networks: &[Joined]) -> Result<String, String> {
    let first = job.local.first().unwrap_or(&job.rank);
    let parts = networks.iter().map(|joined| {
        let (name, card) = (joined.name, joined.network.card());
        format!("{name}@{card}")
    });
    let card = format!("{first}:{}", parts.collect::<Vec<_>>().join("|"));
    match card.len() <= MAX_CARD {
        true => Ok(card),
        false => Err(format!(
            "rank {} has too many addresses: they take {} bytes, at most {MAX_CARD} can be \
             published. Choose interfaces with \
             FERRITE_NETWORK, or networks with FERRITE_TRANSPORT",
            job.rank,
            card.len()
        )),
    }
}

/// A card in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Card<'a> {
    /// The first of those that the rank shares memory with.
    first: u32,
    /// Networks by name, with their cards.
    networks: Vec<(&'a str, &'a str)>,
}

fn split(card: &str) -> Result<Card<'_>, String> {
    let parts = || {
        let (first, networks) = card.split_once(':')?;
        let parts = networks.split('|').filter(|part| !part.is_empty());
        Some(Card {
            first: first.parse().ok()?,
            networks: parts
                .map(|part| part.split_once('@'))
                .collect::<Option<_>>()?,
        })
    };
    parts().ok_or_else(|| format!("the card {card:?} is none of this version of Ferrite"))
}

/// The network that two processes use: the first on the lower rank's card that both have. `own` are
/// the names of this process's networks, `card` is what the other one, `peer`, has published. The
/// error is a sentence.
pub(in crate::engine) fn common<'a>(
    (rank, own): (u32, &[&'a str]),
    (peer, card): (u32, &str),
) -> Result<&'a str, String> {
    let theirs: Vec<&str> = split(card)?
        .networks
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mut candidates = own.iter().filter(|name| theirs.contains(name));
    let found = match rank < peer {
        true => candidates.next().copied(),
        false => {
            let place = |name: &&&str| theirs.iter().position(|theirs| theirs == *name);
            candidates.min_by_key(place).copied()
        }
    };
    found.ok_or_else(|| no_common(rank, own, peer, &theirs))
}

fn no_common(rank: u32, own: &[&str], peer: u32, theirs: &[&str]) -> String {
    let shown = |names: &[&str]| match names.is_empty() {
        true => String::from("none"),
        false => names.join(", "),
    };
    format!(
        "rank {rank} and rank {peer} share no memory, and no network joins both: rank {rank} has \
         {}, rank {peer} has {}. \
         FERRITE_TRANSPORT must allow one that both have, and mpiexec --doctor tells what each \
         host lacks",
        shown(own),
        shown(theirs)
    )
}

impl Bootstrap for NetworkCards {
    fn publish(&self, card: &str) -> Result<(), String> {
        self.bootstrap.publish(card)
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        let Some(card) = self.bootstrap.fetch(rank)? else {
            return Ok(None);
        };
        let all = split(&card)?.networks;
        match all.iter().find(|(name, _)| *name == self.network) {
            Some((_, card)) => Ok(Some((*card).to_owned())),
            None => {
                let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "rank {rank} has not joined {}, but {}",
                    self.network,
                    match names.is_empty() {
                        true => String::from("no network"),
                        false => names.join(", "),
                    }
                ))
            }
        }
    }

    fn finalized(&self) {
        self.bootstrap.finalized();
    }

    fn abort(&self, code: i32, message: &str) -> ! {
        self.bootstrap.abort(code, message)
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        self.bootstrap.lost(rank, reason)
    }
}

/// What a rank has published, once it has. Waits for it. The error is a sentence.
pub(super) fn wait_for(bootstrap: &dyn Bootstrap, rank: u32) -> Result<String, String> {
    /// Between two questions for a card that is not there yet.
    const PAUSE: Duration = Duration::from_millis(5);
    loop {
        match bootstrap.fetch(rank)? {
            Some(card) => return Ok(card),
            None => std::thread::sleep(PAUSE),
        }
    }
}

/// A table of which ranks reach each other by what. Waits until all have published.
pub(in crate::engine) fn table(job: &Job, bootstrap: &dyn Bootstrap) -> Result<String, String> {
    let mut cards = Vec::new();
    for rank in 0..job.size {
        cards.push(wait_for(bootstrap, rank)?);
    }
    let cards: Result<Vec<Card<'_>>, String> = cards.iter().map(|card| split(card)).collect();
    Ok(draw(&cards?))
}

/// The table of ranks with these cards, in their order.
fn draw(cards: &[Card<'_>]) -> String {
    let mut memory: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (rank, card) in (0..).zip(cards) {
        memory.entry(card.first).or_default().push(rank);
    }
    let mut lines = vec![String::from(
        "ferrite: which ranks reach each other by what",
    )];
    for ranks in memory.values().filter(|ranks| ranks.len() > 1) {
        lines.push(format!("  among {:<24} shm", ranges(ranks)));
    }
    let is_apart = memory.len() > 1;
    let names = |card: &Card<'_>| -> Vec<String> {
        let networks = card.networks.iter();
        networks.map(|(name, _)| (*name).to_owned()).collect()
    };
    let mut networks: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
    for (rank, card) in (0..).zip(cards).filter(|_| is_apart) {
        networks.entry(names(card)).or_default().push(rank);
    }
    let others = match memory.values().all(|ranks| ranks.len() == 1) {
        true => "all",
        false => "all others",
    };
    match networks.first_key_value() {
        Some((all, _)) if networks.len() == 1 => {
            // All pairs use the first.
            let first = all.first().map_or("nothing", String::as_str);
            lines.push(format!("  {others:<30} {first}"));
        }
        _ => {
            for (all, ranks) in &networks {
                let ranks = format!("with {}", ranges(ranks));
                lines.push(format!("  {ranks:<30} {}", all.join(" or ")));
            }
        }
    }
    lines.push(format!("  {:<30} self", "each with itself"));
    lines.join("\n")
}

/// Ascending ranks in short form: `0-3,7`.
fn ranges(ranks: &[u32]) -> String {
    let mut words: Vec<(u32, u32)> = Vec::new();
    for &rank in ranks {
        match words.last_mut() {
            Some((_, last)) if *last + 1 == rank => *last = rank,
            _ => words.push((rank, rank)),
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_its_parts() {
        let networks = vec![("tcp", "1,h,s,[::1]:5"), ("sim", "sim:4")];
        let card = Card { first: 4, networks };
        assert_eq!(split("4:tcp@1,h,s,[::1]:5|sim@sim:4"), Ok(card));
        assert_eq!(split("4:").unwrap().networks, []);
        assert!(split("").is_err() && split("1,h").is_err() && split("1:tcp").is_err());
    }

    #[test]
    fn both_ends_choose_the_same_network() {
        let kinds: [&[&str]; 5] = [&["a", "b"], &["b", "a"], &["b"], &["a"], &["c", "b", "a"]];
        for one in kinds {
            for other in kinds {
                let card = |names: &[&str]| {
                    let parts: Vec<String> = names.iter().map(|name| format!("{name}@x")).collect();
                    format!("0:{}", parts.join("|"))
                };
                let here = common((1, one), (2, &card(other)));
                let there = common((2, other), (1, &card(one)));
                assert_eq!(here.is_ok(), there.is_ok());
                if here.is_ok() {
                    assert_eq!(here, there, "{one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn without_a_common_network_both_are_named() {
        let why = common((3, &["a"]), (5, "5:b@x|c@y")).unwrap_err();
        for part in ["rank 3 has a", "rank 5 has b, c", "FERRITE_TRANSPORT"] {
            assert!(why.contains(part), "{why}");
        }
    }

    fn drawn(cards: &[&str]) -> Vec<Vec<String>> {
        let cards: Vec<Card<'_>> = cards.iter().map(|card| split(card).unwrap()).collect();
        let table = draw(&cards);
        let lines = table.lines().skip(1);
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn a_table_names_groups() {
        let tcp = [
            "0:tcp@a", "0:tcp@b", "0:tcp@c", "3:tcp@d", "4:tcp@e", "4:tcp@f", "6:tcp@", "0:tcp@h",
        ];
        let lines = drawn(&tcp);
        assert_eq!(lines[0], ["among", "0-2,7", "shm"]);
        assert_eq!(lines[1], ["among", "4-5", "shm"]);
        assert_eq!(lines[2], ["all", "others", "tcp"]);
        let alone = drawn(&["0:tcp@a", "1:tcp@b"]);
        assert_eq!(alone[0], ["all", "tcp"]);
        // Who has what, where it is not the same for all.
        let mixed = drawn(&["0:a@1|b@1", "1:b@1", "2:a@1|b@1"]);
        assert_eq!(mixed[0], ["with", "0,2", "a", "or", "b"]);
        assert_eq!(mixed[1], ["with", "1", "b"]);
        // All share memory: nothing else is used.
        assert_eq!(drawn(&["0:", "0:"]).len(), 2);
    }
}
