//! Any words as the exit information of a VMCS and of a VMCB: an exit that can be handled, with a length that an
//! instruction can have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::exit::from_svm::{self, SvmRecord};
use vmm::exit::from_vmx::{self, VmxRecord};

fuzz_target!(|words: [u64; 11]| {
    let [a, b, c, d, e, f, low @ ..] = words;
    let svm = from_svm::decode(&SvmRecord {
        exit_code: a,
        exit_info_1: b,
        exit_info_2: c,
        exit_int_info: d,
        rip: e,
        next_rip: f,
    });
    assert!(svm.length <= 15 && svm.rip == e);
    let vmx = from_vmx::decode(&VmxRecord {
        reason: low[0] as u32,
        // The processor gives 0 to 15.
        instruction_length: low[1] as u32 & 15,
        qualification: a,
        rip: b,
        guest_linear: c,
        guest_physical: d,
        interruption_info: (low[0] >> 32) as u32,
        interruption_error_code: (low[1] >> 32) as u32,
        idt_vectoring_info: low[2] as u32,
        idt_vectoring_error_code: (low[2] >> 32) as u32,
        instruction_info: low[3] as u32,
    });
    assert!(vmx.length <= 15 && vmx.rip == b);
});
