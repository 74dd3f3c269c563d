//! Linux structures as bytes. Tests compare their sizes with linux-raw-sys.

/// A structure of `N` bytes, filled field by field; what is not filled is zero.
pub struct Record<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Record<N> {
    /// All zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            at: 0,
        }
    }

    /// Adds bytes; what does not fit is our bug.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        self
    }

    /// Adds a 16-bit field.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Adds a 32-bit field.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Adds a 64-bit field.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Leaves bytes zero.
    #[must_use]
    pub fn skip(mut self, bytes: usize) -> Self {
        self.at += bytes;
        self
    }

    /// The bytes.
    #[must_use]
    pub fn done(self) -> [u8; N] {
        self.bytes
    }
}

impl<const N: usize> Default for Record<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A 64-bit field of a structure that was copied in; 0 beyond its end.
#[must_use]
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}

/// A 32-bit field of a structure that was copied in; 0 beyond its end.
#[must_use]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}
