//! The hypervisor's binary: from GRUB's hand-over to the scheduler.
#![no_std]
#![no_main]

extern crate alloc;

mod aps;
mod bench;
mod cmdline;
mod console;
mod end;
mod engine;
mod fault;
mod guests;
mod info;
mod logger;
mod memory;
mod paging;
mod tables;

use alloc::borrow::Cow;
use cmdline::{FaultTime, Options};
use core::arch::global_asm;
use cpu::apic::Apic;
use cpu::cpuid::Features;
use cpu::{apic, clock, cpuid, cr, percpu, pic, symbols, traps, tsc};
use info::Info;
use vmm::memory::Frames;

global_asm!(
    include_str!("entry.s"),
    stacks_size = const percpu::STACKS_SIZE,
    boot_main = sym boot_main,
    ap_main = sym aps::ap_main,
    ap_stack = sym aps::STACK,
    options(att_syntax)
);

/// The multiboot2 header, in the image's first bytes.
#[used]
#[unsafe(link_section = ".multiboot2")]
static HEADER: Aligned<[u8; include_bytes!(concat!(env!("OUT_DIR"), "/multiboot2_header")).len()]> =
    Aligned(*include_bytes!(concat!(
        env!("OUT_DIR"),
        "/multiboot2_header"
    )));

#[repr(C, align(8))]
struct Aligned<T>(T);

unsafe extern "C" {
    static boot_stacks: u8;
}

/// Where the entry code goes on, on the boot stack, with interrupts disabled.
extern "sysv64" fn boot_main(magic: u32, information: u32) -> ! {
    // SAFETY: the first thing on the first CPU, which runs on these stacks.
    unsafe { percpu::adopt(0, (&raw const boot_stacks) as u64) };
    percpu::publish(0);
    let info = if magic == info::MAGIC {
        // SAFETY: with the magic number in EAX, EBX is the information's address.
        unsafe { Info::load(information) }
    } else {
        Err("not loaded by multiboot2")
    };
    let line = info.as_ref().map_or("", |info| info.command_line());
    let options = Options::parse(line, |_| {});
    end::init(options.end);
    end::set_emulator(info.as_ref().is_ok_and(Info::is_emulator));
    console::init(options.console, info.as_ref().ok());
    logger::init(options.log);
    Options::parse(line, |word| {
        log::warn!("unknown word on the command line: {word}")
    });
    match info
        .map_err(Cow::from)
        .and_then(|info| start(&info, &options))
    {
        Ok(status) => end::end(status),
        Err(line) => {
            log::error!("{line}");
            end::end(cpu::report::FAILED)
        }
    }
}

/// Brings the machine up and runs the guests; returns the status.
fn start(info: &Info, options: &Options) -> Result<u32, Cow<'static, str>> {
    log::info!("version {}", env!("CARGO_PKG_VERSION"));
    if let Some((table, names)) = info.symbols() {
        symbols::register(table, names);
    }
    let features = cpuid::features();
    if !features.nx {
        return Err("this processor has execute-disable switched off: enable it (XD, NX) in the firmware's setup".into());
    }
    cr::init(&features);
    let heap = memory::init_heap(info)?;
    let (mut frames, stacks) = memory::divide(info, &heap)?;
    let trampoline = memory::trampoline_page(info);
    load_page_tables(info, &features, &mut frames, stacks, trampoline)?;
    memory::register(&frames);
    log::info!(
        "{} MiB of memory free, {} MiB heap",
        frames.free_bytes() >> 20,
        (heap.end - heap.start) >> 20
    );

    let platform = tables::read(info);
    pic::init();
    timers(&features, &platform)?;
    bench::waiting(|| aps::start(&platform, trampoline, stacks));
    log::info!("{} CPUs", percpu::all().len());
    fault::init(options.fault);
    fault::make(FaultTime::Early);
    let backend = engine::detect(options.engine)?;
    Ok(guests::run(backend, frames, info, options))
}

fn load_page_tables(
    info: &Info,
    features: &Features,
    frames: &mut Frames,
    stacks: u64,
    trampoline: Option<u64>,
) -> Result<(), &'static str> {
    let root = {
        if let Some(page) = trampoline {
            aps::copy_trampoline(page);
        }
        let plan = paging::Plan::new(
            info,
            features,
            (&raw const boot_stacks) as u64,
            stacks,
            trampoline,
        );
        paging::build(&plan, info, frames)?
    };
    if let Some(page) = trampoline {
        aps::set_root(page, root);
    }
    // SAFETY: the tables map everything that runs or is used where it is.
    unsafe { cr::load_page_tables(root) };
    Ok(())
}

/// Enables this CPU's local APIC and finds out how fast its clocks are.
fn timers(features: &Features, platform: &tables::Platform) -> Result<(), &'static str> {
    tables::mask_io_apics(platform);
    let mut local = Apic::enable(features)?;
    let found = bench::waiting(|| clock::calibrate(&mut local, platform.pm_timer))?;
    tsc::set_hz(found.tsc_hz);
    apic::set_timer_hz(found.timer_hz);
    let mode = if local.is_x2apic() { "x2APIC" } else { "xAPIC" };
    let timer = if local.has_deadline() {
        ", TSC-deadline timer"
    } else {
        ""
    };
    log::info!("local APIC {} in {mode} mode{timer}", local.id());
    if found.against != clock::USUAL {
        log::info!(
            "clocks measured by {}, not by {}",
            found.against,
            clock::USUAL
        );
    }
    log::info!(
        "LAPIC timer {} Hz, TSC {} Hz, second measurement differs by {} ppm",
        found.timer_hz,
        found.tsc_hz,
        found.ppm
    );
    percpu::set_apic(local);
    traps::accept_interrupts();
    Ok(())
}
