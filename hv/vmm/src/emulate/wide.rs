//! Instructions that move 16 bytes, or a vector register: the SSE moves and CMPXCHG16B, and its narrower sibling.

use super::memory;
use super::operand::{self, linear_address};
use crate::machine::{Event, Gpr, Reg};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use spec::addr::Gva;
use spec::control_registers::{Rflags, Xcr0};
use spec::exception::Vector;

const GP: Event = Event::exception(Vector::GP.0, Some(0));
/// Where FXSAVE and XSAVE put XMM0 (SDM 1 "Legacy Region of an XSAVE Area"), and the header behind it.
const XMM: usize = 160;
const XSTATE_BV: usize = 512;

/// Carries it out, if it is one of these.
pub(super) fn execute(v: &mut Vcpu, i: &Instruction) -> Option<Result<(), Event>> {
    let is_aligned = match i.mnemonic() {
        Mnemonic::Cmpxchg8b | Mnemonic::Cmpxchg16b => return Some(compare_and_exchange(v, i)),
        Mnemonic::Movaps
        | Mnemonic::Movapd
        | Mnemonic::Movdqa
        | Mnemonic::Movntps
        | Mnemonic::Movntpd
        | Mnemonic::Movntdq
        | Mnemonic::Movntdqa => true,
        Mnemonic::Movups
        | Mnemonic::Movupd
        | Mnemonic::Movdqu
        | Mnemonic::Lddqu
        | Mnemonic::Movq
        | Mnemonic::Movd
        | Mnemonic::Movss
        | Mnemonic::Movsd => false,
        _ => return None,
    };
    let vector = |register: Register| register.is_xmm().then(|| register.number());
    match (i.op0_kind(), i.op1_kind()) {
        (OpKind::Register, OpKind::Memory) => {
            Some(load(v, i, vector(i.op0_register())?, is_aligned))
        }
        (OpKind::Memory, OpKind::Register) => {
            Some(store(v, i, vector(i.op1_register())?, is_aligned))
        }
        _ => None,
    }
}

fn size(i: &Instruction) -> u8 {
    i.memory_size().size().clamp(1, 16) as u8
}

/// Where the operand is; #GP where it must be aligned and is not.
fn place(v: &Vcpu, i: &Instruction, write: bool, is_aligned: bool) -> Result<Gva, Event> {
    let at = linear_address(v, i, size(i), write)?;
    if is_aligned && !at.0.is_multiple_of(size(i).into()) {
        return Err(GP);
    }
    Ok(at)
}

fn read(v: &mut Vcpu, at: Gva, size: u8) -> Result<u128, Event> {
    memory::check(v, at, size, false)?;
    let mut value = memory::read(v, at, size.min(8))?.into();
    if size > 8 {
        value |= u128::from(memory::read(v, Gva(at.0.wrapping_add(8)), size - 8)?) << 64;
    }
    Ok(value)
}

fn write(v: &mut Vcpu, at: Gva, size: u8, value: u128) -> Result<(), Event> {
    memory::check(v, at, size, true)?;
    memory::write(v, at, size.min(8), value as u64)?;
    if size > 8 {
        let high = (value >> 64) as u64;
        memory::write(v, Gva(at.0.wrapping_add(8)), size - 8, high)?;
    }
    Ok(())
}

/// What is above the loaded bytes becomes zero.
fn load(v: &mut Vcpu, i: &Instruction, register: usize, is_aligned: bool) -> Result<(), Event> {
    let at = place(v, i, false, is_aligned)?;
    let value = read(v, at, size(i))?;
    let mut image = v.engine.extended_state();
    if let Some(bytes) = image.get_mut(XMM + 16 * register..XMM + 16 * register + 16) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    if let Some(states) = image.get_mut(XSTATE_BV) {
        *states |= Xcr0::SSE.bits() as u8;
    }
    v.engine.set_extended_state(&image);
    Ok(())
}

