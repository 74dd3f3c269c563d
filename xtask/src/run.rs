//! `cargo xtask run`: build, boot, show the console.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::stat::{SFlag, fstat, major, minor};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use crate::boot::{Boot, Feed};
use crate::emulator::{Emulator, Machine};
use crate::image::{self, Parts};

/// What a terminal sends for Ctrl-D, the end of the input.
pub(crate) const END_OF_INPUT: u8 = 4;

/// What ends the input behind a text: behind half a line the first Ctrl-D only ends the line.
pub(crate) fn end_of_input(last: Option<u8>) -> &'static [u8] {
    match last {
        None | Some(b'\n') => &[END_OF_INPUT],
        Some(_) => &[END_OF_INPUT; 2],
    }
}

/// Builds an image, boots it in an emulator, shows the serial console, and ends when the guests end.
///
/// Exit status: 0 all guests ended well, 1 a guest failed, 2 the hypervisor failed or could not be started,
/// 124 the time was up, 130 interrupted. What is typed or piped in goes to the guests' console.
/// Ctrl-C ends the run; with any guest but test guests it is typed to that, and Ctrl-] ends the run.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    parts: Parts,
    /// Who emulates the machine: QEMU has AMD's SVM, Bochs Intel's VMX.
    #[arg(long, value_enum, default_value = "qemu")]
    emulator: Emulator,
    /// The emulator's CPU model [default: max,+svm for QEMU, corei7_skylake_x for Bochs].
    #[arg(long)]
    model: Option<String>,
    /// How many CPUs; Nestling uses 8 at most.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// The machine's memory.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    memory: u32,
    /// Boot by UEFI firmware instead of a BIOS (QEMU only).
    #[arg(long)]
    uefi: bool,
    /// Attach the image as a disk instead of a CD.
    #[arg(long)]
    disk: bool,
    /// Write QEMU's log of interrupts and exceptions to this file, for `cargo xtask explain-int`.
    #[arg(long, value_name = "FILE", value_parser = image::absolute)]
    int_log: Option<PathBuf>,
    /// End the run after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// As many CPUs as the hypervisor uses.
const MOST_CPUS: u32 = 8;

/// Where the guests' input comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Nothing,
    Pipe,
    Terminal,
}

/// Runs, and returns the exit status.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let scratch = image::scratch()?;
    let machine = args.machine(scratch.path().join("nestling.iso"))?;
    let source = source();
    let mut parts = args.parts.clone();
    if source != Source::Nothing && !parts.cmdline.contains("stdin=") {
        parts.cmdline.push_str(" stdin=serial");
    }
    machine.need()?;
    parts.make(&machine.image)?;
    let raw = if source == Source::Terminal {
        Some(RawTerminal::new(args.parts.take_keys())?)
    } else {
        None
    };
    let mut stdout = std::io::stdout();
    let boot = Boot {
        machine: &machine,
        timeout: args.timeout.map(Duration::from_secs),
        feed: feed(source),
        show: &mut |serial| {
            stdout.write_all(&serial.fresh())?;
            Ok(stdout.flush()?)
        },
    };
    let outcome = boot.run()?;
    drop(raw);
    if let Some(text) = outcome.explanation(&machine) {
        eprintln!("xtask: {text}");
    }
    Ok(outcome.status())
}

impl Args {
    fn machine(&self, image: PathBuf) -> Result<Machine> {
        let emulator = self.emulator;
        ensure!(
            !self.uefi || emulator == Emulator::Qemu,
            "--uefi needs QEMU: Debian has no UEFI firmware for Bochs"
        );
        ensure!(
            self.int_log.is_none() || emulator == Emulator::Qemu,
            "--int-log is a log of QEMU's"
        );
        if self.cpus > MOST_CPUS && !self.parts.bare {
            eprintln!("xtask: of {} CPUs Nestling uses {MOST_CPUS}", self.cpus);
        }
        Ok(Machine {
            emulator,
            model: self
                .model
                .clone()
                .unwrap_or_else(|| emulator.model().into()),
            cpus: self.cpus,
            memory: self.memory,
            uefi: self.uefi,
            disk: self.disk,
            counting: false,
            bare: self.parts.bare,
            int_log: self.int_log.clone(),
            image,
        })
    }
}

fn source() -> Source {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        // In the background a terminal cannot be read.
        let foreground = nix::unistd::tcgetpgrp(stdin.as_fd())
            .is_ok_and(|group| group == nix::unistd::getpgrp());
        return if foreground {
            Source::Terminal
        } else {
            Source::Nothing
        };
    }
    let Ok(stat) = fstat(stdin.as_fd()) else {
        return Source::Nothing;
    };
    let device = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    let null = device && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3);
    if null { Source::Nothing } else { Source::Pipe }
}

fn feed(source: Source) -> Option<Feed> {
    (source != Source::Nothing).then(|| -> Feed { Box::new(forward) })
}

/// Forwards our standard input until it ends, then says so. Errors mean that the machine has ended.
fn forward(mut port: Box<dyn Write + Send>) {
    let (mut stdin, mut bytes, mut last) = (std::io::stdin(), [0; 256], None);
    while let Ok(count @ 1..) = stdin.read(&mut bytes) {
        if port
            .write_all(&bytes[..count])
            .and_then(|()| port.flush())
            .is_err()
        {
            return;
        }
        last = Some(bytes[count - 1]);
    }
    let _ = port
        .write_all(end_of_input(last))
        .and_then(|()| port.flush());
}

/// What ends a run whose program has Ctrl-C for itself: Ctrl-], as for telnet.
const LEAVE: u8 = 0x1d;

/// Our terminal without echo and line editing, which are the guest's. Restored in the end.
struct RawTerminal(Termios);

impl RawTerminal {
    /// A key for an interrupt stays ours: Ctrl-C, or another one where a program understands Ctrl-C.
    fn new(keys: bool) -> Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
        raw.input_flags &= !(InputFlags::ICRNL | InputFlags::IXON);
        if keys {
            use SpecialCharacterIndices::{VINTR, VQUIT, VSUSP};
            const NONE: u8 = nix::libc::_POSIX_VDISABLE;
            for (key, byte) in [(VINTR, LEAVE), (VQUIT, NONE), (VSUSP, NONE)] {
                raw.control_chars[key as usize] = byte;
            }
        }
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
