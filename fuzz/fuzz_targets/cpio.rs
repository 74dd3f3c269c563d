//! Any bytes as an archive: the reader ends, and never gives more than it was given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::guest::cpio::Archive;

fuzz_target!(|bytes: &[u8]| {
    let read = Archive::new(bytes).filter_map(Result::ok);
    let total: usize = read.map(|entry| entry.data.len() + entry.name.len()).sum();
    assert!(total <= bytes.len());
});
