//! From words to [`Options`].

use super::help::ENTRIES;
use super::{Buffers, Element, Options, Program, Request};

/// OSU's bound on `-u`.
const MOST_VALIDATION_WARMUPS: usize = 10;
const DEFAULT_VALIDATION_WARMUPS: usize = 5;
const MOST_PERCENTILES: usize = 5;
/// A `count` of MPI is an `int`.
const MOST_BYTES: usize = i32::MAX as usize;
/// OSU counts iterations in an `int`.
const MOST_ITERATIONS: usize = i32::MAX as usize;

/// Reads the words after the program's name.
///
/// # Errors
/// A sentence that names the word and what would be right.
pub fn parse(program: Program, words: &[String]) -> Result<Request, String> {
    let mut words = words.iter().map(String::as_str);
    let mut state = State {
        options: Options::new(program),
        window_given: false,
        validation_warmups: None,
    };
    while let Some(word) = words.next() {
        let (letter, attached, rest) = split(program, word)?;
        let value = match argument(letter) {
            Argument::None if attached.is_some() => {
                return Err(format!("{word}: this option takes no argument"));
            }
            Argument::None => "",
            Argument::Attached => attached.unwrap_or(""),
            Argument::Required => match attached.or_else(|| words.next()) {
                Some(value) => value,
                None => return Err(format!("{word}: an argument must follow")),
            },
        };
        match letter {
            'h' => return Ok(Request::Help),
            'v' => return Ok(Request::Version),
            _ => state
                .set(letter, value)
                .map_err(|why| format!("{word} {value}").trim_end().to_owned() + ": " + &why)?,
        }
        for letter in rest.chars() {
            match letter {
                'h' => return Ok(Request::Help),
                'v' => return Ok(Request::Version),
                _ => state.set(letter, "")?,
            }
        }
    }
    state.finish().map(Request::Run)
}

enum Argument {
    None,
    /// Optional: only as part of the same word.
    Attached,
    Required,
}

fn argument(letter: char) -> Argument {
    match letter {
        'h' | 'v' | 'f' | 'V' | 'c' => Argument::None,
        'z' => Argument::Attached,
        _ => Argument::Required,
    }
}

/// Splits a word into its option, an argument that is part of the word, and further options
/// (`-fc`).
fn split(program: Program, word: &str) -> Result<(char, Option<&str>, &str), String> {
    let unknown = || format!("{word}: {} has no such option (try --help)", program.name());
    if let Some(long) = word.strip_prefix("--") {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let letter = ENTRIES
            .iter()
            .find(|entry| entry.name == name && program.letters().contains(entry.letter))
            .ok_or_else(unknown)?
            .letter;
        return Ok((letter, attached, ""));
    }
    let Some(short) = word.strip_prefix('-') else {
        return Err(format!(
            "{word}: {} takes options only (try --help)",
            program.name()
        ));
    };
    let letter = short.chars().next().ok_or_else(unknown)?;
    if !program.letters().contains(letter) {
        return Err(unknown());
    }
    let rest = &short[letter.len_utf8()..];
    if rest.is_empty() {
        return Ok((letter, None, ""));
    }
    if !matches!(argument(letter), Argument::None) {
        return Ok((letter, Some(rest), ""));
    }
    let flags = rest
        .chars()
        .all(|c| program.letters().contains(c) && matches!(argument(c), Argument::None));
    if flags {
        Ok((letter, None, rest))
    } else {
        Err(unknown())
    }
}

struct State {
    options: Options,
    window_given: bool,
    validation_warmups: Option<usize>,
}

