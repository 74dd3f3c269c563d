//! Exceptions: vectors, error codes, and which pairs make a double fault.
//! SDM 3A "Exceptions and Interrupts"; APM vol 2 "Exceptions and Interrupts".

use core::fmt;

/// An interrupt or exception vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Vector(pub u8);

macro_rules! vectors {
    ($($name:ident = $value:literal, $mnemonic:literal, $text:literal;)*) => {
        impl Vector {
            $(#[doc = concat!($mnemonic, ": ", $text, ".")] pub const $name: Self = Self($value);)*

            /// The manuals' mnemonic, such as `#DE`, if the vector is one of a defined exception.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($mnemonic),)*
                    _ => None,
                }
            }

            /// The manuals' description, such as `divide error`.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

vectors! {
    DE = 0, "#DE", "divide error";
    DB = 1, "#DB", "debug exception";
    NMI = 2, "NMI", "nonmaskable interrupt";
    BP = 3, "#BP", "breakpoint";
    OF = 4, "#OF", "overflow";
    BR = 5, "#BR", "BOUND range exceeded";
    UD = 6, "#UD", "invalid opcode";
    NM = 7, "#NM", "device not available";
    DF = 8, "#DF", "double fault";
    CSO = 9, "CSO", "coprocessor segment overrun";
    TS = 10, "#TS", "invalid TSS";
    NP = 11, "#NP", "segment not present";
    SS = 12, "#SS", "stack-segment fault";
    GP = 13, "#GP", "general protection";
    PF = 14, "#PF", "page fault";
    MF = 16, "#MF", "x87 FPU floating-point error";
    AC = 17, "#AC", "alignment check";
    MC = 18, "#MC", "machine check";
    XM = 19, "#XM", "SIMD floating-point exception";
    VE = 20, "#VE", "virtualization exception";
    CP = 21, "#CP", "control protection exception";
    HV = 28, "#HV", "hypervisor injection exception";
    VC = 29, "#VC", "VMM communication exception";
    SX = 30, "#SX", "security exception";
}

/// How an exception combines with another: SDM 3A "Interrupt and Exception Classes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Never a part of a double fault.
    Benign,
    /// Two of these make a double fault.
    Contributory,
    /// A page fault: with itself, or followed by a contributory one, a double fault.
    PageFault,
    /// #DF: followed by a contributory exception or a page fault, a shutdown.
    DoubleFault,
}

/// What becomes of an exception met while another one is delivered: SDM 3A "Conditions for Generating a Double Fault".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// The second is delivered as it is.
    Serial,
    /// A double fault is delivered.
    DoubleFault,
    /// The processor shuts down (triple fault).
    Shutdown,
}

impl Vector {
    /// The vectors that push an error code, bit N for vector N.
    const WITH_ERROR_CODE: u32 = 1 << 8
        | 1 << 10
        | 1 << 11
        | 1 << 12
        | 1 << 13
        | 1 << 14
        | 1 << 17
        | 1 << 21
        | 1 << 29
        | 1 << 30;

    /// The exceptions that are not faults: #DB may be either, #BP and #OF are traps, #DF and #MC aborts; and the NMI.
    const NO_FAULTS: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 18;

    /// Whether this exception is always a fault: the instruction runs again when its handler returns. Reserved
    /// vectors count as such (SDM 3A "Exception Classifications").
    #[inline]
    #[must_use]
    pub const fn is_fault(self) -> bool {
        self.0 < 32 && Self::NO_FAULTS >> self.0 & 1 == 0
    }

    /// Whether delivery of this exception pushes an error code (in protected or long mode).
    #[inline]
    #[must_use]
    pub const fn has_error_code(self) -> bool {
        self.0 < 32 && Self::WITH_ERROR_CODE & (1 << self.0) != 0
    }

    /// The class for the double-fault rules.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::DE | Self::TS | Self::NP | Self::SS | Self::GP | Self::CP => Class::Contributory,
            Self::PF | Self::VE => Class::PageFault,
            Self::DF => Class::DoubleFault,
            _ => Class::Benign,
        }
    }

    /// What becomes of `second`, met while `self` is delivered.
    #[must_use]
    pub const fn then(self, second: Self) -> Combination {
        match (self.class(), second.class()) {
            (Class::Contributory, Class::Contributory)
            | (Class::PageFault, Class::Contributory | Class::PageFault) => {
                Combination::DoubleFault
            }
            (Class::DoubleFault, Class::Contributory | Class::PageFault) => Combination::Shutdown,
            _ => Combination::Serial,
        }
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "vector {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The table that a selector error code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The global descriptor table.
    Gdt,
    /// The local descriptor table.
    Ldt,
    /// The interrupt descriptor table.
    Idt,
}

crate::number::layout! {
    /// The error code of #TS, #NP, #SS, #GP: SDM 3A "Error Code"; APM vol 2 "Selector-Error Code". Zero if no selector is at fault.
    SelectorErrorCode(u32);
    external: bit 0, "EXT: the event came from outside the program, or while one such was delivered.";
    index: from 3 + 13 as u16, "The index of the descriptor or gate.";
}

impl SelectorErrorCode {
    /// The table that the index refers to.
    #[must_use]
    pub const fn table(self) -> Table {
        match (self.0 >> 1) & 3 {
            0 => Table::Gdt,
            2 => Table::Ldt,
            _ => Table::Idt,
        }
    }
}
