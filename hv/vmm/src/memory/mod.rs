//! Memory: frames, the one page walker, a guest's RAM and its guest-physical space.

pub mod address_space;
pub mod contents;
pub mod frames;
pub mod linear;
pub mod ram;
pub mod space;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use address_space::AddressSpace;
pub use frames::Frames;
pub use ram::GuestRam;
pub use space::Space;
