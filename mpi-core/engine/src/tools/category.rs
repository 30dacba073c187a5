//! Categories of variables and events (MPI 5.0, section 15.3.9). There are no others after the
//! first call: the stamp is always 0.

use super::event::TYPES;
use super::performance::VARIABLES;
use super::{control, entry, index_of, tools};
use crate::Result;

/// What belongs together.
pub struct Category {
    /// Its name.
    pub name: &'static str,
    /// What is in it, in a sentence.
    pub description: &'static str,
    categories: &'static [&'static str],
    controls: &'static [&'static str],
    variables: &'static [&'static str],
    events: &'static [&'static str],
}

/// All categories.
pub static CATEGORIES: [Category; 5] = [
    Category {
        name: "ferrite",
        description: "All that there is.",
        categories: &[
            "ferrite_start",
            "ferrite_messages",
            "ferrite_collectives",
            "ferrite_waiting",
        ],
        controls: &[],
        variables: &[],
        events: &[],
    },
    Category {
        name: "ferrite_start",
        description: "How processes find and reach each other, and what they have then.",
        categories: &[],
        controls: &[
            "FERRITE_TRANSPORT",
            "FERRITE_CMA",
            "FERRITE_NETWORK",
            "FERRITE_PORT_RANGE",
            "FERRITE_SHOW_TRANSPORTS",
        ],
        variables: &["ferrite_thread_level", "ferrite_communicators"],
        events: &["ferrite_peer_opened"],
    },
    Category {
        name: "ferrite_messages",
        description: "How messages travel, and where they wait.",
        categories: &[],
        controls: &[
            "FERRITE_EAGER_LIMIT",
            "FERRITE_EAGER_BUDGET",
            "FERRITE_CMA_LIMIT",
            "FERRITE_NET_EAGER_LIMIT",
        ],
        variables: &[
            "ferrite_messages_sent",
            "ferrite_bytes_sent",
            "ferrite_rendezvous_sent",
            "ferrite_messages_expected",
            "ferrite_messages_unexpected",
            "ferrite_unexpected_queue",
            "ferrite_unexpected_bytes",
            "ferrite_posted_queue",
            "ferrite_requests",
        ],
        events: &["ferrite_unexpected_message"],
    },
    Category {
        name: "ferrite_collectives",
        description: "Which algorithms collective operations choose.",
        categories: &[],
        controls: &["FERRITE_COLLECTIVES"],
        variables: &[],
        events: &[],
    },
    Category {
        name: "ferrite_waiting",
        description: "What processors do while processes wait.",
        categories: &[],
        controls: &[
            "FERRITE_PROGRESS_THREAD",
            "FERRITE_SPIN",
            "FERRITE_YIELD",
            "FERRITE_STALL",
        ],
        variables: &["ferrite_pauses"],
        events: &[],
    },
];

/// What a category has members of.
#[derive(Clone, Copy, Debug)]
pub enum Members {
    /// Other categories.
    Categories,
    /// Control variables.
    Controls,
    /// Performance variables.
    Variables,
    /// Events.
    Events,
}

/// `MPI_T_category_get_num`
pub fn count() -> Result<i32> {
    let _tools = tools()?;
    Ok(CATEGORIES.len() as i32)
}

/// `MPI_T_category_get_index`
pub fn index(name: &str) -> Result<i32> {
    let _tools = tools()?;
    index_of(CATEGORIES.iter().map(|category| category.name), name)
}

/// `MPI_T_category_get_info`, in part.
pub fn info(index: i32) -> Result<&'static Category> {
    let _tools = tools()?;
    entry(&CATEGORIES, index)
}

/// `MPI_T_category_get_cvars` and its like: the numbers of what is in a category.
pub fn members(index: i32, of: Members) -> Result<Vec<i32>> {
    let category = info(index)?;
    let names = |names: &[&str], index: &dyn Fn(&str) -> Result<i32>| -> Result<Vec<i32>> {
        names.iter().map(|name| index(name)).collect()
    };
    match of {
        Members::Categories => names(category.categories, &self::index),
        Members::Controls => names(category.controls, &control::index),
        Members::Variables => names(category.variables, &|name| {
            index_of(VARIABLES.iter().map(|variable| variable.name), name)
        }),
        Members::Events => names(category.events, &|name| {
            index_of(TYPES.iter().map(|event| event.name), name)
        }),
    }
}
