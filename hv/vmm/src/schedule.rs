//! Which virtual CPU runs on a physical CPU, and for how long.

use crate::exit::simple;
use crate::exit::table::Stop;
use crate::guest::End;
use crate::host::Host;
use crate::machine::{Engine, Reg};
use crate::run::{Pause, run};
use crate::trace::{MAX_CPUS, RINGS};
use crate::vcpu::{Activity, Vcpu};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use spin::Mutex;

/// How long a virtual CPU may run while others wait for the same physical CPU, in milliseconds.
const SLICE_MS: u64 = 10;

/// How long it may run at least when others wait for a time.
const LEAST_MS: u64 = 1;

/// How long a virtual CPU that waits for input sleeps before it looks again, in milliseconds.
const POLL_MS: u64 = 5;

/// The virtual CPUs of each physical CPU.
pub struct Scheduler {
    queues: [Mutex<VecDeque<Box<Vcpu>>>; MAX_CPUS],
    failed: AtomicUsize,
    /// TSC ticks of all CPUs in which they did not wait, and those in which guests executed.
    busy: AtomicU64,
    in_guests: AtomicU64,
    /// Held while one guest's end is told, so that two do not mix.
    reports: Mutex<()>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler {
    /// No virtual CPUs.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queues: [const { Mutex::new(VecDeque::new()) }; MAX_CPUS],
            failed: AtomicUsize::new(0),
            busy: AtomicU64::new(0),
            in_guests: AtomicU64::new(0),
            reports: Mutex::new(()),
        }
    }

    /// Gives a virtual CPU to a physical CPU that has not started to [`Scheduler::run`].
    pub fn add(&self, cpu: usize, vcpu: Vcpu) {
        let processors = &vcpu.guest.interrupts.processors;
        processors.set_home(vcpu.number as usize, cpu);
        self.queues[cpu].lock().push_back(Box::new(vcpu));
    }

    /// Counts a guest that failed before it ran.
    pub fn count_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many guests ended otherwise than with status 0.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Acquire)
    }

    /// Of the TSC ticks in which CPUs did not wait, so many in ten thousand were ours and not the guests'.
    pub fn share(&self) -> u64 {
        let busy = self.busy.load(Ordering::Acquire).max(1);
        let ours = busy.saturating_sub(self.in_guests.load(Ordering::Acquire));
        (u128::from(ours) * 10_000 / u128::from(busy)) as u64
    }

    /// Runs the virtual CPUs of this physical CPU until all have ended.
    pub fn run(&self, host: &'static Host) {
        let cpu = host.machine.cpu();
        let mut queue = core::mem::take(&mut *self.queues[cpu].lock());
        let start = host.machine.now();
        let mut waited = 0_u64;
        for vcpu in &mut queue {
            vcpu.expires = expiry(host, start, vcpu.timeout);
        }
        while !queue.is_empty() {
            match next_ready(&mut queue, host.machine.now()) {
                Some(vcpu) => self.run_one(host, cpu, vcpu, &mut queue),
                None => {
                    let before = host.machine.now();
                    host.machine.wait(next_deadline(&queue));
                    waited = waited.wrapping_add(host.machine.now().wrapping_sub(before));
                }
            }
        }
        let all = host.machine.now().wrapping_sub(start);
        self.busy
            .fetch_add(all.wrapping_sub(waited), Ordering::Release);
    }

    /// One time slice of one virtual CPU.
    fn run_one(
        &self,
        host: &'static Host,
        cpu: usize,
        mut vcpu: Box<Vcpu>,
        queue: &mut VecDeque<Box<Vcpu>>,
    ) {
        let now = host.machine.now();
        load(&mut vcpu, queue);
        let slice_end = slice_end(host, now, queue).min(vcpu.expires);
        let pause = if now < vcpu.expires {
            run(&mut vcpu, slice_end, &RINGS[cpu])
        } else {
            Pause::Stopped(time_is_up(&vcpu))
        };
        if let Pause::Stopped(stop) = &pause {
            vcpu.guest.finish(|| ending(stop, &*vcpu.engine));
        }
        if matches!(pause, Pause::Stopped(_) | Pause::Over) {
            unload(&mut vcpu);
            return self.take_leave(&vcpu);
        }
        if let Activity::Waiting(until) = vcpu.activity {
            let poll = host.machine.now().saturating_add(ticks(host, POLL_MS));
            vcpu.activity = Activity::Waiting(until.min(poll));
        }
        queue.push_back(vcpu);
    }

    /// A virtual CPU has left for good; the last one of a guest tells of its end.
    fn take_leave(&self, vcpu: &Vcpu) {
        let guest = &vcpu.guest;
        let Some((end, counts)) = guest.leave(&vcpu.counts) else {
            return;
        };
        self.in_guests
            .fetch_add(counts.in_guest(), Ordering::Release);
        let _whole = self.reports.lock();
        guest.console.flush();
        log::info!(
            "guest {} ({}) ended: {}",
            guest.number,
            guest.path,
            end.text
        );
        counts.write_table(|line| log::info!("  {line}"));
        if !end.good {
            self.count_failure();
        }
    }
}

