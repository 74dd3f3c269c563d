use super::*;
use crate::device::lapic::base::ADDRESS as APIC;
use crate::emulate::fetch;
use crate::machine::Gpr::{R9, Rax, Rbx, Rcx, Rdi, Rsi, Rsp};
use crate::machine::SegmentRegister;
use crate::machine::fake::Fixture;
use proptest::prelude::*;

const DATA: u64 = 0x4000;
const NOWHERE: u64 = 0x8000_0000;
const CF: u64 = 1;
const ZF: u64 = 1 << 6;

fn step(f: &mut Fixture) -> Result<Progress, Event> {
    let i = fetch::instruction(&mut f.v)?;
    execute(&mut f.v, &i)
}

fn flags(f: &Fixture) -> u64 {
    f.v.engine.reg(Reg::Rflags)
}

/// Each: code, RAX before, memory at RBX before, RAX and memory after, CF and ZF after.
#[test]
fn each_instruction_does_what_the_manual_says() {
    type Row = (&'static [u8], u64, u64, u64, u64, u64);
    const ROWS: &[Row] = &[
        (&[0x48, 0x89, 0x03], 0x1122, 0, 0x1122, 0x1122, 0), // mov [rbx], rax
        (&[0x88, 0x23], 0xab00, !0, 0xab00, !0 << 8 | 0xab, 0), // mov [rbx], ah
        (
            &[0x8b, 0x03],
            !0,
            0x1_8000_0000,
            0x8000_0000,
            0x1_8000_0000,
            0,
        ), // mov eax, [rbx]
        (&[0x8a, 0x03], !0, 0x1234, !0 << 8 | 0x34, 0x1234, 0), // mov al, [rbx]
        (&[0xc7, 0x03, 1, 2, 3, 0x84], 0, 0, 0, 0x8403_0201, 0), // mov dword [rbx], imm
        (
            &[0x48, 0xc7, 0x03, 0, 0, 0, 0x80],
            0,
            0,
            0,
            0xffff_ffff_8000_0000,
            0,
        ),
        (&[0x0f, 0xc3, 0x03], 7, 0, 7, 7, 0), // movnti
        (&[0x0f, 0xb6, 0x03], !0, 0x1ff, 0xff, 0x1ff, 0), // movzx eax, byte
        (&[0x48, 0x0f, 0xbe, 0x03], 0, 0x80, !0x7f, 0x80, 0), // movsx rax, byte
        (
            &[0x48, 0x63, 0x03],
            0,
            0x8000_0000,
            0xffff_ffff_8000_0000,
            0x8000_0000,
            0,
        ), // movsxd
        (&[0x01, 0x03], 1, 0xffff_ffff, 1, 0, CF | ZF), // add [rbx], eax
        (&[0x2b, 0x03], 5, 6, 0xffff_ffff, 6, CF), // sub eax, [rbx]
        (&[0x39, 0x03], 6, 6, 6, 6, ZF),      // cmp [rbx], eax
        (&[0x85, 0x03], 4, 3, 4, 3, ZF),      // test [rbx], eax
        (&[0x80, 0x0b, 0xf0], 0, 0x0f, 0, 0xff, 0), // or byte [rbx], 0xf0
        (&[0x83, 0x23, 0xfe], 0, 0xffff_ffff, 0, 0xffff_fffe, 0), // and dword [rbx], -2
        (&[0x33, 0x03], 3, 3, 0, 3, ZF),      // xor eax, [rbx]
        (&[0x87, 0x03], 1, 2, 2, 1, 0),       // xchg [rbx], eax
        (&[0xf0, 0x0f, 0xc1, 0x03], 1, 2, 2, 3, 0), // lock xadd [rbx], eax
        (&[0xf0, 0x0f, 0xb1, 0x0b], 9, 9, 9, 0x77, ZF), // lock cmpxchg [rbx], ecx
        (&[0x0f, 0xb1, 0x0b], 8, 9, 9, 9, CF), // cmpxchg [rbx], ecx
        (&[0xff, 0x03], 0, 0xffff_ffff, 0, 0, ZF), // inc dword [rbx]
        (&[0xfe, 0x0b], 0, 0x100, 0, 0x1ff, 0), // dec byte [rbx]
        (&[0xf6, 0x13], 0, 0x0f, 0, 0xf0, 0), // not byte [rbx]
        (&[0xf7, 0x1b], 0, 1, 0, 0xffff_ffff, CF), // neg dword [rbx]
        (&[0x0f, 0xba, 0x23, 0x04], 0, 0x10, 0, 0x10, CF), // bt dword [rbx], 4
        (&[0x0f, 0xab, 0x03], 3, 0, 3, 8, 0), // bts [rbx], eax
        (
            &[0x0f, 0xb3, 0x03],
            35,
            0xffff_ffff << 32,
            35,
            0xffff_fff7 << 32,
            CF,
        ), // btr [rbx], eax
        (&[0x0f, 0xba, 0x3b, 0x01], 0, 2, 0, 0, CF), // btc dword [rbx], 1
        (&[0xaa], 0x5a, 0, 0x5a, 0x5a, 0),    // stosb
        (
            &[0x0f, 0x38, 0xf0, 0x03],
            !0,
            0x1122_3344,
            0x4433_2211,
            0x1122_3344,
            0,
        ), // movbe eax, [rbx]
        (
            &[0x66, 0x0f, 0x38, 0xf1, 0x03],
            0x1122,
            0,
            0x1122,
            0x2211,
            0,
        ), // movbe [rbx], ax
        (&[0xc0, 0x03, 1], 0, 0x81, 0, 0x03, CF), // rol byte [rbx], 1
        (&[0xd1, 0x23], 0, 0x8000_0000, 0, 0, CF | ZF), // shl dword [rbx], 1
        (&[0xd3, 0x2b], 0, 0xff00_0000, 0, 0x1fe, 0), // shr dword [rbx], cl (0x77)
        (&[0xc1, 0x3b, 0x20], 0, 5, 0, 5, 0), // sar dword [rbx], 32
        (&[0x0f, 0x94, 0x03], 0, !0, 0, !0 << 8, 0), // sete [rbx]
        (&[0x0f, 0x95, 0x03], 0, 0, 0, 1, 0), // setne [rbx]
        (&[0x0f, 0x44, 0x03], !0, 7, 0xffff_ffff, 7, 0), // cmove eax, [rbx]
        (&[0x48, 0x0f, 0x45, 0x03], 1, 7, 7, 7, 0), // cmovne rax, [rbx]
    ];
    for &(code, rax, memory, rax_after, memory_after, flags_after) in ROWS {
        let mut f =
            Fixture::with_code(code).with(&[(Rax, rax), (Rbx, DATA), (Rcx, 0x77), (Rdi, DATA)]);
        f.write(DATA, &memory.to_le_bytes());
        assert_eq!(step(&mut f), Ok(Progress::Done), "{code:02x?}");
        let got = (
            f.gpr(Rax),
            u64::from_le_bytes(f.read(DATA)),
            flags(&f) & (CF | ZF),
        );
        assert_eq!(got, (rax_after, memory_after, flags_after), "{code:02x?}");
    }
}

#[test]
fn a_negative_bit_offset_reaches_below() {
    let mut f =
        Fixture::with_code(&[0x48, 0x0f, 0xab, 0x03]).with(&[(Rax, -1i64 as u64), (Rbx, DATA)]);
    assert_eq!(step(&mut f), Ok(Progress::Done));
    assert_eq!(u64::from_le_bytes(f.read(DATA - 8)), 1 << 63);
}

#[test]
fn push_and_pop_go_through_memory() {
    let mut f = Fixture::with_code(&[0xff, 0x33]).with(&[(Rbx, DATA), (Rsp, 0x6000)]);
    f.write(DATA, &77u64.to_le_bytes());
    assert_eq!((step(&mut f), f.gpr(Rsp)), (Ok(Progress::Done), 0x5ff8));
    assert_eq!(f.read(0x5ff8), 77u64.to_le_bytes());
    // POP [RSP]: the address is that after the increment.
    f.write(Fixture::CODE, &[0x8f, 0x04, 0x24]);
    assert_eq!((step(&mut f), f.gpr(Rsp)), (Ok(Progress::Done), 0x6000));
    assert_eq!(f.read(0x6000), 77u64.to_le_bytes());
    // A POP that faults leaves RSP.
    f.write(Fixture::CODE, &[0x8f, 0x03]);
    f.v.set_gpr(Rbx, 1 << 63);
    assert_eq!(
        (step(&mut f), f.gpr(Rsp)),
        (Err(Event::exception(13, Some(0))), 0x6000)
    );
}

#[test]
fn nothing_reads_all_ones_and_ignores_writes() {
    let mut f = Fixture::with_code(&[0x48, 0x8b, 0x03]).with(&[(Rbx, NOWHERE)]);
    assert_eq!((step(&mut f), f.gpr(Rax)), (Ok(Progress::Done), u64::MAX));
    f.write(Fixture::CODE, &[0x48, 0x01, 0x03]);
    assert_eq!(step(&mut f), Ok(Progress::Done));
}

#[test]
fn the_apic_page_is_there_while_the_apic_is_in_xapic_mode() {
    let mut f = Fixture::with_code(&[0x89, 0x03]).with(&[(Rax, 0x1ff), (Rbx, APIC + 0xf0)]);
    assert_eq!(step(&mut f), Ok(Progress::Done));
    f.write(Fixture::CODE, &[0x8b, 0x0b]);
    assert_eq!((step(&mut f), f.gpr(Rcx)), (Ok(Progress::Done), 0x1ff));
    f.v.set_gpr(Rbx, APIC + 0xf1);
    f.write(Fixture::CODE, &[0x8a, 0x0b]);
    assert_eq!((step(&mut f), f.gpr(Rcx) & 0xff), (Ok(Progress::Done), 1));
}

#[test]
fn strings_repeat_by_count_flags_and_direction() {
    let mut f = Fixture::with_code(&[0xf3, 0xa4]).with(&[(Rcx, 5), (Rsi, DATA), (Rdi, DATA + 16)]);
    f.write(DATA, b"hello");
    assert_eq!(step(&mut f), Ok(Progress::Done));
    assert_eq!(
        (&f.read(DATA + 16), f.gpr(Rcx), f.gpr(Rsi)),
        (b"hello", 0, DATA + 5)
    );
    // REPNE SCASB finds the second l; REPE CMPSB ends behind the first difference.
    let mut f = f.with(&[(Rax, b'o'.into()), (Rcx, 9), (Rdi, DATA)]);
    f.write(Fixture::CODE, &[0xf2, 0xae]);
    assert_eq!(
        (step(&mut f), f.gpr(Rcx), f.gpr(Rdi)),
        (Ok(Progress::Done), 4, DATA + 5)
    );
    let mut f = f.with(&[(Rcx, 9), (Rsi, DATA), (Rdi, DATA + 16)]);
    f.write(DATA + 18, b"L");
    f.write(Fixture::CODE, &[0xf3, 0xa6]);
    assert_eq!((step(&mut f), f.gpr(Rcx)), (Ok(Progress::Done), 6));
    // Down, words.
    let mut f = f.with(&[(Rax, 0x4142), (Rcx, 2), (Rdi, DATA + 0x42)]);
    f.v.engine.set_reg(Reg::Rflags, Rflags::DF.bits());
    f.write(Fixture::CODE, &[0xf3, 0x66, 0xab]);
    assert_eq!(
        (step(&mut f), f.gpr(Rdi)),
        (Ok(Progress::Done), DATA + 0x3e)
    );
    assert_eq!(&f.read(DATA + 0x40), b"BABA");
}

#[test]
fn long_repetitions_come_in_batches_and_single_step_in_ones() {
    let mut f = Fixture::with_code(&[0xf3, 0xaa]).with(&[(Rcx, 1000), (Rdi, DATA)]);
    assert_eq!((step(&mut f), f.gpr(Rcx)), (Ok(Progress::Partly), 744));
    while step(&mut f) == Ok(Progress::Partly) {}
    assert_eq!((f.gpr(Rcx), f.gpr(Rdi)), (0, DATA + 1000));
    let mut f = f.with(&[(Rcx, 3)]);
    f.v.engine.set_reg(Reg::Rflags, Rflags::TF.bits());
    assert_eq!((step(&mut f), f.gpr(Rcx)), (Ok(Progress::Partly), 2));
}

#[test]
fn the_address_size_says_how_much_of_the_registers_counts() {
    let high = 0xdead_0000_0000;
    let registers = [(Rcx, high | 2), (Rdi, high | DATA)];
    let mut f = Fixture::with_code(&[0x67, 0xf3, 0xaa]).with(&registers);
    assert_eq!(
        (step(&mut f), f.gpr(Rcx), f.gpr(Rdi)),
        (Ok(Progress::Done), 0, DATA + 2)
    );
    let mut f = Fixture::with_code(&[0xf3, 0xaa])
        .with(&registers)
        .in_real_mode();
    assert_eq!(
        (step(&mut f), f.gpr(Rcx), f.gpr(Rdi)),
        (Ok(Progress::Done), high, high | (DATA + 2))
    );
}

#[test]
fn limits_are_checked_outside_64_bit_mode() {
    let mut f = Fixture::with_code(&[0x66, 0x89, 0x07])
        .in_real_mode()
        .with(&[(Rbx, 0xffff)]);
    assert_eq!(step(&mut f), Err(Event::exception(13, Some(0))));
    let mut f = Fixture::with_code(&[0x89, 0x03])
        .in_protected_mode()
        .with(&[(Rbx, DATA)]);
    let read_only = crate::machine::Segment {
        access: 0xc091,
        ..f.v.engine.segment(SegmentRegister::Ds)
    };
    f.v.engine.set_segment(SegmentRegister::Ds, read_only);
    assert_eq!(step(&mut f), Err(Event::exception(13, Some(0))));
    f.write(Fixture::CODE, &[0x36, 0x89, 0x03]); // SS:
    assert_eq!(step(&mut f), Ok(Progress::Done));
}

#[test]
fn what_is_not_carried_out_changes_nothing() {
    // addps, mov ds, fld, call [mem], movq mm, jz, insb
    for code in [
        &[0x0f, 0x58, 0x03][..],
        &[0x8e, 0x1b],
        &[0xdd, 0x03],
        &[0xff, 0x13],
        &[0x0f, 0x6f, 0x03],
        &[0x74, 0x03],
        &[0x6c],
    ] {
        let mut f = Fixture::with_code(code).with(&[(Rbx, DATA), (R9, 9)]);
        assert_eq!(step(&mut f), Ok(Progress::Unknown), "{code:02x?}");
    }
}

proptest! {
    /// Any bytes as an instruction with any registers: an answer, and no panic.
    #[test]
    fn outlives_any_instruction(code: [u8; 15], registers: [u64; 16], small: bool, mode in 0..3, rflags: u64) {
        let mut f = Fixture::with_code(&code);
        for (n, value) in registers.into_iter().enumerate() {
            let value = if small { value & 0x3f_ffff } else { value };
            f.v.set_gpr(crate::machine::Gpr::from_number(n as u8), value);
        }
        f.v.engine.set_reg(Reg::Rflags, rflags & 0x3f_7fd7);
        f = match mode { 0 => f, 1 => f.in_protected_mode(), _ => f.in_real_mode() };
        let _ = step(&mut f);
    }
}

/// SDM 2B "MOVS": the source is read first. CR2 has the first byte that could not be accessed.
#[test]
fn page_faults_come_in_the_order_of_accesses() {
    use crate::emulate::testing::{PAGE, RIP, paged};
    const PRESENT: u64 = RIP & !0xfff;
    const ABSENT: u64 = 0x40_2000;
    let fault = |code: &[u8], source: u64, destination: u64| {
        let mut f = paged().with(&[(Rsi, source), (Rdi, destination), (Rax, 0)]);
        f.write(PAGE, code);
        f.v.engine.set_reg(Reg::Rip, PRESENT);
        let error = step(&mut f).err().map(|event| event.error_code);
        (error, f.v.engine.reg(Reg::Cr2))
    };
    const MOVS: &[u8] = &[0xa5];
    const READ: Option<Option<u32>> = Some(Some(0));
    const WRITE: Option<Option<u32>> = Some(Some(2));
    assert_eq!(fault(MOVS, ABSENT, ABSENT + 8), (READ, ABSENT));
    assert_eq!(fault(MOVS, PRESENT, ABSENT + 8), (WRITE, ABSENT + 8));
    assert_eq!(fault(MOVS, ABSENT - 2, ABSENT + 8), (READ, ABSENT));
    // lock add [rdi], eax; movups xmm0, [rsi]
    assert_eq!(fault(&[0xf0, 0x01, 0x07], 0, ABSENT - 1), (WRITE, ABSENT));
    assert_eq!(fault(&[0x0f, 0x10, 0x06], ABSENT - 9, 0), (READ, ABSENT));
}

/// A read that ends in a fault reads nothing of a device first: what a register gives once would be lost.
#[test]
fn an_access_over_two_pages_is_checked_whole_first() {
    use crate::emulate::testing::{FLAGS, PAGE, RIP, TABLES, paged};
    let mut f = paged().with(&[(Rbx, 0x40_2ff1)]);
    f.write(PAGE, &[0x0f, 0x10, 0x03]); // movups xmm0, [rbx]
    f.v.engine.set_reg(Reg::Rip, RIP & !0xfff);
    f.write(TABLES[3] + 16, &(APIC | FLAGS).to_le_bytes());
    assert_eq!(step(&mut f), Err(Event::exception(14, Some(0))));
    assert_eq!(f.v.engine.reg(Reg::Cr2), 0x40_3000);
    let error_status = f.v.lapic.read_page(0x28, 0);
    f.v.lapic.write_page(0x28, 0, 0);
    assert_eq!(
        (error_status, f.v.lapic.read_page(0x28, 0)),
        (0, 0),
        "no register was read"
    );
}

/// SDM 3A "Switching Back to Real-Address Mode": the segment registers keep what was loaded in protected mode.
#[test]
fn code_stays_32_bit_code_in_real_mode_until_cs_is_loaded() {
    let code = &[0x8b, 0x03]; // mov eax, [ebx]
    let mut f = Fixture::with_code(code)
        .in_protected_mode()
        .with(&[(Rbx, DATA)]);
    f.write(DATA, &0x1234_5678_u32.to_le_bytes());
    f.v.engine.set_reg(Reg::Cr0, 0);
    assert_eq!(
        (step(&mut f), f.gpr(Rax)),
        (Ok(Progress::Done), 0x1234_5678)
    );
}
