//! The text of the serial port.

/// What our own lines begin with.
pub(crate) const OURS: &str = "nestling: ";
/// The last line of a run, before the status.
const END: &str = "nestling: end, status ";
/// GRUB says this when it could not load what its menu names, and waits.
const GRUB_WAITS: &[u8] = b"Press any key to continue";

/// Everything that came, split where the hypervisor begins to speak.
#[derive(Default)]
pub(crate) struct Serial {
    /// Firmware and boot loader.
    early: Vec<u8>,
    /// From our first line on.
    text: Vec<u8>,
    shown: usize,
}

impl Serial {
    /// Takes what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.started() {
            self.text.extend_from_slice(bytes);
            return;
        }
        self.early.extend_from_slice(bytes);
        if let Some(at) = find(&self.early, OURS.as_bytes()) {
            self.text = self.early.split_off(at);
        }
    }

    /// Whether the hypervisor has said something.
    pub(crate) fn started(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether GRUB gave up.
    pub(crate) fn grub_failed(&self) -> bool {
        !self.started() && find(&self.early, GRUB_WAITS).is_some()
    }

    /// What came since the last call, from our first line on, with LF at the ends of lines.
    pub(crate) fn fresh(&mut self) -> Vec<u8> {
        // A CR may be half of a CR LF.
        let to = self.text.len() - usize::from(self.text.last() == Some(&b'\r'));
        let fresh = without_cr(&self.text[self.shown.min(to)..to]);
        self.shown = to;
        fresh
    }

    /// The status that the last line says, once it is complete.
    pub(crate) fn end_status(&self) -> Option<u8> {
        let line = self.text.strip_suffix(b"\n")?;
        let from = line
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        str::from_utf8(&line[from..])
            .ok()?
            .trim_end_matches('\r')
            .strip_prefix(END)?
            .parse()
            .ok()
    }

    /// The hypervisor's and the guests' text, with LF at the ends of lines.
    pub(crate) fn text(&self) -> Vec<u8> {
        without_cr(&self.text)
    }

    /// The last lines of everything, without terminal control sequences.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let all = [&self.early[..], &self.text[..]].concat();
        let text = plain(&String::from_utf8_lossy(&without_cr(&all)));
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The text with LF in place of CR LF.
pub(crate) fn without_cr(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        if byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    out
}

/// The text without `ESC [ ... letter`, and with what follows a lone CR on a line of its own.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                chars.next();
                chars.by_ref().find(char::is_ascii_alphabetic);
            }
            '\r' => out.push('\n'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(parts: &[&str]) -> Serial {
        let mut serial = Serial::default();
        for part in parts {
            serial.push(part.as_bytes());
        }
        serial
    }

    #[test]
    fn firmware_and_loader_are_set_apart() {
        let serial = serial(&[
            "\x1b[2JBdsDxe\r\n\r",
            "error: x\rnest",
            "ling: hello\r\n",
            "a\r\n",
        ]);
        assert_eq!(serial.text(), b"nestling: hello\na\n");
        assert_eq!(serial.last_lines(3), "error: x\nnestling: hello\na");
    }

    #[test]
    fn fresh_text_has_lf_even_when_crlf_is_split() {
        let mut serial = serial(&["nestling: a\r"]);
        assert_eq!(serial.fresh(), b"nestling: a");
        assert_eq!(serial.fresh(), b"");
        serial.push(b"\nb\rc");
        assert_eq!(serial.fresh(), b"\nb\rc");
        serial.push(b"\r\n");
        assert_eq!(serial.fresh(), b"\n");
    }

    #[test]
    fn the_end_is_the_last_complete_line() {
        assert_eq!(
            serial(&["nestling: end, status 1\r\n"]).end_status(),
            Some(1)
        );
        assert_eq!(
            serial(&["nestling: x\r\nnestling: end, status 0\r\n"]).end_status(),
            Some(0)
        );
        assert_eq!(serial(&["nestling: end, status 0"]).end_status(), None);
        assert_eq!(
            serial(&["nestling: end, status 0\r\nmore\r\n"]).end_status(),
            None
        );
        assert_eq!(
            serial(&["nestling: x\r\n1| nestling: end, status 0\r\n"]).end_status(),
            None
        );
    }

    #[test]
    fn grub_gives_up_before_the_hypervisor_speaks() {
        assert!(
            serial(&[
                "error: out of memory.\r\n",
                "\r\nPress any key to continue..."
            ])
            .grub_failed()
        );
        assert!(!serial(&["nestling: Press any key to continue"]).grub_failed());
    }
}
