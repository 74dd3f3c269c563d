//! Hypercalls: VMCALL and VMMCALL, by the numbers of crate `abi`.

use super::Exit;
use super::table::{Stop, Verdict};
use crate::machine::Gpr;
use crate::vcpu::Vcpu;
use abi::{CONSOLE_WRITE_MAX, Call, Error, VERSION};
use spec::addr::L1Gpa;

/// VMCALL and VMMCALL. Only privilege level 0 may call; others get #UD, as without a hypervisor.
pub(super) fn hypercall(_: &Exit, v: &mut Vcpu) -> Verdict {
    if v.engine.cpl() != 0 {
        return Verdict::UD;
    }
    let gprs = &v.gprs;
    let (number, first, second) = (gprs[Gpr::Rax], gprs[Gpr::Rdi], gprs[Gpr::Rsi]);
    let result = match Call::from_number(number) {
        Some(Call::Version) => Ok(VERSION),
        Some(Call::ConsoleWrite) => console_write(v, L1Gpa(first), second),
        Some(Call::Exit) => return Verdict::Stop(Stop::Exit(first)),
        Some(Call::Yield) => {
            v.gprs[Gpr::Rax] = 0;
            return Verdict::Yield;
        }
        None => Err(Error::NoSuchCall),
    };
    v.gprs[Gpr::Rax] = result.unwrap_or_else(Error::to_rax);
    Verdict::Next
}

fn console_write(v: &Vcpu, at: L1Gpa, length: u64) -> Result<u64, Error> {
    let mut text = [0; CONSOLE_WRITE_MAX as usize];
    let text = usize::try_from(length)
        .ok()
        .and_then(|length| text.get_mut(..length))
        .ok_or(Error::BadAddress)?;
    v.guest.ram.read(at, text).map_err(|_| Error::BadAddress)?;
    v.guest.console.write(text);
    Ok(length)
}

#[cfg(test)]
mod tests;
