//! The processor extended states (SDM 1 "Managing State Using the XSAVE Feature Set") of a virtual
//! CPU, and the other registers that neither VM entry nor VM exit switches: XCR0, DR0 to DR3, TSC_AUX.

use crate::holder::Claim;
use crate::msr;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::ops::Range;
use spec::control_registers::Xcr0;
use spec::cpuid::{ExtendedEdx, Leaf1Ecx, Leaf7Ecx, leaf};
use spec::msr::Msr;
use x86::debugregs::{BREAKPOINT_REGS, Breakpoint};

/// What FXSAVE stores.
const LEGACY: Xcr0 = Xcr0::X87.union(Xcr0::SSE);
/// What FXSAVE takes.
const FXSAVE_SIZE: usize = 512;
/// FCW, at the start of the area, after FNINIT.
const FCW_INIT: u16 = 0x37f;
/// MXCSR after RESET, and its place.
const MXCSR_RESET: u32 = 0x1f80;
const MXCSR_OFFSET: usize = 24;
/// Which bits of MXCSR may be set where FXSAVE gives no mask (SDM 1 "Guidelines for Writing to the MXCSR Register").
const MXCSR_MASK_DEFAULT: u32 = 0xffbf;
/// Where the XSAVE header has XSTATE_BV.
const XSTATE_BV: Range<usize> = FXSAVE_SIZE..FXSAVE_SIZE + 8;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Line {
    fn quarter(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    /// Its first eight bytes: in the header of an XSAVE area, XSTATE_BV.
    fn first(&self) -> u64 {
        u64::from(self.quarter(4)) << 32 | u64::from(self.quarter(0))
    }
}

/// The registers of one virtual CPU. Between [`Self::load`] and [`Self::save`] they are in the CPU.
pub(crate) struct ExtendedState {
    loaded: bool,
    /// The components that this processor has; empty without XSAVE.
    supported: Xcr0,
    has_tsc_aux: bool,
    area: Box<[Line]>,
    xcr0: u64,
    breakpoints: [u64; 4],
    tsc_aux: u64,
}

impl ExtendedState {
    /// The state after RESET and FNINIT, not loaded.
    pub(crate) fn new() -> Self {
        let (supported, size) = components();
        let mut area = alloc::vec![Line([0; 64]); size.div_ceil(64)].into_boxed_slice();
        area[0].0[..2].copy_from_slice(&FCW_INIT.to_le_bytes());
        area[0].0[MXCSR_OFFSET..][..4].copy_from_slice(&MXCSR_RESET.to_le_bytes());
        Self {
            loaded: false,
            supported,
            has_tsc_aux: has_tsc_aux(),
            area,
            xcr0: Xcr0::X87.bits(),
            breakpoints: [0; 4],
            tsc_aux: 0,
        }
    }

    /// Loads the registers into this CPU, unless it still holds them. The hypervisor itself
    /// touches none of them.
    pub(crate) fn load(&mut self, claim: Claim) {
        self.loaded = true;
        if claim == Claim::Kept {
            return;
        }
        self.restore_area();
        for (register, value) in BREAKPOINT_REGS.iter().zip(self.breakpoints) {
            write_breakpoint(register, value);
        }
        if self.has_tsc_aux {
            // SAFETY: the processor has the MSR, and we do not use it.
            unsafe { msr::write(Msr::IA32_TSC_AUX.0, self.tsc_aux) }
        }
    }

    /// Copies the registers out of this CPU, so that another one may load them.
    pub(crate) fn save(&mut self) {
        self.xcr0 = self.xcr0();
        self.save_area();
        self.breakpoints = breakpoints();
        if self.has_tsc_aux {
            self.tsc_aux = msr::read(Msr::IA32_TSC_AUX.0);
        }
        self.loaded = false;
    }

    /// XCR0. The CPU is asked while it holds it: QEMU 7.2 lets a guest's XSETBV through, whatever
    /// the intercepts say.
    pub(crate) fn xcr0(&self) -> u64 {
        if self.loaded && !self.supported.is_empty() {
            read_xcr0()
        } else {
            self.xcr0
        }
    }

    /// Writes XCR0; the caller has checked the value.
    pub(crate) fn set_xcr0(&mut self, value: u64) {
        self.xcr0 = value;
        if self.loaded && !self.supported.is_empty() {
            write_xcr0(value);
        }
    }

    /// DR0 to DR3.
    pub(crate) fn breakpoint(&self, number: usize) -> u64 {
        if self.loaded {
            breakpoints()[number]
        } else {
            self.breakpoints[number]
        }
    }

    /// Writes one of DR0 to DR3.
    pub(crate) fn set_breakpoint(&mut self, number: usize, value: u64) {
        self.breakpoints[number] = value;
        if self.loaded {
            write_breakpoint(&BREAKPOINT_REGS[number], value);
        }
    }

    /// TSC_AUX, or what was last written where the processor lacks it.
    pub(crate) fn tsc_aux(&self) -> u64 {
        if self.loaded && self.has_tsc_aux {
            msr::read(Msr::IA32_TSC_AUX.0)
        } else {
            self.tsc_aux
        }
    }

    /// Writes TSC_AUX.
    pub(crate) fn set_tsc_aux(&mut self, value: u64) {
        self.tsc_aux = value;
        if self.loaded && self.has_tsc_aux {
            // SAFETY: the processor has the MSR, and we do not use it.
            unsafe { msr::write(Msr::IA32_TSC_AUX.0, value) }
        }
    }

    /// The components that XCR0 enables, as XSAVE stores them in the standard format, or what FXSAVE stores.
    pub fn image(&mut self) -> Vec<u8> {
        self.xcr0 = self.xcr0();
        self.save_area();
        let size = match self.supported.is_empty() {
            true => FXSAVE_SIZE,
            // EBX: the size for what XCR0 enables, and it is the guest's again.
            false => __cpuid_count(leaf::XSAVE, 0).ebx as usize,
        };
        let mut image: Vec<u8> = self
            .area
            .iter()
            .flat_map(|line| line.0)
            .take(size)
            .collect();
        if let Some(states) = image.get_mut(XSTATE_BV) {
            for (byte, enabled) in states.iter_mut().zip(self.usable().to_le_bytes()) {
                *byte &= enabled;
            }
        }
        image
    }

    /// What the guest can use: x87 and SSE do not depend on XCR0 where XSAVE is not enabled.
    fn usable(&self) -> u64 {
        self.xcr0 | LEGACY.bits()
    }

    /// Loads what [`Self::image`] gave, or what somebody made of it: reserved bits are dropped.
    pub fn set_image(&mut self, image: &[u8]) {
        self.xcr0 = self.xcr0();
        let usable = self.usable();
        self.save_area();
        let mxcsr_mask = match self.area[0].quarter(MXCSR_OFFSET + 4) {
            0 => MXCSR_MASK_DEFAULT,
            mask => mask,
        };
        let kept = self.area.get(FXSAVE_SIZE / 64).map_or(0, Line::first);
        for (line, part) in self.area.iter_mut().zip(image.chunks(64)) {
            line.0[..part.len()].copy_from_slice(part);
        }
        let mxcsr = self.area[0].quarter(MXCSR_OFFSET) & mxcsr_mask;
        self.area[0].0[MXCSR_OFFSET..][..4].copy_from_slice(&mxcsr.to_le_bytes());
        if let Some(header) = self.area.get_mut(FXSAVE_SIZE / 64) {
            let states = match image.len() > FXSAVE_SIZE {
                true => header.first(),
                // What FXSAVE stores tells of x87 and SSE; the others get their initial values, as Linux does it.
                false => LEGACY.bits(),
            };
            let states = (states & usable | kept & !usable) & self.supported.bits();
            // XCOMP_BV and what is reserved behind it must be 0 (SDM 1 "XSAVE Header").
            header.0 = [0; 64];
            header.0[..8].copy_from_slice(&states.to_le_bytes());
        }
        self.restore_area();
    }

    /// All components are restored, also those that XCR0 does not enable just now: what was in them
    /// is there again when the guest enables them.
    fn restore_area(&mut self) {
        let area = self.area.as_ptr();
        if self.supported.is_empty() {
            // SAFETY: the area is 512 bytes long, aligned, and holds what FXSAVE or `new` wrote.
            unsafe { asm!("fxrstor64 [{}]", in(reg) area, options(nostack, readonly)) }
            return;
        }
        write_xcr0(self.supported.bits());
        let (low, high) = halves(self.supported.bits());
        // SAFETY: the area is as long as CPUID says, aligned, and holds what XSAVE or `new` wrote.
        unsafe {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, readonly))
        }
        write_xcr0(self.xcr0);
    }

    fn save_area(&mut self) {
        let area = self.area.as_mut_ptr();
        if self.supported.is_empty() {
            // SAFETY: the area is 512 bytes long and aligned.
            unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack)) }
            return;
        }
        write_xcr0(self.supported.bits());
        let (low, high) = halves(self.supported.bits());
        // SAFETY: the area is as long as CPUID says for these components, and aligned.
        unsafe {
            asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack))
        }
        write_xcr0(self.xcr0);
    }
}

