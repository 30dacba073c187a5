//! How the ranks of a node come by one memory file when no common parent has opened it for them.
//!
//! The lowest rank, the leader, makes the file and publishes an [`Offer`]: how to find it and how
//! to know it. The others try in this order: an abstract Unix socket, which is there in the
//! leader's network namespace; the leader's entry in /proc, where process ids mean the same and
//! access is granted; a Unix socket in a folder that both see. All three lead to the same file.
//!
//! Nothing is taken on trust. Who knocks at a socket ([`Door`]) shows a word that stands in the
//! launcher's store, and is answered with another one: a stranger can neither get the file nor hand
//! out one of its own. And the file must have the inode number of the offer and the name with 128
//! random bits that the leader has given it, so that a process id, a path or a number that means
//! something else in another namespace leads nowhere.
//!
//! A socket in a folder is made only when the leader sees that a rank needs it, and is removed
//! before start-up ends.

use super::place::Place;
use crate::sys::{self, Name};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a rank waits for what is sure to come: a connection's answer from a leader that may be
/// swapped out.
pub(super) const SURE: Duration = Duration::from_secs(20);

/// How long a rank waits for a socket to appear in a folder that the leader sees too. It makes one
/// at once.
const APPEARS: Duration = Duration::from_secs(5);

/// How long the leader waits for ranks that see its abstract socket, before it leaves the node's
/// verdict to what they say themselves.
const KNOCKS: Duration = Duration::from_secs(5);

/// Connections that have not shown the word, at most. The oldest goes first.
const STRANGERS: usize = 128;

/// What a rank sends to the door: the word, and its rank.
const KNOCK: usize = 16 + 4;

/// A way to the leader's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A socket in the network namespace.
    Abstract,
    /// The leader's descriptor, through /proc.
    Process,
    /// A socket in a folder.
    Folder,
}

/// All of them, the most certain first.
pub(super) const WAYS: [Way; 3] = [Way::Abstract, Way::Process, Way::Folder];

/// Where the leader's file is, and how to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Names the file and the sockets.
    name: [u8; 16],
    /// What a rank shows at the door.
    knock: [u8; 16],
    /// What the door answers.
    answer: [u8; 16],
    /// The leader.
    pid: u32,
    /// Its descriptor.
    number: i32,
    /// Device and inode number of the file.
    file: (u64, u64),
}

impl Offer {
    /// As text without spaces, `;` and `=`.
    pub(super) fn format(&self) -> String {
        format!(
            "{}/{}/{}/{}/{}/{}/{}",
            hex(&self.name),
            hex(&self.knock),
            hex(&self.answer),
            self.pid,
            self.number,
            self.file.0,
            self.file.1
        )
    }

    /// The inverse of [`Offer::format`].
    pub(super) fn parse(text: &str) -> Option<Offer> {
        let fields: Vec<&str> = text.split('/').collect();
        let [name, knock, answer, pid, number, device, inode] = fields[..] else {
            return None;
        };
        Some(Offer {
            name: unhex(name)?,
            knock: unhex(knock)?,
            answer: unhex(answer)?,
            pid: pid.parse().ok()?,
            number: number.parse().ok()?,
            file: (device.parse().ok()?, inode.parse().ok()?),
        })
    }

    fn called(&self) -> String {
        format!("ferrite-{}", hex(&self.name))
    }

    fn socket_in(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.socket", self.called()))
    }

    /// Whether a descriptor is the offered file. `proven`: it came from who knows the word.
    fn is(&self, file: &OwnedFd, proven: bool) -> bool {
        sys::identity(file).is_ok_and(|identity| identity == self.file)
            && sys::is_memory_file(file, &self.called()).unwrap_or(proven)
    }

