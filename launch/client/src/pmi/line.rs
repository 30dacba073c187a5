//! Lines of PMI-1, which both ends of the dialogue read: `cmd=put kvsname=K key=k value=v`, fields
//! separated by single spaces.
//!
//! A value ends at the next space, except where it is the last field of its message by definition
//! (`value=` of a put, `port=`, `message=`): those are read with [`Line::rest`] and may contain
//! anything but a newline.

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    /// Reads a line without its newline. `None`: not text, or it does not begin with `cmd=` or
    /// `mcmd=`.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let text = core::str::from_utf8(line).ok()?;
        (text.starts_with("cmd=") || text.starts_with("mcmd=")).then_some(Line(text))
    }

    /// Which message it is. For one that continues on further lines (`mcmd=`), the same without
    /// them.
    pub fn command(&self) -> &'a str {
        let (_, command) = self.0.split_once('=').expect("checked by `parse`");
        command.split(' ').next().expect("the first part exists")
    }

    /// Whether the message goes on until a line `endcmd`.
    pub fn continues(&self) -> bool {
        self.0.starts_with('m')
    }

    /// The value of a field, up to the next space.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .split(' ')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    }

    /// The value of a field that is a number; `None` when it is missing, or none.
    pub fn number<T: core::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The value of the last field, spaces included: everything after the first `name=`.
    pub fn rest(&self, name: &str) -> Option<&'a str> {
        let mut from = 0;
        loop {
            let space = from + self.0[from..].find(' ')?;
            from = space + 1;
            let value = self.0[from..].strip_prefix(name);
            if let Some(value) = value.and_then(|rest| rest.strip_prefix('=')) {
                return Some(value);
            }
        }
    }
}

/// Bytes of a stream, cut into lines.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    longest: usize,
    /// The line that `bytes` begins with has been handed out already, as too long.
    skipping: bool,
}

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut {
    /// A line, without its newline.
    Line(Vec<u8>),
    /// The beginning of a line that is longer than any may be. The rest of it will be skipped.
    TooLong(Vec<u8>),
}

impl Lines {
    /// Nothing yet. `longest`: bytes that a line may have, its newline not counted.
    pub fn new(longest: usize) -> Lines {
        Lines {
            bytes: Vec::new(),
            longest,
            skipping: false,
        }
    }

    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait to be cut.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The next line, if it is there as a whole or too long.
    pub fn cut(&mut self) -> Option<Cut> {
        loop {
            let end = self.bytes.iter().position(|&byte| byte == b'\n');
            let length = end.unwrap_or(self.bytes.len());
            let skipping = self.skipping;
            self.skipping = end.is_none() && (skipping || length > self.longest);
            if end.is_none() && !self.skipping {
                return None;
            }
            let mut line: Vec<u8> = self
                .bytes
                .drain(..end.map_or(length, |end| end + 1))
                .collect();
            match (skipping, end) {
                (true, None) => return None,
                (true, Some(_)) => continue,
                (false, _) if length > self.longest => {
                    line.truncate(self.longest);
                    return Some(Cut::TooLong(line));
                }
                (false, _) => {
                    line.truncate(length);
                    return Some(Cut::Line(line));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields() {
        let text = b"cmd=put kvsname=kvs_1 key=host value=a b=c  d";
        let line = Line::parse(text).unwrap();
        assert_eq!(line.command(), "put");
        assert_eq!(line.get("kvsname"), Some("kvs_1"));
        assert_eq!(line.get("value"), Some("a"));
        assert_eq!(line.rest("value"), Some("a b=c  d"));
        assert_eq!(line.get("valu"), None);
        assert_eq!(line.get("alue"), None);
        assert_eq!(line.rest("alue"), None);
        assert_eq!(line.get("nothing"), None);
        assert!(!line.continues());
        let empty = Line::parse(b"cmd=").unwrap();
        assert_eq!(
            (empty.command(), empty.get("x"), empty.rest("x")),
            ("", None, None)
        );
        assert!(Line::parse(b"mcmd=spawn").unwrap().continues());
        for other in [&b""[..], b"endcmd", b"cm", b"\xff\xfe", b"cmd=put key=\xff"] {
            assert_eq!(Line::parse(other), None);
        }
    }

    #[test]
    fn a_line_that_never_ends_is_handed_out_once_and_takes_no_memory() {
        let mut lines = Lines::new(4);
        lines.feed(b"abcd\nabc");
        assert_eq!(lines.cut(), Some(Cut::Line(b"abcd".into())));
        assert_eq!(lines.cut(), None);
        lines.feed(b"de");
        assert_eq!(lines.cut(), Some(Cut::TooLong(b"abcd".into())));
        for _ in 0..100 {
            lines.feed(&[b'x'; 100]);
            assert_eq!(lines.cut(), None);
            assert_eq!(lines.waiting(), 0);
        }
        lines.feed(b"x\n\nabcdef\n1\n");
        assert_eq!(lines.cut(), Some(Cut::Line(b"".into())));
        assert_eq!(lines.cut(), Some(Cut::TooLong(b"abcd".into())));
        assert_eq!(lines.cut(), Some(Cut::Line(b"1".into())));
        assert_eq!(lines.cut(), None);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'b')], 0..200),
            pieces in proptest::collection::vec(1usize..20, 1..50),
        ) {
            let longest = 6;
            let expected: Vec<Cut> = text
                .split_inclusive(|&b| b == b'\n')
                .filter_map(|line| match line.strip_suffix(b"\n") {
                    Some(whole) if whole.len() <= longest => Some(Cut::Line(whole.into())),
                    None if line.len() <= longest => None,
                    _ => Some(Cut::TooLong(line[..longest].into())),
                })
                .collect();
            let mut lines = Lines::new(longest);
            let mut cut = Vec::new();
            let (mut rest, mut turn) = (&text[..], 0);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(pieces[turn % pieces.len()].min(rest.len()));
                lines.feed(piece);
                cut.extend(std::iter::from_fn(|| lines.cut()));
                rest = after;
                turn += 1;
            }
            prop_assert_eq!(cut, expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), name in "[a-z ]{0,3}") {
            for text in [bytes.clone(), [&b"cmd="[..], &bytes].concat()] {
                if let Some(line) = Line::parse(&text) {
                    let _ = (line.command(), line.continues(), line.get(&name), line.rest(&name));
                }
            }
        }
    }
}
