//! Who takes an IPI, among so many virtual CPUs as the argument says: by each kind of destination, with each local APIC
//! looked at. What a virtual CPU took is a hexadecimal digit, virtual CPU 0's the last.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    check_eq, execute,
    interrupts::{self, Frame, vector},
    lapic::{self, register},
    processors::{self, MOST, delivery, destination},
    start,
};

rt::main!(main);

/// Of a lower priority than [`COUNTED`]: when it is taken, that has been.
const FENCE: u8 = 0x50;
const COUNTED: u8 = 0x60;
const COMMAND: u32 = COUNTED as u32;
const EVERY_XAPIC: u32 = 0xff;

static STARTED: AtomicU32 = AtomicU32::new(0);
static COUNTS: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
static FENCES: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];

fn main() {
    interrupts::on(COUNTED, Some(counted));
    interrupts::on(FENCE, Some(fence));
    interrupts::on(vector::NMI, Some(nmi));
    interrupts::set_ist(vector::NMI, 0);
    rt::println!("flat");
    begin(flat, || serve(flat));
    shorthands_and_ids(EVERY_XAPIC);
    to_flat_sets();
    rt::println!("cluster");
    begin(cluster, || serve(cluster));
    to_clusters();
    rt::println!("x2APIC");
    begin(x2apic, || serve(x2apic));
    shorthands_and_ids(u32::MAX);
    to_x2apic_sets();
    execute!("cli");
}

fn cpus() -> u32 {
    start::argument_or(1) as u32
}

fn flat() {
    lapic::write(register::DESTINATION_FORMAT, u32::MAX);
    lapic::write(register::LOGICAL_DESTINATION, 1 << (24 + processors::id()));
    lapic::enable();
}

/// Clusters of 3, so that there are several of them.
fn cluster() {
    let id = processors::id();
    lapic::write(register::DESTINATION_FORMAT, 0x0fff_ffff);
    lapic::write(
        register::LOGICAL_DESTINATION,
        (id / 3) << 28 | 1 << (24 + id % 3),
    );
    lapic::enable();
}

fn x2apic() {
    lapic::enter_x2apic();
    lapic::enable();
}

/// Sets up the local APIC of this virtual CPU, and starts the others, which do `work`.
fn begin(set_up: fn(), work: fn()) {
    set_up();
    execute!("sti");
    for cpu in 1..cpus() {
        STARTED.store(0, SeqCst);
        processors::start(cpu, work);
        processors::wait(|| STARTED.load(SeqCst) == 1);
    }
}

fn serve(set_up: fn()) {
    set_up();
    STARTED.store(1, SeqCst);
    loop {
        execute!("sti", "hlt");
    }
}

fn mine(counters: &[AtomicU32; MOST]) -> &AtomicU32 {
    &counters[processors::id() as usize]
}

fn counted(_: &mut Frame) {
    mine(&COUNTS).fetch_add(1, SeqCst);
    lapic::eoi();
}

fn fence(_: &mut Frame) {
    mine(&FENCES).fetch_add(1, SeqCst);
    lapic::eoi();
}

fn nmi(_: &mut Frame) {
    mine(&COUNTS).fetch_add(1, SeqCst);
}

/// What each virtual CPU takes of what this sends.
fn took(send: impl FnOnce()) -> u32 {
    COUNTS.iter().for_each(|count| count.store(0, SeqCst));
    send();
    for cpu in 0..cpus() {
        let fences = &FENCES[cpu as usize];
        let before = fences.load(SeqCst);
        processors::send(cpu, FENCE.into());
        processors::wait(|| fences.load(SeqCst) != before);
    }
    let digit = |all, count: &AtomicU32| all << 4 | count.load(SeqCst) & 0xf;
    COUNTS.iter().rev().fold(0, digit)
}

/// One for each virtual CPU of this set that there is.
fn one_each(set: u32) -> u32 {
    let there = (0..cpus()).filter(|cpu| set >> cpu & 1 != 0);
    there.map(|cpu| 1 << (4 * cpu)).sum()
}

/// Checks that an interrupt command is taken once by each of a set.
fn sent(name: &str, to: u32, command: u32, set: u32) {
    check_eq!(name, took(|| processors::send(to, command)), one_each(set));
}

fn shorthands_and_ids(every: u32) {
    const ALL: u32 = 0xff;
    const OTHERS: u32 = 0xfe;
    sent("self", 0, COMMAND | destination::SELF, 1);
    sent("all", 0, COMMAND | destination::ALL, ALL);
    sent("all but self", 0, COMMAND | destination::OTHERS, OTHERS);
    sent(
        "NMI to all but self",
        0,
        delivery::NMI | destination::OTHERS,
        OTHERS,
    );
    sent("every ID", every, COMMAND, ALL);
    let one_by_one = || (0..cpus()).for_each(|cpu| processors::send(cpu, COMMAND));
    check_eq!("each ID", took(one_by_one), one_each(ALL));
    sent("one ID", 2, COMMAND, 1 << 2);
    sent("nobody's ID", 0x20, COMMAND, 0);
}

fn to_flat_sets() {
    const LOGICAL: u32 = COMMAND | destination::LOGICAL;
    for (name, set) in [
        ("one of a set", 2),
        ("a set", 0b1010_1010),
        ("every set", 0xff),
    ] {
        sent(name, set, LOGICAL, set);
    }
    let lowest = LOGICAL | delivery::LOWEST_PRIORITY;
    let once = took(|| processors::send(0xff, lowest)).is_power_of_two();
    check_eq!("lowest priority: one of all", once, true);
    lapic::write(register::TPR, 0x40);
    sent("lowest priority: not who is busy", 0b1001, lowest, 0b1000);
    lapic::write(register::TPR, 0);
}

fn to_clusters() {
    const LOGICAL: u32 = COMMAND | destination::LOGICAL;
    sent("two of the first cluster", 0x05, LOGICAL, 0b101);
    sent("the second cluster", 0x1f, LOGICAL, 0b11_1000);
    sent("the third cluster", 0x2f, LOGICAL, 0b1100_0000);
    sent("every cluster", 0xff, LOGICAL, 0xff);
}

fn to_x2apic_sets() {
    const LOGICAL: u32 = COMMAND | destination::LOGICAL;
    sent("a set", 0b1010_1010, LOGICAL, 0b1010_1010);
    sent("a set with who is not there", 0xff0c, LOGICAL, 0b1100);
    sent("another cluster", 0x1_00ff, LOGICAL, 0);
    let lowest = LOGICAL | delivery::LOWEST_PRIORITY;
    sent("lowest priority of one", 0b100, lowest, 0b100);
}
