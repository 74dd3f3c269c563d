//! The setup header of a bzImage: boot protocol, "The Real-Mode Kernel Header".

use super::super::LoadError;
use super::super::memory_map::HIGH;
use alloc::format;
use alloc::string::String;

/// Where the header begins, in the file and in `boot_params`.
pub(super) const START: usize = 0x1f1;
/// Where it has to end, since `boot_params` has something else there.
const END_MAX: usize = 0x290;

pub(super) const VIDEO_MODE: u64 = 0x1fa;
pub(super) const VIDEO_MODE_NORMAL: u16 = 0xffff;
pub(super) const TYPE_OF_LOADER: u64 = 0x210;
/// A boot loader without an assigned number.
pub(super) const LOADER_UNDEFINED: u8 = 0xff;
pub(super) const LOAD_FLAGS: u64 = 0x211;
pub(super) const CAN_USE_HEAP: u8 = 1 << 7;
pub(super) const CODE32_START: u64 = 0x214;
pub(super) const RAMDISK_IMAGE: u64 = 0x218;
pub(super) const RAMDISK_SIZE: u64 = 0x21c;
pub(super) const HEAP_END: u64 = 0x224;
/// The end of the heap that the protocol's sample configuration has, less 0x200 as the field wants it.
pub(super) const HEAP_END_VALUE: u16 = 0xe000 - 0x200;
pub(super) const COMMAND_LINE: u64 = 0x228;

const SECTOR: usize = 512;

/// A header that was checked, in its file.
pub(super) struct Header<'a> {
    /// The file up to the end of the header.
    head: &'a [u8],
    code: &'a [u8],
}

fn refuse<T>(why: String) -> Result<T, LoadError> {
    Err(LoadError::Program(why))
}

impl<'a> Header<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, LoadError> {
        const OLDEST: u16 = 0x206;
        const LOADED_HIGH: u8 = 1;
        let byte = |at: usize| file.get(at).copied().unwrap_or(0);
        if file.get(0x1fe..0x200) != Some(&[0x55, 0xaa]) || file.get(0x202..0x206) != Some(b"HdrS")
        {
            return refuse("it is not a Linux kernel as bzImage: it has no setup header".into());
        }
        let end = (0x202 + usize::from(byte(0x201))).min(END_MAX);
        let Some(head) = file.get(..end) else {
            return refuse("it is cut short in its setup header".into());
        };
        let mut header = Self { head, code: &[] };
        let version = header.u16(0x206);
        if version < OLDEST {
            let (major, minor) = (version >> 8, version & 0xff);
            return refuse(format!(
                "its boot protocol is {major}.{minor:02}; the oldest that can be loaded is 2.06"
            ));
        }
        if header.load_flags() & LOADED_HIGH == 0 {
            return refuse(
                "it is a zImage, which is loaded low; only a bzImage can be loaded".into(),
            );
        }
        header.code = header.find_code(file)?;
        Ok(header)
    }

    /// The protected-mode code: what follows the setup sectors. The last paragraph need not be full.
    fn find_code(&self, file: &'a [u8]) -> Result<&'a [u8], LoadError> {
        const PARAGRAPH: usize = 16;
        let sectors = match self.head[START] {
            0 => 4,
            sectors => sectors,
        };
        let start = (usize::from(sectors) + 1) * SECTOR;
        let length = self.u32(0x1f4) as usize * PARAGRAPH;
        let rest = file.get(start..).unwrap_or(&[]);
        if length == 0 || rest.len() + PARAGRAPH <= length {
            return refuse(format!(
                "it is cut short: it has {} bytes, and its header speaks of {}",
                file.len(),
                start + length
            ));
        }
        Ok(&rest[..length.min(rest.len())])
    }

    /// The whole header, to be copied.
    pub(super) fn fields(&self) -> &'a [u8] {
        &self.head[START..]
    }

    pub(super) fn code(&self) -> &'a [u8] {
        self.code
    }

    pub(super) fn load_flags(&self) -> u8 {
        self.head.get(LOAD_FLAGS as usize).copied().unwrap_or(0)
    }

    pub(super) fn is_64_bit(&self) -> bool {
        const XLF_KERNEL_64: u16 = 1;
        self.since(0x20c) && self.u16(0x236) & XLF_KERNEL_64 != 0
    }

    pub(super) fn is_relocatable(&self) -> bool {
        self.head.get(0x234).is_some_and(|&flag| flag != 0)
    }

    pub(super) fn alignment(&self) -> u64 {
        u64::from(self.u32(0x230)).max(1)
    }

    pub(super) fn command_line_max(&self) -> u32 {
        self.u32(0x238)
    }

    /// The address behind the highest that an initial RAM disk may have.
    pub(super) fn initrd_end(&self) -> u64 {
        u64::from(self.u32(0x22c)) + 1
    }

    /// Where it runs if it can.
    pub(super) fn preferred_address(&self) -> u64 {
        let address = u64::from(self.u32(0x258)) | u64::from(self.u32(0x25c)) << 32;
        match self.since(0x20a) && address != 0 {
            true => address,
            false => HIGH,
        }
    }

    /// The memory that it wants where it runs; before 2.10 it does not say.
    pub(super) fn memory_wanted(&self) -> u64 {
        let length = self.code.len() as u64;
        match self.since(0x20a) {
            true => length.max(self.u32(0x260).into()),
            false => length,
        }
    }

    fn since(&self, version: u16) -> bool {
        self.u16(0x206) >= version
    }

    fn u16(&self, at: usize) -> u16 {
        self.bytes(at).map_or(0, u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes(at).map_or(0, u32::from_le_bytes)
    }

    /// A field; what is beyond the header's end is zero.
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.head.get(at..at + N)?.try_into().ok()
    }
}
