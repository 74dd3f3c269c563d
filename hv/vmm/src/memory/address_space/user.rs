//! Copying to and from a process, with demand paging inside. A bad address is EFAULT.

use super::{Access, AddressSpace, LongMode, table};
use crate::errno::Errno;
use alloc::vec::Vec;
use spec::addr::{L1Gpa, PAGE_SIZE};

/// How many translations are remembered for reading, and as many for writing.
const SLOTS: usize = 16;
/// The longest path, with its NUL.
const PATH_MAX: usize = 4096;

/// Where pages of the process lie in the guest's RAM, so that most copies need no walk. The
/// guest cannot change its paging structures: they are out of its reach.
pub(super) struct Translations {
    read: [(u64, u64); SLOTS],
    write: [(u64, u64); SLOTS],
}

impl Default for Translations {
    fn default() -> Self {
        // No user page has this address.
        let empty = [(u64::MAX, 0); SLOTS];
        Self {
            read: empty,
            write: empty,
        }
    }
}

impl AddressSpace {
    #[inline]
    fn translate(&mut self, at: u64, write: bool) -> Result<u64, Errno> {
        let page = at / PAGE_SIZE;
        let slot = page as usize % SLOTS;
        let known = if write {
            self.translations.write[slot]
        } else {
            self.translations.read[slot]
        };
        if known.0 == page {
            return Ok(known.1 | (at % PAGE_SIZE));
        }
        self.translate_slowly(at, write)
    }

    #[inline(never)]
    fn translate_slowly(&mut self, at: u64, write: bool) -> Result<u64, Errno> {
        let allowed = |space: &Self| {
            let leaf = table::walk::<LongMode>(&space.ram, space.root, at).ok()?;
            (leaf.rights.user && (leaf.rights.write || !write)).then_some(leaf.address)
        };
        let access = if write { Access::Write } else { Access::Read };
        let address = match allowed(self) {
            Some(address) => address,
            None => {
                self.fault(at, access).map_err(|_| Errno::EFAULT)?;
                allowed(self).ok_or(Errno::EFAULT)?
            }
        };
        let page = at / PAGE_SIZE;
        let entry = (page, address & !(PAGE_SIZE - 1));
        if write {
            self.translations.write[page as usize % SLOTS] = entry;
        } else {
            self.translations.read[page as usize % SLOTS] = entry;
        }
        Ok(address)
    }

    /// Copies bytes to the process.
    #[inline]
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        if at % PAGE_SIZE + bytes.len() as u64 <= PAGE_SIZE {
            if bytes.is_empty() {
                return Ok(());
            }
            let to = self.translate(at, true)?;
            return self.ram.write(L1Gpa(to), bytes).map_err(|_| Errno::EFAULT);
        }
        self.write_pages(at, bytes)
    }

    /// Writes a 64-bit number: at once where it is aligned and the page is known.
    #[inline]
    pub fn write_u64(&mut self, at: u64, value: u64) -> Result<(), Errno> {
        let page = at / PAGE_SIZE;
        let known = self.translations.write[page as usize % SLOTS];
        if known.0 != page || !at.is_multiple_of(8) {
            return self.write_number(at, value);
        }
        let to = L1Gpa(known.1 | (at % PAGE_SIZE));
        (self.ram.write_u64(to, value)).map_err(|_| Errno::EFAULT)
    }

    #[inline(never)]
    fn write_number(&mut self, at: u64, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    fn write_pages(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let from = at.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let count = ((PAGE_SIZE - from % PAGE_SIZE) as usize).min(bytes.len() - done);
            let to = self.translate(from, true)?;
            self.ram
                .write(L1Gpa(to), &bytes[done..done + count])
                .map_err(|_| Errno::EFAULT)?;
            done += count;
        }
        Ok(())
    }

    /// Copies bytes from the process.
    pub fn read(&mut self, at: u64, out: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < out.len() {
            let from = at.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let count = ((PAGE_SIZE - from % PAGE_SIZE) as usize).min(out.len() - done);
            let address = self.translate(from, false)?;
            self.ram
                .read(L1Gpa(address), &mut out[done..done + count])
                .map_err(|_| Errno::EFAULT)?;
            done += count;
        }
        Ok(())
    }

    /// Whether the byte at this address can be read.
    pub fn check_readable(&mut self, at: u64) -> Result<(), Errno> {
        self.translate(at, false).map(|_| ())
    }

    /// Copies an array from the process.
    pub fn read_array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Errno> {
        let mut out = [0; N];
        self.read(at, &mut out)?;
        Ok(out)
    }

    /// Reads a 32-bit number.
    pub fn read_u32(&mut self, at: u64) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.read_array(at)?))
    }

    /// Reads a 64-bit number.
    pub fn read_u64(&mut self, at: u64) -> Result<u64, Errno> {
        Ok(u64::from_le_bytes(self.read_array(at)?))
    }

    /// Copies a string without its NUL; `too_long` if none comes within `limit` bytes.
    pub fn read_string(
        &mut self,
        at: u64,
        limit: usize,
        too_long: Errno,
    ) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut buffer = [0; 256];
        while text.len() < limit {
            let from = at.checked_add(text.len() as u64).ok_or(Errno::EFAULT)?;
            let room = (PAGE_SIZE - from % PAGE_SIZE) as usize;
            let part = &mut buffer[..room.min(256).min(limit - text.len())];
            self.read(from, part)?;
            if let Some(end) = part.iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&part[..end]);
                return Ok(text);
            }
            text.extend_from_slice(part);
        }
        Err(too_long)
    }

    /// Copies a path.
    pub fn read_path(&mut self, at: u64) -> Result<Vec<u8>, Errno> {
        self.read_string(at, PATH_MAX, Errno::ENAMETOOLONG)
    }
}
