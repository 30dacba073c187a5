//! What a process has open: listening sockets, descriptors, memory.

use rustix::process::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The TCP addresses at which a process listens.
pub fn listening(pid: Pid) -> BTreeSet<SocketAddr> {
    let sockets: BTreeSet<String> = descriptors(pid)
        .into_iter()
        .filter_map(|target| {
            Some(
                target
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    ["tcp", "tcp6"]
        .into_iter()
        .flat_map(|table| {
            read(pid, &format!("net/{table}"))
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            (*state == "0A" && sockets.contains(*inode)).then(|| address(local))?
        })
        .collect()
}

/// What the descriptors of a process stand for, as the system names it.
pub fn descriptors(pid: Pid) -> Vec<String> {
    let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            Some(
                fs::read_link(entry.path())
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        .collect()
}

/// The memory files that are mapped into a process to be shared with others.
pub fn memory_files(pid: Pid) -> Vec<String> {
    let maps = read(pid, "maps");
    let access = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let is_shared = |line: &str| access(line).is_some_and(|access| access.ends_with('s'));
    let files = maps
        .lines()
        .filter(|line| line.contains("/memfd:") && is_shared(line));
    files.map(str::to_owned).collect()
}

/// The memory of a process, in kB.
pub fn resident(pid: Pid) -> u64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn read(pid: Pid, name: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{name}", pid.as_raw_nonzero())).unwrap_or_default()
}

/// `0100007F:1F90`: words of 32 bits in the machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = host
        .as_bytes()
        .chunks(8)
        .map(|word| {
            Some(
                u32::from_str_radix(std::str::from_utf8(word).ok()?, 16)
                    .ok()?
                    .to_ne_bytes(),
            )
        })
        .collect();
    let bytes = words?.concat();
    let host = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).ok()?)),
    };
    Some(SocketAddr::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn listeners_of_this_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let own = listener.local_addr().expect("bound");
            let found = listening(rustix::process::getpid());
            assert!(found.contains(&own), "{own} is not among {found:?}");
        }
    }
}