impl State {
    fn set(&mut self, letter: char, value: &str) -> Result<(), String> {
        let options = &mut self.options;
        match letter {
            'm' => (options.smallest, options.largest) = sizes(value, options)?,
            'i' => {
                let iterations = number(value, 1, MOST_ITERATIONS)?;
                options.small_messages.iterations = iterations;
                options.large_messages.iterations = iterations;
            }
            'x' => {
                let warmup = number(value, 0, MOST_ITERATIONS)?;
                options.small_messages.warmup = warmup;
                options.large_messages.warmup = warmup;
            }
            'W' => {
                options.window = number(value, 1, MOST_BYTES)?;
                self.window_given = true;
            }
            'b' => {
                options.buffers = match value {
                    "single" => Buffers::Single,
                    "multiple" => Buffers::Multiple,
                    _ => return Err("single or multiple is expected".to_owned()),
                }
            }
            'c' => options.validation = Some(DEFAULT_VALIDATION_WARMUPS),
            'u' => self.validation_warmups = Some(number(value, 0, MOST_VALIDATION_WARMUPS)?),
            'T' => options.elements = elements(value)?,
            'z' => options.percentiles = percentiles(value)?,
            'f' => options.full = true,
            'p' => options.pairs = Some(number(value, 1, MOST_BYTES)?),
            'R' => options.rate = number(value, 0, 1)? == 1,
            'V' => options.vary_window = true,
            'M' => options.memory = number(value, 1, usize::MAX)?,
            't' => options.tests = number(value, 1, MOST_BYTES)?,
            _ => unreachable!("split() admits the letters of Program::letters only"),
        }
        Ok(())
    }

    fn finish(self) -> Result<Options, String> {
        let mut options = self.options;
        match (self.validation_warmups, &mut options.validation) {
            (Some(given), Some(warmups)) => *warmups = given,
            (Some(_), None) => return Err("-u has a meaning with -c only".to_owned()),
            (None, _) => {}
        }
        if options.vary_window {
            if self.window_given {
                return Err("-V varies the window that -W sets: give one of them".to_owned());
            }
            if options.validation.is_some() || options.keeps_samples() {
                return Err("the table of -V has no columns for -c, -f, -z".to_owned());
            }
        }
        Ok(options)
    }
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ if most == usize::MAX => Err(format!("a number of at least {least} is expected")),
        _ => Err(format!("a number from {least} to {most} is expected")),
    }
}

/// `MAX`, `MIN:MAX`, `MIN:` or `:MAX`.
fn sizes(text: &str, options: &Options) -> Result<(usize, usize), String> {
    let (smallest, largest) = match text.split_once(':') {
        Some((smallest, largest)) => (smallest, largest),
        None => ("", text),
    };
    if smallest.is_empty() && largest.is_empty() {
        return Err("[MIN:]MAX is expected".to_owned());
    }
    let read = |text: &str, default| {
        if text.is_empty() {
            Ok(default)
        } else {
            number(text, 0, MOST_BYTES)
        }
    };
    // MAX alone may be 0: one row, for empty messages.
    let largest = read(largest, options.largest)?;
    let smallest = read(smallest, options.smallest.min(largest))?;
    if smallest > largest {
        return Err(format!(
            "the smallest message ({smallest}) exceeds the largest ({largest})"
        ));
    }
    Ok((smallest, largest))
}

fn elements(text: &str) -> Result<Vec<Element>, String> {
    match text.to_ascii_lowercase().as_str() {
        "mpi_char" => Ok(vec![Element::Char]),
        "mpi_int" => Ok(vec![Element::Int]),
        "mpi_float" => Ok(vec![Element::Float]),
        "all" => Ok(vec![Element::Char, Element::Int, Element::Float]),
        _ => Err("all, mpi_char, mpi_int or mpi_float is expected".to_owned()),
    }
}

