//! One line of QEMU's log, decoded.
//!
//! QEMU 7.2, target/i386: `do_interrupt_all` prints the `v=` line and the register dump for an event that is delivered in
//! protected mode (none in real mode), `check_exception` and `x86_cpu_exec_interrupt` announce it the line before.
//! `vmrun!`, `vmexit(` and `Injecting(` come only with `-d in_asm`.

/// The fields of a `v=` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// QEMU's own count of delivered events.
    pub(super) number: u64,
    pub(super) vector: u8,
    pub(super) error: u32,
    /// An INT n, INT3 or INTO instruction.
    pub(super) software: bool,
    pub(super) cpl: u8,
    pub(super) cs: u16,
    pub(super) rip: u64,
    /// The linear address of `rip`.
    pub(super) pc: u64,
    pub(super) rsp: u64,
    /// Only of a page fault.
    pub(super) cr2: Option<u64>,
}

/// A segment register of a dump: selector, base, limit, and the second descriptor word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) selector: u16,
    pub(super) base: u64,
    pub(super) limit: u32,
    pub(super) flags: u32,
}

/// GDTR or IDTR.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) base: u64,
    pub(super) limit: u32,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Event(Head),
    /// `old` is 0xffff_ffff when no exception was being delivered.
    CheckException {
        old: u32,
        new: u32,
    },
    Servicing {
        vector: u32,
        virtual_interrupt: bool,
    },
    TripleFault,
    Reset {
        cpu: u32,
    },
    SmmEnter,
    SmmLeave,
    VmRun,
    VmExit {
        code: u32,
        rip: u64,
    },
    Injecting,
    Fatal(&'a str),
    Cs(Segment),
    Tr(Segment),
    Gdt(Table),
    Idt(Table),
    Control {
        cr0: u64,
        cr3: u64,
        cr4: u64,
    },
    Efer(u64),
    /// A part of a register dump that nothing is read from.
    Dump,
    /// Disassembly of `-d in_asm`, blank lines.
    Assembly,
    Unknown,
}

/// Decodes one line, without its line end.
pub(super) fn decode(text: &str) -> Line<'_> {
    let text = text.trim_end();
    dump(text)
        .or_else(|| announcement(text))
        .or_else(|| head(text).map(Line::Event))
        .or_else(|| svm(text))
        .or_else(|| is_assembly(text).then_some(Line::Assembly))
        .unwrap_or(Line::Unknown)
}

fn announcement(text: &str) -> Option<Line<'_>> {
    if let Some(rest) = text.strip_prefix("check_exception old: 0x") {
        let (old, new) = rest.split_once(" new 0x")?;
        return Some(Line::CheckException {
            old: hex32(old)?,
            new: hex32(new)?,
        });
    }
    if let Some(rest) = text.strip_prefix("Servicing ") {
        let (what, vector) = rest.split_once("INT=0x")?;
        return Some(Line::Servicing {
            vector: hex32(vector)?,
            virtual_interrupt: what.starts_with("virtual"),
        });
    }
    if let Some(rest) = text.strip_prefix("CPU Reset (CPU ") {
        return Some(Line::Reset {
            cpu: rest.strip_suffix(')')?.parse().ok()?,
        });
    }
    match text {
        "Triple fault" => Some(Line::TripleFault),
        "SMM: enter" => Some(Line::SmmEnter),
        "SMM: after RSM" => Some(Line::SmmLeave),
        _ => text.strip_prefix("qemu: fatal: ").map(Line::Fatal),
    }
}

fn svm(text: &str) -> Option<Line<'_>> {
    if text.starts_with("vmrun! ") {
        return Some(Line::VmRun);
    }
    if text.starts_with("Injecting(") {
        return Some(Line::Injecting);
    }
    let fields = text.strip_prefix("vmexit(")?.strip_suffix(")!")?;
    let mut fields = fields.split(", ");
    let code = hex32(fields.next()?)?;
    Some(Line::VmExit {
        code,
        rip: hex64(fields.last()?)?,
    })
}

/// `     0: v=0e e=0002 i=0 cpl=0 IP=0008:00000000001000b4 pc=... SP=0010:... CR2=...`
fn head(text: &str) -> Option<Head> {
    let (number, rest) = text.split_once(": v=")?;
    let mut head = Head {
        number: number.trim_start().parse().ok()?,
        ..Head::default()
    };
    let mut words = rest.split_ascii_whitespace();
    head.vector = u8::from_str_radix(words.next()?, 16).ok()?;
    head.error = hex32(words.next()?.strip_prefix("e=")?)?;
    head.software = words.next()?.strip_prefix("i=")? != "0";
    head.cpl = words.next()?.strip_prefix("cpl=")?.parse().ok()?;
    let (cs, rip) = words.next()?.strip_prefix("IP=")?.split_once(':')?;
    head.cs = u16::from_str_radix(cs, 16).ok()?;
    head.rip = hex64(rip)?;
    head.pc = hex64(words.next()?.strip_prefix("pc=")?)?;
    head.rsp = hex64(words.next()?.strip_prefix("SP=")?.split_once(':')?.1)?;
    head.cr2 = words
        .next()
        .and_then(|w| w.strip_prefix("CR2="))
        .and_then(hex64);
    Some(head)
}

