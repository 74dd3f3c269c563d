//! The bytes of a file: borrowed from a module until they are written, then page by page our own.

use crate::errno::Errno;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use spec::addr::PAGE_SIZE;

const PAGE: usize = PAGE_SIZE as usize;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// The largest size of a file, in bytes, as on Linux' tmpfs.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// How many bytes of our heap the files and pipes of one guest may still take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// All of them.
    pub total: u64,
    /// Those that are left.
    pub free: u64,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn new(total: u64) -> Self {
        Self { total, free: total }
    }

    /// Takes bytes, or ENOSPC.
    pub fn take(&mut self, bytes: u64) -> Result<(), Errno> {
        self.free = self.free.checked_sub(bytes).ok_or(Errno::ENOSPC)?;
        Ok(())
    }

    /// Gives back bytes.
    pub fn give(&mut self, bytes: u64) {
        self.free = self.free.saturating_add(bytes).min(self.total);
    }
}

/// The bytes of a file. What was never written reads as zeros and takes no memory.
#[derive(Debug, Default)]
pub struct Contents {
    base: &'static [u8],
    pages: BTreeMap<u64, Vec<u8>>,
    size: u64,
}

impl Contents {
    /// Bytes of a module, not copied.
    #[must_use]
    pub fn borrowed(base: &'static [u8]) -> Self {
        Self {
            base,
            pages: BTreeMap::new(),
            size: base.len() as u64,
        }
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pages hold data, as tmpfs counts them: what was skipped over is not counted.
    #[must_use]
    pub fn used_pages(&self) -> u64 {
        let borrowed = (self.base.len() as u64).div_ceil(PAGE_SIZE);
        let replaced = self.pages.range(..borrowed).count() as u64;
        borrowed - replaced + self.pages.len() as u64
    }

    /// How many pages are our own.
    #[must_use]
    pub fn owned_pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// All bytes, if none was written.
    #[must_use]
    pub fn as_borrowed(&self) -> Option<&'static [u8]> {
        (self.pages.is_empty() && self.size == self.base.len() as u64).then_some(self.base)
    }

    /// The bytes from `offset` on that lie together, at most `limit`; none at the end.
    #[must_use]
    pub fn chunk(&self, offset: u64, limit: usize) -> &[u8] {
        let limit = (limit as u64).min(self.size.saturating_sub(offset)) as usize;
        let (page, within) = (offset / PAGE_SIZE, (offset % PAGE_SIZE) as usize);
        let bytes = match (self.pages.get(&page), usize::try_from(offset)) {
            (Some(own), _) => own.get(within..),
            (None, Ok(at)) if at < self.base.len() => self.base.get(at..self.base_end(page)),
            _ => ZEROS.get(within..),
        }
        .unwrap_or_default();
        &bytes[..limit.min(bytes.len())]
    }

    /// Where the borrowed bytes that begin in this page are first replaced by our own.
    fn base_end(&self, page: u64) -> usize {
        let next = self.pages.range(page..).next();
        let end = next.map_or(u64::MAX, |(&own, _)| own * PAGE_SIZE);
        end.min(self.base.len() as u64) as usize
    }

    /// The page that holds `offset`, from there to its end, to be written. The size stays:
    /// see [`Contents::grow`].
    pub fn page_mut(&mut self, offset: u64, budget: &mut Budget) -> Result<&mut [u8], Errno> {
        let page = offset / PAGE_SIZE;
        if !self.pages.contains_key(&page) {
            let own = self.copy_of(page, budget)?;
            self.pages.insert(page, own);
        }
        let own = self.pages.get_mut(&page).ok_or(Errno::EIO)?;
        own.get_mut((offset % PAGE_SIZE) as usize..)
            .ok_or(Errno::EIO)
    }

    fn copy_of(&self, page: u64, budget: &mut Budget) -> Result<Vec<u8>, Errno> {
        let mut own = Vec::new();
        own.try_reserve_exact(PAGE).map_err(|_| Errno::ENOSPC)?;
        budget.take(PAGE_SIZE)?;
        let start = page.saturating_mul(PAGE_SIZE);
        let start = usize::try_from(start.min(self.base.len() as u64)).unwrap_or(usize::MAX);
        let rest = self.base.get(start..).unwrap_or_default();
        own.extend_from_slice(&rest[..rest.len().min(PAGE)]);
        own.resize(PAGE, 0);
        Ok(own)
    }

