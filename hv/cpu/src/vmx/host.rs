//! The host-state area: what VM exit loads. SDM 3C "Loading Host State".

use super::switch;
use super::vmcs::Current;
use crate::msr;
use spec::msr::Msr;
use spec::vmx::fields::*;
use x86::controlregs::{cr0, cr3, cr4};
use x86::dtables::{DescriptorTablePointer, sgdt, sidt};
use x86::segmentation::{self, SegmentSelector};
use x86::task::tr;

/// Writes the state of the CPU that calls; but for HOST_RSP it is the same at every exit. VM exit sets the limits of
/// GDTR and IDTR to 0xffff: nothing of ours relies on #GP from a descriptor behind their ends.
pub(super) fn write(vmcs: &mut Current) {
    let (gdt, idt) = table_bases();
    // SAFETY: reading control and segment registers at CPL 0 changes nothing.
    let (control, task) = unsafe { ((cr0().bits() as u64, cr3(), cr4().bits() as u64), tr()) };
    vmcs.write(HOST_CR0, control.0);
    vmcs.write(HOST_CR3, control.1);
    vmcs.write(HOST_CR4, control.2);
    vmcs.write(HOST_GDTR_BASE, gdt);
    vmcs.write(HOST_IDTR_BASE, idt);
    vmcs.write(HOST_TR_SELECTOR, task.bits());
    vmcs.write(HOST_TR_BASE, task_base(gdt, task));
    selectors(vmcs);
    vmcs.write(HOST_FS_BASE, msr::read(Msr::IA32_FS_BASE.0));
    vmcs.write(HOST_GS_BASE, msr::read(Msr::IA32_GS_BASE.0));
    vmcs.write(HOST_IA32_EFER, msr::read(Msr::IA32_EFER.0));
    vmcs.write(HOST_IA32_PAT, msr::read(Msr::IA32_PAT.0));
    // We have no use for SYSENTER; the addresses need only be canonical.
    vmcs.write(HOST_IA32_SYSENTER_CS, 0);
    vmcs.write(HOST_IA32_SYSENTER_ESP, 0);
    vmcs.write(HOST_IA32_SYSENTER_EIP, 0);
    vmcs.write(HOST_RIP, switch::exit_point as *const () as u64);
}

fn selectors(vmcs: &mut Current) {
    vmcs.write(HOST_CS_SELECTOR, segmentation::cs().bits());
    vmcs.write(HOST_SS_SELECTOR, segmentation::ss().bits());
    for field in [
        HOST_DS_SELECTOR,
        HOST_ES_SELECTOR,
        HOST_FS_SELECTOR,
        HOST_GS_SELECTOR,
    ] {
        vmcs.write(field, 0);
    }
}

fn table_bases() -> (u64, u64) {
    let mut gdt = DescriptorTablePointer::<u64>::default();
    let mut idt = DescriptorTablePointer::<u64>::default();
    // SAFETY: SGDT and SIDT only store.
    unsafe {
        sgdt(&mut gdt);
        sidt(&mut idt);
    }
    (gdt.base as u64, idt.base as u64)
}

/// The base address in the 16-byte descriptor of the TSS. SDM 3A "TSS Descriptor in 64-Bit Mode".
fn task_base(gdt: u64, task: SegmentSelector) -> u64 {
    let descriptor = (gdt + u64::from(task.index()) * 8) as *const [u64; 2];
    // SAFETY: TR was loaded from this descriptor, and GDTs stay where they are.
    let [low, high] = unsafe { descriptor.read() };
    (low >> 16 & 0xff_ffff) | (low >> 32 & 0xff00_0000) | high << 32
}
