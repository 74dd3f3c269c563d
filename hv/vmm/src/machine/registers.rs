//! The registers of a virtual CPU.

/// A general-purpose register, numbered as ModRM and both manuals' exit information do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Gpr {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    Rsp = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
}

impl Gpr {
    const ALL: [Self; 16] = [
        Self::Rax,
        Self::Rcx,
        Self::Rdx,
        Self::Rbx,
        Self::Rsp,
        Self::Rbp,
        Self::Rsi,
        Self::Rdi,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
    ];

    /// The register with this number; only the low four bits count.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self::ALL[(number & 0xf) as usize]
    }
}

/// The general-purpose registers of a guest, in [`Gpr`] order, saved and loaded by the switch code.
/// Slot 4 is unused: RSP lives in the VMCS or VMCB ([`Reg::Rsp`]).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Gprs(pub [u64; 16]);

impl core::ops::Index<Gpr> for Gprs {
    type Output = u64;
    #[inline]
    fn index(&self, register: Gpr) -> &u64 {
        &self.0[register as usize]
    }
}

impl core::ops::IndexMut<Gpr> for Gprs {
    #[inline]
    fn index_mut(&mut self, register: Gpr) -> &mut u64 {
        &mut self.0[register as usize]
    }
}

/// A register outside the general-purpose ones, with the value that the guest itself would read:
/// CR0, CR4 and EFER are the guest's view, whatever the hardware holds underneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reg {
    Rip,
    Rsp,
    Rflags,
    Cr0,
    Cr2,
    Cr3,
    Cr4,
    Xcr0,
    Dr0,
    Dr1,
    Dr2,
    Dr3,
    Dr6,
    Dr7,
    Efer,
    Pat,
    Star,
    Lstar,
    Cstar,
    Sfmask,
    KernelGsBase,
    TscAux,
    SysenterCs,
    SysenterEsp,
    SysenterEip,
    Debugctl,
}

/// A segment register, numbered as the instruction encodings do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SegmentRegister {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
    Ldtr,
    Tr,
}

impl SegmentRegister {
    /// The segment register with this number in an instruction's encoding.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Es,
            1 => Self::Cs,
            2 => Self::Ss,
            3 => Self::Ds,
            4 => Self::Fs,
            5 => Self::Gs,
            _ => return None,
        })
    }
}

/// A segment register with its hidden part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The visible selector.
    pub selector: u16,
    /// The base address.
    pub base: u64,
    /// The limit in bytes, as if granularity were applied.
    pub limit: u32,
    /// Access rights in the VMX layout (SDM 3C "Guest Register State": type in bits 3:0, S 4,
    /// DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16).
    pub access: u32,
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRegister {
    /// The base address.
    pub base: u64,
    /// The limit in bytes.
    pub limit: u16,
}

/// What decides, besides memory and the registers whose writes always exit (CR0 but for TS and MP, CR4,
/// EFER), which instruction is next and how it is decoded. (Virtual-8086 mode needs no place here:
/// its code segments have the attributes of real mode's.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeState {
    /// RIP.
    pub rip: u64,
    /// CR3.
    pub cr3: u64,
    /// The base of CS.
    pub cs_base: u64,
    /// The attributes of CS, in any form.
    pub cs_access: u32,
}
