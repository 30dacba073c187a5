//! `ferrite-limits`: the limits of this machine as tables, for scripts.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use ferrite_bench_limits::{Cores, Sockets, Waiting, cache_line, serve};

const HELP: &str = "\
What this machine itself can do.

Usage: ferrite-limits line
       ferrite-limits tcp WHAT BYTES...

`line` prints how long a cache line takes from one core to another, one way, in nanoseconds. `tcp`
shows what plain sockets do between two processes, over loopback.

WHAT:
  latency            one way, us; both processes spin
  blocking-latency   one way, us; both processes sleep until something arrives
  bandwidth          one way, MB/s (of 1-byte messages, one call each: million messages/s)
  both-ways          both processes send at once, MB/s

`tcp` prints a row for each size: bytes, figure.
";

fn main() -> ExitCode {
    if serve() {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if words == ["line"] {
        return match cache_line(Cores::find()) {
            Some(time) => {
                println!("{:.1}", time.as_secs_f64() * 1e9);
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("ferrite-limits: line: this process may use one core only");
                ExitCode::FAILURE
            }
        };
    }
    let (measure, sizes) = match read(&words) {
        Ok(request) => request,
        Err(message) => {
            eprintln!("ferrite-limits: {message} (try ferrite-limits --help)");
            return ExitCode::from(2);
        }
    };
    match print(measure, &sizes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ferrite-limits: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A figure for messages of some bytes.
type Measure = fn(&mut Sockets, usize) -> std::io::Result<f64>;

fn read(words: &[String]) -> Result<(Measure, Vec<usize>), String> {
    let [fabric, what, sizes @ ..] = words else {
        return Err("what is to be measured?".to_owned());
    };
    if fabric == "line" {
        return Err("line: no arguments are taken".to_owned());
    }
    if fabric != "tcp" {
        return Err(format!("{fabric}: no such fabric"));
    }
    let measure: Measure = match what.as_str() {
        "latency" => |sockets, bytes| microseconds(sockets, bytes, Waiting::Spin),
        "blocking-latency" => |sockets, bytes| microseconds(sockets, bytes, Waiting::Block),
        "bandwidth" => |sockets, bytes| Ok(sockets.bandwidth(bytes)? / 1e6),
        "both-ways" => |sockets, bytes| Ok(sockets.both_ways(bytes)? / 1e6),
        _ => return Err(format!("{what}: no such measurement")),
    };
    if sizes.is_empty() {
        return Err(format!("{what}: a number of bytes must follow"));
    }
    let sizes = sizes
        .iter()
        .map(|word| match word.parse() {
            Ok(bytes) if bytes > 0 && bytes <= 1 << 30 => Ok(bytes),
            _ => Err(format!("{word}: not a number of bytes from 1 to 2^30")),
        })
        .collect::<Result<_, _>>()?;
    Ok((measure, sizes))
}

fn microseconds(sockets: &mut Sockets, bytes: usize, waiting: Waiting) -> std::io::Result<f64> {
    Ok(sockets.latency(bytes, waiting)?.as_secs_f64() * 1e6)
}

fn print(measure: Measure, sizes: &[usize]) -> std::io::Result<()> {
    let mut sockets = Sockets::start(Cores::find())?;
    for &bytes in sizes {
        println!("{bytes:<10} {:14.3}", measure(&mut sockets, bytes)?);
    }
    Ok(())
}
