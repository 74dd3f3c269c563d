//! What Multiboot kernels check and print: the state at entry, and the boot information.

use rt::report::{self, check, check_eq};
use rt::{println, start};

/// The state at entry, as `multiboot.s` stores it.
#[repr(C)]
pub struct State {
    magic: u32,
    information: u32,
    eflags: u32,
    cr0: u32,
    /// CS, then the data segments.
    selectors: [u32; 6],
    gdt_limit: u16,
    gdt_base: [u16; 2],
}

/// The entry point of Multiboot kernels, in long mode.
#[macro_export]
macro_rules! multiboot_main {
    () => {
        #[unsafe(no_mangle)]
        extern "C" fn multiboot_main(state: &$crate::multiboot::State) -> ! {
            $crate::multiboot::run(env!("CARGO_BIN_NAME"), state)
        }
    };
}

/// Checks and prints all, and ends the guest.
pub fn run(guest: &str, state: &State) -> ! {
    const VM_AND_IF: u32 = 1 << 17 | 1 << 9;
    const PG_AND_PE: u32 = 1 << 31 | 1;
    start::set_up();
    check_eq("CR0.PG and CR0.PE", state.cr0 & PG_AND_PE, 1);
    check_eq("EFLAGS.VM and EFLAGS.IF", state.eflags & VM_AND_IF, 0);
    check(
        "A20",
        word(0x10_0000) != word(0) || word(0x10_0004) != word(4),
    );
    check_descriptors(state);
    match state.magic {
        0x2bad_b002 => version1(state.information),
        0x36d7_6289 => version2(state.information),
        magic => check_eq("the magic number", magic, 0x2bad_b002),
    }
    report::finish(guest)
}

/// The selectors are those of flat descriptors. But for the accessed bit: who loaded them may not have written it.
fn check_descriptors(state: &State) {
    let base = u32::from(state.gdt_base[0]) | u32::from(state.gdt_base[1]) << 16;
    let descriptors = state.selectors.map(|selector| {
        let there = selector + 7 <= state.gdt_limit.into();
        there.then(|| (word(base + selector), word(base + selector + 4) & !0x100))
    });
    let mut want = [Some((0xffff, 0x00cf_9200)); 6];
    want[0] = Some((0xffff, 0x00cf_9a00));
    check_eq("flat segments", descriptors, want);
}

fn version1(at: u32) {
    let field = |offset: u32| word(at + offset);
    println!("Multiboot 1, flags {:#x}", field(0));
    println!("memory {} KiB and {} KiB", field(4), field(8));
    println!("command line: {}", Text(field(16)));
    println!("loader: {}", Text(field(64)));
    for n in 0..field(20) {
        let row = field(24) + n * 16;
        module(word(row), word(row + 4), word(row + 8));
    }
    let mut entry = field(48);
    while entry < field(48) + field(44) {
        region(entry + 4);
        entry += word(entry) + 4;
    }
}

fn version2(start: u32) {
    println!("Multiboot 2");
    check_eq("the alignment of the boot information", start % 8, 0);
    let mut at = start + 8;
    loop {
        let (kind, size) = (word(at), word(at + 4));
        match kind {
            0 => {
                break check_eq(
                    "the end of the boot information",
                    at + 8,
                    start + word(start),
                );
            }
            1 => println!("command line: {}", Text(at + 8)),
            2 => println!("loader: {}", Text(at + 8)),
            3 => module(word(at + 8), word(at + 12), at + 16),
            4 => println!("memory {} KiB and {} KiB", word(at + 8), word(at + 12)),
            6 => (at + 16..at + size)
                .step_by(word(at + 8) as usize)
                .for_each(region),
            14 | 15 => check_eq(
                "RSD PTR",
                (word(at + 8), word(at + 12)),
                (0x2044_5352, 0x2052_5450),
            ),
            21 => println!("loaded at {:#x}", word(at + 8)),
            kind => println!("tag {kind} of {size} bytes"),
        }
        at += size.next_multiple_of(8);
    }
}

fn module(start: u32, end: u32, text: u32) {
    check_eq("the alignment of a module", start % 4096, 0);
    let sum = (start..end)
        .map(|at| u32::from(byte(at)))
        .fold(0, u32::wrapping_add);
    println!(
        "module of {} bytes, sum {sum:#x}: {}",
        end - start,
        Text(text)
    );
}

fn region(at: u32) {
    let (start, length) = (quad(at), quad(at + 8));
    println!(
        "memory {start:#x} to {:#x}: {}",
        start + length,
        word(at + 16)
    );
}

fn byte(at: u32) -> u8 {
    // SAFETY: the first 4 GiB are mapped, and what is read is the loader's.
    unsafe { (at as *const u8).read_volatile() }
}

fn word(at: u32) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|n| byte(at + n)))
}

fn quad(at: u32) -> u64 {
    u64::from(word(at)) | u64::from(word(at + 4)) << 32
}

/// Text up to a zero byte.
struct Text(u32);

impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        let bytes = (self.0..).map(byte).take_while(|&byte| byte != 0);
        bytes
            .take(4096)
            .try_for_each(|byte| f.write_char(byte.into()))
    }
}
