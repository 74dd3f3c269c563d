//! GDT and TSS of each CPU, and the IDT of all.

use crate::percpu;
use spin::Once;
use x86::bits64::segmentation::Descriptor64;
use x86::bits64::task::TaskStateSegment;
use x86::dtables::{DescriptorTablePointer, lgdt, lidt};
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder,
    GateDescriptorBuilder, SegmentDescriptorBuilder, SegmentSelector, load_cs, load_ds, load_es,
    load_fs, load_gs, load_ss,
};
use x86::{Ring, task::load_tr};

/// The selector of our code segment.
pub const CODE: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
/// The selector of our data segment.
pub const DATA: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);
/// The selector of the TSS.
pub const TASK: SegmentSelector = SegmentSelector::new(3, Ring::Ring0);

/// The vectors with a stack of their own, in the order of [`percpu::stacks`]: #DF, NMI, #MC, #PF.
const IST_VECTORS: [usize; 4] = [8, 2, 18, 14];

const STUB_SIZE: u64 = 16;

unsafe extern "C" {
    static trap_stubs: u8;
}

/// A CPU's GDT and TSS.
#[repr(C, align(16))]
pub struct Tables {
    task: TaskStateSegment,
    gdt: Gdt,
}

#[repr(C)]
struct Gdt {
    null: Descriptor,
    code: Descriptor,
    data: Descriptor,
    task: Descriptor64,
}

impl Tables {
    /// Empty tables.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            task: TaskStateSegment::new(),
            gdt: Gdt {
                null: Descriptor::NULL,
                code: Descriptor::NULL,
                data: Descriptor::NULL,
                task: Descriptor64::NULL,
            },
        }
    }

    /// Fills and loads them, and the IDT.
    ///
    /// # Safety
    /// They stay where they are for good, and belong to this CPU, whose stacks are at `stacks`.
    pub(crate) unsafe fn load(&mut self, stacks: u64) {
        for (ist, stack) in percpu::stacks(stacks).take(IST_VECTORS.len()).enumerate() {
            self.task.set_ist(ist, stack.bytes.end);
        }
        self.task.iomap_base = size_of::<TaskStateSegment>() as u16;
        self.fill_gdt();
        // SAFETY: by the caller the tables stay; the code segment is 64-bit and ours, as before.
        unsafe {
            lgdt(&DescriptorTablePointer::new(&self.gdt));
            load_cs(CODE);
            load_ss(DATA);
            load_ds(DATA);
            load_es(DATA);
            load_fs(SegmentSelector::from_raw(0));
            load_gs(SegmentSelector::from_raw(0));
            load_tr(TASK);
            lidt(&DescriptorTablePointer::new_from_slice(idt()));
        }
    }

    fn fill_gdt(&mut self) {
        let code =
            DescriptorBuilder::code_descriptor(0, 0xf_ffff, CodeSegmentType::ExecuteReadAccessed);
        let data =
            DescriptorBuilder::data_descriptor(0, 0xf_ffff, DataSegmentType::ReadWriteAccessed);
        self.gdt.code = code
            .present()
            .dpl(Ring::Ring0)
            .limit_granularity_4kb()
            .l()
            .finish();
        self.gdt.data = data
            .present()
            .dpl(Ring::Ring0)
            .limit_granularity_4kb()
            .db()
            .finish();
        let base = core::ptr::from_ref(&self.task) as u64;
        let limit = size_of::<TaskStateSegment>() as u64 - 1;
        self.gdt.task =
            <DescriptorBuilder as GateDescriptorBuilder<u64>>::tss_descriptor(base, limit, true)
                .present()
                .dpl(Ring::Ring0)
                .finish();
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

/// An interrupt gate for each vector: interrupts stay disabled in the handler.
fn idt() -> &'static [Descriptor64; 256] {
    static IDT: Once<[Descriptor64; 256]> = Once::new();
    IDT.call_once(|| core::array::from_fn(gate))
}

fn gate(vector: usize) -> Descriptor64 {
    let stub = (&raw const trap_stubs) as u64 + vector as u64 * STUB_SIZE;
    let ist = IST_VECTORS
        .iter()
        .position(|&v| v == vector)
        .map_or(0, |index| index as u8 + 1);
    <DescriptorBuilder as GateDescriptorBuilder<u64>>::interrupt_descriptor(CODE, stub)
        .present()
        .dpl(Ring::Ring0)
        .ist(ist)
        .finish()
}
