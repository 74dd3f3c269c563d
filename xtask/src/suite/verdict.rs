//! Whether a run did what its stanza says.

use std::fmt::Write;

use regex::Regex;
use similar::TextDiff;

use super::prepare::Native;
use super::stanza::Stanza;
use crate::serial::OURS;

/// Lines of a diff that are printed.
const DIFF_LINES: usize = 60;

/// What is wrong with a run: empty if nothing is.
pub(crate) fn judge(
    stanza: &Stanza,
    expect: Option<&str>,
    native: Option<&Native>,
    text: &[u8],
    status: u8,
) -> String {
    let mut wrong = String::new();
    if status != stanza.status {
        let _ = writeln!(wrong, "exit status {status}, expected {}", stanza.status);
    }
    let guests = guests_text(text);
    if let Some(expect) = expect {
        wrong += &difference("expected", whole_lines(expect.as_bytes()), &guests);
    }
    if let Some(native) = native {
        wrong += &difference("native", whole_lines(&native.output), &guests);
        wrong += &compare_status(native.status, &String::from_utf8_lossy(text));
    }
    for pattern in &stanza.contains {
        wrong += &missing_line(pattern, &String::from_utf8_lossy(text));
    }
    wrong
}

/// The text without our own lines.
fn guests_text(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    whole_lines(
        &lines
            .filter(|line| !line.starts_with(OURS.as_bytes()))
            .collect::<Vec<_>>()
            .concat(),
    )
}

/// The text with the last line ended: the hypervisor ends it before its own next one.
fn whole_lines(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    if text.last().is_some_and(|&byte| byte != b'\n') {
        text.push(b'\n');
    }
    text
}

fn difference(name: &str, expected: Vec<u8>, got: &[u8]) -> String {
    if expected == got {
        return String::new();
    }
    let (expected, got) = (printable(&expected), printable(got));
    let diff = TextDiff::from_lines(&expected, &got);
    let text = diff
        .unified_diff()
        .context_radius(2)
        .header(name, "got")
        .to_string();
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = lines[..lines.len().min(DIFF_LINES)].join("\n");
    if lines.len() > DIFF_LINES {
        let _ = write!(shown, "\n... {} lines more", lines.len() - DIFF_LINES);
    }
    shown + "\n"
}

/// The text with everything but printable ASCII, blanks and ends of lines escaped.
fn printable(text: &[u8]) -> String {
    let mut out = String::new();
    for &byte in text {
        match byte {
            b'\n' | b' '..=b'~' => out.push(char::from(byte)),
            _ => out.extend(byte.escape_ascii().map(char::from)),
        }
    }
    out
}

/// The first guest's exit status, by the line of ours that reports its end.
fn compare_status(native: i32, text: &str) -> String {
    let ended = |line: &&str| line.starts_with("nestling: guest 1 (");
    let got = text
        .lines()
        .filter(ended)
        .find_map(|line| line.rsplit_once(" ended: "))
        .map(|(_, end)| end);
    let expected = format!("exit {native}");
    if got == Some(&expected) {
        return String::new();
    }
    format!(
        "guest 1 ended: {}, natively: {expected}\n",
        got.unwrap_or("no such line")
    )
}

fn missing_line(pattern: &str, text: &str) -> String {
    match Regex::new(pattern) {
        Ok(regex) if text.lines().any(|line| regex.is_match(line)) => String::new(),
        Ok(_) => format!("no line matches `{pattern}`\n"),
        Err(error) => format!("{error}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stanza::tests::sample;
    use super::*;

    const TEXT: &[u8] = b"nestling: x\nhello\nbye\nnestling: guest 1 (/bin/x) ended: exit 3\nnestling: end, status 1\n";

    #[test]
    fn only_the_guests_text_counts() {
        assert_eq!(guests_text(TEXT), b"hello\nbye\n");
        assert_eq!(guests_text(b"nestling: x\nno end"), b"no end\n");
    }

    #[test]
    fn a_good_run() {
        let stanza = sample("status = 1\ncontains = [\"^nestling: guest 1 .* exit 3$\"]");
        let native = Native {
            output: b"hello\nbye".to_vec(),
            status: 3,
        };
        assert_eq!(
            judge(&stanza, Some("hello\nbye\n"), Some(&native), TEXT, 1),
            ""
        );
    }

    #[test]
    fn everything_wrong_is_said() {
        let stanza = sample("contains = [\"^nothing$\"]");
        let native = Native {
            output: b"hello\nbye\n".to_vec(),
            status: 0,
        };
        let wrong = judge(&stanza, Some("hello\n\tyou\n"), Some(&native), TEXT, 1);
        assert_eq!(
            wrong,
            "exit status 1, expected 0\n--- expected\n+++ got\n@@ -1,2 +1,2 @@\n hello\n-\\tyou\n+bye\n\
             guest 1 ended: exit 3, natively: exit 0\nno line matches `^nothing$`\n"
        );
    }

    #[test]
    fn bytes_that_are_no_text_differ_too() {
        assert!(difference("expected", b"\xff\n".to_vec(), b"\xfe\n").contains("-\\xff\n+\\xfe"));
    }

    #[test]
    fn a_long_diff_is_cut() {
        let long: String = (0..500).map(|n| format!("{n}\n")).collect();
        let shown = difference("expected", long.into_bytes(), b"");
        assert!(shown.ends_with("lines more\n") && shown.lines().count() == DIFF_LINES + 1);
    }
}
