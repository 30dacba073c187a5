//! Which interfaces of this host are used.

use std::net::IpAddr;

use crate::sys::Interface;

/// Reduces the interfaces that are up to those that `choice` names (`FERRITE_NETWORK`: names or
/// `address/bits`, separated by commas); an empty choice leaves all. Addresses of which others
/// could make nothing are left out. The error says what there is.
pub(crate) fn choose(mut up: Vec<Interface>, choice: &str) -> Result<Vec<Interface>, String> {
    // A link-local address means nothing without an interface of the host that uses it.
    up.retain(|interface| !is_link_local(&interface.address));
    if choice.trim().is_empty() {
        return Ok(up);
    }
    let mut chosen: Vec<Interface> = Vec::new();
    for word in choice
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let wanted = Wanted::parse(word)?;
        for interface in &up {
            if wanted.takes(interface) && !chosen.contains(interface) {
                chosen.push(interface.clone());
            }
        }
        // One that this host does not have may be for other hosts.
    }
    if chosen.is_empty() {
        return Err(format!(
            "FERRITE_NETWORK={choice} leaves no interface of this host; there are {}",
            list(&up)
        ));
    }
    Ok(chosen)
}

fn list(interfaces: &[Interface]) -> String {
    let words: Vec<String> = interfaces
        .iter()
        .map(|interface| format!("{} ({})", interface.name, interface.address))
        .collect();
    if words.is_empty() {
        return String::from("none that are up");
    }
    words.join(", ")
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

enum Wanted {
    Name(String),
    Net(IpAddr, u32),
}

impl Wanted {
    fn parse(word: &str) -> Result<Wanted, String> {
        let (address, bits) = match word.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (word, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return match bits {
                None => Ok(Wanted::Name(word.into())),
                Some(_) => Err(format!("FERRITE_NETWORK: {word} is no address/bits")),
            };
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => Some(most),
            // A mask, as in 10.0.0.0/255.0.0.0.
            Some(bits) if bits.contains('.') => bits.parse().ok().and_then(prefix_of_mask),
            Some(bits) => bits.parse().ok(),
        };
        match bits.filter(|&bits| bits <= most) {
            Some(bits) => Ok(Wanted::Net(address, bits)),
            None => Err(format!(
                "FERRITE_NETWORK: {word}: expected 0 to {most} bits, or a mask"
            )),
        }
    }

    fn takes(&self, interface: &Interface) -> bool {
        match self {
            Wanted::Name(name) => interface.name == *name,
            Wanted::Net(net, bits) => match (net, interface.address) {
                (IpAddr::V4(net), IpAddr::V4(address)) => {
                    (u32::from(*net) ^ u32::from(address)).leading_zeros() >= *bits
                }
                (IpAddr::V6(net), IpAddr::V6(address)) => {
                    (u128::from(*net) ^ u128::from(address)).leading_zeros() >= *bits
                }
                _ => false,
            },
        }
    }
}

fn prefix_of_mask(mask: std::net::Ipv4Addr) -> Option<u32> {
    let mask = u32::from(mask);
    (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some(mask.leading_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Vec<Interface> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "10.1.2.3"),
            ("eth0", "fd00::3"),
            ("eth0", "fe80::3"),
            ("docker0", "172.17.0.1"),
        ]
        .map(|(name, address)| Interface {
            name: name.into(),
            address: address.parse().unwrap(),
            is_loopback: name == "lo",
        })
        .into()
    }

    fn chosen(choice: &str) -> Vec<String> {
        let chosen = choose(up(), choice).unwrap();
        chosen.iter().map(|i| i.address.to_string()).collect()
    }

    #[test]
    fn names_and_nets() {
        assert_eq!(chosen("").len(), 5);
        assert_eq!(chosen("eth0"), ["10.1.2.3", "fd00::3"]);
        assert_eq!(chosen("10.0.0.0/8"), ["10.1.2.3"]);
        assert_eq!(chosen("10.0.0.0/255.0.0.0"), ["10.1.2.3"]);
        assert_eq!(chosen("fd00::/16, docker0"), ["fd00::3", "172.17.0.1"]);
        assert_eq!(chosen("10.1.2.3"), ["10.1.2.3"]);
        assert_eq!(chosen("0.0.0.0/0").len(), 3);
        // Another host's.
        assert_eq!(chosen("ib0,docker0"), ["172.17.0.1"]);
    }

    #[test]
    fn a_choice_that_leaves_nothing_says_what_there_is() {
        let error = choose(up(), "eth1").unwrap_err();
        assert!(error.contains("eth0 (10.1.2.3)"), "{error}");
        for wrong in [
            "10.0.0.0/33",
            "eth0/8",
            "10.0.0.0/255.0.255.0",
            "10.0.0.0/x",
        ] {
            let error = choose(up(), wrong).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
