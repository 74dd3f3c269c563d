//! What the firmware of the virtual PC tells the guest.

pub mod acpi;
pub mod configuration;
pub mod mp;
pub mod tables;