/// The TSC at which a guest that started at `start` has run too long.
fn expiry(host: &Host, start: u64, timeout: Option<u64>) -> u64 {
    timeout.map_or(u64::MAX, |seconds| {
        start.saturating_add(host.machine.tsc_hz().saturating_mul(seconds))
    })
}

fn time_is_up(v: &Vcpu) -> Stop {
    let seconds = v.timeout.unwrap_or_default();
    simple::stop_at(
        v,
        v.engine.reg(Reg::Rip),
        &format!("it reached its timeout of {seconds} s"),
    )
}

fn ticks(host: &Host, milliseconds: u64) -> u64 {
    host.machine.tsc_hz() / 1000 * milliseconds
}

/// When a slice that begins now is over. Without others in the queue there is no need to leave the virtual CPU, save
/// to look after the console. Where one waits for a time, it is to have that time.
fn slice_end(host: &Host, now: u64, queue: &VecDeque<Box<Vcpu>>) -> u64 {
    let after = |milliseconds| now.saturating_add(ticks(host, milliseconds));
    if queue.is_empty() {
        return after(100 * SLICE_MS);
    }
    let waking = queue.iter().filter_map(|v| waking(v)).min();
    after(SLICE_MS).min(waking.unwrap_or(u64::MAX).max(after(LEAST_MS)))
}

/// Gives the physical CPU to a virtual one; the others in the queue wait for it.
fn load(vcpu: &mut Vcpu, queue: &mut VecDeque<Box<Vcpu>>) {
    if vcpu.activity != Activity::WaitForSipi {
        vcpu.set_activity(Activity::Active);
    }
    if !vcpu.is_loaded {
        queue.iter_mut().for_each(|other| unload(other));
        vcpu.engine.load();
        vcpu.is_loaded = true;
    }
    if vcpu.shares_cpu == queue.is_empty() {
        vcpu.shares_cpu = !queue.is_empty();
        vcpu.engine.set_pause_exiting(vcpu.shares_cpu);
    }
}

/// Takes the physical CPU from a virtual one that has it. It keeps it while no other runs.
fn unload(vcpu: &mut Vcpu) {
    if core::mem::take(&mut vcpu.is_loaded) {
        vcpu.engine.unload();
    }
}

/// Takes out the first virtual CPU that can run now.
fn next_ready(queue: &mut VecDeque<Box<Vcpu>>, now: u64) -> Option<Box<Vcpu>> {
    let at = queue.iter_mut().position(|v| is_ready(v, now))?;
    queue.remove(at)
}

fn is_ready(v: &mut Vcpu, now: u64) -> bool {
    if now >= v.expires || v.guest.interrupts.processors.is_stopped() {
        return true;
    }
    v.collect(now);
    match v.activity {
        Activity::Waiting(until) => now >= until,
        _ => v.is_awake() || is_lost(v),
    }
}

/// Ends a guest of which nothing can wake any virtual CPU. Not each HLT could see it: one that another was about to
/// wake, and then did not, was still awake to it.
fn is_lost(v: &Vcpu) -> bool {
    let lost = v.takes_no_interrupts() && v.guest.interrupts.nothing_can_wake();
    if lost {
        v.guest.finish(|| End {
            text: "stopped: all its virtual CPUs wait, and nothing can end that".into(),
            good: false,
        });
    }
    lost
}

/// When a virtual CPU that waits may become ready by time alone.
fn waking(v: &Vcpu) -> Option<u64> {
    match v.activity {
        Activity::Active => None,
        Activity::Waiting(until) => Some(until),
        Activity::Halted { .. } | Activity::WaitForSipi => v.next_deadline(),
    }
}

/// When the first of the virtual CPUs, none of which is ready, may become so by time alone.
fn next_deadline(queue: &VecDeque<Box<Vcpu>>) -> Option<u64> {
    let ending = |v: &Vcpu| v.timeout.map(|_| v.expires);
    queue
        .iter()
        .flat_map(|v| [waking(v), ending(v)])
        .flatten()
        .min()
}

/// How a guest ended whose virtual CPU stopped like this.
fn ending(stop: &Stop, engine: &dyn Engine) -> End {
    let rip = engine.reg(Reg::Rip);
    let text = match stop {
        Stop::Exit(status) => format!("exit {status}"),
        Stop::Signal { number, name } => {
            format!("killed by signal {number} ({name}) at rip {rip:#x}")
        }
        Stop::PowerOff => "power off".into(),
        Stop::Reset => format!("reset at rip {rip:#x}"),
        Stop::TripleFault => format!("triple fault at rip {rip:#x}"),
        Stop::Unsupported(what) => format!("stopped: {what}"),
    };
    let good = matches!(stop, Stop::Exit(0) | Stop::PowerOff);
    End { text, good }
}

#[cfg(test)]
mod tests;
