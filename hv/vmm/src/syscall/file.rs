//! Reading, writing and seeking.

use super::call::{Answer, Break, Call};
use super::open_files::{Device, Object};
use super::progress::{CONSOLE_STEP, Piece, STEP, Short, moved_so_far};
use super::record::u64_at;
use super::transfer::COUNT_MAX;
use crate::errno::Errno;
use alloc::vec::Vec;
use linux_raw_sys::general::{O_APPEND, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET};

/// How many pieces readv and writev take (IOV_MAX).
const PIECES_MAX: u64 = 1024;

/// Moves what a call's buffer takes. An empty one is only looked at: what is behind the descriptor says what is wrong.
fn whole(
    c: &mut Call<'_>,
    step: u64,
    short: Short,
    move_some: impl Fn(&mut Call<'_>, u64, u64, u64) -> Answer,
) -> Answer {
    let piece = (c.args[1], c.args[2]);
    match piece {
        (at, 0) => move_some(c, at, 0, 0),
        _ => c.move_pieces(&[piece], step, short, move_some),
    }
}

/// How many bytes are written to this open file in one step.
fn write_step(c: &Call<'_>, file: usize) -> Result<u64, Errno> {
    Ok(match c.system.open.get(file)?.object {
        Object::Device(Device::Terminal) => CONSOLE_STEP,
        _ => STEP,
    })
}

pub(super) fn read(c: &mut Call<'_>) -> Answer {
    let file = c.file_index(0)?;
    whole(c, STEP, Short::Ends, |c, at, count, _| {
        c.read_file(file, at, count, None)
    })
}

pub(super) fn write(c: &mut Call<'_>) -> Answer {
    let file = c.file_index(0)?;
    let step = write_step(c, file)?;
    whole(c, step, Short::GoesOn, |c, at, count, _| {
        c.write_file(file, at, count, None)
    })
}

/// The position of pread64 and pwrite64.
fn position(c: &Call<'_>) -> Result<u64, Errno> {
    match (c.file(0)?.object, c.args[3]) {
        (Object::Pipe(..) | Object::Device(Device::Terminal), _) => Err(Errno::ESPIPE),
        (_, position) if position > i64::MAX as u64 => Err(Errno::EINVAL),
        (_, position) => Ok(position),
    }
}

pub(super) fn pread64(c: &mut Call<'_>) -> Answer {
    let (position, file) = (position(c)?, c.file_index(0)?);
    whole(c, STEP, Short::Ends, |c, at, count, done| {
        c.read_file(file, at, count, Some(position.saturating_add(done)))
    })
}

pub(super) fn pwrite64(c: &mut Call<'_>) -> Answer {
    let (position, file) = (position(c)?, c.file_index(0)?);
    whole(c, STEP, Short::GoesOn, |c, at, count, done| {
        c.write_file(file, at, count, Some(position.saturating_add(done)))
    })
}

/// The pieces of readv and writev.
fn pieces(c: &mut Call<'_>) -> Result<Vec<Piece>, Errno> {
    let (list, count) = (c.args[1], c.args[2]);
    if count > PIECES_MAX {
        return Err(Errno::EINVAL);
    }
    let mut pieces = Vec::new();
    let room = pieces.try_reserve_exact(count as usize);
    room.map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        let at = list.wrapping_add(index * 16);
        let piece: [u8; 16] = c.process.memory.read_array(at)?;
        let (base, length) = (u64_at(&piece, 0), u64_at(&piece, 8));
        if length > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        pieces.push((base, length));
    }
    Ok(pieces)
}

pub(super) fn readv(c: &mut Call<'_>) -> Answer {
    let file = c.file_index(0)?;
    c.system.open.get(file)?.check_readable()?;
    let pieces = pieces(c)?;
    c.move_pieces(&pieces, STEP, Short::Ends, |c, at, count, _| {
        c.read_file(file, at, count, None)
    })
}

pub(super) fn writev(c: &mut Call<'_>) -> Answer {
    let file = c.file_index(0)?;
    c.system.open.get(file)?.check_writable()?;
    let (pieces, step) = (pieces(c)?, write_step(c, file)?);
    c.move_pieces(&pieces, step, Short::GoesOn, |c, at, count, _| {
        c.write_file(file, at, count, None)
    })
}

pub(super) fn preadv(c: &mut Call<'_>) -> Answer {
    let (position, file) = (position(c)?, c.file_index(0)?);
    c.system.open.get(file)?.check_readable()?;
    let pieces = pieces(c)?;
    c.move_pieces(&pieces, STEP, Short::Ends, |c, at, count, done| {
        c.read_file(file, at, count, Some(position.saturating_add(done)))
    })
}

pub(super) fn pwritev(c: &mut Call<'_>) -> Answer {
    let (position, file) = (position(c)?, c.file_index(0)?);
    c.system.open.get(file)?.check_writable()?;
    let pieces = pieces(c)?;
    c.move_pieces(&pieces, STEP, Short::GoesOn, |c, at, count, done| {
        c.write_file(file, at, count, Some(position.saturating_add(done)))
    })
}

