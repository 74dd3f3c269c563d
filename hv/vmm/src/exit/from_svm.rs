//! AMD's exit information to a neutral [`Exit`](super::Exit).

/// The exit fields of a VMCB's control area (APM vol 2 "VMCB Layout, Control Area").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SvmRecord {
    /// EXITCODE.
    pub exit_code: u64,
    /// EXITINFO1.
    pub exit_info_1: u64,
    /// EXITINFO2.
    pub exit_info_2: u64,
    /// EXITINTINFO.
    pub exit_int_info: u64,
    /// Guest RIP.
    pub rip: u64,
    /// nRIP, the sequential instruction pointer; 0 where the CPU does not save it.
    pub next_rip: u64,
}

/// The exit in neutral words.
#[must_use]
pub fn decode(record: &SvmRecord) -> super::Exit {
    super::Exit {
        kind: super::Kind::Other,
        rip: record.rip,
        length: 0,
        detail: super::Detail::None,
        vectoring: None,
    }
}