/// Names that begin the lines of a register dump and that nothing is read from.
const DUMP: [&str; 20] = [
    "EAX=", "ESI=", "EIP=", "RAX=", "RSI=", "R8 =", "R12=", "RIP=", "ES =", "SS =", "DS =", "FS =",
    "GS =", "LDT=", "DR0=", "DR6=", "CCS=", "FCW=", "FPR", "XMM",
];

fn dump(text: &str) -> Option<Line<'_>> {
    if DUMP.iter().any(|name| text.starts_with(name))
        || text.starts_with("YMM")
        || text.starts_with("Opmask")
    {
        return Some(Line::Dump);
    }
    let (name, rest) = text.split_once('=')?;
    match name {
        "CS " => segment(rest).map(Line::Cs),
        "TR " => segment(rest).map(Line::Tr),
        "GDT" => table(rest).map(Line::Gdt),
        "IDT" => table(rest).map(Line::Idt),
        "CR0" => control(rest),
        "EFER" => hex64(rest).map(Line::Efer),
        _ => None,
    }
}

/// `0000 00000000 0000ffff 00008b00 DPL=0 TSS32-busy`
fn segment(text: &str) -> Option<Segment> {
    let mut words = text.split_ascii_whitespace();
    Some(Segment {
        selector: u16::from_str_radix(words.next()?, 16).ok()?,
        base: hex64(words.next()?)?,
        limit: hex32(words.next()?)?,
        flags: hex32(words.next()?)?,
    })
}

fn table(text: &str) -> Option<Table> {
    let mut words = text.split_ascii_whitespace();
    Some(Table {
        base: hex64(words.next()?)?,
        limit: hex32(words.next()?)?,
    })
}

/// What follows `CR0=`: `00000011 CR2=00000000 CR3=00000000 CR4=00000000`
fn control(text: &str) -> Option<Line<'_>> {
    let mut words = text.split_ascii_whitespace();
    let cr0 = hex64(words.next()?)?;
    let _cr2 = words.next()?;
    let cr3 = hex64(words.next()?.strip_prefix("CR3=")?)?;
    let cr4 = hex64(words.next()?.strip_prefix("CR4=")?)?;
    Some(Line::Control { cr0, cr3, cr4 })
}

/// `IN: name`, `0x00100018:  ea 1f ...`, the rule between blocks.
fn is_assembly(text: &str) -> bool {
    text.is_empty() || text.starts_with("----") || text.starts_with("IN:") || text.starts_with("0x")
}

fn hex32(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn hex64(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn head_of_a_page_fault() {
        let text = "     0: v=0e e=0002 i=0 cpl=3 IP=0008:00000000001000b4 pc=00000000001000b5 SP=0010:0000000000107000 CR2=0000000000106ffc";
        let Line::Event(head) = decode(text) else {
            panic!("not an event")
        };
        assert_eq!((head.vector, head.error, head.cpl, head.cs), (14, 2, 3, 8));
        assert_eq!(
            (head.rip, head.pc, head.rsp, head.cr2),
            (0x1000b4, 0x1000b5, 0x107000, Some(0x106ffc))
        );
    }

    #[test]
    fn announcements() {
        assert_eq!(
            decode("check_exception old: 0xffffffff new 0xe"),
            Line::CheckException { old: !0, new: 14 }
        );
        assert_eq!(
            decode("Servicing hardware INT=0x08"),
            Line::Servicing {
                vector: 8,
                virtual_interrupt: false
            }
        );
        assert_eq!(
            decode("Servicing virtual hardware INT=0x30"),
            Line::Servicing {
                vector: 0x30,
                virtual_interrupt: true
            }
        );
        assert_eq!(decode("CPU Reset (CPU 3)"), Line::Reset { cpu: 3 });
        assert_eq!(
            decode("qemu: fatal: invalid tss type"),
            Line::Fatal("invalid tss type")
        );
        let exit = "vmexit(00000081, 0000000000000000, 0000000000000000, 000000000010017a)!";
        assert_eq!(
            decode(exit),
            Line::VmExit {
                code: 0x81,
                rip: 0x10017a
            }
        );
    }

    #[test]
    fn registers_of_both_widths() {
        let tr = Segment {
            selector: 0x28,
            base: 0x1234,
            limit: 0x67,
            flags: 0x8b00,
        };
        assert_eq!(
            decode("TR =0028 0000000000001234 00000067 00008b00 DPL=0 TSS64-busy"),
            Line::Tr(tr)
        );
        assert_eq!(
            decode("IDT=     00101000 000007ff"),
            Line::Idt(Table {
                base: 0x101000,
                limit: 0x7ff
            })
        );
        let control = Line::Control {
            cr0: 0x11,
            cr3: 0x1000,
            cr4: 0x20,
        };
        assert_eq!(
            decode("CR0=00000011 CR2=00000000 CR3=00001000 CR4=00000020"),
            control
        );
        assert_eq!(decode("EFER=0000000000001500"), Line::Efer(0x1500));
    }

    proptest! {
        #[test]
        fn garbage_is_unknown_and_no_panic(text in "\\PC*") {
            decode(&text);
        }

        #[test]
        fn damaged_lines_do_not_panic(cut in 0usize..160, byte in any::<char>()) {
            let text = "     0: v=0e e=0002 i=0 cpl=3 IP=0008:00000000001000b4 pc=00000000001000b5 SP=0010:0000000000107000 CR2=0000000000106ffc";
            let damaged: String = text.chars().enumerate().map(|(i, c)| if i == cut { byte } else { c }).collect();
            decode(&damaged);
            decode(&text[..cut.min(text.len())]);
        }
    }
}
