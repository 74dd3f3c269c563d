//! Signal frames: what the stack of a program holds while a handler runs, and the way back (Linux'
//! arch/x86/kernel/signal_64.c).

use super::record::{Record, u64_at};
use super::signals::{Cause, Signal};
use super::state::{Action, Process, Thread};
use crate::errno::Errno;
use crate::machine::{Gpr, Gprs};
use alloc::vec::Vec;
use linux_raw_sys::general::{
    SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTORER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK,
};

/// What a program's registers hold, RSP included.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    /// The general-purpose registers; slot 4 is RSP.
    pub gprs: Gprs,
    /// RIP.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
}

/// `struct rt_sigframe`: the return address, `struct ucontext`, `siginfo_t`.
const FRAME_SIZE: usize = INFO + 128;
const CONTEXT: usize = 8;
const REGISTERS: usize = CONTEXT + 40;
const MASK: usize = REGISTERS + 256;
const INFO: usize = MASK + 8;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS.
const CONTEXT_FLAGS: u64 = 7;
/// The order of `struct sigcontext`.
const ORDER: [Gpr; 16] = [
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R11,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
    Gpr::Rdi,
    Gpr::Rsi,
    Gpr::Rbp,
    Gpr::Rbx,
    Gpr::Rdx,
    Gpr::Rax,
    Gpr::Rcx,
    Gpr::Rsp,
];
/// CS, GS, FS and SS in 64-bit mode.
const SELECTORS: u64 = 0x33 | 0x2b << 48;
/// Below RSP, a program may keep data (System V ABI "The Stack Frame").
const RED_ZONE: u64 = 128;
/// FP_XSTATE_MAGIC1 at the place for software in an XSAVE area, and FP_XSTATE_MAGIC2 behind it.
const MAGIC: u32 = 0x4650_5853;
const MAGIC_END: u32 = 0x4650_5845;
const SOFTWARE: usize = 464;
/// The legacy region of an XSAVE area, and where its header has XSTATE_BV.
const LEGACY: usize = 512;
/// No XSAVE area is longer.
const AREA_MAX: u32 = 1 << 12;
/// The flags of RFLAGS that a handler does not start with: TF, DF, RF.
const NOT_IN_HANDLER: u64 = 1 << 8 | 1 << 10 | 1 << 16;
/// The flags that a program may change by itself: CF PF AF ZF SF TF DF OF RF AC, as sigreturn lets it.
const OWN_FLAGS: u64 = 0x0005_0dd5;

/// Has the thread call its handler for a signal: writes the frame, and gives the registers with which the
/// handler starts. `image` is the program's extended state.
pub fn push(
    process: &mut Process,
    thread: &mut Thread,
    registers: &Registers,
    image: &[u8],
    cause: &Cause,
) -> Result<Registers, Errno> {
    let place = usize::from(cause.signal.0) - 1;
    let action = process.actions[place];
    if action.flags & u64::from(SA_RESTORER) == 0 {
        return Err(Errno::EFAULT);
    }
    let old_mask = thread.saved_mask.take().unwrap_or(thread.blocked);
    let (area, frame) = places(thread, registers.gprs[Gpr::Rsp], &action, image.len())?;
    let state = state_bytes(image);
    process.memory.write(area, &state)?;
    let bytes = frame_bytes(thread, registers, cause, &action, old_mask, area);
    process.memory.write(frame, &bytes)?;
    block(process, thread, cause.signal, &action);
    let mut next = registers.clone();
    next.gprs[Gpr::Rax] = 0;
    next.gprs[Gpr::Rdi] = cause.signal.0.into();
    next.gprs[Gpr::Rsi] = frame + INFO as u64;
    next.gprs[Gpr::Rdx] = frame + CONTEXT as u64;
    next.gprs[Gpr::Rsp] = frame;
    next.rip = action.handler;
    next.rflags &= !NOT_IN_HANDLER;
    Ok(next)
}

/// What a frame takes of a stack when the extended state is this long (Linux' `get_sigframe_size`).
#[must_use]
pub const fn size_with(image: u64) -> u64 {
    // Each of the two parts is moved down to its boundary: 64 bytes, and 8 below one of 16.
    (image + 4 + 63 + FRAME_SIZE as u64 + 15 + 8).next_multiple_of(16)
}

/// Where the extended state and the frame go.
fn places(thread: &Thread, rsp: u64, action: &Action, image: usize) -> Result<(u64, u64), Errno> {
    let (base, flags, size) = thread.alternate_stack;
    let there = thread.on_alternate_stack(rsp);
    let alternate = action.flags & u64::from(SA_ONSTACK) != 0 && flags & SS_DISABLE == 0;
    let top = match alternate && !there {
        true => base.wrapping_add(size),
        false => rsp.wrapping_sub(RED_ZONE),
    };
    let area = top.wrapping_sub(image as u64 + 4) & !63;
    let frame = (area.wrapping_sub(FRAME_SIZE as u64) & !15).wrapping_sub(8);
    // What lies below the alternate stack is not the program's stack.
    match (there || alternate) && frame <= base {
        true => Err(Errno::EFAULT),
        false => Ok((area, frame)),
    }
}

