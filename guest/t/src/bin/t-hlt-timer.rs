//! HLT ended by the local APIC timer: one-shot, periodic and TSC deadline, xAPIC and x2APIC.
#![no_std]
#![no_main]

use rt::{
    Single, Ticks, check, check_eq, execute,
    interrupts::{self, Frame},
    lapic::{self, register},
    machine,
};

rt::main!(main);

const VECTOR: u8 = 0x40;
const SELF: u8 = 0x51;
static TICKS: Ticks = Ticks::new();
static IN_SERVICE: Single<bool> = Single::new(false);

fn main() {
    interrupts::on(VECTOR, Some(tick));
    interrupts::on(SELF, Some(tick));
    lapic::enable();
    in_this_mode("xAPIC");
    if lapic::has_x2apic() {
        lapic::enter_x2apic();
        lapic::enable();
    }
    in_this_mode("x2APIC");
    masked();
}

fn tick(frame: &mut Frame) {
    let vector = frame.vector as u32;
    let in_service = lapic::read(register::ISR + vector / 32 * 16) >> (vector % 32) & 1;
    IN_SERVICE.store(in_service == 1);
    TICKS.add();
    lapic::eoi();
}

/// Stops the timer, and lets a tick come that is already pending.
fn stop_timer() {
    lapic::stop_timer();
    execute!("sti", "nop", "nop", "cli");
}

fn in_this_mode(mode: &str) {
    rt::println!("{mode} mode");
    let ms = machine::lapic_khz() as u32;
    let before = machine::rdtsc();
    lapic::start_timer(VECTOR, 0, 2 * ms);
    check_eq!("one-shot", TICKS.halt_for(1), 1);
    let passed = (machine::rdtsc() - before) / (machine::tsc_khz() / 1000);
    check!("one-shot took at least 1.5 ms", passed >= 1500);
    check!("the vector was in service", IN_SERVICE.load());
    check_eq!(
        "the count stays at 0",
        lapic::read(register::CURRENT_COUNT),
        0
    );

    lapic::start_timer(VECTOR, lapic::PERIODIC, ms);
    check!("periodic, 5 times", TICKS.halt_for(5) >= 5);
    stop_timer();

    if lapic::has_deadline() {
        let deadline = machine::rdtsc() + 2 * machine::tsc_khz();
        lapic::start_deadline(VECTOR, deadline);
        let ticks = TICKS.halt_for(1);
        check!("TSC deadline", ticks == 1 && machine::rdtsc() >= deadline);
        check_eq!(
            "the deadline is cleared",
            machine::rdmsr(x86::msr::IA32_TSC_DEADLINE),
            0
        );
        stop_timer();
    }

    lapic::write(register::ICR, 4 << 16 | u32::from(SELF));
    check_eq!("an interrupt to self", TICKS.halt_for(1), 1);
    between_sti_and_hlt();
}

/// STI holds the timer's interrupt back until HLT waits for it: in between it would be missed.
fn between_sti_and_hlt() {
    const REPETITIONS: u32 = 2000;
    let halted = (0..REPETITIONS)
        .map(|after| {
            lapic::start_timer(VECTOR, 0, 1 + after);
            TICKS.halt_for(1)
        })
        .sum();
    check_eq!("STI, HLT: woken each time", halted, REPETITIONS);
}

fn masked() {
    let ms = machine::lapic_khz() as u32;
    let before = TICKS.count();
    lapic::start_timer(VECTOR, 0, ms / 10);
    let until = machine::rdtsc() + machine::tsc_khz();
    while machine::rdtsc() < until {
        core::hint::spin_loop();
    }
    check_eq!("no interrupt while IF=0", TICKS.count(), before);
    let requested = lapic::read(register::IRR + u32::from(VECTOR) / 32 * 16);
    check_eq!("the request is pending", requested >> (VECTOR % 32) & 1, 1);
    lapic::write(register::TPR, 0x50);
    execute!("sti", "nop", "nop", "cli");
    check_eq!(
        "no interrupt below the task priority",
        TICKS.count(),
        before
    );
    lapic::write(register::TPR, 0);
    execute!("sti", "nop", "nop", "cli");
    check_eq!("the interrupt once both let it", TICKS.count(), before + 1);
}
