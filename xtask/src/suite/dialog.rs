//! Typing at prompts.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};

use crate::boot::Feed;
use crate::serial::Serial;

/// What is still to be typed.
pub(super) struct Dialog {
    /// A text without CR to wait for, and what is typed when it has come.
    steps: VecDeque<(String, String)>,
    /// How much of the serial text is behind the last step.
    seen: usize,
    typist: Option<Sender<String>>,
}

impl Dialog {
    /// A dialog of these steps, and what types it; none if there is nothing to type.
    pub(super) fn new(steps: &[(String, String)]) -> (Self, Option<Feed>) {
        let (sender, texts) = mpsc::channel::<String>();
        let dialog = Self {
            steps: steps.iter().cloned().collect(),
            seen: 0,
            typist: Some(sender),
        };
        let feed: Feed = Box::new(move |mut port| {
            for text in texts {
                // An error means that the machine has ended.
                let _ = port.write_all(text.as_bytes()).and_then(|()| port.flush());
            }
        });
        (dialog, (!steps.is_empty()).then_some(feed))
    }

    /// Types what the text that has come asks for.
    pub(super) fn follow(&mut self, serial: &Serial) {
        if self.steps.is_empty() {
            return;
        }
        let mut text = serial.text();
        text.retain(|&byte| byte != b'\r');
        while let Some((prompt, _)) = self.steps.front() {
            let new = text.get(self.seen..).unwrap_or_default();
            let mut windows = new.windows(prompt.len().max(1));
            let Some(at) = windows.position(|window| window == prompt.as_bytes()) else {
                return;
            };
            self.seen += at + prompt.len();
            if let (Some((_, typed)), Some(typist)) = (self.steps.pop_front(), &self.typist) {
                let _ = typist.send(typed);
            }
        }
        self.typist = None;
    }

    /// What has not come.
    pub(super) fn unfinished(&self) -> String {
        match self.steps.front() {
            Some((prompt, _)) => format!("no prompt `{}`\n", prompt.escape_debug()),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_is_waited_for_behind_the_last() {
        let step = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let (mut dialog, feed) =
            Dialog::new(&[step("# ", "ls\n"), step("ls\nbin\n/ # ", "exit\n")]);
        let (sent, port) = mpsc::channel();
        let typist = std::thread::spawn(move || feed.unwrap()(Box::new(Port(sent))));
        let mut serial = Serial::default();
        serial.push(b"nestling: x\r\n/ # ");
        dialog.follow(&serial);
        dialog.follow(&serial);
        assert_eq!(port.recv().unwrap(), b"ls\n");
        assert_eq!(dialog.unfinished(), "no prompt `ls\\nbin\\n/ # `\n");
        serial.push(b"ls\r\r\nbin\r\n/ # ");
        dialog.follow(&serial);
        assert_eq!(
            (port.recv().unwrap(), dialog.unfinished()),
            (b"exit\n".to_vec(), String::new())
        );
        typist.join().unwrap();
    }

    struct Port(Sender<Vec<u8>>);

    impl std::io::Write for Port {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_typed_without_steps() {
        assert!(Dialog::new(&[]).1.is_none());
    }
}
