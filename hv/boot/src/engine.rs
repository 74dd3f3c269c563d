//! The choice of the engine: VMX or SVM.

use crate::cmdline::EngineChoice;
use alloc::boxed::Box;
use alloc::string::String;
use cpu::machine::Backend;

/// The engine that the command line asks for, or that this processor has.
///
/// # Errors
/// The line to print: what is missing, and what to change.
pub fn detect(choice: EngineChoice) -> Result<Box<dyn Backend>, String> {
    let features = cpu::cpuid::features();
    match choice {
        EngineChoice::Vmx => cpu::machine::vmx(),
        EngineChoice::Svm => cpu::machine::svm(),
        EngineChoice::Auto if features.vmx => cpu::machine::vmx(),
        EngineChoice::Auto if features.svm => cpu::machine::svm(),
        EngineChoice::Auto => Err("this processor has neither VMX (Intel VT-x) nor SVM (AMD-V): \
            use one that has; in QEMU, -accel tcg -cpu max,+svm; in Bochs, cpu: model=corei7_skylake_x"
            .into()),
    }
}