/// The components of XCR0 that this processor has, and the size of an area for all of them.
fn components() -> (Xcr0, usize) {
    let features = Leaf1Ecx::from_bits_retain(__cpuid(leaf::FEATURES).ecx);
    if !features.contains(Leaf1Ecx::XSAVE) {
        return (Xcr0::empty(), FXSAVE_SIZE);
    }
    let found = __cpuid_count(leaf::XSAVE, 0);
    let bits = u64::from(found.eax) | u64::from(found.edx) << 32;
    (Xcr0::from_bits_retain(bits), found.ecx as usize)
}

fn has_tsc_aux() -> bool {
    let extended = ExtendedEdx::from_bits_retain(__cpuid(leaf::EXTENDED_FEATURES_AMD).edx);
    let structured = Leaf7Ecx::from_bits_retain(__cpuid_count(leaf::EXTENDED_FEATURES, 0).ecx);
    extended.contains(ExtendedEdx::RDTSCP) || structured.contains(Leaf7Ecx::RDPID)
}

fn breakpoints() -> [u64; 4] {
    // SAFETY: reading debug registers at CPL 0 changes nothing; DR7.GD is clear outside the guest.
    BREAKPOINT_REGS.map(|register| unsafe { register.dr() } as u64)
}

fn write_breakpoint(register: &Breakpoint, value: u64) {
    // SAFETY: DR7 enables no breakpoint outside the guest: a VM exit clears it.
    unsafe { register.write(value as usize) }
}

fn read_xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: CR4.OSXSAVE is set where the processor has XSAVE; register 0 always exists.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack, nomem, preserves_flags))
    }
    u64::from(high) << 32 | u64::from(low)
}

fn write_xcr0(value: u64) {
    let (low, high) = halves(value);
    // SAFETY: CR4.OSXSAVE is set where the processor has XSAVE; the value is one that XSETBV takes.
    // The hypervisor uses no extended state.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") low, in("edx") high, options(nostack, preserves_flags))
    }
}

fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}
