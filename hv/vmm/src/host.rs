//! What all guests share: the machine, its free memory, our heap.

use crate::machine::Machine;
use crate::memory::table::{OutOfFrames, page_size};
use crate::memory::{Frames, Space};
use core::ops::Range;
use spin::Mutex;

/// The machine and its free memory.
pub struct Host {
    /// The machine.
    pub machine: &'static dyn Machine,
    /// Memory that nobody uses.
    pub frames: Mutex<Frames>,
    heap: Mutex<Heap>,
}

/// Our heap, as far as it is promised to nobody.
pub struct Heap {
    free: u64,
    grow: fn(Range<u64>),
}

impl Heap {
    /// A heap of which so many bytes can be promised, and what adds memory to it.
    #[must_use]
    pub const fn new(free: u64, grow: fn(Range<u64>)) -> Self {
        Self { free, grow }
    }
}

/// A part of our heap that a guest may fill. What guests were promised is there, so an allocation on
/// behalf of one cannot fail because of another.
pub struct Promise {
    host: &'static Host,
    bytes: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.host.heap.lock().free += self.bytes;
    }
}

impl Host {
    /// The machine with this much memory that nobody uses.
    #[must_use]
    pub fn new(machine: &'static dyn Machine, frames: Frames, heap: Heap) -> Self {
        Self {
            machine,
            frames: Mutex::new(frames),
            heap: Mutex::new(heap),
        }
    }

    /// A new guest-physical space with `size` bytes of RAM.
    pub fn new_space(&'static self, size: u64) -> Result<Space, OutOfFrames> {
        Space::new(
            self.machine.memory(),
            &self.frames,
            self.machine.capabilities(),
            size,
        )
    }

    /// Promises so much of the heap, which grows where it has less to promise.
    pub fn promise(&'static self, bytes: u64) -> Result<Promise, OutOfFrames> {
        let mut heap = self.heap.lock();
        if let Some(missing) = bytes.checked_sub(heap.free).filter(|&missing| missing > 0) {
            let size = missing
                .checked_next_multiple_of(page_size(2))
                .ok_or(OutOfFrames)?;
            let start = self.frames.lock().allocate(size, page_size(2));
            let start = start.ok_or(OutOfFrames)?;
            (heap.grow)(start..start + size);
            heap.free += size;
        }
        heap.free -= bytes;
        Ok(Promise { host: self, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::FakeMachine;
    use std::sync::Mutex as StdMutex;

    static GROWN: StdMutex<std::vec::Vec<Range<u64>>> = StdMutex::new(std::vec::Vec::new());

    #[test]
    fn the_heap_grows_by_what_was_promised() {
        let mut frames = Frames::new();
        frames.add(0x10_0000..0x80_0000);
        let heap = Heap::new(1000, |range| GROWN.lock().unwrap().push(range));
        let machine = FakeMachine::leak();
        let host: &'static Host =
            std::boxed::Box::leak(std::boxed::Box::new(Host::new(machine, frames, heap)));
        let first = host.promise(900).ok().unwrap();
        assert!(GROWN.lock().unwrap().is_empty());
        let _second = host.promise(0x20_0001).ok().unwrap();
        assert_eq!(
            GROWN.lock().unwrap().as_slice(),
            core::slice::from_ref(&(0x20_0000..0x40_0000))
        );
        assert!(host.promise(0x1000_0000).is_err() && host.promise(u64::MAX).is_err());
        drop(first);
        assert!(host.promise(900).is_ok());
    }
}
