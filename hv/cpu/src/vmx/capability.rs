//! What this processor's VMX can do, and the controls that follow from it.
//! SDM 3D "VMX Capability Reporting Facility".

use super::Error;
use crate::msr;
use alloc::format;
use bitflags::Flags;
use core::arch::x86_64::__cpuid;
use spec::cpuid::{ExtendedEdx, leaf};
use spec::msr::Msr;
use spec::vmx::controls::{
    Basic, Entry, EptVpidCap, Exit, Miscellaneous, Missing, Pinbased, Primary, Secondary, adjust,
};

/// What the capability MSRs say, digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capability {
    /// IA32_VMX_BASIC.
    pub(super) basic: Basic,
    /// IA32_VMX_MISC.
    pub(super) miscellaneous: Miscellaneous,
    /// IA32_VMX_EPT_VPID_CAP.
    pub(super) ept_vpid: EptVpidCap,
    /// IA32_VMX_CR0_FIXED0 and 1.
    pub(super) cr0_fixed: (u64, u64),
    /// IA32_VMX_CR4_FIXED0 and 1.
    pub(super) cr4_fixed: (u64, u64),
    /// The controls that a new virtual CPU has.
    pub(super) controls: Controls,
}

/// A value for each control field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Controls {
    pub(super) pinbased: Pinbased,
    pub(super) primary: Primary,
    pub(super) secondary: Secondary,
    pub(super) exit: Exit,
    pub(super) entry: Entry,
}

impl Capability {
    /// Reads the capability MSRs of this CPU.
    pub(super) fn read() -> Result<Self, Error> {
        let basic = Basic(msr::read(Msr::IA32_VMX_BASIC.0));
        if !basic.ins_outs_information() {
            return Err(lacks(
                Msr::IA32_VMX_BASIC,
                "bit 54 (instruction information of INS and OUTS)",
            ));
        }
        let pair = |zero: Msr, one: Msr| (msr::read(zero.0), msr::read(one.0));
        let controls = Controls::choose(basic.true_controls())?;
        Ok(Self {
            basic,
            miscellaneous: Miscellaneous(msr::read(Msr::IA32_VMX_MISC.0)),
            ept_vpid: ept_vpid()?,
            cr0_fixed: pair(Msr::IA32_VMX_CR0_FIXED0, Msr::IA32_VMX_CR0_FIXED1),
            cr4_fixed: pair(Msr::IA32_VMX_CR4_FIXED0, Msr::IA32_VMX_CR4_FIXED1),
            controls,
        })
    }

    /// Whether VM entry can take a virtual-processor identifier, and INVVPID one back.
    pub(super) fn has_vpid(&self) -> bool {
        let types = EptVpidCap::INVVPID_SINGLE_CONTEXT | EptVpidCap::INVVPID_ALL_CONTEXT;
        self.controls.secondary.contains(Secondary::ENABLE_VPID)
            && self.ept_vpid.contains(EptVpidCap::INVVPID)
            && self.ept_vpid.intersects(types)
    }

    /// Whether the VMX-preemption timer counts, and goes on counting after an exit.
    pub(super) fn has_preemption_timer(&self) -> bool {
        self.controls
            .pinbased
            .contains(Pinbased::ACTIVATE_PREEMPTION_TIMER)
    }
}

impl Controls {
    /// What we must have, and what we want where it is there. The window, MOV DR, PAUSE and the IA-32e
    /// controls are required to be *possible*: they come and go as the guest runs.
    fn choose(true_controls: bool) -> Result<Self, Error> {
        let which = |plain: Msr, precise: Msr| if true_controls { precise } else { plain };
        let primary = primary(which(
            Msr::IA32_VMX_PROCBASED_CTLS,
            Msr::IA32_VMX_TRUE_PROCBASED_CTLS,
        ))?;
        let secondary = secondary()?;
        let exit = set(
            which(Msr::IA32_VMX_EXIT_CTLS, Msr::IA32_VMX_TRUE_EXIT_CTLS),
            Exit::HOST_ADDRESS_SPACE_SIZE
                | Exit::SAVE_DEBUG_CONTROLS
                | Exit::SAVE_IA32_PAT
                | Exit::LOAD_IA32_PAT
                | Exit::LOAD_IA32_EFER,
            Exit::SAVE_PREEMPTION_TIMER,
        )?;
        let entry = set(
            which(Msr::IA32_VMX_ENTRY_CTLS, Msr::IA32_VMX_TRUE_ENTRY_CTLS),
            Entry::LOAD_DEBUG_CONTROLS
                | Entry::LOAD_IA32_PAT
                | Entry::LOAD_IA32_EFER
                | Entry::IA32E_MODE_GUEST,
            Entry::empty(),
        )?;
        let pinbased = pinbased(which(
            Msr::IA32_VMX_PINBASED_CTLS,
            Msr::IA32_VMX_TRUE_PINBASED_CTLS,
        ))?;
        Ok(Self {
            pinbased,
            primary,
            secondary,
            exit,
            entry: entry - Entry::IA32E_MODE_GUEST,
        }
        .consistent())
    }

