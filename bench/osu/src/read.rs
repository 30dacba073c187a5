//! Reads the tables back.

/// The first two numbers of a row: message size in bytes and the value beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Message size in bytes.
    pub bytes: usize,
    /// Latency in microseconds or bandwidth in MB/s.
    pub value: f64,
    /// The second value, if there is one: messages per second.
    pub second: Option<f64>,
}

/// The rows of a program's output; everything that is not a row is skipped.
pub fn rows(output: &str) -> Vec<Cell> {
    output.lines().filter_map(row).collect()
}

/// The number of a table without sizes (`osu_barrier`).
pub fn only(output: &str) -> Option<f64> {
    let mut rows = output.lines().filter_map(|line| line.trim().parse().ok());
    rows.next()
}

/// The last number of the only row: with the options' defaults what is hidden of a nonblocking
/// operation, in percent.
pub fn last(output: &str) -> Option<f64> {
    let row = output.lines().find(|line| row(line).is_some())?;
    row.split_whitespace().last()?.parse().ok()
}

fn row(line: &str) -> Option<Cell> {
    let mut words = line.split_whitespace();
    let bytes = words.next()?.parse().ok()?;
    let value = words.next()?.parse().ok()?;
    let second = words.next().and_then(|word| word.parse().ok());
    Some(Cell {
        bytes,
        value,
        second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_are_read() {
        let output = "\n# OSU MPI Latency Test v7.4\n# Datatype: MPI_CHAR.\n# Size       Avg \
            Latency(us)\n\
                      0                       0.30\n8                       0.31              \
                      Pass\nwarning: 8 cores\n";
        assert_eq!(
            rows(output),
            [
                Cell {
                    bytes: 0,
                    value: 0.30,
                    second: None
                },
                Cell {
                    bytes: 8,
                    value: 0.31,
                    second: None
                }
            ]
        );
        assert_eq!(only("\n# Avg Latency(us)\n             0.36\n"), Some(0.36));
        assert_eq!(only("# nothing\n"), None);
        assert_eq!(
            last("# Size  Overlap(%)\n4   18.69   8.83   8.13   14.50\n"),
            Some(14.5)
        );
        let rate = rows("1                       2.20        2203763.41\n");
        assert_eq!(rate[0].second, Some(2203763.41));
    }
}
