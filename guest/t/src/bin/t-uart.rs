//! The 16550A's interrupts by IRQ 4: the transmitter's, and in loopback those of the receiver, its errors and the
//! modem's lines. With the argument 1: input from the console, waited for in HLT.
#![no_std]
#![no_main]

use rt::{
    Single, check, check_eq, execute,
    interrupts::{self, Frame},
    machine::{in8, out8},
    pic, println, start,
};

rt::main!(main);

const DATA: u16 = 0x3f8;
const IER: u16 = 0x3f9;
const IIR: u16 = 0x3fa;
const MCR: u16 = 0x3fc;
const LSR: u16 = 0x3fd;
const MSR: u16 = 0x3fe;
const OUT2: u8 = 8;
const LOOPBACK: u8 = 0x10;
const IRQ: u8 = 4;

static CAUSES: Single<[u8; 4]> = Single::new([0; 4]);
static COUNT: Single<usize> = Single::new(0);

fn main() {
    pic::start();
    interrupts::on(pic::BASE + IRQ, Some(note));
    pic::enable(IRQ, true);
    out8(IIR, 0x87);
    check_eq!("FIFOs", in8(IIR), 0xc1);
    match start::argument_or(0) {
        0 => without_input(),
        _ => input(),
    }
    out8(MCR, OUT2);
}

fn note(_: &mut Frame) {
    let mut causes = CAUSES.load();
    if let Some(cause) = causes.get_mut(COUNT.load()) {
        *cause = in8(IIR);
        CAUSES.store(causes);
    }
    COUNT.store(COUNT.load() + 1);
    pic::eoi(IRQ);
}

/// What came since the last time: how many interrupts, and the first one's IIR.
fn came() -> (usize, u8) {
    execute!("sti", "nop", "nop", "cli");
    let result = (COUNT.load(), CAUSES.load()[0]);
    COUNT.store(0);
    CAUSES.store([0; 4]);
    result
}

/// Text goes out by this UART, so what is found is told when it is a console again.
fn without_input() {
    out8(MCR, OUT2);
    let nothing = came();
    out8(IER, 2);
    let first = came();
    let again = (came(), in8(IIR));
    out8(IER, 0);
    check_eq!("no interrupt is enabled", nothing, (0, 0));
    check_eq!("the transmitter is empty", first, (1, 0xc2));
    check_eq!("once", again, ((0, 0), 0xc1));
    received();
    overrun();
    modem();
    check_eq!("nothing more", came(), (0, 0));
}

fn loopback(enables: u8) {
    out8(MCR, OUT2 | LOOPBACK);
    let _ = in8(MSR);
    out8(IER, enables);
}

fn console() {
    out8(IIR, 0x83);
    out8(IER, 0);
    out8(MCR, OUT2);
    let _ = in8(MSR);
}

fn received() {
    loopback(1);
    out8(DATA, b'a');
    let first = came();
    for byte in b'b'..=b'h' {
        out8(DATA, byte);
    }
    let full = in8(IIR);
    let read: [u8; 8] = core::array::from_fn(|_| in8(DATA));
    let empty = (in8(LSR), in8(IIR));
    came();
    console();
    check_eq!("a byte below the trigger level", first, (1, 0xcc));
    check_eq!("at the trigger level", full, 0xc4);
    check!("the bytes are in order", &read == b"abcdefgh");
    check_eq!("and gone", empty, (0x60, 0xc1));
}

fn overrun() {
    loopback(4);
    for byte in 0..17 {
        out8(DATA, byte);
    }
    let (interrupt, status) = (came(), (in8(LSR), in8(LSR)));
    console();
    check_eq!("an overrun", interrupt, (1, 0xc6));
    check_eq!("the line status", status, (0x63, 0x61));
}

fn modem() {
    loopback(8);
    out8(MCR, OUT2 | LOOPBACK | 1);
    let (interrupt, status) = (came(), (in8(MSR), in8(MSR)));
    console();
    check_eq!("a modem line", interrupt, (1, 0xc0));
    check_eq!("the modem status", status, (0xa2, 0xa0));
}

/// Halts until a line has come.
fn input() {
    out8(MCR, OUT2);
    out8(IER, 1);
    println!("type");
    let mut line = [0; 16];
    let mut length = 0;
    let mut interrupted = 0;
    while length == 0 || line[length - 1] != b'\r' && line[length - 1] != b'\n' {
        execute!("sti", "hlt", "cli");
        interrupted += came().0;
        while in8(LSR) & 1 != 0 && length < line.len() {
            line[length] = in8(DATA);
            length += 1;
        }
    }
    out8(IER, 0);
    check!("interrupts came", interrupted > 0);
    check!("the line", line.starts_with(b"hello"));
}