    /// Gets the file for `rank`, whose place is `own` and whose leader's is `theirs`. `None`: no
    /// way leads there.
    pub(super) fn take(
        &self,
        ways: &[Way],
        rank: u32,
        own: &Place,
        theirs: &Place,
    ) -> Option<OwnedFd> {
        ways.iter().find_map(|way| match way {
            Way::Abstract => {
                let until = Instant::now() + SURE;
                let door = sys::connect(&Name::Abstract(self.called()), until).ok()?;
                self.knock(&door, rank, until)
            }
            Way::Process if own.same_pids(theirs) => {
                let file = sys::open_memory_file_of(self.pid, self.number, &self.called())?;
                self.is(&file, false).then_some(file)
            }
            // A leader in the same network namespace makes no socket in a folder.
            Way::Folder if !own.same_network(theirs) => {
                let folder = own.common_folder(theirs)?;
                let until = Instant::now() + APPEARS;
                let door = connect_when_there(&Name::Path(self.socket_in(&folder)), until)?;
                self.knock(&door, rank, Instant::now() + SURE)
            }
            _ => None,
        })
    }

    fn knock(&self, door: &OwnedFd, rank: u32, until: Instant) -> Option<OwnedFd> {
        let mut words = [0; KNOCK];
        words[..16].copy_from_slice(&self.knock);
        words[16..].copy_from_slice(&rank.to_le_bytes());
        sys::send_all(door, &words).ok()?;
        let mut answer = [0; 16];
        let file = sys::receive_exactly(door, &mut answer, until).ok()??;
        let right = answer == self.answer && self.is(&file, true);
        // A leader that does not hear it learns it from the launcher's store.
        let _ = sys::send_all(door, &[u8::from(right)]);
        right.then_some(file)
    }
}

fn connect_when_there(name: &Name, until: Instant) -> Option<OwnedFd> {
    const AGAIN: Duration = Duration::from_millis(2);
    loop {
        match sys::connect(name, until) {
            Ok(door) => return Some(door),
            Err(e) => match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                    if Instant::now() < until =>
                {
                    std::thread::sleep(AGAIN);
                }
                _ => return None,
            },
        }
    }
}

/// The leader's side: the file, and the sockets at which it is handed out.
pub(super) struct Door {
    offer: Offer,
    file: OwnedFd,
    listeners: Vec<OwnedFd>,
    paths: Paths,
    visitors: Vec<Visitor>,
    /// Ranks that have said that they hold the file, and ranks that have said that it is not the
    /// right one.
    heard: Vec<(u32, bool)>,
}

struct Visitor {
    socket: OwnedFd,
    said: Vec<u8>,
    /// The rank that has shown the word and got the file.
    rank: Option<u32>,
}

impl Door {
    /// Makes the file and opens the door in the network namespace, if that is possible, for so many
    /// ranks.
    pub(super) fn open(ranks: usize) -> io::Result<Door> {
        let name: [u8; 16] = sys::random()?;
        let file = sys::memory_file(&format!("ferrite-{}", hex(&name)));
        let file = file.map_err(io::Error::other)?;
        let offer = Offer {
            name,
            knock: sys::random()?,
            answer: sys::random()?,
            pid: std::process::id(),
            number: file.as_raw_fd(),
            file: sys::identity(&file)?,
        };
        let backlog = backlog(ranks);
        let listener = sys::listen(&Name::Abstract(offer.called()), backlog).ok();
        Ok(Door {
            offer,
            file,
            listeners: listener.into_iter().collect(),
            paths: Paths(Vec::new()),
            visitors: Vec::new(),
            heard: Vec::new(),
        })
    }

    /// What to publish.
    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Opens it in this folder too, for ranks in other network namespaces.
    pub(super) fn open_in(&mut self, folder: &Path, ranks: usize) -> io::Result<()> {
        let path = self.offer.socket_in(folder);
        if !self.paths.0.contains(&path) {
            let listener = sys::listen(&Name::Path(path.clone()), backlog(ranks))?;
            self.listeners.push(listener);
            self.paths.0.push(path);
        }
        Ok(())
    }

