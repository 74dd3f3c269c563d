//! Registers that are there because a model of processor has them, and that systems read without asking CPUID: machine
//! checks, and AMD's configuration. What they hold is what a machine at rest holds.

use super::{Refused, store_if};
use crate::exit::cpuid::Vendor;
use crate::msrs::BANKS;
use crate::vcpu::Vcpu;
use spec::msr::Msr;

/// IA32_MCG_CAP: the number of banks; nothing else.
pub(super) const MCG_CAP: u64 = BANKS as u64;
const FIRST_BANK: u32 = Msr::IA32_MC0_CTL.0;
const LAST_BANK: u32 = FIRST_BANK + 4 * BANKS as u32 - 1;

/// HWCR: machine-check banks may be written; the TSC counts at the frequency of P0.
const MCSTATUS_WRITE: u64 = 1 << 18;
const TSC_AT_P0: u64 = 1 << 24;
/// Bits of HWCR that systems set to work around what we do not have: MONITOR in user mode, flush filter, IGNNE.
const HWCR_IGNORED: u64 = 1 << 10 | 1 << 8 | 1 << 6 | 1 << 3;
/// DE_CFG: LFENCE serializes.
const LFENCE_SERIALIZES: u64 = 1 << 1;

pub(super) fn get(v: &Vcpu, msr: Msr) -> Result<u64, Refused> {
    match msr.0 {
        n @ FIRST_BANK..=LAST_BANK => Ok(match (n - FIRST_BANK) % 4 {
            0 => v.msrs.bank_controls[((n - FIRST_BANK) / 4) as usize],
            _ => 0,
        }),
        _ if Vendor::of(v) == Vendor::Amd => amd(v, msr).ok_or(Refused),
        _ => Err(Refused),
    }
}

fn amd(v: &Vcpu, msr: Msr) -> Option<u64> {
    Some(match msr {
        Msr::AMD_HWCR => v.msrs.hwcr | TSC_AT_P0,
        Msr::AMD_DE_CFG => LFENCE_SERIALIZES,
        Msr::AMD_TOP_MEM => v.guest.ram.size(),
        msr if is_at_rest(msr) => 0,
        _ => return None,
    })
}

/// Registers that read 0 and ignore what is written.
fn is_at_rest(msr: Msr) -> bool {
    matches!(
        msr,
        Msr::AMD_SYSCFG
            | Msr::AMD_TOP_MEM2
            | Msr::AMD_PATCH_LOADER
            | Msr::AMD_NB_CFG
            | Msr::AMD_INTERRUPT_PENDING
            | Msr::AMD_LS_CFG
            | Msr::AMD_DC_CFG
            | Msr::AMD_BU_CFG2
    )
}

pub(super) fn set(v: &mut Vcpu, msr: Msr, value: u64) -> Result<(), Refused> {
    match msr {
        Msr(n @ FIRST_BANK..=LAST_BANK) => set_bank(v, n - FIRST_BANK, value),
        _ if Vendor::of(v) != Vendor::Amd => Err(Refused),
        Msr::AMD_HWCR => {
            let known = value & !HWCR_IGNORED & !TSC_AT_P0;
            store_if(known & !MCSTATUS_WRITE == 0, || v.msrs.hwcr = known)
        }
        Msr::AMD_DE_CFG => store_if(value & !LFENCE_SERIALIZES == 0, || ()),
        msr => store_if(is_at_rest(msr), || ()),
    }
}

/// A control takes all or nothing (SDM 3B "IA32_MCi_CTL MSRs" leaves others undefined); software clears the rest, and with
/// HWCR's permission also sets what it tests its handler with, which is not kept.
fn set_bank(v: &mut Vcpu, n: u32, value: u64) -> Result<(), Refused> {
    if n.is_multiple_of(4) {
        v.msrs.bank_controls[(n / 4) as usize] = value;
        return Ok(());
    }
    store_if(value == 0 || v.msrs.hwcr & MCSTATUS_WRITE != 0, || ())
}
