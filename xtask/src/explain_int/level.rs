//! Who was running: the hypervisor, a guest, or the firmware.
//!
//! The log of `-d int` does not say it. What tells: the IDT of the hypervisor is one of its own variables; a guest runs with
//! EFER.SVME set (VMRUN demands it: APM vol 2 "Canonicalization and Consistency Checks"), the firmware and boot loader without,
//! and the hypervisor's own code too before it turns SVM on (or with a broken IDT).
//! With `-d int,in_asm` the log has `vmrun!` and `vmexit(` lines, which decide where they occur (one CPU only: they name none).

use super::event::Event;
use super::symbols::Symbols;

/// Where an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Level {
    Host,
    Guest,
    Firmware,
    Unknown,
}

impl Level {
    pub(super) const ALL: [Level; 4] = [Level::Host, Level::Guest, Level::Firmware, Level::Unknown];

    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Host => "host",
            Level::Guest => "guest",
            Level::Firmware => "firmware",
            Level::Unknown => "?",
        }
    }
}

const EFER_LMA: u64 = 1 << 10;
const EFER_SVME: u64 = 1 << 12;

/// Decides levels along the log.
#[derive(Default)]
pub(super) struct Levels {
    in_guest: Option<bool>,
}

impl Levels {
    /// Told by a `vmrun!` line (true) or a `vmexit` line (false).
    pub(super) fn set_guest(&mut self, in_guest: bool) {
        self.in_guest = Some(in_guest);
    }

    /// After a reset the firmware runs.
    pub(super) fn reset(&mut self) {
        self.in_guest = None;
    }

    pub(super) fn of(&self, event: &Event, host: &Symbols) -> Level {
        let registers = &event.registers;
        match self.in_guest {
            Some(true) => Level::Guest,
            Some(false) => Level::Host,
            None if !host.is_empty() && host.is_data(registers.idt.base) => Level::Host,
            None if !registers.complete => Level::Unknown,
            None if registers.efer & EFER_SVME != 0 && !host.is_empty() => Level::Guest,
            None if host.name(event.head.pc).is_some() => Level::Host,
            None if looks_like_firmware(event) || !host.is_empty() => Level::Firmware,
            None => Level::Unknown,
        }
    }
}

/// SeaBIOS runs below 1 MiB, iPXE in 32-bit segments with a base.
fn looks_like_firmware(event: &Event) -> bool {
    let in_rom = (0xc_0000..0x10_0000).contains(&event.head.pc);
    event.registers.efer & EFER_LMA == 0 && (in_rom || event.registers.cs.base != 0)
}
