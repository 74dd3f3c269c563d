//! The machine that a program runs on: one page for CPL 0 with the entry for SYSCALL, a GDT with
//! Linux' selectors and a TSS. Nothing else runs at CPL 0.

use crate::errno::Errno;
use crate::machine::TableRegister;
use crate::memory::table::Rights;
use crate::memory::{AddressSpace, Frames, GuestRam};
use spec::addr::{L1Gpa, PAGE_SIZE};

/// The guest-physical address of the page for CPL 0. What is below stays unused.
const KERNEL_PAGE: u64 = 0x1000;
/// Where that page is mapped.
pub const KERNEL_ADDRESS: u64 = 0xffff_ffff_8000_0000;
/// The end of the stack.
pub const STACK_TOP: u64 = 0x7fff_ffff_e000;
/// Where addresses of programs end: the page below the first that is not canonical stays unmapped, so that no
/// SYSCALL lies there whose return address would not be.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// How much of the stack is there from the start, in bytes (Linux maps 132 KiB).
pub const STACK_SIZE: u64 = 0x2_1000;

/// CPL 0 code.
pub const KERNEL_CS: u16 = 0x10;
/// CPL 0 data.
pub const KERNEL_DS: u16 = 0x18;
/// CPL 3 32-bit code: the base of SYSRET's selectors.
pub const USER_CS32: u16 = 0x23;
/// CPL 3 data.
pub const USER_DS: u16 = 0x2b;
/// CPL 3 64-bit code.
pub const USER_CS: u16 = 0x33;
/// The TSS.
pub const TSS: u16 = 0x40;

/// HLT, which exits and at CPL 3 is #GP, so that it means "system call" and nothing else; then
/// SYSRETQ.
pub const SYSCALL_ENTRY: [u8; 4] = [0xf4, 0x48, 0x0f, 0x07];

const GDT_OFFSET: u64 = 0x100;
const TSS_OFFSET: u64 = 0x200;
/// The size of a 64-bit TSS, in bytes (SDM 3A "64-Bit Task-State Segment (TSS)").
const TSS_SIZE: u64 = 104;

/// The accessed bits are set: the page is not writable, and the CPU must not want to set them.
const GDT: [u64; 10] = [
    0,
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_fb00_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
    0,
    tss_low(KERNEL_ADDRESS + TSS_OFFSET),
    (KERNEL_ADDRESS + TSS_OFFSET) >> 32,
];

/// The low half of the descriptor of a busy 64-bit TSS.
const fn tss_low(base: u64) -> u64 {
    let base_part = (base & 0xff_ffff) << 16 | (base >> 24 & 0xff) << 56;
    base_part | 0x8b << 40 | (TSS_SIZE - 1)
}

/// The state in which a program's virtual CPU starts, at CPL 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryState {
    /// RIP.
    pub rip: u64,
    /// RSP.
    pub rsp: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// CR0: PG, AM, WP, NE, MP, PE and ET.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4: PAE, OSFXSR, OSXMMEXCPT. The owner adds what its CPU has (OSXSAVE, FSGSBASE ...).
    pub cr4: u64,
    /// EFER: NXE, LMA, LME, SCE.
    pub efer: u64,
    /// IA32_STAR.
    pub star: u64,
    /// IA32_LSTAR.
    pub lstar: u64,
    /// IA32_FMASK: TF, IF, DF, IOPL, NT, RF and AC are cleared, as Linux does.
    pub sfmask: u64,
    /// GDTR.
    pub gdt: TableRegister,
    /// IDTR: empty, every exception exits.
    pub idt: TableRegister,
    /// CS.
    pub cs: u16,
    /// SS, DS and ES.
    pub ss: u16,
    /// TR.
    pub tr: u16,
    /// The base of the TSS.
    pub tss_base: u64,
    /// The limit of the TSS. No port is allowed at CPL 3.
    pub tss_limit: u32,
}

/// What of a guest's RAM a program's pages are taken from.
#[must_use]
pub fn free_frames(ram: &GuestRam) -> Frames {
    let mut frames = Frames::new();
    frames.add(KERNEL_PAGE + PAGE_SIZE..ram.size());
    frames
}

/// Writes the page for CPL 0 and maps it.
pub fn build(space: &mut AddressSpace) -> Result<(), Errno> {
    let ram = space.ram();
    let put = |offset: u64, bytes: &[u8]| {
        ram.write(L1Gpa(KERNEL_PAGE + offset), bytes)
            .map_err(|_| Errno::ENOMEM)
    };
    ram.zero(L1Gpa(KERNEL_PAGE), PAGE_SIZE)
        .map_err(|_| Errno::ENOMEM)?;
    put(0, &SYSCALL_ENTRY)?;
    for (offset, descriptor) in (GDT_OFFSET..).step_by(8).zip(GDT) {
        put(offset, &descriptor.to_le_bytes())?;
    }
    // The I/O map base lies at the limit: there is no I/O permission bit map.
    put(TSS_OFFSET + 102, &(TSS_SIZE as u16).to_le_bytes())?;
    let rights = Rights {
        write: false,
        execute: true,
        user: false,
    };
    space.map_kernel_page(KERNEL_ADDRESS, KERNEL_PAGE, rights)
}

/// The state in which a program starts.
#[must_use]
pub fn entry_state(cr3: u64, rip: u64, rsp: u64) -> EntryState {
    EntryState {
        rip,
        rsp,
        rflags: 0x202,
        cr0: 0x8005_0033,
        cr3,
        cr4: 0x620,
        efer: 0xd01,
        star: u64::from(USER_CS32) << 48 | u64::from(KERNEL_CS) << 32,
        lstar: KERNEL_ADDRESS,
        sfmask: 0x0025_7fd5,
        gdt: TableRegister {
            base: KERNEL_ADDRESS + GDT_OFFSET,
            limit: (GDT.len() * 8 - 1) as u16,
        },
        idt: TableRegister::default(),
        cs: USER_CS,
        ss: USER_DS,
        tr: TSS,
        tss_base: KERNEL_ADDRESS + TSS_OFFSET,
        tss_limit: TSS_SIZE as u32 - 1,
    }
}