/// The extended state with Linux' marks, by which who reads it knows how long it is.
fn state_bytes(image: &[u8]) -> Vec<u8> {
    let mut bytes = image.to_vec();
    if let Some(states) = image.get(LEGACY..LEGACY + 8) {
        let size = image.len() as u32;
        let marks: [u8; 20] = Record::new()
            .u32(MAGIC)
            .u32(size + 4)
            .u64(u64_at(states, 0) | 3)
            .u32(size)
            .done();
        bytes[SOFTWARE..][..20].copy_from_slice(&marks);
        bytes.extend(MAGIC_END.to_le_bytes());
    }
    bytes
}

fn frame_bytes(
    thread: &Thread,
    registers: &Registers,
    cause: &Cause,
    action: &Action,
    mask: u64,
    area: u64,
) -> [u8; FRAME_SIZE] {
    let (base, flags, size) = thread.alternate_stack;
    let there = thread.on_alternate_stack(registers.gprs[Gpr::Rsp]);
    let flags = if there { flags | SS_ONSTACK } else { flags };
    let mut record = Record::new()
        .u64(action.restorer)
        .u64(CONTEXT_FLAGS)
        .skip(8)
        .u64(base)
        .u64(flags.into())
        .u64(size);
    for register in ORDER {
        record = record.u64(registers.gprs[register]);
    }
    record
        .u64(registers.rip)
        .u64(registers.rflags)
        .u64(SELECTORS)
        .u64(cause.error_code)
        .u64(cause.vector)
        .u64(mask)
        .u64(cause.fault_address)
        .u64(area)
        .skip(64)
        .u64(mask)
        .bytes(&cause.info())
        .done()
}

/// What changes when a handler starts.
fn block(process: &mut Process, thread: &mut Thread, signal: Signal, action: &Action) {
    let own = match action.flags & u64::from(SA_NODEFER) {
        0 => signal.bit(),
        _ => 0,
    };
    thread.set_mask(thread.blocked | action.mask | own);
    if action.flags & u64::from(SA_RESETHAND) != 0 {
        process.actions[usize::from(signal.0) - 1].handler = 0;
    }
    if thread.alternate_stack.1 & SS_AUTODISARM != 0 {
        thread.alternate_stack = (0, SS_DISABLE, 0);
    }
}

/// Goes back from a handler: the registers, and the extended state if the frame has one.
pub fn pop(
    process: &mut Process,
    thread: &mut Thread,
    now: &Registers,
) -> Result<(Registers, Option<Vec<u8>>), Errno> {
    let frame = now.gprs[Gpr::Rsp].wrapping_sub(8);
    let bytes: [u8; INFO] = process.memory.read_array(frame)?;
    let mut registers = Registers::default();
    for (n, register) in ORDER.into_iter().enumerate() {
        registers.gprs[register] = u64_at(&bytes, REGISTERS + 8 * n);
    }
    registers.rip = u64_at(&bytes, REGISTERS + 128);
    let flags = u64_at(&bytes, REGISTERS + 136);
    registers.rflags = now.rflags & !OWN_FLAGS | flags & OWN_FLAGS;
    let area = u64_at(&bytes, REGISTERS + 184);
    let image = read_state(process, area)?;
    thread.set_mask(u64_at(&bytes, MASK));
    let flags = u64_at(&bytes, CONTEXT + 24) as u32 & !SS_ONSTACK;
    thread.alternate_stack = (
        u64_at(&bytes, CONTEXT + 16),
        flags,
        u64_at(&bytes, CONTEXT + 32),
    );
    Ok((registers, image))
}

fn read_state(process: &mut Process, area: u64) -> Result<Option<Vec<u8>>, Errno> {
    if area == 0 {
        return Ok(None);
    }
    let mut image = alloc::vec![0; LEGACY];
    process.memory.read(area, &mut image)?;
    let mark = u64_at(&image, SOFTWARE);
    let size = u64_at(&image, SOFTWARE + 16) as u32;
    if mark as u32 == MAGIC && (LEGACY as u32 + 64..=AREA_MAX).contains(&size) {
        image.resize(size as usize, 0);
        process.memory.read(area, &mut image)?;
    }
    Ok(Some(image))
}

#[cfg(test)]
mod tests {
    use super::super::System;
    use super::*;
    use crate::file_system::{FileSystem, Time};
    use crate::memory::address_space::{Backing, Place, Protection};
    use crate::memory::testing::VecMemory;
    use crate::memory::{AddressSpace, Frames, GuestRam};
    use spec::addr::Hpa;

    const SIZE: u64 = 1 << 20;
    const STACK: u64 = 0x10_0000;

