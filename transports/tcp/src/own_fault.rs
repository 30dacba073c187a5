//! What this process itself lacks, or was given wrongly by its program. No peer is to blame and no
//! waiting mends it, so that the job ends at once, with a sentence that says what to do.

use std::io;

use crate::handshake::Identity;
use crate::shared::Shared;
use crate::sys::{self, Lack};

/// What the program must mend when the system could not do `what`, such as "accept a connection";
/// `None`: that was no shortage.
pub(crate) fn shortage(e: &io::Error, what: &str, own: &Identity) -> Option<String> {
    let (cause, remedy) = match sys::lack(e)? {
        Lack::Descriptors => {
            let limit = sys::limit_of_descriptors();
            let limit = limit.map_or("unlimited".into(), |limit| limit.to_string());
            // One each, and those of calls that meet; what a program has open beside them.
            let enough = u64::from(own.size) * 2 + 64;
            let remedy = format!(
                "its hard limit is {limit}; with {} ranks let it be {enough} or more (ulimit -Hn, \
                 LimitNOFILE), or have the program close \
                 what it does not need",
                own.size
            );
            (
                "all descriptors that this process may have are in use",
                remedy,
            )
        }
        Lack::DescriptorsOfAll => (
            "the system has no descriptor left for anybody",
            "raise fs.file-max (sysctl), or end what holds them".into(),
        ),
        Lack::Watches => (
            "no more descriptors of this user may be waited for",
            "raise fs.epoll.max_user_watches (sysctl)".into(),
        ),
        Lack::Memory => (
            "the system has no memory left for it",
            "let fewer ranks run on this host, or raise its limit of memory".into(),
        ),
    };
    Some(format!("cannot {what}: {cause}. To mend it: {remedy}"))
}

/// Ends the job if the system refused memory that the program named for a message: with `EFAULT`,
/// where a processor would have raised SIGSEGV.
pub(crate) fn end_if_bad_memory(e: &io::Error, shared: &Shared, message: &str) {
    if sys::is_bad_memory(e) {
        shared.bootstrap.abort(
            1,
            &format!(
                "{message} names memory that this process does not have (EFAULT): its buffer is \
                 shorter than its count and datatype say, \
                 or was freed before the message was complete"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use ferrite_fabric::Secret;

    use super::*;

    fn said(code: i32) -> Option<String> {
        let own = Identity {
            job: [0; 16],
            secret: Secret([0; 32]),
            rank: 3,
            size: 100,
        };
        shortage(
            &io::Error::from_raw_os_error(code),
            "accept a connection",
            &own,
        )
    }

    #[test]
    fn the_limit_and_the_remedy_are_named() {
        let sentence = said(libc::EMFILE).expect("a shortage");
        assert!(sentence.starts_with("cannot accept a connection: all descriptors"));
        assert!(sentence.contains("with 100 ranks let it be 264 or more"));
        assert!(
            said(libc::ENFILE)
                .expect("a shortage")
                .contains("fs.file-max")
        );
        assert_eq!(said(libc::ECONNREFUSED), None);
    }
}
