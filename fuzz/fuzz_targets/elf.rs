//! Any bytes as a program: the loader refuses them or gives segments that can be mapped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::guest::app::elf;
use vmm::memory::address_space::{USER_END, USER_START};

fuzz_target!(|file: &[u8]| {
    let Ok(program) = elf::parse(file) else {
        return;
    };
    let mut end = USER_START;
    for segment in &program.segments {
        assert!(segment.file.end <= file.len() && segment.file.len() as u64 <= segment.size);
        assert!(segment.address >= end);
        end = segment.address + segment.size;
        assert!(end <= USER_END);
    }
});
