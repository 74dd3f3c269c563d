//! Any bytes as a bzImage and as its initial RAM disk: it is loaded into the guest's RAM or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::guest::linux::{Entry, Files, lay_out};

#[path = "../ram.rs"]
mod ram;

fuzz_target!(|bytes: &[u8]| {
    let Some((entry, header)) = bytes.split_first() else {
        return;
    };
    // Only the header counts: the boot sector before it is not looked at.
    let mut file = vec![0; 0x1f1];
    file.extend(header);
    if file.len() > 0x212 {
        file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x1f1] %= 4;
        file.resize(file.len() + 2048, 1);
    }
    let files = Files {
        kernel: &file,
        initrd: (entry & 4 == 0).then_some(bytes),
        command_line: "words",
    };
    let entry = match entry % 4 {
        1 => Entry::Bits32,
        2 => Entry::Bits64,
        _ => Entry::Best,
    };
    if let Ok(loaded) = lay_out(&ram::ram(), &files, entry, 1) {
        assert!(loaded.entry >= 1 << 20 && loaded.entry < ram::SIZE);
        let initrd = loaded.initrd.unwrap_or(1 << 20);
        assert!(initrd >= 1 << 20 && initrd + bytes.len() as u64 <= ram::SIZE);
    }
});
