//! The host bridge: as much of Intel's 440FX as firmware and kernels look for
//! (Intel 82441FX PMC data sheet "PCI Configuration Registers").

use super::Function;
use super::configuration::{Configuration, Identity, SUBSYSTEM};

/// PAM0 to PAM6: whether 0xc0000 to 0xfffff is ROM or RAM. Here it is RAM always.
const PAM: u8 = 0x59;
const PAM_COUNT: u8 = 7;
/// System management RAM control.
const SMRAM: u8 = 0x72;
/// Memory accesses and bus mastering cannot be turned off.
const COMMAND: [u8; 2] = [6, 0];
/// Fast back-to-back, medium DEVSEL timing.
const STATUS: [u8; 2] = [0x80, 2];

pub(super) fn host_bridge() -> Configuration {
    let mut bridge = Configuration::new(&Identity {
        vendor: 0x8086,
        device: 0x1237,
        revision: 2,
        class: 0x06_0000,
        subsystem: SUBSYSTEM,
    });
    bridge.set(4, &COMMAND);
    bridge.set(6, &STATUS);
    for register in PAM..PAM + PAM_COUNT {
        bridge.allow(register, &[0xff]);
    }
    bridge.set(SMRAM, &[2]);
    bridge.allow(SMRAM, &[0x78]);
    bridge
}

impl Function for Configuration {
    fn configuration(&mut self) -> &mut Configuration {
        self
    }
}
