//! Any bytes as a Multiboot kernel, its header with a good checksum, and as its module: it is loaded into the guest's
//! RAM or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::guest::multiboot::{BootModule, Files, Protocol, lay_out};

#[path = "../ram.rs"]
mod ram;

/// Where the header is: behind the headers of an ELF file with one or two segments.
const HEADER: usize = 120;

fn put(file: &mut [u8], word: usize, value: u32) {
    file[HEADER + word * 4..][..4].copy_from_slice(&value.to_le_bytes());
}

fn get(file: &[u8], word: usize) -> u32 {
    file[HEADER + word * 4..][..4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fuzz_target!(|bytes: &[u8]| {
    let mut file = bytes.to_vec();
    if file.len() > HEADER + 16 {
        if file[0] & 1 == 0 {
            put(&mut file, 0, 0x1bad_b002);
            let flags = get(&file, 1);
            put(&mut file, 2, 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags));
        } else {
            put(&mut file, 0, 0xe852_50d6);
            put(&mut file, 1, 0);
            let length = get(&file, 2);
            put(&mut file, 3, 0u32.wrapping_sub(0xe852_50d6).wrapping_sub(length));
        }
        if file[0] & 2 == 0 {
            file[..4].copy_from_slice(b"\x7fELF");
        }
    }
    let files = Files {
        kernel: &file,
        modules: &[BootModule { content: bytes, line: "a module" }],
        command_line: "words",
    };
    if let Ok(loaded) = lay_out(&ram::ram(), &files, Protocol::Either, 1) {
        assert!(u64::from(loaded.entry) < ram::SIZE && u64::from(loaded.information) < ram::SIZE);
    }
});
