//! Vectors and error codes in words.

use super::event::{Event, Origin};

/// Name and meaning of the exceptions, by vector: SDM 3A "Protected-Mode Exceptions and Interrupts".
const EXCEPTIONS: [(&str, &str); 32] = [
    ("#DE", "divide error"),
    ("#DB", "debug"),
    ("NMI", "non-maskable interrupt"),
    ("#BP", "breakpoint"),
    ("#OF", "overflow"),
    ("#BR", "bound range exceeded"),
    ("#UD", "invalid opcode"),
    ("#NM", "device not available"),
    ("#DF", "double fault"),
    ("v09", "coprocessor segment overrun"),
    ("#TS", "invalid TSS"),
    ("#NP", "segment not present"),
    ("#SS", "stack fault"),
    ("#GP", "general protection"),
    ("#PF", "page fault"),
    ("v0f", "reserved"),
    ("#MF", "x87 floating point"),
    ("#AC", "alignment check"),
    ("#MC", "machine check"),
    ("#XM", "SIMD floating point"),
    ("#VE", "virtualization"),
    ("#CP", "control protection"),
    ("v16", "reserved"),
    ("v17", "reserved"),
    ("v18", "reserved"),
    ("v19", "reserved"),
    ("v1a", "reserved"),
    ("v1b", "reserved"),
    ("#HV", "hypervisor injection"),
    ("#VC", "VMM communication"),
    ("#SX", "security"),
    ("v1f", "reserved"),
];

/// `#PF` for an exception's vector, however it came.
pub(super) fn exception(vector: u8) -> String {
    EXCEPTIONS
        .get(usize::from(vector))
        .map_or_else(|| format!("v{vector:02x}"), |(name, _)| (*name).to_owned())
}

/// The vector's name by what made it: vector 8 of the 8259 is no #DF.
pub(super) fn name(event: &Event) -> String {
    let vector = event.head.vector;
    match event.origin {
        Origin::Hardware => format!("INTR {vector:02x}"),
        Origin::Virtual => format!("VINTR {vector:02x}"),
        Origin::Software if vector == 3 => "#BP".to_owned(),
        Origin::Software => format!("INT {vector:02x}"),
        Origin::Exception { .. } | Origin::Unannounced => exception(vector),
    }
}

/// One phrase: meaning and error code.
pub(super) fn meaning(event: &Event) -> String {
    let vector = event.head.vector;
    match event.origin {
        Origin::Hardware => "interrupt from hardware".to_owned(),
        Origin::Virtual => "virtual interrupt of the VMCB".to_owned(),
        Origin::Software => "by instruction".to_owned(),
        Origin::Exception {
            old: Some(old),
            new,
        } if vector == 8 => {
            format!(
                "double fault: {} while delivering {}",
                exception(new),
                exception(old)
            )
        }
        Origin::Exception { .. } => with_error(vector, event.head.error),
        Origin::Unannounced => format!(
            "{}, injected or unannounced",
            with_error(vector, event.head.error)
        ),
    }
}

fn with_error(vector: u8, error: u32) -> String {
    let meaning = EXCEPTIONS
        .get(usize::from(vector))
        .map_or("interrupt", |(_, meaning)| meaning);
    match error_code(vector, error) {
        Some(text) => format!("{meaning}: {text}"),
        None => meaning.to_owned(),
    }
}

/// The error code in words, for the vectors that push one which says something.
fn error_code(vector: u8, error: u32) -> Option<String> {
    match vector {
        10..=13 if error != 0 => Some(Selector(error).to_string()),
        14 => Some(page_fault(error)),
        _ => None,
    }
}

/// SDM 3A "Page-Fault Error Code".
pub(super) fn page_fault(error: u32) -> String {
    let access = match (error & PF_FETCH != 0, error & PF_WRITE != 0) {
        (true, _) => "fetch",
        (_, true) => "write",
        _ => "read",
    };
    let mode = if error & PF_USER != 0 {
        "user"
    } else {
        "supervisor"
    };
    let cause = if error & PF_PRESENT != 0 {
        "not allowed"
    } else {
        "not mapped"
    };
    let mut text = format!("{mode} {access}, {cause}");
    for (bit, name) in [
        (PF_RESERVED, "reserved bit set"),
        (1 << 5, "protection key"),
        (1 << 6, "shadow stack"),
        (1 << 15, "SGX"),
    ] {
        if error & bit != 0 {
            text = format!("{text}, {name}");
        }
    }
    text
}