pub(super) fn lseek(c: &mut Call<'_>) -> Answer {
    let (offset, whence) = (c.args[1] as i64, c.uint(2));
    let index = c.file_index(0)?;
    let file = c.system.open.get(index)?;
    let size = match (file.object, file.ino) {
        (Object::File, Some(ino)) => c.system.files.contents(ino)?.size() as i64,
        (Object::Directory, _) => i64::MAX,
        (Object::Pipe(..) | Object::Device(Device::Terminal), _) => {
            return Err(Errno::ESPIPE.into());
        }
        (Object::Path, _) => return Err(Errno::EBADF.into()),
        _ => 0,
    };
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => file.offset as i64,
        SEEK_END => size,
        // Everything is data, up to one hole at the end.
        SEEK_DATA | SEEK_HOLE if offset < 0 || offset >= size => return Err(Errno::ENXIO.into()),
        SEEK_DATA => 0,
        SEEK_HOLE => size - offset,
        _ => return Err(Errno::EINVAL.into()),
    };
    let target = base.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
    let target = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
    c.system.open.get_mut(index)?.offset = target;
    Ok(target)
}

pub(super) fn sendfile(c: &mut Call<'_>) -> Answer {
    let (to, from) = (c.file_index(0)?, c.file_index(1)?);
    if c.system.open.get(to)?.flags & O_APPEND != 0 {
        return Err(Errno::EINVAL.into());
    }
    let offset_at = c.args[2];
    move_between(c, from, offset_at, to, 0, c.args[3])
}

/// The offset in the process's memory at this address (0 for none) leaves room for `count` bytes
/// in 64 bits, and is not negative.
fn check_offset(c: &mut Call<'_>, at: u64, count: u64) -> Result<(), Errno> {
    if at == 0 {
        return Ok(());
    }
    let offset = c.process.memory.read_u64(at)?;
    offset.checked_add(count).ok_or(Errno::EOVERFLOW)?;
    match i64::try_from(offset) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::EINVAL),
    }
}

pub(super) fn copy_file_range(c: &mut Call<'_>) -> Answer {
    let (from, to) = (c.file_index(0)?, c.file_index(2)?);
    let target = c.system.open.get(to)?;
    if c.args[5] != 0 || target.object != Object::File {
        return Err(Errno::EINVAL.into());
    }
    if target.flags & O_APPEND != 0 {
        return Err(Errno::EBADF.into());
    }
    if target.ino == c.system.open.get(from)?.ino {
        return Err(Errno::EINVAL.into());
    }
    let count = c.args[4];
    for offset_at in [c.args[1], c.args[3]] {
        check_offset(c, offset_at, count)?;
    }
    move_between(c, from, c.args[1], to, c.args[3], count)
}

/// Moves bytes from a file to an open file. Where an address of an offset is given, it is used
/// and updated in place of the file's own.
fn move_between(
    c: &mut Call<'_>,
    from: usize,
    from_at: u64,
    to: usize,
    to_at: u64,
    count: u64,
) -> Answer {
    let source = c.system.open.get(from)?;
    source.check_readable()?;
    let (Object::File, Some(ino)) = (source.object, source.ino) else {
        return Err(Errno::EINVAL.into());
    };
    let start = match from_at {
        0 => source.offset,
        at => c.process.memory.read_u64(at)?,
    };
    let own_offset = c.system.open.get(to)?.offset;
    if to_at != 0 {
        c.system.open.get_mut(to)?.offset = c.process.memory.read_u64(to_at)?;
    }
    let before = c.progress();
    let left = count.min(COUNT_MAX).saturating_sub(before);
    let whole_step = write_step(c, to)?;
    let step = whole_step.min(left);
    let moved = move_bytes(c, ino, start, to, step);
    if to_at != 0 {
        let file = c.system.open.get_mut(to)?;
        let end = core::mem::replace(&mut file.offset, own_offset);
        c.process.memory.write(to_at, &end.to_le_bytes())?;
    }
    let moved = match moved {
        Ok(moved) => moved,
        Err(Break::Error(_) | Break::Block(_)) if before > 0 => return Ok(before),
        Err(why) => return Err(why),
    };
    keep_offset(c, from, from_at, start + moved)?;
    let progress = moved_so_far(before + moved, whole_step);
    c.after_step(progress, moved == step && moved < left)
}

/// Keeps an offset at its place in the process's memory, or without one in the open file.
fn keep_offset(c: &mut Call<'_>, file: usize, at: u64, offset: u64) -> Result<(), Errno> {
    match at {
        0 => c.system.open.get_mut(file)?.offset = offset,
        at => c.process.memory.write(at, &offset.to_le_bytes())?,
    }
    Ok(())
}

fn move_bytes(c: &mut Call<'_>, ino: u64, start: u64, to: usize, count: u64) -> Answer {
    if start
        .checked_add(count)
        .is_none_or(|end| end > i64::MAX as u64)
    {
        return Err(Errno::EINVAL.into());
    }
    let (mut done, mut buffer) = (0, [0; 2048]);
    while done < count {
        let room = (count - done).min(buffer.len() as u64) as usize;
        let chunk = c.system.files.contents(ino)?.chunk(start + done, room);
        let part = chunk.len();
        buffer[..part].copy_from_slice(chunk);
        if part == 0 {
            break;
        }
        match c.write_bytes(to, &buffer[..part]) {
            Ok(moved) => {
                done += moved;
                if moved < part as u64 {
                    break;
                }
            }
            Err(Break::Error(_) | Break::Block(_)) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
