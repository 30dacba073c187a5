//! Which names and addresses are this machine's. Nobody is asked but the kernel: no name is looked
//! up.

use crate::sys;
use std::net::IpAddr;

/// This machine.
pub(crate) struct Here {
    name: String,
    addresses: Vec<IpAddr>,
}

impl Here {
    /// Asks the kernel.
    pub(crate) fn new() -> Here {
        let uname = rustix::system::uname();
        let interfaces = sys::interfaces().unwrap_or_default();
        Here {
            name: uname.nodename().to_string_lossy().into_owned(),
            addresses: interfaces.into_iter().map(|i| i.address).collect(),
        }
    }

    /// What this machine calls itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a host's name, as ssh would take it, is this machine.
    pub(crate) fn is(&self, host: &str) -> bool {
        // Another user there is another machine as far as files and rights are concerned.
        if host.contains('@') {
            return false;
        }
        let numeric = host.split('%').next().unwrap_or(host);
        if let Ok(address) = numeric.parse::<IpAddr>() {
            return address.is_loopback() || self.addresses.contains(&address);
        }
        host.eq_ignore_ascii_case("localhost") || same(host, &self.name)
    }
}

/// Whether two names are one host's: equal, or one of them without its domain.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches('.'), b.trim_end_matches('.'));
    let (short_a, short_b) = (first_label(a), first_label(b));
    let one_is_short = a == short_a || b == short_b;
    !a.is_empty()
        && (a.eq_ignore_ascii_case(b) || (one_is_short && short_a.eq_ignore_ascii_case(short_b)))
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let here = Here {
            name: "n7.cluster.example".into(),
            addresses: vec!["10.1.2.3".parse().unwrap(), "fe80::7".parse().unwrap()],
        };
        for mine in [
            "localhost",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "n7",
            "N7.cluster.example.",
            "10.1.2.3",
            "fe80::7%eth0",
        ] {
            assert!(here.is(mine), "{mine}");
        }
        for other in [
            "n8",
            "n7.other.example",
            "10.1.2.4",
            "me@n7",
            "n7x",
            "",
            ".",
        ] {
            assert!(!here.is(other), "{other}");
        }
    }

    #[test]
    fn this_machine_is_itself() {
        let here = Here::new();
        assert!(here.is(here.name()));
    }
}
