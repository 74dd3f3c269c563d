//! AMD SVM: the VMCB and exit codes. APM vol 2 "Secure Virtual Machine".

pub mod exit;
pub mod intercept;
mod offsets;
pub mod vmcb;
