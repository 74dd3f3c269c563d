//! Which version of the Multiboot specification a kernel's header is of, for GRUB's commands, a command each.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::guest::Contents;

/// A version's header: its magic number, how many words add up to 0, their alignment, and where they have to be.
struct Header {
    version: &'static str,
    magic: u32,
    words: usize,
    alignment: usize,
    window: usize,
}

/// The better one first. Multiboot Specification 0.6.96 "The layout of Multiboot header", and 2.0, the same.
const HEADERS: [Header; 2] = [
    Header {
        version: "2",
        magic: 0xe852_50d6,
        words: 4,
        alignment: 8,
        window: 32768,
    },
    Header {
        version: "1",
        magic: 0x1bad_b002,
        words: 3,
        alignment: 4,
        window: 8192,
    },
];

impl Header {
    fn is_in(&self, file: &[u8]) -> bool {
        let head = &file[..file.len().min(self.window)];
        let size = self.words * 4;
        let places = (0..head.len()).step_by(self.alignment);
        let mut found = places.filter_map(|at| head.get(at..at + size));
        found.any(|header| {
            let words = header.as_chunks().0.iter();
            let words: Vec<u32> = words.map(|&word| u32::from_le_bytes(word)).collect();
            words[0] == self.magic && words.iter().copied().fold(0, u32::wrapping_add) == 0
        })
    }
}

/// The version that a kernel is of.
pub(super) fn version(kernel: &Contents) -> Result<&'static str> {
    let unpacked;
    let file = match kernel {
        Contents::Bytes(bytes) => bytes,
        Contents::File(path) => {
            // As GRUB does; what is not packed goes through as it is.
            let shell = Shell::new()?;
            let output = cmd!(shell, "gzip --decompress --stdout --force {path}").output();
            unpacked = output?.stdout;
            &unpacked
        }
    };
    let header = HEADERS.iter().find(|header| header.is_in(file));
    let header = header.context("it has no Multiboot header, and GRUB would not start it")?;
    Ok(header.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of so many bytes with these words at an offset.
    fn file(size: usize, at: usize, words: &[u32]) -> Contents {
        let mut file = vec![0; size];
        for (place, word) in file[at..].as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        Contents::Bytes(file)
    }

    #[test]
    fn the_header_tells_the_version() {
        let one = [0x1bad_b002, 3, 0xe452_4ffb];
        let two = [0xe852_50d6, 0, 16, 0x17ad_af1a];
        let both = [&two[..], &one[..]].concat();
        for (want, size, at, words) in [
            (Some("1"), 8192, 8180, &one[..]),
            (Some("1"), 12, 0, &one),
            (None, 8192, 8182, &one),
            (None, 9000, 8184, &one),
            (None, 8192, 0, &one[..2]),
            (None, 11, 0, &one[..2]),
            (Some("2"), 32768, 32752, &two),
            (None, 32768, 4, &two),
            (None, 40000, 32760, &two),
            (None, 32768, 0, &two[..3]),
            (Some("2"), 8192, 8, &both),
            (Some("1"), 8192, 4, &both),
            (None, 0, 0, &[]),
        ] {
            let got = version(&file(size, at, words)).ok();
            assert_eq!(got, want, "{words:x?} at {at} of {size}");
        }
    }
}
