//! How a process tells others where it listens: one line of text.
//!
//! `1,HOST,NODE,ADDRESS:PORT,[ADDRESS]:PORT...`: version, host name for people, a text that is
//! equal for processes of one network stack, and the addresses. Loopback addresses are of use
//! within that stack only.

use std::net::SocketAddr;

/// A process's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// The host's name, for messages.
    pub(crate) host: String,
    /// Equal for processes that share a loopback interface.
    pub(crate) stack: String,
    /// Where it listens, the best first.
    pub(crate) addresses: Vec<SocketAddr>,
}

const VERSION: &str = "1";

impl Card {
    /// The text; addresses that exceed `most` bytes are left out.
    pub(crate) fn encode(&self, most: usize) -> String {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|c| c.is_ascii_graphic() && !matches!(c, ',' | ';' | '='))
                .take(64)
                .collect()
        };
        let mut text = format!("{VERSION},{},{}", plain(&self.host), plain(&self.stack));
        for address in &self.addresses {
            let address = format!(",{address}");
            if text.len() + address.len() > most {
                break;
            }
            text.push_str(&address);
        }
        text
    }

    /// The inverse. The error is the end of a sentence about the process.
    pub(crate) fn decode(text: &str) -> Result<Card, String> {
        if text.is_empty() {
            return Err("does not use TCP (is FERRITE_TRANSPORT the same for all ranks?)".into());
        }
        let mut parts = text.split(',');
        if parts.next() != Some(VERSION) {
            return Err(format!(
                "has published something else than its addresses: {text:?}"
            ));
        }
        let mut word = || parts.next().unwrap_or_default().to_owned();
        let (host, stack) = (word(), word());
        let addresses: Result<Vec<SocketAddr>, _> = parts.map(str::parse).collect();
        match addresses {
            Ok(addresses) if !addresses.is_empty() => Ok(Card {
                host,
                stack,
                addresses,
            }),
            Ok(_) => Err("has published no address".into()),
            Err(_) => Err(format!("has published addresses that are none: {text:?}")),
        }
    }

    /// The addresses at which a process with the stack `own` can try to reach this one, the best
    /// first.
    pub(crate) fn reachable_from(&self, own: &str) -> Vec<SocketAddr> {
        let same = self.stack == own;
        let mut addresses: Vec<SocketAddr> = self
            .addresses
            .iter()
            .filter(|address| same || !address.ip().is_loopback())
            .copied()
            .collect();
        addresses.sort_by_key(|address| (!address.ip().is_loopback(), address.is_ipv6()));
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Card {
        Card {
            host: "h1".into(),
            stack: "ab12".into(),
            addresses: ["10.0.0.1:4000", "[fd00::1]:4000", "127.0.0.1:4001"]
                .map(|text| text.parse().unwrap())
                .into(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = card().encode(800);
        assert_eq!(
            text,
            "1,h1,ab12,10.0.0.1:4000,[fd00::1]:4000,127.0.0.1:4001"
        );
        assert_eq!(Card::decode(&text), Ok(card()));
    }

    #[test]
    fn a_host_s_name_cannot_break_the_line() {
        let odd = Card {
            host: "a, b=c;\n\u{fc}".into(),
            ..card()
        };
        assert_eq!(Card::decode(&odd.encode(800)).unwrap().host, "abc");
    }

    #[test]
    fn addresses_are_cut_to_fit() {
        let text = card().encode(30);
        assert!(text.len() <= 30);
        assert_eq!(Card::decode(&text).unwrap().addresses.len(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, why) in [
            ("", "FERRITE_TRANSPORT"),
            ("2,h,s,1.2.3.4:5", "something else"),
            ("1,h,s", "no address"),
            ("1,h,s,1.2.3.4", "none"),
            ("1", "no address"),
        ] {
            let error = Card::decode(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn loopback_serves_one_stack_only() {
        let card = card();
        let best = |own| card.reachable_from(own)[0].to_string();
        assert_eq!(best("ab12"), "127.0.0.1:4001");
        assert_eq!(best("else"), "10.0.0.1:4000");
        assert_eq!(card.reachable_from("else").len(), 2);
    }
}
