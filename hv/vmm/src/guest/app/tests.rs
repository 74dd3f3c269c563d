use super::elf::tests::program;
use super::*;
use crate::memory::address_space::STACK_MAX;
use crate::memory::table::{LongMode, walk};
use crate::memory::testing::VecMemory;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spec::addr::{Hpa, L1Gpa};

const SIZE: u64 = 4 << 20;

fn ram(size: u64) -> GuestRam {
    GuestRam::new(VecMemory::leak(size as usize), Hpa(0), size)
}

/// How this program is started.
pub(super) fn start(program: &'static [u8]) -> Start<'static> {
    Start {
        program,
        archive: None,
        path: "/bin/it",
        arguments: &[],
        seed: 1,
        hwcap: 0,
        fsgsbase: false,
        extended_state: 832,
        seconds: 1_000_000_000,
    }
}

#[test]
fn a_program_is_ready_to_run() {
    let mut app = load(&start(program(&[0x90; 16]).leak()), ram(SIZE)).unwrap();
    let entry = app.entry;
    assert_eq!((entry.rip, entry.rsp % 16), (0x40_00b0, 0));
    assert_eq!(app.process.memory.read_u64(entry.rsp), Ok(1));
    app.fault(entry.rip, Access::Fetch).unwrap();
    let code: [u8; 16] = app.process.memory.read_array(entry.rip).unwrap();
    assert_eq!(code, [0x90; 16]);
    assert_eq!(
        app.fault(entry.rip, Access::Write),
        Err(Fault::Segv { mapped: true })
    );
    // Behind the data's bytes in the file come zeros, and it can be written.
    app.process.memory.write(0x50_0080, b"bss").unwrap();
    let data: [u8; 4] = app.process.memory.read_array(0x50_003f).unwrap();
    assert_eq!(data[1..], [0; 3]);
}

#[test]
fn only_cpl_0_reaches_the_syscall_entry() {
    let app = load(&start(program(&[0x90; 16]).leak()), ram(SIZE)).unwrap();
    let memory = app.process.memory.ram();
    let leaf = walk::<LongMode>(&memory, app.entry.cr3, app.entry.lstar).unwrap();
    assert!(!leaf.rights.user && !leaf.rights.write && leaf.rights.execute);
    let mut bytes = [0; 4];
    memory.read(L1Gpa(leaf.address), &mut bytes).unwrap();
    assert_eq!(bytes, layout::SYSCALL_ENTRY);
    let gdt = walk::<LongMode>(&memory, app.entry.cr3, app.entry.gdt.base).unwrap();
    for (selector, access) in [
        (0x10, 0x9b),
        (0x18, 0x93),
        (0x28, 0xf3),
        (0x30, 0xfb),
        (0x40, 0x8b),
    ] {
        let descriptor = memory.read_u64(L1Gpa(gdt.address + selector)).unwrap();
        assert_eq!(descriptor >> 40 & 0xff, access);
    }
}

#[test]
fn too_little_memory_is_an_error() {
    let program: &'static [u8] = program(&[0x90; 16]).leak();
    for size in [0, 0x1000, 0x4000, 0x1_0000] {
        let loaded = load(&start(program), ram(size));
        assert_eq!(loaded.err(), Some(LoadError::OutOfMemory), "{size:#x}");
    }
}

#[test]
fn page_fault_error_codes_are_understood() {
    assert_eq!(fault_access(4), Access::Read);
    assert_eq!(fault_access(7), Access::Write);
    assert_eq!(fault_access(0x14), Access::Fetch);
}

/// What the headers of the second segment may say: addresses at every edge among them.
fn changes() -> impl Strategy<Value = (u64, u64, u64, Vec<(usize, u8)>)> {
    let edge = prop_oneof![
        Just(layout::STACK_TOP),
        Just(layout::STACK_TOP - STACK_MAX),
        Just(0x1_0000),
        Just(0x40_1000),
        Just(0x7fff_ffff_f000),
        any::<u64>(),
    ];
    let size = prop_oneof![0u64..0x4000, Just(STACK_MAX), any::<u64>()];
    let bytes = prop::collection::vec((0usize..120, any::<u8>()), 0..3);
    (edge, 0u64..0x8000, size, bytes)
}

#[test]
fn any_headers_are_refused_or_loaded() {
    let ram = ram(SIZE);
    let mut runner = TestRunner::new(Config::with_cases(2000));
    let loads = |(edge, before, size, bytes): (u64, u64, u64, Vec<(usize, u8)>)| {
        let mut file = program(&[0xf4; 16]);
        let at = edge.wrapping_sub(before & !0xfff);
        file[120 + 16..120 + 24].copy_from_slice(&at.to_le_bytes());
        file[120 + 40..120 + 48].copy_from_slice(&size.to_le_bytes());
        for (at, byte) in bytes {
            file[at] = byte;
        }
        let Ok(mut app) = load(&start(file.leak()), ram) else {
            return Ok(());
        };
        // What `load` put on the stack is what the program finds.
        prop_assert_eq!(app.process.memory.read_u64(app.entry.rsp), Ok(1));
        Ok(())
    };
    runner.run(&changes(), loads).unwrap();
}
