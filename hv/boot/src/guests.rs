//! The guests of this run, from the boot modules, given to the CPUs in turn.

use crate::cmdline::{FaultTime, Options};
use crate::info::Info;
use crate::{aps, bench, console, end, fault, memory};
use alloc::boxed::Box;
use alloc::vec::Vec;
use cpu::machine::{Backend, Console, Native};
use cpu::{percpu, report};
use spin::Once;
use vmm::guest::{self, Module, Seat};
use vmm::host::Host;
use vmm::memory::Frames;
use vmm::schedule::Scheduler;

static NATIVE: Once<Native> = Once::new();
static HOST: Once<Host> = Once::new();
static SCHEDULER: Scheduler = Scheduler::new();

/// Runs all guests; returns the status of the run.
pub fn run(backend: Box<dyn Backend>, frames: Frames, info: &Info, options: &Options) -> u32 {
    let native = NATIVE.call_once(|| {
        let read = options.stdin.then_some(console::read as fn() -> Option<u8>);
        Native::new(
            backend,
            Console {
                write: console::write,
                read,
            },
        )
    });
    log::info!("engine {}", native.backend().name());
    aps::on_all(enable);
    let host = HOST.call_once(|| Host::new(native, frames, memory::heap_for_guests()));
    let modules: Vec<Module> = info.modules().collect();
    load(host, &modules);
    vmm::emulate::fetch::prepare();
    if options.bench {
        bench::print();
    }
    aps::on_all(schedule);
    if options.bench {
        let share = SCHEDULER.share();
        log::info!("bench run.share {}.{:02} percent", share / 100, share % 100);
    }
    if options.trace_dump {
        end::print_last_exits();
        end::print_stacks();
    }
    u32::from(SCHEDULER.failed() > 0)
}

/// Switches the engine on, on the CPU that calls.
fn enable() {
    if let Some(Err(line)) = NATIVE.get().map(|native| native.backend().enable()) {
        report::begin();
        report::print(format_args!(
            "nestling: error: CPU {}: {line}",
            percpu::this().index()
        ));
        end::end(report::FAILED);
    }
}

fn schedule() {
    if let Some(host) = HOST.get() {
        SCHEDULER.run(host);
        if percpu::this().index() == 0 {
            fault::make(FaultTime::Late);
        }
    }
}

fn load(host: &'static Host, modules: &[Module]) {
    let shares_console = guest::count(modules) > 1;
    let cpus = percpu::all().len();
    let requests = modules
        .iter()
        .filter(|module| !module.command_line.starts_with("file:"));
    if guest::count(modules) == 0 {
        log::error!(
            "no guest: in GRUB's menu, let a module2 line follow that of the hypervisor, such as \
             module2 /boot/t-hello test:t-hello"
        );
        SCHEDULER.count_failure();
    }
    // The virtual CPUs of a guest go to different CPUs, and those of the next guest go on from there.
    let mut cpu = (0..cpus).cycle();
    for (index, module) in requests.enumerate() {
        let number = index + 1;
        let seat = Seat {
            host,
            number,
            shares_console,
            program: module.content,
            modules,
        };
        match guest::load(module, &seat) {
            Some(Ok(vcpus)) => vcpus
                .into_iter()
                .zip(&mut cpu)
                .for_each(|(vcpu, cpu)| SCHEDULER.add(cpu, vcpu)),
            Some(Err((path, error))) => {
                log::error!("guest {number} ({path}): {error}");
                SCHEDULER.count_failure();
            }
            None => {}
        }
    }
}
