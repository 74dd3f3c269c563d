//! The entropy device (VIRTIO 1.2 "Entropy Device"). Its numbers come from a generator that is seeded with the times of
//! the requests: good for a guest that waits for some, not for keys.

use super::{Broken, Model, Request};
use crate::device::clock::Clock;

/// How much of a request is filled.
const AT_ONCE: usize = 256;

/// The entropy device.
pub struct Entropy {
    clock: Clock,
    random: fastrand::Rng,
}

impl Entropy {
    /// One that counts on this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            random: fastrand::Rng::with_seed(clock.now()),
        }
    }
}

impl Model for Entropy {
    fn id(&self) -> u16 {
        4
    }

    fn class(&self) -> u32 {
        0xff_0000
    }

    fn queues(&self) -> usize {
        1
    }

    fn serve(&mut self, _queue: usize, mut request: Request<'_>) -> Result<u32, Broken> {
        self.random.seed(self.random.get_seed() ^ self.clock.now());
        let mut bytes = [0; AT_ONCE];
        let count = request.writable.left().min(AT_ONCE as u64) as usize;
        if count == 0 {
            return Err(Broken);
        }
        self.random.fill(&mut bytes[..count]);
        request.writable.write(&bytes[..count])?;
        Ok(count as u32)
    }
}
