//! What ranks publish of themselves: with whom each shares memory, and how a network reaches it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferrite_fabric::{Bootstrap, Job};

/// The launcher, as networks see it: their part of the cards alone.
pub(in crate::engine) struct NetworkCards(pub(in crate::engine) Arc<dyn Bootstrap>);

/// The card of a rank: the first of those that it shares memory with, a colon, and the network's part.
pub(in crate::engine) fn card(job: &Job, network: &str) -> String {
    let first = job.local.first().unwrap_or(&job.rank);
    format!("{first}:{network}")
}

fn split(card: &str) -> Result<(u32, &str), String> {
    card.split_once(':')
        .and_then(|(first, network)| Some((first.parse().ok()?, network)))
        .ok_or_else(|| format!("the card {card:?} is none of this version of Ferrite"))
}

impl Bootstrap for NetworkCards {
    fn publish(&self, card: &str) -> Result<(), String> {
        self.0.publish(card)
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        match self.0.fetch(rank)? {
            Some(card) => Ok(Some(split(&card)?.1.to_owned())),
            None => Ok(None),
        }
    }

    fn finalized(&self) {
        self.0.finalized();
    }

    fn abort(&self, code: i32, message: &str) -> ! {
        self.0.abort(code, message)
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        self.0.lost(rank, reason)
    }
}

/// A table of which ranks reach each other by what. Waits until all have published.
pub(in crate::engine) fn table(
    job: &Job,
    bootstrap: &dyn Bootstrap,
    network: Option<&str>,
) -> Result<String, String> {
    /// Between two questions for a card that is not there yet.
    const PAUSE: Duration = Duration::from_millis(5);
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for rank in 0..job.size {
        let first = loop {
            match bootstrap.fetch(rank)? {
                Some(card) => break split(&card)?.0,
                None => std::thread::sleep(PAUSE),
            }
        };
        groups.entry(first).or_default().push(rank);
    }
    Ok(draw(&groups, network))
}

fn draw(groups: &BTreeMap<u32, Vec<u32>>, network: Option<&str>) -> String {
    let mut lines = vec![String::from(
        "ferrite: which ranks reach each other by what",
    )];
    for ranks in groups.values().filter(|ranks| ranks.len() > 1) {
        lines.push(format!("  among {:<24} shm", ranges(ranks)));
    }
    if let Some(network) = network {
        let what = if groups.values().all(|ranks| ranks.len() == 1) {
            "all"
        } else {
            "all others"
        };
        lines.push(format!("  {what:<30} {network}"));
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
    fn a_card_has_two_parts() {
        assert_eq!(split("4:1,h,s,[::1]:5"), Ok((4, "1,h,s,[::1]:5")));
        assert_eq!(split("4:"), Ok((4, "")));
        assert!(split("").is_err() && split("1,h").is_err());
    }

    #[test]
    fn a_table_names_groups() {
        let groups = [(0, vec![0, 1, 2, 7]), (3, vec![3]), (4, vec![4, 5])].into();
        let table = draw(&groups, Some("tcp"));
        let lines: Vec<Vec<&str>> = table
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["among", "0-2,7", "shm"]);
        assert_eq!(lines[1], ["among", "4-5", "shm"]);
        assert_eq!(lines[2], ["all", "others", "tcp"]);
        let alone = draw(&[(0, vec![0]), (1, vec![1])].into(), Some("tcp"));
        assert!(alone.contains("  all  ") && !alone.contains("shm"));
    }
}