fn store(v: &mut Vcpu, i: &Instruction, register: usize, is_aligned: bool) -> Result<(), Event> {
    let at = place(v, i, true, is_aligned)?;
    let image = v.engine.extended_state();
    let mut value = [0; 16];
    if let Some(bytes) = image.get(XMM + 16 * register..XMM + 16 * register + 16) {
        value.copy_from_slice(bytes);
    }
    write(v, at, size(i), u128::from_le_bytes(value))
}

/// CMPXCHG8B and CMPXCHG16B: the processor writes the destination whether or not it was equal.
fn compare_and_exchange(v: &mut Vcpu, i: &Instruction) -> Result<(), Event> {
    let size = size(i);
    let at = place(v, i, true, size == 16)?;
    memory::check(v, at, size, true)?;
    let old = read(v, at, size)?;
    let (half, mask) = (size * 4, operand::mask(size / 2));
    let pair = |v: &Vcpu, low, high| {
        u128::from(v.gpr(low) & mask) | u128::from(v.gpr(high) & mask) << half
    };
    let equal = old == pair(v, Gpr::Rax, Gpr::Rdx);
    let new = match equal {
        true => pair(v, Gpr::Rbx, Gpr::Rcx),
        false => old,
    };
    write(v, at, size, new)?;
    if !equal {
        v.set_gpr(Gpr::Rax, old as u64 & mask);
        v.set_gpr(Gpr::Rdx, (old >> half) as u64 & mask);
    }
    let flags = v.engine.reg(Reg::Rflags) & !Rflags::ZF.bits();
    let zero = if equal { Rflags::ZF.bits() } else { 0 };
    v.engine.set_reg(Reg::Rflags, flags | zero);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::execute::{Progress, execute};
    use crate::emulate::fetch;
    use crate::machine::Gpr::{Rax, Rbx, Rcx, Rdx};
    use crate::machine::fake::Fixture;

    const DATA: u64 = 0x4000;
    const NOWHERE: u64 = 0x8000_0000;
    /// What is in memory, and in XMM1.
    const MEMORY: u128 = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110;
    const VECTOR: u128 = 0x2f2e_2d2c_2b2a_2928_2726_2524_2322_2120;

    fn step(f: &mut Fixture) -> Result<Progress, Event> {
        let i = fetch::instruction(&mut f.v)?;
        execute(&mut f.v, &i)
    }

    fn fixture(code: &[u8]) -> Fixture {
        let mut f = Fixture::with_code(code).with(&[(Rbx, DATA)]);
        f.write(DATA, &MEMORY.to_le_bytes());
        let mut image = f.v.engine.extended_state();
        image[XMM + 16..XMM + 32].copy_from_slice(&VECTOR.to_le_bytes());
        f.v.engine.set_extended_state(&image);
        f
    }

    fn vector(f: &mut Fixture) -> u128 {
        let image = f.v.engine.extended_state();
        let bytes = image[XMM + 16..XMM + 32].try_into().unwrap();
        u128::from_le_bytes(bytes)
    }

    /// Loads of XMM1 from RBX: code, and how many bytes.
    #[test]
    fn loads_clear_what_is_above() {
        for (code, size) in [
            (&[0x0f, 0x28, 0x0b][..], 16),   // movaps
            (&[0x0f, 0x10, 0x0b], 16),       // movups
            (&[0x66, 0x0f, 0x6f, 0x0b], 16), // movdqa
            (&[0xf3, 0x0f, 0x6f, 0x0b], 16), // movdqu
            (&[0xf2, 0x0f, 0xf0, 0x0b], 16), // lddqu
            (&[0xf3, 0x0f, 0x7e, 0x0b], 8),  // movq
            (&[0xf2, 0x0f, 0x10, 0x0b], 8),  // movsd
            (&[0xf3, 0x0f, 0x10, 0x0b], 4),  // movss
            (&[0x66, 0x0f, 0x6e, 0x0b], 4),  // movd
        ] {
            let mut f = fixture(code);
            assert_eq!(step(&mut f), Ok(Progress::Done), "{code:02x?}");
            assert_eq!(
                vector(&mut f),
                MEMORY & u128::MAX >> (128 - 8 * size),
                "{code:02x?}"
            );
            assert_eq!(f.v.engine.extended_state()[XSTATE_BV], 2, "SSE is in use");
        }
    }

    #[test]
    fn stores_leave_what_is_above() {
        for (code, size) in [
            (&[0x0f, 0x29, 0x0b][..], 16),   // movaps
            (&[0x66, 0x0f, 0xe7, 0x0b], 16), // movntdq
            (&[0xf3, 0x0f, 0x7f, 0x0b], 16), // movdqu
            (&[0x66, 0x0f, 0xd6, 0x0b], 8),  // movq
            (&[0xf3, 0x0f, 0x11, 0x0b], 4),  // movss
            (&[0x66, 0x0f, 0x7e, 0x0b], 4),  // movd
        ] {
            let mut f = fixture(code);
            assert_eq!(step(&mut f), Ok(Progress::Done), "{code:02x?}");
            let stored = u128::MAX >> (128 - 8 * size);
            let got = u128::from_le_bytes(f.read(DATA));
            assert_eq!(got, MEMORY & !stored | VECTOR & stored, "{code:02x?}");
        }
    }

    #[test]
    fn alignment_is_checked_where_the_manual_says() {
        for (code, done) in [
            (&[0x0f, 0x28, 0x0b][..], Err(GP)),
            (&[0x0f, 0x10, 0x0b], Ok(Progress::Done)),
            (&[0x48, 0x0f, 0xc7, 0x0b], Err(GP)),
            (&[0x0f, 0xc7, 0x0b], Ok(Progress::Done)),
        ] {
            let mut f = fixture(code).with(&[(Rbx, DATA + 4)]);
            assert_eq!(step(&mut f), done, "{code:02x?}");
        }
    }

    /// Whether it was equal: the registers or the memory take the other's value.
    #[test]
    fn pairs_are_compared_and_exchanged() {
        for (code, size) in [
            (&[0xf0, 0x0f, 0xc7, 0x0b][..], 8),
            (&[0xf0, 0x48, 0x0f, 0xc7, 0x0b], 16),
        ] {
            let (half, mask) = (size * 4, u64::MAX >> (64 - size * 4));
            let (low, high) = (MEMORY as u64 & mask, (MEMORY >> half) as u64 & mask);
            let mut f = fixture(code).with(&[(Rax, low), (Rdx, high), (Rcx, 3), (Gpr::Rbx, DATA)]);
            assert_eq!(step(&mut f), Ok(Progress::Done));
            let all = u128::MAX >> (128 - 8 * size);
            let want = MEMORY & !all | 3 << half | u128::from(DATA);
            assert_eq!(u128::from_le_bytes(f.read(DATA)), want);
            assert_ne!(f.v.engine.reg(Reg::Rflags) & Rflags::ZF.bits(), 0);
            let mut f = fixture(code).with(&[(Rax, low), (Rdx, !high)]);
            assert_eq!(step(&mut f), Ok(Progress::Done));
            assert_eq!((f.gpr(Rax), f.gpr(Rdx)), (low, high));
            assert_eq!(u128::from_le_bytes(f.read(DATA)), MEMORY);
            assert_eq!(f.v.engine.reg(Reg::Rflags) & Rflags::ZF.bits(), 0);
        }
    }

    #[test]
    fn vectors_go_to_and_from_devices_too() {
        let mut f = fixture(&[0x0f, 0x28, 0x0b]).with(&[(Rbx, NOWHERE)]);
        assert_eq!(
            (step(&mut f), vector(&mut f)),
            (Ok(Progress::Done), u128::MAX)
        );
    }
}