    /// SDM 3C "Checks on VMX Controls": some controls need others.
    fn consistent(mut self) -> Self {
        if !self.exit.contains(Exit::SAVE_PREEMPTION_TIMER) {
            self.pinbased -= Pinbased::ACTIVATE_PREEMPTION_TIMER;
        }
        if !self.pinbased.contains(Pinbased::ACTIVATE_PREEMPTION_TIMER) {
            self.exit -= Exit::SAVE_PREEMPTION_TIMER;
        }
        self
    }
}

fn pinbased(msr: Msr) -> Result<Pinbased, Error> {
    set(
        msr,
        Pinbased::EXTERNAL_INTERRUPT_EXITING | Pinbased::NMI_EXITING,
        Pinbased::VIRTUAL_NMIS | Pinbased::ACTIVATE_PREEMPTION_TIMER,
    )
}

fn primary(msr: Msr) -> Result<Primary, Error> {
    let chosen = set(
        msr,
        Primary::INTERRUPT_WINDOW_EXITING
            | Primary::USE_TSC_OFFSETTING
            | Primary::HLT_EXITING
            | Primary::MWAIT_EXITING
            | Primary::MONITOR_EXITING
            | Primary::RDPMC_EXITING
            | Primary::PAUSE_EXITING
            | Primary::MOV_DR_EXITING
            | Primary::CR8_LOAD_EXITING
            | Primary::CR8_STORE_EXITING
            | Primary::USE_IO_BITMAPS
            | Primary::USE_MSR_BITMAPS
            | Primary::ACTIVATE_SECONDARY_CONTROLS,
        Primary::empty(),
    )?;
    let later =
        Primary::INTERRUPT_WINDOW_EXITING | Primary::MOV_DR_EXITING | Primary::PAUSE_EXITING;
    Ok(chosen - later)
}

/// INVPCID, XSAVES, TPAUSE and PCONFIG raise #UD without their controls, and ENCLS exits with its own: vmm hides
/// them from guests. RDTSCP and RDPID it shows where CPUID does.
fn secondary() -> Result<Secondary, Error> {
    let extended = ExtendedEdx::from_bits_retain(__cpuid(leaf::EXTENDED_FEATURES_AMD).edx);
    let mut required =
        Secondary::ENABLE_EPT | Secondary::UNRESTRICTED_GUEST | Secondary::WBINVD_EXITING;
    required.set(
        Secondary::ENABLE_RDTSCP,
        extended.contains(ExtendedEdx::RDTSCP),
    );
    set(
        Msr::IA32_VMX_PROCBASED_CTLS2,
        required,
        Secondary::ENABLE_VPID | Secondary::ENABLE_ENCLS_EXITING,
    )
}

fn ept_vpid() -> Result<EptVpidCap, Error> {
    let found = EptVpidCap::from_bits_retain(msr::read(Msr::IA32_VMX_EPT_VPID_CAP.0));
    let required = EptVpidCap::WALK_LENGTH_4
        | EptVpidCap::MEMORY_TYPE_WB
        | EptVpidCap::PAGE_2M
        | EptVpidCap::INVEPT;
    if let Some((name, _)) = (required - found).iter_names().next() {
        return Err(lacks(Msr::IA32_VMX_EPT_VPID_CAP, name));
    }
    let types = EptVpidCap::INVEPT_SINGLE_CONTEXT | EptVpidCap::INVEPT_ALL_CONTEXT;
    if !found.intersects(types) {
        let what = "single-context and all-context INVEPT";
        return Err(lacks(Msr::IA32_VMX_EPT_VPID_CAP, what));
    }
    Ok(found)
}

/// [`adjust`] with this CPU's capability MSR.
fn set<C: Flags<Bits = u32> + Copy>(msr: Msr, required: C, wanted: C) -> Result<C, Error>
where
    Missing<C>: core::fmt::Display,
{
    adjust(required, wanted, msr::read(msr.0)).map_err(|missing| lacks(msr, &format!("{missing}")))
}

fn lacks(msr: Msr, what: &str) -> Error {
    Error::Lacks {
        msr,
        what: what.into(),
    }
}
