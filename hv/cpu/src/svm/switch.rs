//! The world switch: the assembly around VMRUN.

use core::arch::asm;
use core::ptr::from_mut;
use vmm::machine::Gprs;

/// Saves this CPU's FS, GS, TR, LDTR, KernelGsBase, STAR and its like, and SYSENTER registers.
///
/// # Safety
/// SVM is enabled on this CPU, and the page at `state` is nobody else's.
pub(super) unsafe fn save_state(state: u64) {
    // SAFETY: VMSAVE writes that page only.
    unsafe { asm!("vmsave rax", in("rax") state, options(nostack, preserves_flags)) }
}

/// Loads the guest's registers from the address in RDI.
macro_rules! load_registers {
    () => {
        concat!(
            "mov rcx, [rdi + 8 * 1]\n",
            "mov rdx, [rdi + 8 * 2]\n",
            "mov rbx, [rdi + 8 * 3]\n",
            "mov rbp, [rdi + 8 * 5]\n",
            "mov rsi, [rdi + 8 * 6]\n",
            "mov r8, [rdi + 8 * 8]\n",
            "mov r9, [rdi + 8 * 9]\n",
            "mov r10, [rdi + 8 * 10]\n",
            "mov r11, [rdi + 8 * 11]\n",
            "mov r12, [rdi + 8 * 12]\n",
            "mov r13, [rdi + 8 * 13]\n",
            "mov r14, [rdi + 8 * 14]\n",
            "mov r15, [rdi + 8 * 15]\n",
            "mov rdi, [rdi + 8 * 7]\n",
        )
    };
}

/// Saves the guest's registers at the address in RAX.
macro_rules! save_registers {
    () => {
        concat!(
            "mov [rax + 8 * 1], rcx\n",
            "mov [rax + 8 * 2], rdx\n",
            "mov [rax + 8 * 3], rbx\n",
            "mov [rax + 8 * 5], rbp\n",
            "mov [rax + 8 * 6], rsi\n",
            "mov [rax + 8 * 7], rdi\n",
            "mov [rax + 8 * 8], r8\n",
            "mov [rax + 8 * 9], r9\n",
            "mov [rax + 8 * 10], r10\n",
            "mov [rax + 8 * 11], r11\n",
            "mov [rax + 8 * 12], r12\n",
            "mov [rax + 8 * 13], r13\n",
            "mov [rax + 8 * 14], r14\n",
            "mov [rax + 8 * 15], r15\n",
        )
    };
}

/// Enters the guest and returns after its VM exit. All general registers but RAX and RSP, which
/// are in the VMCB, go through `gprs`.
///
/// VMRUN switches neither TR nor GS nor the system-call registers: VMLOAD and VMSAVE do, for the guest
/// and back for us, before anything here could take an exception through our TSS.
///
/// GIF is 0 from CLGI to STGI, so that RFLAGS.IF can be 1 (with V_INTR_MASKING it is what lets
/// physical interrupts exit) and yet no interrupt is taken here. STI stands early, for its
/// interrupt shadow not to reach VMRUN, from where it would show in the guest's.
///
/// After STGI with IF = 0 an interrupt stays pending; an NMI is taken at once, by our IDT.
///
/// # Safety
/// SVM is enabled on this CPU; `vmcb` and `host` are physical addresses of a VMCB of ours, whose nested
/// paging maps guest memory only, and of the page that [`save_state`] filled on this CPU.
#[inline(always)]
pub(super) unsafe fn run_guest(gprs: &mut Gprs, vmcb: u64, host: u64) {
    // SAFETY: the caller answers for the VMCB. The stack is ours again after the exit, and every
    // register is declared but RBX and RBP, which the compiler does not give away.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push rdx",
            "push rdi",
            "clgi",
            "sti",
            load_registers!(),
            "vmload rax",
            "vmrun rax",
            // The VM exit gives back our RAX: the VMCB.
            "vmsave rax",
            "pop rax",
            save_registers!(),
            "pop rax",
            "vmload rax",
            "cli",
            "stgi",
            "pop rbp",
            "pop rbx",
            inout("rax") vmcb => _,
            inout("rdx") host => _,
            inout("rdi") from_mut(gprs) => _,
            out("rcx") _, out("rsi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
}