    /// Makes the size at least `end`.
    pub fn grow(&mut self, end: u64) {
        self.size = self.size.max(end);
    }

    /// Writes bytes; as many as there is room for, EFBIG if there is none below [`SIZE_MAX`].
    pub fn write(
        &mut self,
        offset: u64,
        bytes: &[u8],
        budget: &mut Budget,
    ) -> Result<usize, Errno> {
        let (room, mut done) = (SIZE_MAX.saturating_sub(offset), 0);
        if room == 0 && !bytes.is_empty() {
            return Err(Errno::EFBIG);
        }
        let bytes = &bytes[..room.min(bytes.len() as u64) as usize];
        while done < bytes.len() {
            let at = offset + done as u64;
            let room = match self.page_mut(at, budget) {
                Ok(room) => room,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let count = room.len().min(bytes.len() - done);
            room[..count].copy_from_slice(&bytes[done..done + count]);
            done += count;
            self.grow(at + count as u64);
        }
        Ok(done)
    }

    /// Cuts or extends (with zeros) to this size.
    pub fn resize(&mut self, size: u64, budget: &mut Budget) -> Result<(), Errno> {
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        if size < self.size {
            let gone = self.pages.split_off(&size.div_ceil(PAGE_SIZE));
            budget.give(gone.len() as u64 * PAGE_SIZE);
            if let Some(last) = self.pages.get_mut(&(size / PAGE_SIZE)) {
                last[(size % PAGE_SIZE) as usize..].fill(0);
            }
            let kept = (self.base.len() as u64).min(size) as usize;
            self.base = &self.base[..kept];
        }
        self.size = size;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(contents: &Contents) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let chunk = contents.chunk(out.len() as u64, usize::MAX);
            if chunk.is_empty() {
                return out;
            }
            out.extend_from_slice(chunk);
        }
    }

    #[test]
    fn borrowed_bytes_come_in_one_piece_and_count_as_pages() {
        let contents = Contents::borrowed(&[7; 10_000]);
        assert_eq!(contents.chunk(1, usize::MAX).len(), 9_999);
        assert_eq!((contents.used_pages(), contents.owned_pages()), (3, 0));
    }

    #[test]
    fn holes_take_nothing() {
        let (mut contents, mut budget) = (Contents::default(), Budget::new(2 * PAGE_SIZE));
        contents.resize(1 << 40, &mut budget).unwrap();
        assert_eq!(contents.write(1 << 30, b"x", &mut budget), Ok(1));
        assert_eq!((contents.used_pages(), budget.free), (1, PAGE_SIZE));
        assert_eq!(contents.write(0, &[1; 9000], &mut budget), Ok(4096));
        assert_eq!(contents.write(5000, b"y", &mut budget), Err(Errno::ENOSPC));
        contents.resize(0, &mut budget).unwrap();
        assert_eq!(budget.free, 2 * PAGE_SIZE);
    }

    proptest! {
        /// Against the obvious model: a vector.
        #[test]
        fn agrees_with_a_vector(steps in prop::collection::vec((any::<bool>(), 0usize..20_000, 0usize..9_000, any::<u8>()), 1..30)) {
            let base: &'static [u8] = &[0x55; 9_001];
            let (mut contents, mut budget) = (Contents::borrowed(base), Budget::new(1000 * PAGE_SIZE));
            let mut model = base.to_vec();
            for (write, at, length, byte) in steps {
                if write {
                    let bytes = std::vec![byte; length];
                    prop_assert_eq!(contents.write(at as u64, &bytes, &mut budget), Ok(length));
                    if length > 0 {
                        if model.len() < at + length { model.resize(at + length, 0); }
                        model[at..at + length].copy_from_slice(&bytes);
                    }
                } else {
                    contents.resize(at as u64, &mut budget).unwrap();
                    model.resize(at, 0);
                }
                prop_assert_eq!(&all(&contents), &model);
                prop_assert_eq!(budget.free + contents.owned_pages() * PAGE_SIZE, budget.total);
            }
        }
    }
}