    fn start(flags: u32) -> (Process, Thread, Registers) {
        let ram = GuestRam::new(VecMemory::leak(SIZE as usize), Hpa(0), SIZE);
        let mut frames = Frames::new();
        frames.add(0x1000..SIZE);
        let mut memory = AddressSpace::new(ram, frames).unwrap();
        let place = Place::Fixed(STACK);
        (memory.map(place, 0x4000, Protection::READ_WRITE, Backing::Zero)).unwrap();
        let mut system = System::new(FileSystem::new(1 << 16, Time::default()), 1);
        let mut process = Process::first(memory, &mut system).unwrap();
        process.actions[usize::from(Signal::SEGV.0) - 1] = Action {
            handler: 0x1234,
            flags: u64::from(flags | SA_RESTORER),
            restorer: 0x5678,
            mask: Signal::INT.bit(),
        };
        let mut registers = Registers {
            rip: 0x40_0000,
            rflags: 0x602,
            ..Registers::default()
        };
        for (n, register) in ORDER.into_iter().enumerate() {
            registers.gprs[register] = 100 + n as u64;
        }
        registers.gprs[Gpr::Rsp] = STACK + 0x4000;
        (process, Thread::first(b"t"), registers)
    }

    const CAUSE: Cause = Cause::sent(Signal::SEGV, 0);

    #[test]
    fn a_frame_brings_everything_back() {
        let (mut process, mut thread, registers) = start(0);
        let image: Vec<u8> = (0..832u32).map(|n| n as u8).collect();
        let within = push(&mut process, &mut thread, &registers, &image, &CAUSE).unwrap();
        let rsp = within.gprs[Gpr::Rsp];
        assert_eq!((within.rip, within.rflags, rsp % 16), (0x1234, 0x202, 8));
        assert_eq!(process.memory.read_u64(rsp), Ok(0x5678));
        assert_eq!(thread.blocked, Signal::INT.bit() | Signal::SEGV.bit());
        let mut returned = within.clone();
        returned.gprs[Gpr::Rsp] += 8;
        let (back, state) = pop(&mut process, &mut thread, &returned).unwrap();
        assert_eq!(back.gprs.0, registers.gprs.0);
        assert_eq!((back.rip, back.rflags), (registers.rip, registers.rflags));
        let state = state.unwrap();
        assert_eq!(
            (&state[..464], &state[512..]),
            (&image[..464], &image[512..])
        );
        assert_eq!(thread.blocked, 0);
    }

    #[test]
    fn a_handler_may_have_a_stack_of_its_own() {
        let (mut process, mut thread, registers) = start(SA_ONSTACK | SA_NODEFER | SA_RESETHAND);
        thread.alternate_stack = (STACK, 0, 0x2000);
        let within = push(&mut process, &mut thread, &registers, &[0; 512], &CAUSE).unwrap();
        assert!((STACK..STACK + 0x2000).contains(&within.gprs[Gpr::Rsp]));
        assert_eq!(thread.blocked, Signal::INT.bit());
        assert_eq!(process.actions[usize::from(Signal::SEGV.0) - 1].handler, 0);
    }

    #[test]
    fn a_frame_does_not_leave_the_alternate_stack() {
        let (mut process, mut thread, mut registers) = start(SA_ONSTACK | SA_NODEFER);
        // What AVX-512 takes.
        let image = [0; 2688];
        let push = |process: &mut Process, thread: &mut Thread, registers: &Registers| {
            push(process, thread, registers, &image, &CAUSE)
        };
        let size = size_with(image.len() as u64);
        thread.alternate_stack = (STACK + 0x1000, 0, 2048);
        assert!(push(&mut process, &mut thread, &registers).is_err());
        thread.alternate_stack.2 = size;
        let within = push(&mut process, &mut thread, &registers).unwrap();
        assert!(within.gprs[Gpr::Rsp] > STACK + 0x1000);
        assert!(push(&mut process, &mut thread, &within).is_err());
        // RSP at its end is on it, RSP at its start is not (Linux' `__on_sig_stack`).
        registers.gprs[Gpr::Rsp] = STACK + 0x1000 + size;
        assert!(thread.on_alternate_stack(registers.gprs[Gpr::Rsp]));
        assert!(!thread.on_alternate_stack(STACK + 0x1000));
    }

    #[test]
    fn a_stack_that_is_not_there_is_an_error() {
        let (mut process, mut thread, mut registers) = start(0);
        for rsp in [0, 100, STACK, u64::MAX, 1 << 63] {
            registers.gprs[Gpr::Rsp] = rsp;
            assert!(push(&mut process, &mut thread, &registers, &[0; 832], &CAUSE).is_err());
            assert!(pop(&mut process, &mut thread, &registers).is_err() || rsp == STACK);
        }
    }

    proptest::proptest! {
        /// What a program writes where a frame should be does not matter to us, and flags stay its own.
        #[test]
        fn any_bytes_may_be_a_frame(bytes in proptest::collection::vec(proptest::num::u8::ANY, INFO)) {
            let (mut process, mut thread, mut registers) = start(0);
            process.memory.write(STACK, &bytes).unwrap();
            registers.gprs[Gpr::Rsp] = STACK + 8;
            if let Ok((back, _)) = pop(&mut process, &mut thread, &registers) {
                proptest::prop_assert_eq!(back.rflags & !OWN_FLAGS, registers.rflags & !OWN_FLAGS);
                proptest::prop_assert_eq!(thread.blocked & Signal::KILL.bit(), 0);
            }
        }
    }
}
