//! The devices of the virtual PC.

pub mod bus;
pub mod clock;
mod debug;
pub mod fw_cfg;
pub mod interrupts;
mod ioapic;
pub mod keyboard;
pub mod lapic;
pub mod part;
pub mod pci;
mod pic;
pub mod pit;
pub mod pm;
pub mod processors;
pub mod reset;
pub mod rtc;
mod uart;
pub mod virtio;
