//! A set of interrupt vectors: IRR and ISR.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vectors([u64; 4]);

impl Vectors {
    pub(super) fn set(&mut self, vector: u8) {
        self.0[usize::from(vector >> 6)] |= 1 << (vector & 63);
    }

    pub(super) fn clear(&mut self, vector: u8) {
        self.0[usize::from(vector >> 6)] &= !(1 << (vector & 63));
    }

    pub(super) fn has(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 6)] >> (vector & 63) & 1 != 0
    }

    #[inline]
    pub(super) fn highest(&self) -> Option<u8> {
        // Not `== [0; 4]`, which calls memcmp.
        if self.0.iter().fold(0, |all, word| all | word) == 0 {
            return None;
        }
        let word = self.0.iter().rposition(|&word| word != 0)?;
        Some((word * 64) as u8 + 63 - self.0[word].leading_zeros() as u8)
    }

    /// The n-th of the eight 32-bit registers that show the set.
    pub(super) fn register(&self, n: u16) -> u32 {
        (self.0[usize::from(n / 2)] >> (32 * (n % 2))) as u32
    }
}
