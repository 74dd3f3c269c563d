//! The "newc" cpio archive (cpio(5), and the kernel's "initramfs buffer format"): headers of 110
//! characters, names and data padded to 4 bytes, ended by `TRAILER!!!`.

use core::fmt;

/// The size of a header, in bytes.
const HEADER_SIZE: usize = 110;
/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why an archive cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpioError {
    /// No header of the newc format at this byte.
    BadMagic(usize),
    /// A header field at this byte is not a hexadecimal number.
    BadNumber(usize),
    /// The entry whose header is at this byte is cut off.
    Truncated(usize),
    /// The name of the entry at this byte is empty, not ended by NUL, or longer than a path.
    BadName(usize),
    /// The trailer is missing.
    NoTrailer,
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic(at) => {
                write!(
                    f,
                    "no newc cpio header at byte {at} (make it with cpio -o -H newc)"
                )
            }
            Self::BadNumber(at) => write!(f, "cpio: no hexadecimal number at byte {at}"),
            Self::Truncated(at) => write!(f, "cpio: the entry at byte {at} is cut off"),
            Self::BadName(at) => write!(f, "cpio: the entry at byte {at} has a bad name"),
            Self::NoTrailer => write!(f, "cpio: the archive is cut off before its trailer"),
        }
    }
}

/// One entry of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, without the NUL.
    pub name: &'a [u8],
    /// Its contents: a file's bytes, or a symbolic link's target.
    pub data: &'a [u8],
    /// Its inode: entries of one inode and device are hard links to one file.
    pub inode: u32,
    /// The device that it was on.
    pub device: (u32, u32),
    /// Type and permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How many links it had.
    pub links: u32,
    /// When it was modified, in seconds since the epoch.
    pub modified: u32,
    /// For a device node: the major and the minor number.
    pub node: (u32, u32),
}

/// Reads an archive, entry by entry. After an error it ends.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Archive<'a> {
    /// Reads this archive.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            ended: false,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, CpioError> {
        let start = self.at;
        if start >= self.bytes.len() {
            return Err(CpioError::NoTrailer);
        }
        let cut = CpioError::Truncated(start);
        let rest = &self.bytes[start..];
        match rest.get(..6) {
            Some(b"070701" | b"070702") => {}
            None if b"070701".starts_with(rest) => return Err(cut),
            _ => return Err(CpioError::BadMagic(start)),
        }
        let header = rest.get(..HEADER_SIZE).ok_or(cut)?;
        let field = |index: usize| number(header, start, index);
        let name_size = field(11)? as usize;
        let data_size = field(6)? as usize;
        let name = self.take(start + HEADER_SIZE, name_size).ok_or(cut)?;
        let [name @ .., 0] = name else {
            return Err(CpioError::BadName(start));
        };
        if name.is_empty() || name.len() >= 4096 || name.contains(&0) {
            return Err(CpioError::BadName(start));
        }
        if name == TRAILER {
            return Ok(None);
        }
        let data = self.take(self.at, data_size).ok_or(cut)?;
        Ok(Some(Entry {
            name,
            data,
            inode: field(0)?,
            mode: field(1)?,
            uid: field(2)?,
            gid: field(3)?,
            links: field(4)?,
            modified: field(5)?,
            device: (field(7)?, field(8)?),
            node: (field(9)?, field(10)?),
        }))
    }

    /// Takes `size` bytes from `at`, and goes on behind their padding.
    fn take(&mut self, at: usize, size: usize) -> Option<&'a [u8]> {
        let end = at.checked_add(size)?;
        let part = self.bytes.get(at..end)?;
        self.at = end.checked_next_multiple_of(4)?;
        Some(part)
    }
}

/// How an initial file system of Linux is cut short: in one of the archives that it begins with, which zero bytes may
/// follow. What comes then may be compressed, and is not looked at, nor is an archive that is broken otherwise.
#[must_use]
pub fn cut_short(bytes: &[u8]) -> Option<CpioError> {
    let mut archive = Archive::new(bytes);
    loop {
        let rest = bytes.get(archive.at..)?;
        archive.at += rest.iter().position(|&byte| byte != 0)?;
        archive.ended = false;
        match archive.by_ref().find_map(Result::err) {
            None => {}
            Some(why @ (CpioError::Truncated(_) | CpioError::NoTrailer)) => return Some(why),
            Some(_) => return None,
        }
    }
}

/// Field `index` of a header that begins at `start` in the archive.
fn number(header: &[u8], start: usize, index: usize) -> Result<u32, CpioError> {
    let at = 6 + index * 8;
    let bad = CpioError::BadNumber(start + at);
    let digits = header.get(at..at + 8).ok_or(bad)?;
    digits.iter().try_fold(0u32, |value, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(bad)?;
        Ok(value << 4 | digit)
    })
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, CpioError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.entry().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
pub(crate) mod tests;
