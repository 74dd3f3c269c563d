//! The tests that run on the host: `cargo test` of the workspace's default members.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Count;

/// Runs them; what fails is printed.
pub(super) fn test(filter: Option<&str>) -> Result<Count> {
    eprintln!("xtask: the host's tests");
    let mut command = Command::new("cargo");
    command
        .args(["test", "--target-dir", "target", "--no-fail-fast"])
        .args(filter);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let output = BufReader::new(child.stdout.take().context("no stdout")?);
    let (mut count, mut text) = (Count::default(), String::new());
    for line in output.lines() {
        let line = line?;
        count.add(&line);
        text.push_str(&line);
        text.push('\n');
    }
    if !child.wait()?.success() {
        print!("{text}");
        // A test that does not compile, or takes the process down, is counted too.
        count.failed = count.failed.max(1);
    }
    Ok(count)
}

impl Count {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, numbers)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in numbers.split("; ") {
            match part
                .split_once(' ')
                .map(|(number, word)| (number.parse::<usize>(), word))
            {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let mut count = Count::default();
        count.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.add("test spec::x ... ok");
        assert_eq!(
            count,
            Count {
                passed: 4,
                failed: 2
            }
        );
    }
}
