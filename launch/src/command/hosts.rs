//! Lists of hosts: as words of the command line, and as files.
//!
//! Every form that is in common use is read: `host`, `host:N`, `host slots=N`, `host max_slots=N`,
//! comments, blank lines, addresses, IPv6 addresses in brackets (or bare, where nothing follows
//! them). Nothing is looked up here.

use std::fmt;

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Name or address as ssh takes it, without brackets.
    pub(crate) name: String,
    /// Ranks that the list gives it; `None`: it does not say.
    pub(crate) slots: Option<u32>,
    /// Ranks that it may have at most, however many the job has; `None`: any number.
    pub(crate) most: Option<u32>,
}

/// More ranks than any host has.
const MOST_SLOTS: u32 = 1 << 20;

/// Reads `a,b:4,[::1]:2`. The error is a sentence.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Entry>, String> {
    text.split(',').map(|word| entry(word.trim())).collect()
}

/// Reads the text of a hostfile. The error names the line and what is wrong with it.
pub(crate) fn parse_file(text: &str) -> Result<Vec<Entry>, AtLine> {
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.split('#').next().unwrap_or("").trim();
        if !content.is_empty() {
            let entry = line_entry(content).map_err(|what| AtLine { number, what })?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// What is wrong with a line of a hostfile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AtLine {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) what: String,
}

impl fmt::Display for AtLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number, self.what)
    }
}

/// `host`, `host:N`, and after that words `slots=N`, `max_slots=N`. Spaces may stand around `=`.
fn line_entry(line: &str) -> Result<Entry, String> {
    let mut words = line.split_whitespace();
    let mut entry = entry(words.next().unwrap_or(""))?;
    let rest: Vec<&str> = words.collect();
    let rest = rest.join(" ").replace(" =", "=").replace("= ", "=");
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!(
                "{word:?} after the host's name is not understood; slots=N gives its number of \
                 ranks"
            ));
        };
        match key.replace('-', "_").as_str() {
            "slots" if entry.slots.is_some() => {
                return Err(format!("host {} has two numbers of slots", entry.name));
            }
            "slots" => entry.slots = Some(slots(value, &entry.name)?),
            "max_slots" => entry.most = Some(slots(value, &entry.name)?),
            _ => {
                return Err(format!(
                    "{key}= is not understood; slots=N gives the host's number of ranks"
                ));
            }
        }
    }
    if let Some(most) = entry.most {
        entry.slots = Some(entry.slots.unwrap_or(most).min(most));
    }
    Ok(entry)
}

fn entry(word: &str) -> Result<Entry, String> {
    let (name, count) = match word.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest
                .split_once(']')
                .ok_or_else(|| format!("{word}: the bracket is not closed"))?;
            match after.strip_prefix(':') {
                Some(count) => (name, Some(count)),
                None if after.is_empty() => (name, None),
                None => return Err(format!("{word}: expected nothing or :N after the bracket")),
            }
        }
        // More than one colon: an IPv6 address that stands alone.
        None => match word.split_once(':') {
            Some((name, count)) if !count.contains(':') => (name, Some(count)),
            _ => (word, None),
        },
    };
    if name.is_empty() {
        return Err(match word {
            "" => "a host's name is missing".into(),
            _ => format!("{word}: the host's name is missing"),
        });
    }
    // ssh would take it for an option; no host is called so.
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || "'\"\\$`;&|<>()[]{}*?!=,".contains(c);
    if name.starts_with('-') || name.contains(odd) {
        return Err(format!("{name:?} is no name of a host"));
    }
    Ok(Entry {
        name: name.to_string(),
        slots: count.map(|count| slots(count, name)).transpose()?,
        most: None,
    })
}

fn slots(text: &str, host: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(slots) if (1..=MOST_SLOTS).contains(&slots) => Ok(slots),
        _ => Err(format!(
            "host {host}: {text:?} is no number of ranks (1 to {MOST_SLOTS})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(name: &str, slots: impl Into<Option<u32>>) -> Entry {
        Entry {
            name: name.into(),
            slots: slots.into(),
            most: None,
        }
    }

    fn at_most(most: u32, entry: Entry) -> Entry {
        Entry {
            most: Some(most),
            ..entry
        }
    }

    #[test]
    fn lists() {
        for (text, entries) in [
            ("a", vec![of("a", None)]),
            ("a,b:4, c", vec![of("a", None), of("b", 4), of("c", None)]),
            (
                "[fe80::1%eth0]:2,[::1],fe80::2",
                vec![of("fe80::1%eth0", 2), of("::1", None), of("fe80::2", None)],
            ),
            (
                "me@10.0.0.7:3,a,a",
                vec![of("me@10.0.0.7", 3), of("a", None), of("a", None)],
            ),
        ] {
            assert_eq!(parse_list(text), Ok(entries), "{text}");
        }
        for (text, says) in [
            ("", "name is missing"),
            ("a,,b", "name is missing"),
            (":4", "name is missing"),
            ("a:0", "\"0\" is no number of ranks"),
            ("a:x", "\"x\" is no number of ranks"),
            ("a:", "\"\" is no number of ranks"),
            ("[::1", "not closed"),
            ("[::1]4", "after the bracket"),
            ("-oProxyCommand=x", "is no name of a host"),
            ("a;reboot", "is no name of a host"),
        ] {
            let sentence = parse_list(text).unwrap_err();
            assert!(sentence.contains(says), "{text}: {sentence}");
        }
    }

    #[test]
    fn files() {
        let text = "# cluster\n\n a  # first\nb:2\nc slots=3 max_slots=8\r\nd slots = 4\ne \
            max-slots=2\na\n[::1] slots=2\n";
        let entries = vec![
            of("a", None),
            of("b", 2),
            at_most(8, of("c", 3)),
            of("d", 4),
            at_most(2, of("e", 2)),
            of("a", None),
            of("::1", 2),
        ];
        assert_eq!(parse_file(text), Ok(entries));
        for (text, number, says) in [
            ("a\nb 4\n", 2, "slots=N"),
            ("a slots=none", 1, "\"none\" is no number"),
            ("\n\na:2 slots=2", 3, "two numbers"),
            ("a colour=red", 1, "colour= is not understood"),
        ] {
            let wrong = parse_file(text).unwrap_err();
            assert_eq!(wrong.number, number, "{text}");
            assert!(wrong.what.contains(says), "{text}: {wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}|[a-c:,\\[\\]= \n#0-9]{0,60}") {
            for entry in parse_list(&text).into_iter().chain(parse_file(&text).ok()).flatten() {
                prop_assert!(!entry.name.is_empty() && !entry.name.starts_with('-'));
                prop_assert!(entry.slots != Some(0));
            }
        }

        #[test]
        fn what_is_written_is_read(names in prop::collection::vec(("[a-z][a-z0-9.-]{0,8}", prop::option::of(1u32..99)), 1..8)) {
            let entries: Vec<Entry> = names.iter().map(|(name, slots)| of(name, *slots)).collect();
            let word = |e: &Entry| match e.slots { Some(n) => format!("{}:{n}", e.name), None => e.name.clone() };
            let words: Vec<String> = entries.iter().map(word).collect();
            prop_assert_eq!(parse_list(&words.join(",")), Ok(entries.clone()));
            prop_assert_eq!(parse_file(&words.join("\n")), Ok(entries));
        }
    }
}
