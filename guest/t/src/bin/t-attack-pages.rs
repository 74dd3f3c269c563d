//! Page faults over the whole linear and guest-physical address space.
#![no_std]
#![no_main]

use rt::{
    attempt, check, check_eq,
    interrupts::vector::{GP, PF, SS},
    paging::{self, PRESENT, WRITABLE},
    random::Random,
    start,
};

rt::main!(main);

#[repr(C, align(4096))]
struct Page([u8; 4096]);
static WINDOW: rt::Exclusive<Page> = rt::Exclusive::new(Page([0; 4096]));

fn main() {
    linear();
    below_4_gib();
    physical();
    end_of_memory();
}

/// Reads and writes 64 bits at `address`: true if both came through or raised what they may.
fn touch(address: u64) -> bool {
    let read = attempt!("mov {0}, [{0}]", inout(reg) address => _);
    let write = if read.is_some() {
        attempt!("mov [{0}], {0}", in(reg) address)
    } else {
        attempt!("lock or qword ptr [{0}], 0", in(reg) address)
    };
    [read, write]
        .iter()
        .flatten()
        .all(|e| [GP, PF, SS].contains(&e.vector))
}

fn linear() {
    let mut random = Random::new(4);
    let mut good = true;
    for bit in 32..64 {
        for address in [
            1_u64 << bit,
            u64::MAX << bit,
            (1 << bit) - 1,
            (1 << bit) - 4,
        ] {
            good &= address < 1 << 32 || touch(address);
        }
    }
    for _ in 0..1000 {
        good &= touch(random.number() | 1 << 40);
    }
    check!("linear addresses, canonical and not", good);
}

const IOAPIC: u64 = 0xfec0_0000;

/// All 2 MiB steps of what lies above memory, but for the APICs.
fn below_4_gib() {
    let mut ones = true;
    for address in (start::memory()..1 << 32).step_by(2 << 20) {
        if address != rt::lapic::BASE && address != IOAPIC {
            let value: u64;
            rt::execute!("mov {0}, [{1}]", out(reg) value, in(reg) address);
            rt::execute!("mov qword ptr [{0}], 0", in(reg) address);
            ones &= value == u64::MAX;
        }
    }
    check!("reads of nobody's memory below 4 GiB are all ones", ones);
}

/// Guest-physical addresses above the memory, up to the last that an entry holds.
fn physical() {
    let window = WINDOW.get() as u64;
    let mut good = true;
    for bit in 32..52 {
        for physical in [1_u64 << bit, (1 << 52) - (1 << bit)] {
            good &= paging::with_entry(window, physical | PRESENT | WRITABLE, || {
                touch_in_window(window)
            });
        }
    }
    check!("guest-physical addresses of every size", good);
    check_eq!("the window afterwards", WINDOW.with(|page| page.0[0]), 0);
}

fn touch_in_window(window: u64) -> bool {
    let mut value = 0_u64;
    let read = attempt!("mov {0}, [{1}]", out(reg) value, in(reg) window);
    let write = attempt!("mov qword ptr [{0}], 1", in(reg) window);
    let all_ones = read.is_some() || value == u64::MAX;
    all_ones
        && [read, write]
            .iter()
            .flatten()
            .all(|e| e.vector == PF && e.error_code.is_some_and(|code| code & 8 != 0))
}

/// An access whose first half is memory and whose second half is nobody's.
fn end_of_memory() {
    let mut value = 0_u64;
    let straddling = start::memory() - 4;
    let raised = attempt!("mov dword ptr [{1}], 0x12345678", "mov {0}, [{1}]", out(reg) value, in(reg) straddling);
    check!(
        "a read that leaves memory half way",
        raised.is_some() || value as u32 == 0x1234_5678
    );
    let _ = attempt!("mov qword ptr [{0}], 0", in(reg) straddling);
    check!("a write that leaves memory half way", true);
}
