//! Several virtual CPUs: INIT and startup IPI, IPIs both ways, NMI, a TLB shootdown, a contended lock.
#![no_std]
#![no_main]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use rt::{
    check, check_eq, execute,
    interrupts::{self, Frame, vector},
    lapic::{self, register},
    paging,
    processors::{self, delivery, wait},
};

rt::main!(main);

const PING: u8 = 0x60;
const PONG: u8 = 0x61;
const SHOOTDOWN: u8 = 0x62;

static STARTED: AtomicU32 = AtomicU32::new(0);
static ID: AtomicU32 = AtomicU32::new(u32::MAX);
static APIC_ID: AtomicU32 = AtomicU32::new(u32::MAX);
static PINGS: AtomicU32 = AtomicU32::new(0);
static PONGS: AtomicU32 = AtomicU32::new(0);
static NMIS: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn main() {
    interrupts::on(PING, Some(ping));
    interrupts::on(PONG, Some(pong));
    interrupts::on(SHOOTDOWN, Some(shootdown));
    interrupts::on(vector::NMI, Some(nmi));
    interrupts::set_ist(vector::NMI, 0);
    lapic::enable();
    in_this_mode("xAPIC");
    // INIT leaves a local APIC in its mode, so the others change theirs when they start.
    X2APIC.store(true, SeqCst);
    lapic::enter_x2apic();
    lapic::enable();
    in_this_mode("x2APIC");
}

static X2APIC: AtomicBool = AtomicBool::new(false);

fn in_this_mode(mode: &str) {
    rt::println!("{mode} mode");
    start();
    interrupt();
    ping_pong();
    non_maskable();
    lock();
    translation();
    again();
}

/// What another virtual CPU does first.
fn arrive() {
    if X2APIC.load(SeqCst) {
        lapic::enter_x2apic();
    }
    lapic::enable();
    ID.store(processors::id(), SeqCst);
    let raw = lapic::read(register::ID);
    APIC_ID.store(if X2APIC.load(SeqCst) { raw } else { raw >> 24 }, SeqCst);
    STARTED.fetch_add(1, SeqCst);
}

fn halt() {
    arrive();
    loop {
        execute!("sti", "hlt");
    }
}

fn begin(work: fn()) -> bool {
    let before = STARTED.load(SeqCst);
    processors::start(1, work);
    wait(|| STARTED.load(SeqCst) == before + 1)
}

fn start() {
    check!("CPU 1 starts", begin(halt));
    check_eq!("its APIC ID by CPUID", ID.load(SeqCst), 1);
    check_eq!("its APIC ID by its APIC", APIC_ID.load(SeqCst), 1);
}

fn ping(_: &mut Frame) {
    PINGS.fetch_add(1, SeqCst);
    lapic::eoi();
    processors::send(0, PONG.into());
}

fn pong(_: &mut Frame) {
    PONGS.fetch_add(1, SeqCst);
    lapic::eoi();
}

fn interrupt() {
    let before = PINGS.load(SeqCst);
    processors::send(1, PING.into());
    check!(
        "an IPI ends its HLT",
        wait(|| PINGS.load(SeqCst) == before + 1)
    );
    execute!("sti", "nop", "cli");
}

fn ping_pong() {
    const TIMES: u32 = 200;
    let before = PONGS.load(SeqCst);
    for n in 0..TIMES {
        processors::send(1, PING.into());
        while PONGS.load(SeqCst) - before <= n {
            execute!("sti", "hlt", "cli");
        }
    }
    check_eq!("ping and pong", PONGS.load(SeqCst) - before, TIMES);
}

fn nmi(_: &mut Frame) {
    NMIS.fetch_add(1, SeqCst);
}

fn spin_without_interrupts() {
    arrive();
    execute!("cli");
    while !STOP.load(SeqCst) {
        spin_loop();
    }
    STOP.store(false, SeqCst);
}

fn non_maskable() {
    let before = NMIS.load(SeqCst);
    processors::send(1, delivery::NMI);
    check!(
        "an NMI ends its HLT",
        wait(|| NMIS.load(SeqCst) == before + 1)
    );
    check!("INIT ends its HLT", begin(spin_without_interrupts));
    let (pings, nmis) = (PINGS.load(SeqCst), NMIS.load(SeqCst));
    processors::send(1, PING.into());
    processors::send(1, delivery::NMI);
    check!(
        "an NMI comes without IF",
        wait(|| NMIS.load(SeqCst) == nmis + 1)
    );
    check_eq!("an IPI does not", PINGS.load(SeqCst), pings);
    STOP.store(true, SeqCst);
    check!("it goes on", wait(|| !STOP.load(SeqCst)));
}

static LOCK: AtomicBool = AtomicBool::new(false);
static SUM: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicBool = AtomicBool::new(false);
const ROUNDS: u64 = 2000;

fn count() {
    for _ in 0..ROUNDS {
        while LOCK.swap(true, SeqCst) {
            spin_loop();
        }
        SUM.store(SUM.load(SeqCst) + 1, SeqCst);
        LOCK.store(false, SeqCst);
    }
}

fn count_there() {
    arrive();
    count();
    DONE.store(true, SeqCst);
}

fn lock() {
    SUM.store(0, SeqCst);
    DONE.store(false, SeqCst);
    begin(count_there);
    count();
    check!("both get the lock", wait(|| DONE.load(SeqCst)));
    check_eq!("and count to", SUM.load(SeqCst), 2 * ROUNDS);
}

const PAGE: u64 = 0x4000_0000;
static SEEN: AtomicU64 = AtomicU64::new(0);

fn page_word() -> u64 {
    let word: u64;
    execute!("mov {}, [{}]", out(reg) word, in(reg) PAGE);
    word
}

fn shootdown(_: &mut Frame) {
    execute!("invlpg [{}]", in(reg) PAGE);
    SEEN.store(page_word(), SeqCst);
    lapic::eoi();
}

/// The page of its own memory that holds this word, mapped where both look.
#[repr(C, align(4096))]
struct Page([u64; 512]);

static FIRST: Page = Page([1; 512]);
static SECOND: Page = Page([2; 512]);

fn translation() {
    begin(halt);
    paging::split(PAGE);
    let map = |page: &Page| paging::entry(PAGE).set(page as *const Page as u64 | paging::PRESENT);
    map(&FIRST);
    processors::send(1, SHOOTDOWN.into());
    check!("it sees the first page", wait(|| SEEN.load(SeqCst) == 1));
    map(&SECOND);
    processors::send(1, SHOOTDOWN.into());
    check!("then the second", wait(|| SEEN.load(SeqCst) == 2));
}

fn again() {
    let times = (0..20).filter(|_| begin(halt)).count();
    check_eq!("INIT and startup again", times, 20);
    processors::send(1, delivery::INIT);
}
