//! Debian's Bochs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::pty::{Winsize, openpty};
use tempfile::TempDir;

use super::{Emulator, Machine, Running, spawn, tied};

pub(super) const MODEL: &str = "corei7_skylake_x";

/// Instructions that Bochs takes for a second. Firmware's delays cost that many, so a small number boots sooner.
const INSTRUCTIONS_PER_SECOND: u32 = 20_000_000;

const LOG: &str = "bochs.log";
const SCREEN: &str = "screen";

/// Starts Bochs, which connects to us for its serial port.
pub(super) fn start(
    machine: &Machine,
    scratch: TempDir,
    stopped: &dyn Fn() -> bool,
) -> Result<Running> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let (rc, commands) = (
        scratch.path().join("bochsrc"),
        scratch.path().join("commands"),
    );
    let text = bochsrc(
        machine,
        listener.local_addr()?.port(),
        &scratch.path().join(LOG),
    );
    fs::write(&rc, text)?;
    // Debian's build has the debugger in it, which waits to be told to continue.
    fs::write(&commands, "c\n")?;
    let mut command = tied("bochs-bin");
    command
        .arg("-q")
        .arg("-f")
        .arg(&rc)
        .arg("-rc")
        .arg(&commands);
    let mut running = Running {
        child: on_a_terminal(command, &scratch.path().join(SCREEN))?,
        output: Box::new(std::io::empty()),
        input: Box::new(std::io::sink()),
        emulator: Emulator::Bochs,
        scratch,
    };
    if let Some(stream) = accept(&listener, &mut running, stopped)? {
        running.output = Box::new(stream.try_clone()?);
        running.input = Box::new(Paced(stream));
    }
    Ok(running)
}

/// Starts it on a pseudo terminal, which the display `term` wants, and keeps what it draws in a file.
fn on_a_terminal(mut command: Command, screen: &Path) -> Result<Child> {
    let size = Winsize {
        ws_row: 25,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).context("opening a pseudo terminal")?;
    let slave = terminal.slave;
    command
        .env("TERM", "xterm")
        .stdin(slave.try_clone()?)
        .stdout(slave.try_clone()?)
        .stderr(slave);
    let child = spawn(&mut command, "Bochs")?;
    keep_screen(terminal.master, File::create(screen)?);
    // `command` goes, and with it our copies of the slave end: the last one closed ends `keep_screen`.
    Ok(child)
}

/// The connection from Bochs; none if it ended before that.
fn accept(
    listener: &TcpListener,
    running: &mut Running,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<TcpStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => bail!(error),
            Err(_) if stopped() || running.child.try_wait()?.is_some() => return Ok(None),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn keep_screen(master: OwnedFd, mut file: File) {
    thread::spawn(move || {
        let (mut master, mut bytes) = (File::from(master), [0; 4096]);
        // Reading fails when Bochs has ended.
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            if file.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    });
}

/// Bochs takes bytes from its connection at the port's speed and drops those for which the 16-byte FIFO has no
/// room: this writes so slowly that the hypervisor can keep up.
struct Paced(TcpStream);

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(&bytes[..bytes.len().min(8)])?;
        thread::sleep(Duration::from_millis(5));
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Bochs' configuration. With `sync=none` the TSC counts instructions.
fn bochsrc(machine: &Machine, port: u16, log: &Path) -> String {
    let Machine {
        model,
        cpus,
        memory,
        ..
    } = machine;
    let (kind, boot) = if machine.disk {
        ("disk, mode=volatile", "disk")
    } else {
        ("cdrom, status=inserted", "cdrom")
    };
    let image = machine.image.display();
    let journal = log.with_file_name("disk.redolog");
    format!(
        "display_library: term\n\
         memory: guest={memory}, host={host}\n\
         cpu: model={model}, count={cpus}, ips={INSTRUCTIONS_PER_SECOND}, reset_on_triple_fault=0\n\
         romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot\n\
         vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n\
         ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
         ata0-master: type={kind}, path=\"{image}\"{journal}\n\
         boot: {boot}\n\
         com1: enabled=1, mode=socket-client, dev=\"localhost:{port}\"\n\
         sound: waveoutdrv=dummy\n\
         clock: sync=none, time0=utc\n\
         panic: action=fatal\n\
         log: \"{log}\"\n",
        host = memory.min(&2048),
        journal = if machine.disk {
            format!(", journal=\"{}\"", journal.display())
        } else {
            String::new()
        },
        log = log.display(),
    )
}

/// How a machine that was ended on purpose ends: by the hypervisor, by ACPI.
const ENDS: [&str; 2] = ["shutdown requested", "soft power off"];

/// The panics that Bochs logged, but for the one by which a machine was ended on purpose. Before it has read where
/// its log goes, it prints to the screen.
pub(super) fn complaint(scratch: &Path) -> String {
    let text = |name| {
        fs::read(scratch.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let log = text(LOG).or_else(|_| text(SCREEN)).unwrap_or_default();
    let panics = log
        .lines()
        .filter(|line| line.contains(">>PANIC<<") && !ENDS.iter().any(|end| line.contains(end)));
    panics.flat_map(|line| [line.trim(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            emulator: Emulator::Bochs,
            model: MODEL.into(),
            cpus: 2,
            memory: 4096,
            uefi: false,
            disk: false,
            counting: false,
            bare: false,
            int_log: None,
            image: "t.iso".into(),
        }
    }

    #[test]
    fn the_machine_is_described() {
        let text = bochsrc(&machine(), 7171, Path::new("d/bochs.log"));
        for line in [
            "memory: guest=4096, host=2048\n",
            "cpu: model=corei7_skylake_x, count=2, ips=20000000, reset_on_triple_fault=0\n",
            "ata0-master: type=cdrom, status=inserted, path=\"t.iso\"\nboot: cdrom\n",
            "dev=\"localhost:7171\"\n",
            "log: \"d/bochs.log\"\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn a_disk_is_not_written() {
        let text = bochsrc(
            &Machine {
                disk: true,
                ..machine()
            },
            1,
            Path::new("d/bochs.log"),
        );
        assert!(
            text.contains(
                "type=disk, mode=volatile, path=\"t.iso\", journal=\"d/disk.redolog\"\nboot: disk\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn panics_but_the_end_are_complaints() {
        let top = tempfile::tempdir().unwrap();
        fs::write(
            top.path().join(SCREEN),
            "hello\r\n0p[] >>PANIC<< malformed\r\n",
        )
        .unwrap();
        assert_eq!(complaint(top.path()), "0p[] >>PANIC<< malformed\n");
        let log = "1i[X] text\n2p[CPU0 ] >>PANIC<< 3rd exception\n3p[UNMAP ] >>PANIC<< Shutdown port: shutdown requested\n";
        fs::write(top.path().join(LOG), log).unwrap();
        assert_eq!(complaint(top.path()), "2p[CPU0 ] >>PANIC<< 3rd exception\n");
    }
}