pub(super) const PF_PRESENT: u32 = 1 << 0;
pub(super) const PF_WRITE: u32 = 1 << 1;
pub(super) const PF_USER: u32 = 1 << 2;
pub(super) const PF_RESERVED: u32 = 1 << 3;
pub(super) const PF_FETCH: u32 = 1 << 4;

/// An error code that names a descriptor: SDM 3A "Error Code".
#[derive(Clone, Copy)]
pub(super) struct Selector(pub(super) u32);

impl Selector {
    pub(super) fn is_idt(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn is_ldt(self) -> bool {
        self.0 & 6 == 4
    }

    pub(super) fn index(self) -> u32 {
        (self.0 & 0xffff) >> 3
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let external = if self.0 & 1 != 0 {
            ", external event"
        } else {
            ""
        };
        let index = self.index();
        match (self.is_idt(), self.is_ldt()) {
            (true, _) => write!(
                f,
                "IDT entry {index:#x} ({}){external}",
                exception(index as u8)
            ),
            (_, true) => write!(
                f,
                "LDT entry {index} (selector {:#x}){external}",
                self.0 & 0xfffc
            ),
            _ => write!(
                f,
                "GDT entry {index} (selector {:#x}){external}",
                self.0 & 0xfffc
            ),
        }
    }
}

/// SVM exit codes that a log shows most: APM vol 2 "SVM Intercept Exit Codes".
const EXIT_CODES: [(u32, &str); 20] = [
    (0x60, "INTR"),
    (0x61, "NMI"),
    (0x64, "VINTR"),
    (0x72, "CPUID"),
    (0x75, "SWINT"),
    (0x76, "INVD"),
    (0x77, "PAUSE"),
    (0x78, "HLT"),
    (0x79, "INVLPG"),
    (0x7b, "IOIO"),
    (0x7c, "MSR"),
    (0x7d, "TASK_SWITCH"),
    (0x7f, "SHUTDOWN"),
    (0x80, "VMRUN"),
    (0x81, "VMMCALL"),
    (0x8a, "MONITOR"),
    (0x8b, "MWAIT"),
    (0x8d, "XSETBV"),
    (0x400, "NPF"),
    (0xffff_ffff, "INVALID"),
];

/// `VMMCALL`, `EXCP #UD`, `CR0 write`, or the number.
pub(super) fn exit_code(code: u32) -> String {
    if let Some((_, name)) = EXIT_CODES.iter().find(|(value, _)| *value == code) {
        return (*name).to_owned();
    }
    match code {
        0x00..=0x0f => format!("CR{code} read"),
        0x10..=0x1f => format!("CR{} write", code - 0x10),
        0x40..=0x5f => format!("exception {}", exception((code - 0x40) as u8)),
        _ => format!("{code:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_fault_bits() {
        assert_eq!(page_fault(0), "supervisor read, not mapped");
        assert_eq!(page_fault(7), "user write, not allowed");
        assert_eq!(
            page_fault(0x19),
            "supervisor fetch, not allowed, reserved bit set"
        );
    }

    #[test]
    fn selectors() {
        assert_eq!(Selector(0x30).to_string(), "GDT entry 6 (selector 0x30)");
        assert_eq!(Selector(0x0c).to_string(), "LDT entry 1 (selector 0xc)");
        assert_eq!(Selector(0x32).to_string(), "IDT entry 0x6 (#UD)");
        assert_eq!(
            Selector(0x18b).to_string(),
            "IDT entry 0x31 (v31), external event"
        );
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(0x81), "VMMCALL");
        assert_eq!(exit_code(0x46), "exception #UD");
        assert_eq!(exit_code(0x10), "CR0 write");
        assert_eq!(exit_code(0x1234), "0x1234");
    }
}
