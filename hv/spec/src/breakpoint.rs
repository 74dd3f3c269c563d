//! Breakpoints in debug registers, and what meets them: SDM 3B "Debug Registers", "Breakpoint Field Recognition".

/// What an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads memory.
    Read,
    /// It writes memory.
    Write,
    /// It reads or writes a port.
    Port,
}

/// The debug registers that say where the breakpoints are.
#[derive(Clone, Copy, Debug)]
pub struct Breakpoints {
    /// DR0 to DR3.
    pub addresses: [u64; 4],
    /// DR7.
    pub control: u64,
    /// CR4.DE: there are breakpoints on ports.
    pub extensions: bool,
}

/// Whether DR7 enables any breakpoint, locally or globally.
#[must_use]
pub const fn any_enabled(control: u64) -> bool {
    control & 0xff != 0
}

impl Breakpoints {
    /// The breakpoints that an access of `size` bytes meets: bits 3:0 of DR6. `at` is a linear address, or a port
    /// with zeros above it.
    #[must_use]
    pub fn met(&self, access: Access, at: u64, size: u8) -> u64 {
        (0..4)
            .filter(|&n| self.meets(n, access, at, size))
            .fold(0, |met, n| met | 1 << n)
    }

    fn meets(&self, n: usize, access: Access, at: u64, size: u8) -> bool {
        let is_enabled = self.control >> (2 * n) & 0b11 != 0;
        let field = self.control >> (16 + 4 * n);
        let is_meant = match field & 0b11 {
            0b00 => false,
            0b01 => access == Access::Write,
            0b10 => access == Access::Port && self.extensions,
            _ => access != Access::Port,
        };
        // Any byte of the access among those of the breakpoint, whose low address bits LEN masks.
        let length = [1, 2, 8, 4][(field >> 2 & 0b11) as usize];
        let start = self.addresses[n] & !(length - 1);
        let overlap = at.wrapping_sub(start) < length || start.wrapping_sub(at) < u64::from(size);
        is_enabled && is_meant && overlap
    }
}
