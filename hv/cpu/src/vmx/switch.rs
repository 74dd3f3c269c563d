//! VM entry and VM exit: the registers that the VMCS does not hold.

use core::arch::naked_asm;
use vmm::machine::Gprs;

/// The slot of [`Gprs`] that is not a register: RSP is in the VMCS.
const HOST_RSP: usize = 4 * 8;

/// Enters the guest with these registers, and returns 0 after the VM exit, 1 if VM entry failed.
///
/// HOST_RSP of the VMCS is the address of `gprs`, so that the exit finds it without a register and
/// nothing is written to the VMCS for an entry. Our own RSP is kept in the unused slot meanwhile.
/// No interrupt can use that "stack": interrupts are disabled, and NMI and #MC have their own.
///
/// # Safety
/// The current VMCS is complete, with HOST_RSP = `gprs` and HOST_RIP = [`exit_point`].
#[unsafe(naked)]
pub(super) unsafe extern "sysv64" fn enter(gprs: *mut Gprs, launched: bool) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
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
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
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
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        host_rsp = const HOST_RSP,
    )
}
