//! Virtio devices (OASIS Virtual I/O Device Version 1.2) on the PCI bus, with split virtqueues.

pub mod block;
pub mod buffers;
pub mod console;
pub mod entropy;
mod queue;
mod transport;

use buffers::Buffers;
pub use transport::VirtioPci;

/// The driver broke a rule of the specification: the device needs a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A descriptor chain: what the driver sends, and where it wants the answer.
pub struct Request<'a> {
    /// The device-readable part.
    pub readable: Buffers<'a>,
    /// The device-writable part.
    pub writable: Buffers<'a>,
}

/// What makes a virtio device of its type.
pub trait Model: Send {
    /// The device ID ("Device Types").
    fn id(&self) -> u16;
    /// The PCI class code.
    fn class(&self) -> u32;
    /// How many virtqueues it has.
    fn queues(&self) -> usize;
    /// The feature bits of its device type.
    fn features(&self) -> u64 {
        0
    }
    /// Its device-specific configuration, if it has any.
    fn configuration(&self) -> &[u8] {
        &[]
    }
    /// How many bytes that are only copied take as long as one of a request.
    fn weight(&self) -> u64 {
        1
    }
    /// Whether it can carry out a request of this virtqueue now. One that cannot is asked again after a while.
    fn is_ready(&mut self, _queue: usize) -> bool {
        true
    }
    /// Carries out a request of a virtqueue; returns how many bytes it wrote. The work is bounded by a mebibyte or two.
    fn serve(&mut self, queue: usize, request: Request<'_>) -> Result<u32, Broken>;
}

#[cfg(test)]
mod tests;
