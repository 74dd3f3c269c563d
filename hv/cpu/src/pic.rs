//! The two 8259 interrupt controllers: remapped, masked, and their spurious interrupts told apart.

use core::sync::atomic::{AtomicU32, Ordering};
use x86::io::{inb, outb};

/// The vector of IRQ 0; IRQ 15 is at `FIRST + 15`.
pub const FIRST: u8 = 0x20;

const MASTER: u16 = 0x20;
const SLAVE: u16 = 0xa0;
const EOI: u8 = 0x20;
/// OCW3: the next read of the command port gives the in-service register.
const READ_ISR: u8 = 0x0b;

/// How many spurious interrupts came on IRQ 7 and on IRQ 15.
static SPURIOUS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Moves IRQ 0..15 to vectors 0x20..0x2f, out of the exceptions' way, and masks them all.
pub fn init() {
    // ICW1 (edge, cascade, ICW4), ICW2 (vector), ICW3 (slave on line 2), ICW4 (8086 mode), OCW1 (mask).
    for (port, bytes) in [
        (MASTER, [0x11, FIRST, 4, 1, 0xff]),
        (SLAVE, [0x11, FIRST + 8, 2, 1, 0xff]),
    ] {
        let [first, rest @ ..] = bytes;
        // SAFETY: the ports are the interrupt controller's, and all interrupts are disabled.
        unsafe {
            outb(port, first);
            rest.iter().for_each(|&byte| outb(port + 1, byte));
        }
    }
}

/// Acknowledges what has to be of the interrupt at `vector` in `FIRST..FIRST + 16`: all lines are
/// masked, so it is one that firmware left, or spurious: its in-service bit is clear, as the request
/// went away before it was acknowledged.
pub fn acknowledge(vector: u8) {
    let irq = vector - FIRST;
    let (port, line) = if irq < 8 {
        (MASTER, irq)
    } else {
        (SLAVE, irq - 8)
    };
    let spurious = line == 7 && in_service(port) & 0x80 == 0;
    if spurious {
        SPURIOUS[usize::from(irq / 8)].fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: an EOI for an interrupt that was delivered; the slave's spurious one went through
    // the master's line 2, which was really in service.
    unsafe {
        if !spurious {
            outb(port, EOI);
        }
        if irq >= 8 {
            outb(MASTER, EOI);
        }
    }
}

/// How many spurious interrupts came on IRQ 7 and on IRQ 15.
pub fn spurious() -> [u32; 2] {
    SPURIOUS
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed))
}

fn in_service(port: u16) -> u8 {
    // SAFETY: OCW3 only selects the register that the next read gives.
    unsafe {
        outb(port, READ_ISR);
        inb(port)
    }
}
