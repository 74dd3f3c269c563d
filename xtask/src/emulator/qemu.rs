//! QEMU's TCG.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Emulator, Machine, Running, spawn, tied};

pub(super) const MODEL: &str = "max,+svm";

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const STDERR: &str = "stderr";

pub(super) fn start(machine: &Machine, scratch: TempDir) -> Result<Running> {
    let vars = scratch.path().join("vars.fd");
    if machine.uefi {
        fs::copy(OVMF_VARS, &vars).context(OVMF_VARS)?;
    }
    let mut command = tied("qemu-system-x86_64");
    command.args(words(machine, &vars));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(scratch.path().join(STDERR))?);
    let mut child = spawn(&mut command, "QEMU")?;
    let output = Box::new(child.stdout.take().context("no stdout")?);
    let input = Box::new(child.stdin.take().context("no stdin")?);
    Ok(Running {
        child,
        output,
        input,
        emulator: Emulator::Qemu,
        scratch,
    })
}

/// The words of QEMU's command line.
///
/// q35 because its SeaBIOS reaches GRUB sooner than pc's (0.45 s against 0.6 s), and because it is what firmware and
/// ACPI tables of today look like. A kernel without Nestling has pc, whose chipset, the 440FX, guests have too. Of the default devices only the display adapter stays: it is the second console.
fn words(machine: &Machine, vars: &Path) -> Vec<String> {
    let mut words: Vec<String> = [
        "-accel tcg -nodefaults -vga std -display none -no-reboot",
        "-device isa-debug-exit,iobase=0xf4,iosize=0x4",
        "-chardev stdio,id=com1,signal=off -serial chardev:com1",
    ]
    .iter()
    .flat_map(|line| line.split(' ').map(str::to_owned))
    .collect();
    let mut push = |name: &str, value: String| words.extend([name.to_owned(), value]);
    push("-machine", if machine.bare { "pc" } else { "q35" }.into());
    push("-cpu", machine.model.clone());
    push("-smp", machine.cpus.to_string());
    push("-m", machine.memory.to_string());
    push("-drive", drive(machine));
    push(
        "-boot",
        format!("order={},menu=off", if machine.disk { 'c' } else { 'd' }),
    );
    if machine.uefi {
        push(
            "-drive",
            format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"),
        );
        push(
            "-drive",
            format!("if=pflash,format=raw,unit=1,file={}", name(vars)),
        );
    }
    if machine.counting {
        push("-icount", "shift=0,sleep=off".into());
    }
    if let Some(log) = &machine.int_log {
        push("-d", "int,cpu_reset".into());
        push("-D", log.display().to_string());
    }
    words
}

fn drive(machine: &Machine) -> String {
    let image = name(&machine.image);
    if machine.disk {
        return format!("if=ide,index=0,media=disk,format=raw,snapshot=on,file={image}");
    }
    format!("if=ide,index=0,media=cdrom,format=raw,readonly=on,file={image}")
}

/// A file name inside an option, where a comma is doubled.
fn name(file: &Path) -> String {
    file.display().to_string().replace(',', ",,")
}

/// QEMU's exit status after `status` was written to isa-debug-exit.
pub(super) fn exit_code(status: u8) -> i32 {
    i32::from(status) << 1 | 1
}

/// The status that QEMU's exit status stands for: what was written to isa-debug-exit, or 0 when the machine was
/// switched off or reset.
pub(super) fn bare_status(code: Option<i32>) -> Option<u8> {
    match code? {
        0 => Some(0),
        code if code & 1 == 1 => u8::try_from(code >> 1).ok(),
        _ => None,
    }
}

pub(super) fn complaint(scratch: &Path) -> String {
    fs::read_to_string(scratch.join(STDERR)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            emulator: Emulator::Qemu,
            model: MODEL.into(),
            cpus: 2,
            memory: 512,
            uefi: false,
            disk: false,
            counting: false,
            bare: false,
            int_log: None,
            image: "a,b.iso".into(),
        }
    }

    fn line(machine: &Machine) -> String {
        words(machine, Path::new("v.fd")).join(" ")
    }

    #[test]
    fn the_machine_is_described() {
        let line = line(&machine());
        assert!(line.contains("-cpu max,+svm -smp 2 -m 512 "), "{line}");
        assert!(
            line.contains("media=cdrom,format=raw,readonly=on,file=a,,b.iso -boot order=d"),
            "{line}"
        );
        assert!(
            !line.contains("pflash") && !line.contains("icount") && !line.contains("-D"),
            "{line}"
        );
    }

    #[test]
    fn options_add_their_words() {
        let all = Machine {
            uefi: true,
            disk: true,
            counting: true,
            bare: false,
            int_log: Some("int.log".into()),
            ..machine()
        };
        let line = line(&all);
        for part in [
            "unit=1,file=v.fd",
            "media=disk",
            "-icount shift=0,sleep=off",
            "-d int,cpu_reset -D int.log",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn a_bare_machine_has_the_chipset_of_guests() {
        let bare = Machine {
            bare: true,
            ..machine()
        };
        assert!(line(&bare).contains("-machine pc "));
        assert!(line(&machine()).contains("-machine q35 "));
    }

    #[test]
    fn exit_codes() {
        assert_eq!([0, 1, 2].map(exit_code), [1, 3, 5]);
    }
}
