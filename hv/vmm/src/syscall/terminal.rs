//! ioctl.

use super::call::{Answer, Call};
use super::open_files::{Device, Object};
use super::tty::TERMIOS_SIZE;
use crate::errno::Errno;
use linux_raw_sys::general::O_NONBLOCK;
use linux_raw_sys::ioctl::{
    FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, TCFLSH, TCGETS, TCSBRK, TCSBRKP, TCSETS, TCSETSF,
    TCSETSW, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ,
};

pub(super) fn ioctl(c: &mut Call<'_>) -> Answer {
    let is_terminal = matches!(c.file(0)?.object, Object::Device(Device::Terminal));
    if !is_terminal || c.uint(1) != TIOCGWINSZ {
        return other(c);
    }
    let window = u64::from_le_bytes(c.system.terminal.window);
    c.process.memory.write_u64(c.args[2], window)?;
    Ok(0)
}

#[inline(never)]
fn other(c: &mut Call<'_>) -> Answer {
    match (c.file(0)?.object, c.uint(1)) {
        (Object::Path, _) => Err(Errno::EBADF.into()),
        (_, FIOCLEX | FIONCLEX) => {
            let close = c.uint(1) == FIOCLEX;
            c.process.descriptors.get_mut(c.int(0))?.close_on_exec = close;
            Ok(0)
        }
        (_, FIONBIO) => set_nonblocking(c),
        (Object::Device(Device::Terminal), _) => terminal(c),
        (Object::Pipe(pipe, _), FIONREAD) => {
            let pipe = c.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
            let count = pipe.bytes.len() as u32;
            give(c, count)
        }
        (Object::File, FIONREAD) => {
            let file = c.file(0)?;
            let size = c.system.files.inode(file.ino.ok_or(Errno::EBADF)?)?.size();
            let left = size.saturating_sub(file.offset);
            give(c, left as u32)
        }
        _ => Err(Errno::ENOTTY.into()),
    }
}

fn give(c: &mut Call<'_>, value: u32) -> Answer {
    c.process.memory.write(c.args[2], &value.to_le_bytes())?;
    Ok(0)
}

fn set_nonblocking(c: &mut Call<'_>) -> Answer {
    let on = c.process.memory.read_u32(c.args[2])? != 0;
    let index = c.file_index(0)?;
    let file = c.system.open.get_mut(index)?;
    file.flags = file.flags & !O_NONBLOCK | if on { O_NONBLOCK } else { 0 };
    Ok(0)
}

fn terminal(c: &mut Call<'_>) -> Answer {
    let at = c.args[2];
    match c.uint(1) {
        TCGETS => c.process.memory.write(at, &c.system.terminal.termios())?,
        TCSETS | TCSETSW | TCSETSF => {
            let termios: [u8; TERMIOS_SIZE] = c.process.memory.read_array(at)?;
            if c.uint(1) == TCSETSF {
                c.system.terminal.flush_input();
            }
            c.system.terminal.set_termios(&termios);
        }
        TIOCSWINSZ => c.system.terminal.window = c.process.memory.read_array(at)?,
        TIOCGPGRP => return give(c, c.system.terminal.group),
        TIOCSPGRP => c.system.terminal.group = c.process.memory.read_u32(at)?,
        TIOCGSID => return give(c, c.process.session),
        TCFLSH => c.system.terminal.flush_input(),
        TCSBRK | TCSBRKP | TIOCSCTTY | TIOCNOTTY => {}
        FIONREAD => {
            if let Some(signal) = c.system.terminal.pump(c.kernel) {
                c.raise(signal)?;
            }
            let count = c.system.terminal.available().unwrap_or(0);
            return give(c, count as u32);
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}
