//! What a guest's own command does on Linux: in the same tree on a tmpfs, on a terminal of the same size.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::pty::{Winsize, openpty};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tempfile::TempDir;

use crate::archive::Tree;
use crate::guest::Guest;
use crate::run::END_OF_INPUT;

/// The environment of a native run, and of an `app` guest.
const ENVIRONMENT: &[&str] = &["HOME=/", "TERM=linux", "PATH=/bin:/sbin:/usr/bin:/usr/sbin"];
/// Where Linux has a tmpfs, as whose sizes and orders the guest's file system shows its own.
const TMPFS: &str = "/dev/shm";
/// A guest's console.
const WINDOW: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};
/// How often the end of the input is typed: what reads on after it meets it again.
const ENDS: u32 = 500;
/// How long it is until the next; after the last the program is killed.
const PAUSE: Duration = Duration::from_millis(20);

/// A native run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Native {
    pub(super) output: Vec<u8>,
    pub(super) end: End,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Native {
    /// Runs what `guest` runs, in a tree of its own.
    pub(super) fn run(guest: &Guest, tree: Option<&Tree>, stdin: &str) -> Result<Self> {
        let top = private_tree()?;
        match tree {
            Some(tree) => tree.unpack(top.path())?,
            None => lonely(top.path(), guest.path())?,
        }
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("-i")
            .args(ENVIRONMENT)
            .args(entering(top.path()))
            .args(guest.command());
        on_terminal(command, stdin)
    }
}

fn private_tree() -> Result<TempDir> {
    ensure!(
        statfs(TMPFS)?.filesystem_type() == TMPFS_MAGIC,
        "{TMPFS} is no tmpfs"
    );
    Ok(tempfile::Builder::new()
        .prefix("nestling")
        .tempdir_in(TMPFS)?)
}

/// The tree of a guest that names none: its program, `/dev` and `/tmp`.
fn lonely(top: &Path, program: &str) -> Result<()> {
    let inside = |path: &str| top.join(path.trim_start_matches('/'));
    for directory in ["dev", "tmp"] {
        fs::create_dir_all(inside(directory))?;
    }
    let at = inside(program);
    fs::create_dir_all(at.parent().context("no parent")?)?;
    fs::copy(program, at).with_context(|| program.to_owned())?;
    Ok(())
}

/// The words that change the session and the root directory; who is not root becomes it in a user namespace.
fn entering(root: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["setsid", "--ctty"].map(Into::into).to_vec();
    if !nix::unistd::geteuid().is_root() {
        words.extend(["unshare", "-r"].map(Into::into));
    }
    words.extend(["chroot".into(), root.into()]);
    words
}

/// Runs with a terminal as standard input, output and error.
fn on_terminal(mut command: Command, stdin: &str) -> Result<Native> {
    let terminal = openpty(Some(&WINDOW), None)?;
    let mut ours = File::from(terminal.master);
    ours.write_all(stdin.as_bytes())?;
    let keyboard = ours.try_clone()?;
    let theirs = |fd: &OwnedFd| fd.try_clone();
    command
        .current_dir("/")
        .stdin(theirs(&terminal.slave)?)
        .stdout(theirs(&terminal.slave)?)
        .stderr(terminal.slave);
    let mut child = command.spawn()?;
    // The command holds the terminal's other end: without it the end is seen.
    drop(command);
    let (output, status) = thread::scope(|scope| -> Result<_> {
        let reader = scope.spawn(|| read_terminal(&mut ours));
        let status = wait(&mut child, keyboard);
        let output = reader.join().expect("the reader does not panic")?;
        Ok((output, status?))
    })?;
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (_, Some(signal)) => End::Signal(signal),
        _ => bail!("it ended neither by itself nor by a signal"),
    };
    Ok(Native { output, end })
}

/// Types the end of the input until the program ends.
fn wait(child: &mut Child, mut keyboard: File) -> Result<ExitStatus> {
    for _ in 0..ENDS {
        keyboard.write_all(&[END_OF_INPUT])?;
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()?;
    bail!("it did not end after {:?}", PAUSE * ENDS)
}

/// What is written to a terminal until nobody has it open, with LF at the ends of lines.
fn read_terminal(terminal: &mut File) -> Result<Vec<u8>> {
    let (mut output, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match terminal.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => output.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Linux' way to say that the last one has closed it.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(crate::serial::without_cr(&output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str], stdin: &str) -> Native {
        let mut command = Command::new("/usr/bin/env");
        command.arg("-i").args(ENVIRONMENT).args(words);
        on_terminal(command, stdin).unwrap()
    }

    #[test]
    fn a_run_has_output_error_status_environment_and_window() {
        let script = "echo \"$HOME $TERM\"; pwd >&2; stty size; exit 3";
        let native = run(&["setsid", "--ctty", "/bin/sh", "-c", script], "");
        assert_eq!(
            String::from_utf8_lossy(&native.output),
            "/ linux\n/\n24 80\n"
        );
        assert_eq!(native.end, End::Exit(3));
    }

    #[test]
    fn input_comes_and_ends() {
        let native = run(
            &["/bin/sh", "-c", "read a; echo $((a + 1)); cat; cat"],
            "4\n",
        );
        assert_eq!(native.output, b"4\n5\n");
    }

    #[test]
    fn a_signal_is_told_from_a_status() {
        assert_eq!(
            run(&["/bin/sh", "-c", "kill -SEGV $$"], "").end,
            End::Signal(11)
        );
    }

    #[test]
    fn a_guest_runs_in_its_own_tree() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("bin")).unwrap();
        fs::copy("/bin/busybox", top.path().join("bin/sh")).unwrap();
        let tree = Tree::read(top.path()).unwrap();
        let guest = Guest::parse("app:/bin/sh -c 'echo $0; echo /*; echo x > /new'").unwrap();
        for _ in 0..2 {
            let native = Native::run(&guest, Some(&tree), "").unwrap();
            assert_eq!(String::from_utf8_lossy(&native.output), "/bin/sh\n/bin\n");
        }
    }
}
