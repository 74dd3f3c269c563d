//! VM entry and VM exit: the registers that the VMCS does not hold.

use core::arch::{asm, naked_asm};
use vmm::machine::Gprs;

/// The slot of [`Gprs`] that is not a register: RSP is in the VMCS.
const HOST_RSP: usize = 4 * 8;

/// Enters the guest with these registers; false if VM entry failed, true after a VM exit.
///
/// HOST_RSP of the VMCS is the address of `gprs`, so that the exit finds it without a register and
/// nothing is written to the VMCS for an entry. Our own RSP is kept in the unused slot meanwhile.
/// No interrupt can use that "stack": interrupts are disabled, and NMI and #MC have their own.
///
/// # Safety
/// The current VMCS is complete, with HOST_RSP = `gprs` and HOST_RIP = [`exit_point`].
#[inline(always)]
pub(super) unsafe fn run_guest(gprs: *mut Gprs, launched: bool) -> bool {
    let failed: u64;
    // SAFETY: the caller answers for the VMCS. `enter` keeps RSP; every other register is declared,
    // but RBX and RBP, which the compiler does not give away.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "call {enter}",
            "pop rbp",
            "pop rbx",
            enter = sym enter,
            inout("rdi") gprs => _,
            inout("rsi") u64::from(launched) => _,
            out("rax") failed,
            out("rcx") _, out("rdx") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    failed == 0
}

/// RDI: the guest's registers; SIL: whether the VMCS is launched. Returns 0 in RAX after a VM exit,
/// 1 if VM entry failed; keeps no register but RSP.
#[unsafe(naked)]
unsafe extern "sysv64" fn enter() {
    naked_asm!(
        "mov [rdi + {host_rsp}], rsp",
        // MOV leaves the flags alone.
        "test sil, sil",
        "mov rax, [rdi]",
        "mov rcx, [rdi + 0x08]",
        "mov rdx, [rdi + 0x10]",
        "mov rbx, [rdi + 0x18]",
        "mov rbp, [rdi + 0x28]",
        "mov rsi, [rdi + 0x30]",
        "mov r8, [rdi + 0x40]",
        "mov r9, [rdi + 0x48]",
        "mov r10, [rdi + 0x50]",
        "mov r11, [rdi + 0x58]",
        "mov r12, [rdi + 0x60]",
        "mov r13, [rdi + 0x68]",
        "mov r14, [rdi + 0x70]",
        "mov r15, [rdi + 0x78]",
        "mov rdi, [rdi + 0x38]",
        "jz 2f",
        "vmresume",
        "jmp 3f",
        "2: vmlaunch",
        // Only a VMfail comes here, with RSP still ours.
        "3: mov eax, 1",
        "ret",
        host_rsp = const HOST_RSP,
    )
}

/// Where every VM exit comes: RSP is the address of the guest's registers.
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn exit_point() {
    naked_asm!(
        "mov [rsp], rax",
        "mov [rsp + 0x08], rcx",
        "mov [rsp + 0x10], rdx",
        "mov [rsp + 0x18], rbx",
        "mov [rsp + 0x28], rbp",
        "mov [rsp + 0x30], rsi",
        "mov [rsp + 0x38], rdi",
        "mov [rsp + 0x40], r8",
        "mov [rsp + 0x48], r9",
        "mov [rsp + 0x50], r10",
        "mov [rsp + 0x58], r11",
        "mov [rsp + 0x60], r12",
        "mov [rsp + 0x68], r13",
        "mov [rsp + 0x70], r14",
        "mov [rsp + 0x78], r15",
        "mov rsp, [rsp + {host_rsp}]",
        "xor eax, eax",
        "ret",
        host_rsp = const HOST_RSP,
    )
}