fn percentiles(text: &str) -> Result<Vec<usize>, String> {
    if text.is_empty() {
        return Ok(vec![50, 90, 99]);
    }
    let values: Vec<usize> = text
        .split(',')
        .map(|word| number(word, 1, 100))
        .collect::<Result<_, _>>()?;
    if values.len() > MOST_PERCENTILES {
        return Err(format!(
            "at most {MOST_PERCENTILES} percentiles are printed"
        ));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;

    fn run(program: Program, line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(program, &words)
    }

    fn options(program: Program, line: &str) -> Options {
        match run(program, line) {
            Ok(Request::Run(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(program: Program, line: &str) -> String {
        run(program, line).expect_err(line)
    }

    #[test]
    fn defaults_are_those_of_osu_7_4() {
        let latency = options(Program::Latency, "");
        assert_eq!(
            latency.plan(8192),
            Plan {
                iterations: 10_000,
                warmup: 100
            }
        );
        assert_eq!(
            latency.plan(8193),
            Plan {
                iterations: 1_000,
                warmup: 10
            }
        );
        let bandwidth = options(Program::Bandwidth, "");
        assert_eq!(
            bandwidth.plan(8192),
            Plan {
                iterations: 100,
                warmup: 10
            }
        );
        assert_eq!(
            bandwidth.plan(16384),
            Plan {
                iterations: 20,
                warmup: 2
            }
        );
        assert_eq!(bandwidth.window, 64);
        let sizes: Vec<usize> = bandwidth.sizes(Element::Char).collect();
        assert_eq!((sizes[0], sizes.len(), sizes[22]), (1, 23, 4 << 20));
    }

    #[test]
    fn message_sizes() {
        let sizes = |line| -> Vec<usize> {
            options(Program::Latency, line)
                .sizes(Element::Char)
                .collect()
        };
        assert_eq!(sizes("-m 8"), [1, 2, 4, 8]);
        assert_eq!(sizes("-m 3:12"), [3, 6, 12]);
        assert_eq!(sizes("-m 0:4"), [0, 1, 2, 4]);
        assert_eq!(sizes("-m 0"), [0]);
        assert_eq!(sizes("-m :2"), [1, 2]);
        assert_eq!(sizes("--message-size=2097152:"), [2 << 20, 4 << 20]);
        assert_eq!(
            options(Program::Latency, "-m 0:8")
                .sizes(Element::Int)
                .collect::<Vec<_>>(),
            [0, 4, 8]
        );
    }

    #[test]
    fn words_are_read_as_getopt_reads_them() {
        let given = options(
            Program::Bandwidth,
            "-m8:8 -i 100 -x10 --window-size 32 -fc -z95,99 --buffer-num=multiple",
        );
        assert_eq!((given.smallest, given.largest, given.window), (8, 8, 32));
        assert_eq!(
            given.large_messages,
            Plan {
                iterations: 100,
                warmup: 10
            }
        );
        assert_eq!((given.full, given.validation), (true, Some(5)));
        assert_eq!(
            (given.percentiles, given.buffers),
            (vec![95, 99], Buffers::Multiple)
        );
        assert_eq!(options(Program::Latency, "-z").percentiles, [50, 90, 99]);
        assert_eq!(options(Program::Latency, "-u 0 -c").validation, Some(0));
        let rate = options(Program::MessageRate, "-p 2 -R0 -T all");
        assert_eq!(
            (rate.pairs, rate.rate, rate.elements.len()),
            (Some(2), false, 3)
        );
        assert!(options(Program::MessageRate, "-V").vary_window);
        assert_eq!(run(Program::Latency, "-m 8 --help -q"), Ok(Request::Help));
        assert_eq!(run(Program::Latency, "-fv"), Ok(Request::Version));
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, part) in [
            ("-q", "-q: osu_latency has no such option"),
            ("-W 8", "-W: osu_latency has no such option"),
            ("--nonsense", "no such option"),
            ("-", "no such option"),
            ("8", "takes options only"),
            ("-m", "an argument must follow"),
            ("-m 4:x", "-m 4:x: a number from 0"),
            ("-m 8:4", "exceeds the largest"),
            ("-m :", "[MIN:]MAX"),
            ("-m 4294967296", "a number from 0"),
            ("-i 0", "-i 0: a number from 1 to"),
            ("-x -1", "a number from 0 to"),
            ("-u 3", "with -c only"),
            ("-c -u 11", "from 0 to 10"),
            ("-z0", "from 1 to 100"),
            ("-z1,2,3,4,5,6", "at most 5"),
            ("-b some", "single or multiple"),
            ("-T mpi_double", "mpi_char"),
            ("--help=yes", "takes no argument"),
            ("-fq", "no such option"),
        ] {
            let message = error(Program::Latency, line);
            assert!(message.contains(part), "{line}: {message}");
        }
        assert!(error(Program::MessageRate, "-V -W 8").contains("give one"));
        assert!(error(Program::MessageRate, "-V -c").contains("no columns"));
        assert!(error(Program::MessageRate, "-R 2").contains("from 0 to 1"));
    }

    #[test]
    fn help_names_every_option() {
        for program in [
            Program::Latency,
            Program::Bandwidth,
            Program::BidirectionalBandwidth,
            Program::MessageRate,
        ] {
            let help = program.help();
            for letter in program.letters().chars() {
                assert!(help.contains(&format!("  -{letter}, --")), "{help}");
            }
            assert!(help.starts_with(&format!("Usage: {}", program.name())));
        }
    }
}