    /// Serves until all of `expected` have taken the file or declined it, or have had the time for
    /// it.
    pub(super) fn serve_ranks(&mut self, expected: &[u32]) {
        let until = Instant::now() + KNOCKS;
        while !expected
            .iter()
            .all(|rank| self.heard.iter().any(|(heard, _)| heard == rank))
            && Instant::now() < until
        {
            sys::wait_for_any(self.sockets(), until);
            self.serve();
        }
    }

    /// Serves until a socket that is none of the door's has something to read, or will never have.
    /// `false`: the time is up.
    pub(super) fn serve_until_readable(&mut self, socket: &OwnedFd, until: Instant) -> bool {
        loop {
            if sys::readable_within(socket, Duration::ZERO).unwrap_or(true) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            sys::wait_for_any(self.sockets().chain([socket]), until);
            self.serve();
        }
    }

    /// Ranks that hold the file, as far as the door has heard.
    pub(super) fn served(&self) -> Vec<u32> {
        let mut ranks: Vec<u32> = self
            .heard
            .iter()
            .filter_map(|&(rank, holds)| holds.then_some(rank))
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// Closes the door, keeps the file.
    pub(super) fn close(self) -> OwnedFd {
        self.file
    }

    fn sockets(&self) -> impl Iterator<Item = &OwnedFd> {
        let visitors = self.visitors.iter().map(|visitor| &visitor.socket);
        self.listeners.iter().chain(visitors)
    }

    fn serve(&mut self) {
        for listener in &self.listeners {
            while let Some(socket) = sys::accept(listener) {
                self.visitors.push(Visitor {
                    socket,
                    said: Vec::new(),
                    rank: None,
                });
            }
        }
        let mut visitors = std::mem::take(&mut self.visitors);
        visitors.retain_mut(|visitor| self.attend(visitor));
        let strangers = visitors.iter().filter(|v| v.rank.is_none()).count();
        let mut surplus = strangers.saturating_sub(STRANGERS);
        visitors.retain(|visitor| {
            let dismissed = visitor.rank.is_none() && surplus > 0;
            surplus -= usize::from(dismissed);
            !dismissed
        });
        self.visitors = visitors;
    }

    /// Returns whether more is to be expected.
    fn attend(&mut self, visitor: &mut Visitor) -> bool {
        loop {
            let mut bytes = [0; KNOCK + 1];
            let count = match sys::receive(&visitor.socket, &mut bytes) {
                Ok((count, _)) if count > 0 => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                _ => return false,
            };
            visitor.said.extend_from_slice(&bytes[..count]);
            if let Some(rank) = visitor.rank {
                self.heard.push((rank, visitor.said.last() == Some(&1)));
                return false;
            }
            if visitor.said.len() >= KNOCK {
                let (word, rank) = visitor.said.split_at(16);
                if word != self.offer.knock {
                    return false;
                }
                let rank = u32::from_le_bytes(rank[..4].try_into().expect("four bytes"));
                if !sys::send_with(&visitor.socket, &self.offer.answer, &self.file) {
                    return false;
                }
                visitor.rank = Some(rank);
            }
        }
    }
}

/// Sockets in folders, removed when this is dropped.
struct Paths(Vec<PathBuf>);

impl Drop for Paths {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn backlog(ranks: usize) -> i32 {
    i32::try_from(ranks + STRANGERS).unwrap_or(i32::MAX)
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inverse of [`hex`].
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (number, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * number..2 * number + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn knock(offer: &Offer, rank: u32) -> Option<OwnedFd> {
        let until = Instant::now() + SURE;
        let door = sys::connect(&Name::Abstract(offer.called()), until).unwrap();
        offer.knock(&door, rank, until)
    }

    #[test]
    fn text_and_back() {
        let offer = Door::open(1).unwrap().offer.clone();
        let text = offer.format();
        assert_eq!(Offer::parse(&text), Some(offer));
        for bad in [
            "",
            &text[1..],
            &format!("{text}/1"),
            &text.replace('/', ","),
        ] {
            assert_eq!(Offer::parse(bad), None, "{bad}");
        }
        assert_eq!(unhex::<2>("\u{fc}ff"), None);
        assert_eq!(unhex::<2>("+fff"), None);
        assert_eq!(unhex(&hex(&[0, 255, 16])), Some([0, 255, 16]));
    }

    #[test]
    fn strangers_get_nothing_and_keep_nobody_out() {
        let mut door = Door::open(1).unwrap();
        let offer = door.offer().clone();
        let name = Name::Abstract(offer.called());
        let until = Instant::now() + SURE;
        let connect = || sys::connect(&name, until).unwrap();
        let serving = thread::spawn(move || {
            door.serve_ranks(&[3, 4]);
            (door.served(), door.visitors.len(), door.close())
        });
        // These stay without a word.
        let idle: Vec<OwnedFd> = (0..3 * STRANGERS).map(|_| connect()).collect();
        let guess = Offer {
            knock: offer.answer,
            ..offer.clone()
        };
        assert!(knock(&guess, 3).is_none());
        let half = connect();
        sys::send_all(&half, &offer.knock[..7]).unwrap();
        let mut answer = [0; 16];
        let soon = Instant::now() + Duration::from_millis(50);
        assert!(sys::receive_exactly(&half, &mut answer, soon).is_err());
        // One that takes the file and does not like it has been heard as well.
        let other = Offer {
            file: (offer.file.0, offer.file.1 + 1),
            ..offer.clone()
        };
        assert!(knock(&other, 4).is_none());
        let file = knock(&offer, 3).unwrap();
        let (served, visitors, ours) = serving.join().unwrap();
        assert_eq!(served, [3]);
        assert!(visitors <= STRANGERS, "{visitors}");
        assert_eq!(sys::identity(&file).unwrap(), sys::identity(&ours).unwrap());
        drop(idle);
        assert!(sys::connect(&name, until).is_err(), "the door is closed");
    }

    #[test]
    fn who_does_not_know_the_answer_hands_out_nothing() {
        let real = Door::open(1).unwrap();
        let offer = real.offer().clone();
        // Somebody who has heard the word of a rank, and has a file of their own or even the right
        // one.
        for (answer, file) in [
            ([7; 16], sys::memory_file(&offer.called()).unwrap()),
            ([7; 16], real.file.try_clone().unwrap()),
            (offer.answer, sys::memory_file(&offer.called()).unwrap()),
            (
                offer.answer,
                std::fs::File::open("/dev/null").unwrap().into(),
            ),
        ] {
            let name = Name::Abstract(format!("{}-fake", offer.called()));
            let listener = sys::listen(&name, 8).unwrap();
            let until = Instant::now() + SURE;
            let socket = sys::connect(&name, until).unwrap();
            let theirs = sys::accept(&listener).unwrap();
            assert!(sys::send_with(&theirs, &answer, &file));
            assert!(offer.knock(&socket, 0, until).is_none());
        }
    }

    #[test]
    fn a_descriptor_of_another_process_is_looked_at_before_it_is_opened() {
        let door = Door::open(1).unwrap();
        let (offer, pid) = (door.offer(), std::process::id());
        let name = offer.called();
        assert!(sys::open_memory_file_of(pid, offer.number, &name).is_some());
        assert!(sys::open_memory_file_of(pid, offer.number, "ferrite-other").is_none());
        for number in (0..30).filter(|&number| number != offer.number) {
            assert!(sys::open_memory_file_of(pid, number, &name).is_none());
        }
        assert!(sys::open_memory_file_of(1, offer.number, &name).is_none());
        // A file with the same name that is another one.
        let twin = sys::memory_file(&name).unwrap();
        assert!(offer.is(&door.file, false));
        assert!(!offer.is(&twin, true));
    }
}
