//! Moving bytes between open files and the process, whatever the file is.

use super::call::{Answer, Break, Call};
use super::open_files::{Device, Object};
use super::pipe::{ATOMIC, Side};
use super::signal;
use super::signals::Signal;
use crate::errno::Errno;
use linux_raw_sys::general::{O_APPEND, O_NONBLOCK};
use spec::addr::PAGE_SIZE;

/// How many bytes one call moves at most (Linux' MAX_RW_COUNT).
pub(super) const COUNT_MAX: u64 = 0x7fff_f000;
/// The size of the buffers for what cannot be moved in place.
const BUFFER: usize = 512;

/// Bytes moved so far; an error counts only if none were.
fn so_far(done: u64, error: Errno) -> Answer {
    if done > 0 {
        Ok(done)
    } else {
        Err(error.into())
    }
}

impl Call<'_> {
    /// Reads into the process. `position` is that of pread64; else the file's own offset is used.
    pub(super) fn read_file(
        &mut self,
        index: usize,
        to: u64,
        count: u64,
        position: Option<u64>,
    ) -> Answer {
        let file = self.system.open.get(index)?;
        file.check_readable()?;
        let (count, object, start) = (count.min(COUNT_MAX), file.object, file.offset);
        match object {
            Object::File => {
                let done = self.read_contents(index, to, count, position.unwrap_or(start))?;
                if position.is_none() {
                    self.system.open.get_mut(index)?.offset = start + done;
                }
                Ok(done)
            }
            Object::Directory => Err(Errno::EISDIR.into()),
            Object::Path => Err(Errno::EBADF.into()),
            Object::Device(Device::Terminal) => self.read_terminal(index, to, count),
            Object::Device(device) => self.read_device(device, to, count),
            Object::Pipe(pipe, _) => self.read_pipe(index, pipe, to, count),
        }
    }

    fn read_contents(&mut self, index: usize, to: u64, count: u64, from: u64) -> Answer {
        let ino = self.system.open.get(index)?.ino.ok_or(Errno::EBADF)?;
        let contents = self.system.files.contents(ino)?;
        let mut done = 0;
        while done < count {
            let at = from.checked_add(done).ok_or(Errno::EINVAL)?;
            let room = (count - done).min(1 << 16) as usize;
            let chunk = contents.chunk(at, room);
            if chunk.is_empty() {
                break;
            }
            if let Err(error) = self.process.memory.write(to.wrapping_add(done), chunk) {
                return so_far(done, error);
            }
            done += chunk.len() as u64;
        }
        Ok(done)
    }

    pub(super) fn read_device(&mut self, device: Device, to: u64, count: u64) -> Answer {
        if device == Device::Null {
            return Ok(0);
        }
        let (mut done, mut buffer) = (0, [0; BUFFER]);
        while done < count {
            let part = (count - done).min(BUFFER as u64) as usize;
            if device == Device::Random {
                self.system.random.fill(&mut buffer[..part]);
            }
            let at = to.wrapping_add(done);
            if let Err(error) = self.process.memory.write(at, &buffer[..part]) {
                return so_far(done, error);
            }
            done += part as u64;
        }
        Ok(done)
    }

    fn read_terminal(&mut self, index: usize, to: u64, count: u64) -> Answer {
        if count == 0 {
            return Ok(0);
        }
        if let Some(signal) = self.system.terminal.pump(self.kernel) {
            self.raise(signal)?;
        }
        let Some(available) = self.system.terminal.available() else {
            // Where nobody can type, what would wait for ever meets the end of the input.
            return match self.would_block(index) {
                Err(Break::Block(None)) if !self.kernel.has_console_input() => Ok(0),
                answer => answer,
            };
        };
        let count = available.min(count as usize);
        let bytes: alloc::vec::Vec<u8> = self.system.terminal.take(count).collect();
        self.process.memory.write(to, &bytes)?;
        Ok(count as u64)
    }

    fn read_pipe(&mut self, index: usize, pipe: usize, to: u64, count: u64) -> Answer {
        if count == 0 {
            return Ok(0);
        }
        let pipe = self.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
        if pipe.bytes.is_empty() {
            return match pipe.writable {
                true => self.would_block(index),
                false => Ok(0),
            };
        }
        let mut done = 0;
        while done < count && !pipe.bytes.is_empty() {
            let (first, _) = pipe.bytes.as_slices();
            let part = first.len().min((count - done) as usize);
            let at = to.wrapping_add(done);
            if let Err(error) = self.process.memory.write(at, &first[..part]) {
                return so_far(done, error);
            }
            pipe.bytes.drain(..part);
            done += part as u64;
        }
        Ok(done)
    }

    fn would_block(&self, index: usize) -> Answer {
        match self.system.open.get(index)?.flags & O_NONBLOCK {
            0 => Err(Break::Block(None)),
            _ => Err(Errno::EAGAIN.into()),
        }
    }

    /// Writes from the process. `position` is that of pwrite64; else the file's own offset is used.
    pub(super) fn write_file(
        &mut self,
        index: usize,
        from: u64,
        count: u64,
        position: Option<u64>,
    ) -> Answer {
        let file = self.system.open.get(index)?;
        file.check_writable()?;
        let (count, object) = (count.min(COUNT_MAX), file.object);
        match object {
            Object::File => self.write_contents(index, from, count, position),
            Object::Device(Device::Terminal) => self.write_terminal(from, count),
            Object::Device(Device::Full) => Err(Errno::ENOSPC.into()),
            Object::Device(_) => Ok(count),
            Object::Directory | Object::Path => Err(Errno::EBADF.into()),
            Object::Pipe(pipe, Side::Write) => self.write_pipe(index, pipe, from, count),
            Object::Pipe(..) => Err(Errno::EBADF.into()),
        }
    }

    fn write_contents(
        &mut self,
        index: usize,
        from: u64,
        count: u64,
        position: Option<u64>,
    ) -> Answer {
        let now = self.now();
        let file = self.system.open.get(index)?;
        let ino = file.ino.ok_or(Errno::EBADF)?;
        let size = self.system.files.contents(ino)?.size();
        let start = match position {
            _ if file.flags & O_APPEND != 0 => size,
            Some(position) => position,
            None => file.offset,
        };
        if start
            .checked_add(count)
            .is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(Errno::EFBIG.into());
        }
        let moved = self.copy_in(ino, from, count, start);
        if let Ok(done) = moved {
            if position.is_none() {
                self.system.open.get_mut(index)?.offset = start + done;
            }
            if done > 0 {
                self.system.files.inode_mut(ino)?.touch(now);
            }
        }
        moved
    }

    fn copy_in(&mut self, ino: u64, from: u64, count: u64, start: u64) -> Answer {
        let (contents, budget) = self.system.files.contents_mut(ino)?;
        let mut done = 0;
        while done < count {
            let at = start + done;
            // The bytes are fetched before the page is taken, so that a bad address takes none.
            if let Err(error) = self.process.memory.check_readable(from.wrapping_add(done)) {
                return so_far(done, error);
            }
            let room = match contents.page_mut(at, budget) {
                Ok(room) => room,
                Err(error) => return so_far(done, error),
            };
            let page_left = PAGE_SIZE - (from.wrapping_add(done) % PAGE_SIZE);
            let part = (room.len() as u64).min(count - done).min(page_left) as usize;
            let source = from.wrapping_add(done);
            if let Err(error) = self.process.memory.read(source, &mut room[..part]) {
                return so_far(done, error);
            }
            done += part as u64;
            contents.grow(at + part as u64);
        }
        Ok(done)
    }

    fn write_terminal(&mut self, from: u64, count: u64) -> Answer {
        let (mut done, mut buffer) = (0, [0; BUFFER]);
        while done < count {
            let source = from.wrapping_add(done);
            let page_left = PAGE_SIZE - source % PAGE_SIZE;
            let part = (count - done).min(BUFFER as u64).min(page_left) as usize;
            if let Err(error) = self.process.memory.read(source, &mut buffer[..part]) {
                return so_far(done, error);
            }
            self.kernel.write_console(&buffer[..part]);
            done += part as u64;
        }
        Ok(done)
    }

    fn write_pipe(&mut self, index: usize, pipe: usize, from: u64, count: u64) -> Answer {
        if count == 0 {
            return Ok(0);
        }
        let room = self.pipe_room(pipe)?;
        let wanted = count as usize;
        if room == 0 || (wanted <= ATOMIC && room < wanted) {
            return self.would_block(index);
        }
        let (mut done, mut buffer) = (0, [0; BUFFER]);
        let count = wanted.min(room);
        while done < count {
            let part = (count - done).min(BUFFER);
            let source = from.wrapping_add(done as u64);
            if let Err(error) = self.process.memory.read(source, &mut buffer[..part]) {
                return so_far(done as u64, error);
            }
            let pipe = self.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
            pipe.bytes.extend(&buffer[..part]);
            done += part;
        }
        Ok(done as u64)
    }

    fn pipe_room(&mut self, pipe: usize) -> Result<usize, Break> {
        let pipe = self.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
        if pipe.readable {
            return Ok(pipe.room());
        }
        let error = Errno::EPIPE;
        signal::done(self.raise(Signal::PIPE), error.rax())?;
        Err(error.into())
    }

    /// Writes bytes of ours to an open file, at its offset: what sendfile does.
    pub(super) fn write_bytes(&mut self, index: usize, bytes: &[u8]) -> Answer {
        let now = self.now();
        let file = self.system.open.get(index)?;
        file.check_writable()?;
        let (object, ino, start) = (file.object, file.ino, file.offset);
        match object {
            Object::File => {
                let ino = ino.ok_or(Errno::EBADF)?;
                let (contents, budget) = self.system.files.contents_mut(ino)?;
                let done = contents.write(start, bytes, budget)? as u64;
                self.system.files.inode_mut(ino)?.touch(now);
                self.system.open.get_mut(index)?.offset = start + done;
                Ok(done)
            }
            Object::Device(Device::Terminal) => {
                self.kernel.write_console(bytes);
                Ok(bytes.len() as u64)
            }
            Object::Device(Device::Full) => Err(Errno::ENOSPC.into()),
            Object::Device(_) => Ok(bytes.len() as u64),
            Object::Pipe(pipe, Side::Write) => {
                let part = self.pipe_room(pipe)?.min(bytes.len());
                if part == 0 && !bytes.is_empty() {
                    return self.would_block(index);
                }
                let pipe = self.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
                pipe.bytes.extend(&bytes[..part]);
                Ok(part as u64)
            }
            _ => Err(Errno::EBADF.into()),
        }
    }
}
