//! How the types of settings are read and written as text.

use core::time::Duration;

use super::{Cma, Ports, Transports};
use crate::collective::Thresholds;

/// A type that a setting can have. What [`Value::to_text`] writes, [`Value::parse`] reads back as
/// the same value.
pub(super) trait Value: Sized {
    /// The value that `text` stands for, if it stands for any.
    fn parse(text: &str) -> Option<Self>;

    /// The shortest text for the value.
    fn to_text(&self) -> String;

    /// What [`Value::parse`] accepts, for people: the end of a sentence that begins "the value is".
    fn accepts() -> String;
}

impl Value for Transports {
    fn parse(text: &str) -> Option<Transports> {
        if text.is_empty() {
            return Some(Transports::default());
        }
        // Which there are, whoever joins a job knows: see `Transports::check`.
        let is_name = |name: &str| {
            let mut letters = name.chars();
            !name.is_empty() && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let names = text.split(',').map(|name| name.trim().to_owned());
        let names: Vec<String> = names.collect();
        names
            .iter()
            .all(|name| is_name(name))
            .then_some(Transports(names))
    }

    fn to_text(&self) -> String {
        self.0.join(",")
    }

    fn accepts() -> String {
        "a list of transports: shm, self, and the names of networks, such as tcp".into()
    }
}

impl Value for Cma {
    fn parse(text: &str) -> Option<Cma> {
        match text {
            "auto" => Some(Cma::Auto),
            "never" => Some(Cma::Never),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        String::from(match self {
            Cma::Auto => "auto",
            Cma::Never => "never",
        })
    }

    fn accepts() -> String {
        String::from("auto or never")
    }
}

impl Value for String {
    fn parse(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }

    fn accepts() -> String {
        String::from("a text")
    }
}

impl Value for Ports {
    fn parse(text: &str) -> Option<Ports> {
        if text.is_empty() {
            return Some(Ports(None));
        }
        let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (1 <= first && first <= last).then_some(Ports(Some((first, last))))
    }

    fn to_text(&self) -> String {
        self.0
            .map_or(String::new(), |(first, last)| format!("{first}-{last}"))
    }

    fn accepts() -> String {
        String::from(
            "the first and the last port, for example 40000-40999, at least as many as there are \
             ranks on a node",
        )
    }
}

/// What differs from what is built in.
impl Value for Thresholds {
    fn parse(text: &str) -> Option<Thresholds> {
        let mut thresholds = Thresholds::DEFAULT;
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (name, bytes) = part.split_once('=')?;
            let (_, at) = Thresholds::named().find(|(known, _)| *known == name.trim())?;
            *at(&mut thresholds) = Value::parse(bytes.trim())?;
        }
        // Nothing can be cut into segments of nothing.
        let segments = [
            thresholds.messages.bcast_segment,
            thresholds.messages.reduce_segment,
        ];
        (!segments.contains(&0)).then_some(thresholds)
    }

    fn to_text(&self) -> String {
        let (mut own, mut built_in) = (*self, Thresholds::DEFAULT);
        let differing = Thresholds::named().filter_map(|(name, at)| {
            let (own, built_in) = (*at(&mut own), *at(&mut built_in));
            (own != built_in).then(|| format!("{name}={}", own.to_text()))
        });
        differing.collect::<Vec<_>>().join(",")
    }

    fn accepts() -> String {
        let names: Vec<&str> = Thresholds::named().map(|(name, _)| name).collect();
        let names = names.join(", ");
        format!(
            "a list of name=bytes, for example board_bcast=64k,allgather_ring=8k, of these names: \
             {names}"
        )
    }
}

impl Value for bool {
    fn parse(text: &str) -> Option<bool> {
        match text {
            "1" | "yes" => Some(true),
            "0" | "no" => Some(false),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        String::from(if *self { "1" } else { "0" })
    }

    fn accepts() -> String {
        String::from("1 or 0")
    }
}

/// Splits a text into the number at its start and the unit behind it.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Writes a number with the largest of the units (ascending) that divides it.
fn with_largest_unit(number: u64, units: &[(&str, u64)]) -> String {
    let divides = |&&(_, factor): &&(&str, u64)| number.is_multiple_of(factor);
    match units.iter().rev().find(divides) {
        Some((unit, factor)) if number != 0 => format!("{}{unit}", number / factor),
        _ => number.to_string(),
    }
}

const BYTE_UNITS: &[(&str, u64)] = &[("", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)];

/// Bytes.
impl Value for usize {
    fn parse(text: &str) -> Option<usize> {
        let (number, unit) = number_and_unit(text)?;
        let unit = unit.to_ascii_lowercase();
        let (_, factor) = BYTE_UNITS.iter().find(|(known, _)| unit == *known)?;
        usize::try_from(number.checked_mul(*factor)?).ok()
    }

    fn to_text(&self) -> String {
        with_largest_unit(*self as u64, BYTE_UNITS)
    }

    fn accepts() -> String {
        String::from("a number of bytes, for example 4096, 64k (k, m, g: powers of 1024)")
    }
}

const TIME_UNITS: &[(&str, u64)] = &[("us", 1), ("ms", 1_000), ("s", 1_000_000)];

impl Value for Duration {
    fn parse(text: &str) -> Option<Duration> {
        let (number, unit) = number_and_unit(text)?;
        let unit = if unit.is_empty() { "us" } else { unit };
        let (_, factor) = TIME_UNITS.iter().find(|(known, _)| unit == *known)?;
        Some(Duration::from_micros(number.checked_mul(*factor)?))
    }

    fn to_text(&self) -> String {
        with_largest_unit(
            u64::try_from(self.as_micros()).unwrap_or(u64::MAX),
            TIME_UNITS,
        )
    }

    fn accepts() -> String {
        String::from("a time in microseconds, or with a unit (us, ms, s), for example 50 or 2ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let cases = [
            ("0", 0),
            ("17", 17),
            ("64k", 65536),
            ("64K", 65536),
            ("3 m", 3 << 20),
            ("1g", 1 << 30),
        ];
        for (text, value) in cases {
            assert_eq!(usize::parse(text), Some(value), "{text}");
        }
        for bad in [
            "",
            "k",
            "-1",
            "1.5k",
            "1kk",
            "1t",
            "99999999999999999999",
            "99999999999g",
        ] {
            assert_eq!(usize::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("0", 0),
            ("20", 20),
            ("20us", 20),
            ("2ms", 2000),
            ("1 s", 1_000_000),
        ];
        for (text, micros) in cases {
            assert_eq!(
                Duration::parse(text),
                Some(Duration::from_micros(micros)),
                "{text}"
            );
        }
        for bad in ["", "ms", "-1", "1h", "99999999999999999999"] {
            assert_eq!(Duration::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for bytes in [0usize, 1, 1000, 1024, 65536, 65537, 5 << 20, 1 << 30] {
            assert_eq!(usize::parse(&bytes.to_text()), Some(bytes));
        }
        for micros in [0, 1, 999, 1000, 1_000_000, 1_000_001] {
            let time = Duration::from_micros(micros);
            assert_eq!(Duration::parse(&time.to_text()), Some(time));
        }
        assert_eq!(
            (65536usize.to_text(), Duration::from_millis(2).to_text()),
            ("64k".into(), "2ms".into())
        );
    }
}
