//! The VMCS: VMREAD and VMWRITE are reached only through a [`Current`], which exists while the VMCS
//! is the current one of this physical CPU. SDM 3C "Virtual Machine Control Structures".

use crate::page::Page;
use crate::percpu::{self, MAX_CPUS};
use alloc::boxed::Box;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::vmx::errors::InstructionError;
use spec::vmx::fields::{self, Field, FieldType, INSTRUCTION_ERROR};
use x86::bits64::vmx::{vmclear, vmptrld};

/// The VMCS region that is current on each physical CPU, or 0.
static CURRENT: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A VMCS region, current on at most one physical CPU.
pub(super) struct Vmcs {
    region: Box<Page>,
    current: Option<Current>,
}

/// The right to access the VMCS that is current on this physical CPU.
pub(super) struct Current {
    launched: bool,
    /// The physical CPU where it is current.
    cpu: usize,
}

impl Vmcs {
    /// A region with this VMCS revision identifier; its fields are undefined until written.
    pub(super) fn new(revision: u32) -> Self {
        let region = super::region(revision);
        let vmcs = Self {
            region,
            current: None,
        };
        // SAFETY: the region is 4 KiB aligned, lives as long as `vmcs`, and is current nowhere.
        unsafe { vmclear(vmcs.address()) }.expect("VMCLEAR of a new VMCS");
        vmcs
    }

    fn address(&self) -> u64 {
        self.region.address()
    }

    /// Makes it the current VMCS of this CPU.
    pub(super) fn load(&mut self) -> &mut Current {
        let address = self.address();
        let cpu = percpu::this().index();
        let before = CURRENT[cpu].swap(address, Ordering::Relaxed);
        assert!(
            before == 0 && self.current.is_none(),
            "a VMCS is loaded while another one is current"
        );
        // SAFETY: the region is 4 KiB aligned, was cleared on the CPU that had it before, and lives
        // until `clear`.
        unsafe { vmptrld(address) }.expect("VMPTRLD of a clear VMCS");
        self.current.insert(Current {
            launched: false,
            cpu,
        })
    }

    /// Writes it back to memory, so that another CPU may load it.
    pub(super) fn clear(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        current.check_cpu();
        CURRENT[current.cpu].store(0, Ordering::Relaxed);
        // SAFETY: it is this CPU's current VMCS; nobody has a `Current` of it any more.
        unsafe { vmclear(self.address()) }.expect("VMCLEAR of the current VMCS");
    }

    /// The access to it, between [`Self::load`] and [`Self::clear`].
    #[inline]
    pub(super) fn current(&self) -> &Current {
        match &self.current {
            Some(current) => current,
            None => not_loaded(),
        }
    }

    /// The same, for writing.
    #[inline]
    pub(super) fn current_mut(&mut self) -> &mut Current {
        match &mut self.current {
            Some(current) => current,
            None => not_loaded(),
        }
    }
}

impl Drop for Vmcs {
    /// Memory that is a VMCS may be written by the processor until VMCLEAR.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cold]
fn not_loaded() -> ! {
    panic!("a virtual CPU's VMCS is accessed while it is not loaded")
}

impl Current {
    /// VMREAD.
    #[inline]
    pub(super) fn read<T: FieldType>(&self, field: Field<T>) -> T::Value {
        let raw: u64;
        // SAFETY: a `Current` exists only in VMX operation with a current VMCS. A failure, for
        // which the address of the field stays in RDI, does not return.
        unsafe {
            asm!(
                "vmread {raw}, rdi",
                "jbe 2f",
                ".pushsection .text.vmcs_failed, \"ax\"",
                "2: call {failed}",
                ".popsection",
                raw = out(reg) raw,
                in("rdi") u64::from(field.encoding()),
                failed = sym access_failed,
                options(nostack)
            );
        }
        T::from_raw(raw)
    }

    /// VMWRITE.
    #[inline]
    pub(super) fn write<T: FieldType>(&mut self, field: Field<T>, value: T::Value) {
        // SAFETY: as in `read`. What the value does to the guest is the caller's decision. What could harm us
        // has few writers. The host-state area: `host`, with this CPU's own state, and `run`, which points
        // HOST_RSP at the registers that it gives to `switch`. Addresses: `write_controls`, whose EPT
        // pointer is the root that `new_engine` was given, and whose bitmaps live as long as the virtual CPU. Controls:
        // there, as `Capability` chose them; `set_window` and `write_efer` change only when the guest
        // exits and in which mode it runs.
        unsafe {
            asm!(
                "vmwrite rdi, {value}",
                "jbe 2f",
                ".pushsection .text.vmcs_failed, \"ax\"",
                "2: call {failed}",
                ".popsection",
                value = in(reg) T::to_raw(value),
                in("rdi") u64::from(field.encoding()),
                failed = sym access_failed,
                options(nostack)
            );
        }
    }

    /// A virtual CPU is `Send`: one that moves must be unloaded first.
    pub(super) fn check_cpu(&self) {
        let here = percpu::this().index();
        assert!(
            self.cpu == here,
            "the VMCS that CPU {} loaded is used on CPU {here}",
            self.cpu
        );
    }

    /// VMLAUNCH was done, so VMRESUME is next.
    #[inline]
    pub(super) fn is_launched(&self) -> bool {
        self.launched
    }

    /// Records a VM entry that succeeded.
    #[inline]
    pub(super) fn set_launched(&mut self) {
        self.launched = true;
    }

    /// Ends with the reason why VMLAUNCH or VMRESUME failed: we built the VMCS, so the bug is ours.
    #[cold]
    pub(super) fn entry_failed(&self) -> ! {
        let instruction = if self.launched {
            "VMRESUME"
        } else {
            "VMLAUNCH"
        };
        match instruction_error() {
            Some(error) => panic!(
                "{instruction} failed: {error}: {}",
                error.text().unwrap_or("unknown error")
            ),
            None => panic!("{instruction} failed: there is no current VMCS"),
        }
    }
}

/// The instruction error after VMfailValid; `None` after VMfailInvalid, when there is no current VMCS.
fn instruction_error() -> Option<InstructionError> {
    let (raw, failed): (u64, u8);
    // SAFETY: only instructions of VMX operation fail so. VMREAD without a current VMCS sets flags, no more.
    unsafe {
        asm!(
            "vmread {raw}, {field}",
            "setbe {failed}",
            raw = inout(reg) 0_u64 => raw,
            field = in(reg) u64::from(INSTRUCTION_ERROR.encoding()),
            failed = out(reg_byte) failed,
            options(nostack)
        );
    }
    (failed == 0).then_some(InstructionError(raw as u32))
}

/// Ends with the reason why VMREAD or VMWRITE failed.
#[cold]
extern "sysv64" fn access_failed(encoding: u64) -> ! {
    let name = fields::name(encoding as u32).unwrap_or("?");
    match instruction_error() {
        Some(error) => panic!(
            "VMREAD or VMWRITE of {name} ({encoding:#x}) failed: {error}: {}",
            error.text().unwrap_or("unknown error")
        ),
        None => {
            panic!("VMREAD or VMWRITE of {name} ({encoding:#x}) failed: there is no current VMCS")
        }
    }
}
