//! Whether a run did what its stanza says.

use std::collections::BTreeSet;
use std::fmt::Write;

use regex::Regex;
use similar::TextDiff;

use super::native::{End, Native};
use super::stanza::Stanza;
use crate::serial::OURS;

/// Lines of a diff that are printed.
const DIFF_LINES: usize = 60;
/// Bytes of such a line that are printed.
const DIFF_LINE: usize = 300;

/// What is wrong with a run: empty if nothing is.
pub(crate) fn judge(
    stanza: &Stanza,
    expect: Option<&str>,
    natives: &[Native],
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
    for (number, native) in (1..).zip(natives) {
        let guest = match natives {
            [_] => guests.clone(),
            _ => guest_text(number, &guests),
        };
        let differs = difference("native", whole_lines(&native.output), &guest)
            + &compare_end(number, native.end, &String::from_utf8_lossy(text));
        if !differs.is_empty() {
            let _ = writeln!(wrong, "guest {number}, `{}`:", stanza.guests[number - 1]);
            wrong += &differs;
        }
    }
    wrong += &mixed_report(&String::from_utf8_lossy(text));
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

/// What guest `number` wrote, of several: its lines, without its number before them.
fn guest_text(number: usize, text: &[u8]) -> Vec<u8> {
    let prefix = format!("{number}| ");
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines
        .filter_map(|line| line.strip_prefix(prefix.as_bytes()))
        .collect::<Vec<_>>()
        .concat()
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
    let lines: Vec<&str> = text
        .lines()
        .map(|line| &line[..line.len().min(DIFF_LINE)])
        .collect();
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

/// Compares how a guest ended, by the line of ours that reports it.
fn compare_end(number: usize, native: End, text: &str) -> String {
    let ended = format!("nestling: guest {number} (");
    let got = text
        .lines()
        .filter(|line| line.starts_with(&ended))
        .find_map(|line| line.rsplit_once(" ended: "))
        .map_or("no such line", |(_, end)| end);
    let (same, expected) = match native {
        End::Exit(status) => {
            let end = format!("exit {status}");
            (got == end, end)
        }
        End::Signal(signal) => {
            let end = format!("killed by signal {signal} ");
            (got.starts_with(&end), end)
        }
    };
    if same {
        return String::new();
    }
    format!("ended: {got}, natively: {}\n", expected.trim())
}

/// The guest's lines that match and that the bare machine's text does not have, whatever the numbers in them.
pub(crate) fn beyond(pattern: &str, guest: &[u8], bare: &[u8]) -> Result<String, regex::Error> {
    let pattern = Regex::new(pattern)?;
    let bare = String::from_utf8_lossy(bare);
    let known: BTreeSet<String> = bare.lines().map(without_numbers).collect();
    let guest = String::from_utf8_lossy(guest).into_owned();
    let new = guest
        .lines()
        .filter(|line| pattern.is_match(line) && !known.contains(&without_numbers(line)));
    Ok(new
        .map(|line| format!("not on the bare machine: `{line}`\n"))
        .collect())
}

/// The line with `#` for each number, and one blank for several.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for c in line.trim().chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !((c == '#' || c == ' ') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

/// The lines that are not ours in the report of a panic: the other CPUs should have been stopped.
fn mixed_report(text: &str) -> String {
    text.lines()
        .skip_while(|line| !line.starts_with("nestling: panic: "))
        .filter(|line| !line.starts_with(OURS))
        .map(|line| format!("in the report of a panic: `{line}`\n"))
        .collect()
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
    fn lines_beyond_the_bare_machines() {
        // GRUB's last CR may stand before the kernel's first line.
        let bare = b"\r[    1.5] cpu 1 is odd\nx 7\n";
        let beyond = |guest| beyond("^\\[", guest, bare).unwrap();
        assert_eq!(beyond(b"[   13.25] cpu 0 is odd \nfree\n"), "");
        assert_eq!(
            beyond(b"[   13.25] cpu 0 is even\n"),
            "not on the bare machine: `[   13.25] cpu 0 is even`\n"
        );
    }

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
            end: End::Exit(3),
        };
        assert_eq!(judge(&stanza, Some("hello\nbye\n"), &[native], TEXT, 1), "");
    }

    #[test]
    fn everything_wrong_is_said() {
        let stanza = sample("contains = [\"^nothing$\"]");
        let native = Native {
            output: b"hello\nbye\n".to_vec(),
            end: End::Exit(0),
        };
        let wrong = judge(&stanza, Some("hello\n\tyou\n"), &[native], TEXT, 1);
        assert_eq!(
            wrong,
            "exit status 1, expected 0\n--- expected\n+++ got\n@@ -1,2 +1,2 @@\n hello\n-\\tyou\n+bye\n\
             guest 1, `app:/bin/x`:\nended: exit 3, natively: exit 0\nno line matches `^nothing$`\n"
        );
    }

    #[test]
    fn nothing_comes_between_a_report() {
        assert_eq!(
            mixed_report("1| a\nnestling: panic: x\nnestling:   y\n"),
            ""
        );
        assert!(mixed_report("nestling: panic: x\n1| a\n").contains("`1| a`"));
    }

    #[test]
    fn each_of_several_guests_is_compared() {
        let mut stanza = sample("");
        stanza.guests.push("app:/bin/y".into());
        let native = |text: &[u8], end| Native {
            output: text.to_vec(),
            end,
        };
        let text = b"1| a\n2| b\nnestling: guest 1 (/bin/x) ended: exit 0\n1|| c\n2| d\n\
            nestling: guest 2 (/bin/y) ended: killed by signal 11 (SIGSEGV) at rip 0x1\n";
        let good = [
            native(b"a\n", End::Exit(0)),
            native(b"b\nd", End::Signal(11)),
        ];
        assert_eq!(judge(&stanza, None, &good, text, 0), "");
        let bad = [good[0].clone(), native(b"b\nd", End::Signal(1))];
        assert_eq!(
            judge(&stanza, None, &bad, text, 0),
            "guest 2, `app:/bin/y`:\n\
             ended: killed by signal 11 (SIGSEGV) at rip 0x1, natively: killed by signal 1\n"
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
