//! Starting an emulator with its first serial port connected to us.

mod bochs;
mod qemu;

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::boot::End;
use crate::image;
use crate::setup::{self, Need};

/// The emulators.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Emulator {
    /// QEMU's TCG: emulates SVM.
    Qemu,
    /// Bochs: emulates VMX.
    Bochs,
}

impl Emulator {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Qemu, Self::Bochs];

    /// The virtualization extension that it emulates by default.
    pub(crate) const fn engine(self) -> &'static str {
        match self {
            Self::Qemu => "svm",
            Self::Bochs => "vmx",
        }
    }

    /// The CPU model that it emulates by default.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::Qemu => qemu::MODEL,
            Self::Bochs => bochs::MODEL,
        }
    }
}

impl fmt::Display for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qemu => "qemu",
            Self::Bochs => "bochs",
        })
    }
}

/// A machine to emulate.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Who emulates it.
    pub(crate) emulator: Emulator,
    /// The CPU model, as the emulator names it.
    pub(crate) model: String,
    /// How many CPUs.
    pub(crate) cpus: u32,
    /// Memory in MiB.
    pub(crate) memory: u32,
    /// UEFI firmware instead of BIOS (QEMU only).
    pub(crate) uefi: bool,
    /// The image is a disk instead of a CD.
    pub(crate) disk: bool,
    /// Every instruction takes one tick of the TSC (Bochs always counts so).
    pub(crate) counting: bool,
    /// A kernel has it, without the hypervisor: how it ends, only the emulator says.
    pub(crate) bare: bool,
    /// Where QEMU's log of interrupts goes.
    pub(crate) int_log: Option<PathBuf>,
    /// The image to boot.
    pub(crate) image: PathBuf,
}

/// An emulator that runs.
pub(crate) struct Running {
    /// The process.
    pub(crate) child: Child,
    /// What the guest sends to the serial port.
    pub(crate) output: Box<dyn Read + Send>,
    /// What the guest receives from it.
    pub(crate) input: Box<dyn Write + Send>,
    emulator: Emulator,
    scratch: TempDir,
}

impl Machine {
    /// Installs the emulator where it is missing.
    pub(crate) fn need(&self) -> Result<()> {
        match self.emulator {
            Emulator::Qemu if self.uefi => setup::need(&[Need::Qemu, Need::Uefi]),
            Emulator::Qemu => setup::need(&[Need::Qemu]),
            Emulator::Bochs => setup::need(&[Need::Bochs]),
        }
    }

    /// Starts the emulator. `stopped` is asked while waiting for it.
    pub(crate) fn start(&self, stopped: &dyn Fn() -> bool) -> Result<Running> {
        let scratch = image::scratch()?;
        match self.emulator {
            Emulator::Qemu => qemu::start(self, scratch),
            Emulator::Bochs => bochs::start(self, scratch, stopped),
        }
    }
}

impl Running {
    /// What the emulator says about its end, where that is not the guests' doing.
    pub(crate) fn complaint(&self) -> String {
        match self.emulator {
            Emulator::Qemu => qemu::complaint(self.scratch.path()),
            Emulator::Bochs => bochs::complaint(self.scratch.path()),
        }
    }

    /// How the emulator of a bare kernel ended.
    pub(crate) fn bare_end(&mut self) -> Result<End> {
        let (exit, complaint) = (self.child.wait()?, self.complaint());
        let status = match self.emulator {
            Emulator::Qemu => qemu::bare_status(exit.code()),
            Emulator::Bochs => complaint.is_empty().then_some(0),
        };
        Ok(match status {
            Some(status) => End::Status(status),
            None if complaint.is_empty() => End::Early(exit.to_string()),
            None => End::Early(complaint.trim().to_owned()),
        })
    }

    /// Whether a run that ended with this status by its last line can have ended so by the emulator's exit status.
    pub(crate) fn agrees(&self, status: u8, exit: std::process::ExitStatus) -> bool {
        self.emulator == Emulator::Bochs || exit.code() == Some(qemu::exit_code(status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Failing means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that the kernel kills when we die, so that no emulator outlives us.
fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

fn spawn(command: &mut Command, name: &str) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    // A group of its own: Ctrl-C reaches us, and we end it.
    command
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {name}"))
}
