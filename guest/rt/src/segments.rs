//! The GDT and the TSS.

use core::arch::asm;

use x86::dtables::{DescriptorTablePointer, lgdt};

use crate::Exclusive;

/// 64-bit code, as the loader's.
pub const CODE64: u16 = 0x08;
/// Data, as the loader's.
pub const DATA: u16 = 0x10;
/// 32-bit code (compatibility mode while EFER.LMA is set).
pub const CODE32: u16 = 0x18;
/// 16-bit code.
pub const CODE16: u16 = 0x20;
/// 16-bit data.
pub const DATA16: u16 = 0x28;
/// Data at CPL 3.
pub const USER_DATA: u16 = 0x30 | 3;
/// 64-bit code at CPL 3.
pub const USER_CODE64: u16 = 0x38 | 3;
/// A data segment that is not present.
pub const NOT_PRESENT: u16 = 0x40;
/// The task register.
pub const TSS: u16 = 0x48;
/// The first selector past the limit of the GDT.
pub const BEYOND: u16 = 0x58;

/// The interrupt stack table entry of most exceptions.
pub const IST_EXCEPTION: u8 = 1;
/// The interrupt stack table entry of #DF.
pub const IST_DOUBLE_FAULT: u8 = 2;
/// The interrupt stack table entry of NMI and #MC.
pub const IST_NMI: u8 = 3;

const STACK: usize = 8192;

/// The 64-bit TSS: SDM 3A "Task Management in 64-bit Mode". Words of 32 bits.
#[repr(C, align(16))]
struct Tss([u32; 26]);

#[repr(C, align(16))]
struct Stacks([[u8; STACK]; 4]);

static GDT: Exclusive<[u64; 11]> = Exclusive::new([
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_9b00_0000_ffff,
    0x0000_9b00_0000_ffff,
    0x0000_9300_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
    0x00cf_1300_0000_ffff,
    0,
    0,
]);
static TASK: Exclusive<Tss> = Exclusive::new(Tss([0; 26]));
static STACKS: Exclusive<Stacks> = Exclusive::new(Stacks([[0; STACK]; 4]));

/// The top of stack `number`: 0 is RSP0, 1 to 3 are the interrupt stack table's.
fn stack_top(number: usize) -> u64 {
    STACKS.get() as u64 + ((number + 1) * STACK) as u64
}

/// Writes the TSS, loads the GDT, the data segments and the task register.
pub fn load() {
    TASK.with(|tss| {
        set_stack(tss, 1, stack_top(0));
        for ist in 1..=3 {
            set_stack(tss, 7 + 2 * ist, stack_top(ist));
        }
        tss.0[25] = 104 << 16;
    });
    set_task_limit(103);
    // SAFETY: the selectors are those of the table just loaded; it is flat and lives forever.
    unsafe {
        GDT.with(|gdt| lgdt(&DescriptorTablePointer::new(gdt)));
        asm!(
            "push {code}", "lea {t}, [rip + 2f]", "push {t}", "retfq", "2:",
            "mov ds, {data:x}", "mov es, {data:x}", "mov ss, {data:x}",
            code = const CODE64 as u32, data = in(reg) DATA, t = out(reg) _,
        );
    }
    load_task_register();
}

fn set_stack(tss: &mut Tss, word: usize, top: u64) {
    tss.0[word] = top as u32;
    tss.0[word + 1] = (top >> 32) as u32;
}

/// Writes the TSS descriptor, available again, with this limit. `load_task_register` makes it count.
pub fn set_task_limit(limit: u64) {
    let base = TASK.get() as u64;
    GDT.with(|gdt| {
        gdt[9] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        gdt[10] = base >> 32;
    });
}

/// Loads the task register from the descriptor.
pub fn load_task_register() {
    // SAFETY: the descriptor is that of `TASK`, which lives forever.
    unsafe { asm!("ltr {0:x}", in(reg) TSS) };
}
