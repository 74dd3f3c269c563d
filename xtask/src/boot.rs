//! One boot of a machine, watched through its serial port until it ends.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, LazyLock, Once};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::emulator::{Machine, Running};
use crate::serial::Serial;

/// How long an emulator may go on after the hypervisor's last line.
const GRACE: Duration = Duration::from_secs(3);
/// How often a wait looks at the clock and at Ctrl-C.
const POLL: Duration = Duration::from_millis(50);

static STOPPED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on Ctrl-C, SIGTERM and SIGHUP end boots instead of us; the second one ends us.
pub(crate) fn catch_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The flag is set in the handler itself: a program that ends of the same Ctrl-C is seen to end after that.
            flag::register_conditional_shutdown(signal, 130, STOPPED.clone())
                .and_then(|_| flag::register(signal, STOPPED.clone()))
                .expect("these signals can be caught");
        }
    });
}

/// Whether a signal asked us to end.
pub(crate) fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Writes to the serial port what the guests read, in a thread of its own.
pub(crate) type Feed = Box<dyn FnOnce(Box<dyn Write + Send>) + Send>;

/// A boot to make.
pub(crate) struct Boot<'a> {
    /// The machine.
    pub(crate) machine: &'a Machine,
    /// After this time it is ended.
    pub(crate) timeout: Option<Duration>,
    /// Called when the hypervisor begins to speak: earlier bytes would be lost.
    pub(crate) feed: Option<Feed>,
    /// Called with what has come, some times a second.
    pub(crate) show: &'a mut dyn FnMut(&mut Serial) -> Result<()>,
}

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The hypervisor said this status, and the emulator agrees.
    Status(u8),
    /// The hypervisor said this status, and then the emulator ended differently.
    Disagrees(u8, String),
    /// The emulator ended without the hypervisor's last line.
    Early(String),
    /// GRUB could not load the image.
    Grub,
    /// The time was up.
    Timeout(Duration),
    /// A signal asked us to end.
    Interrupted,
}

/// A boot that has ended.
pub(crate) struct Outcome {
    /// How.
    pub(crate) end: End,
    /// What came over the serial port.
    pub(crate) serial: Serial,
}

impl Outcome {
    /// The exit status that says how the boot ended.
    pub(crate) fn status(&self) -> u8 {
        match self.end {
            End::Status(status) => status,
            End::Disagrees(..) | End::Early(_) | End::Grub => 2,
            End::Timeout(_) => 124,
            End::Interrupted => 130,
        }
    }

    /// What a person should know about the end, where the serial text does not say it.
    pub(crate) fn explanation(&self, machine: &Machine) -> Option<String> {
        let last = self.serial.last_lines(12);
        match &self.end {
            End::Status(_) => None,
            End::Interrupted => Some("interrupted; the emulator is ended".into()),
            End::Grub => Some(format!("GRUB could not load the image:\n{last}")),
            End::Disagrees(status, exit) => Some(format!(
                "the hypervisor's last line says status {status}, but {} ended with {exit}",
                machine.emulator
            )),
            End::Early(why) if last.is_empty() => {
                Some(format!("{} could not start: {why}", machine.emulator))
            }
            End::Early(why) => Some(format!(
                "{} ended before the hypervisor did: {why}\nthe last lines were:\n{last}\n{}",
                machine.emulator,
                advice(machine)
            )),
            End::Timeout(limit) => Some(format!(
                "not ended after {} seconds; the last lines were:\n{last}\n{}",
                limit.as_secs(),
                advice(machine)
            )),
        }
    }
}

fn advice(machine: &Machine) -> String {
    if machine.int_log.is_some() {
        return "see `cargo xtask explain-int` for the log of interrupts".into();
    }
    "to see every interrupt and exception: run again on QEMU with --int-log FILE, then `cargo xtask explain-int FILE`".into()
}

impl Boot<'_> {
    /// Boots, and returns when the machine has ended.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        catch_signals();
        let began = Instant::now();
        let mut running = self.machine.start(&stopped)?;
        let bytes = reader(&mut running);
        let mut serial = Serial::default();
        let mut input = Some(std::mem::replace(
            &mut running.input,
            Box::new(std::io::sink()),
        ));
        let mut ended: Option<Instant> = None;
        loop {
            let open = receive(&bytes, &mut serial);
            (self.show)(&mut serial)?;
            if serial.started()
                && let (Some(input), Some(feed)) = (input.take(), self.feed.take())
            {
                thread::spawn(move || feed(input));
            }
            if ended.is_none() && !self.machine.bare && serial.end_status().is_some() {
                ended = Some(Instant::now());
            }
            let end = match self.judge(&serial, began) {
                Some(end) if ended.is_none() || end == End::Interrupted => end,
                _ if !open && self.machine.bare => running.bare_end()?,
                _ if !open => last_words(&mut running, &serial)?,
                _ if ended.is_some_and(|at| at.elapsed() > GRACE) => {
                    End::Status(serial.end_status().unwrap_or(2))
                }
                _ => continue,
            };
            return Ok(Outcome { end, serial });
        }
    }

    fn judge(&self, serial: &Serial, began: Instant) -> Option<End> {
        if stopped() {
            return Some(End::Interrupted);
        }
        if serial.grub_failed() {
            return Some(End::Grub);
        }
        self.timeout
            .filter(|limit| began.elapsed() > *limit)
            .map(End::Timeout)
    }
}

/// The end of a machine whose emulator has closed the serial port.
fn last_words(running: &mut Running, serial: &Serial) -> Result<End> {
    let exit = running.child.wait()?;
    let Some(status) = serial.end_status() else {
        let complaint = running.complaint();
        let why = if complaint.trim().is_empty() {
            format!("the machine was reset ({exit})")
        } else {
            complaint
        };
        return Ok(End::Early(why.trim().to_owned()));
    };
    Ok(if running.agrees(status, exit) {
        End::Status(status)
    } else {
        End::Disagrees(status, exit.to_string())
    })
}

fn reader(running: &mut Running) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let mut output = std::mem::replace(&mut running.output, Box::new(std::io::empty()));
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // An error is the end too: the connection of a killed emulator is reset.
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Takes what has come, after waiting a little for it; false when no more can come.
fn receive(bytes: &Receiver<Vec<u8>>, serial: &mut Serial) -> bool {
    match bytes.recv_timeout(POLL) {
        Ok(first) => serial.push(&first),
        Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    loop {
        match bytes.try_recv() {
            Ok(more) => serial.push(&more),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}
