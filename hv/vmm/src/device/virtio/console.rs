//! The console device (VIRTIO 1.2 "Console Device") with its one port and no optional feature.

use super::{Broken, Model, Request};
use crate::guest::console::Console;
use alloc::sync::Arc;

/// The virtqueues: what the guest reads, and what it writes.
const RECEIVE: usize = 0;
/// How much is copied at once.
const AT_ONCE: usize = 256;
/// The longest text in one request, in bytes. Drivers send a page or less, Linux' ports 32 KiB.
const LONGEST: u64 = 64 << 10;

/// The console device.
pub struct VirtioConsole {
    console: Arc<Console>,
    /// A byte that has come in, and that no buffer has taken yet.
    next: Option<u8>,
}

impl VirtioConsole {
    /// One on this console of the guest.
    #[must_use]
    pub fn new(console: Arc<Console>) -> Self {
        Self {
            console,
            next: None,
        }
    }

    fn receive(&mut self, mut request: Request<'_>) -> Result<u32, Broken> {
        let (mut count, room) = (0, request.writable.left());
        while u64::from(count) < room
            && let Some(byte) = self.next.take().or_else(|| self.console.read())
        {
            request.writable.write(&[byte])?;
            count += 1;
        }
        Ok(count)
    }

    fn transmit(&self, mut request: Request<'_>) -> Result<u32, Broken> {
        if request.readable.left() > LONGEST {
            return Err(Broken);
        }
        let mut bytes = [0; AT_ONCE];
        loop {
            let count = request.readable.left().min(AT_ONCE as u64) as usize;
            if count == 0 {
                return Ok(0);
            }
            request.readable.read(&mut bytes[..count])?;
            self.console.write(&bytes[..count]);
        }
    }
}

impl Model for VirtioConsole {
    fn id(&self) -> u16 {
        3
    }

    fn class(&self) -> u32 {
        0x07_8000
    }

    fn queues(&self) -> usize {
        2
    }

    fn weight(&self) -> u64 {
        // A character goes out through a port of the machine's UART.
        64
    }

    fn is_ready(&mut self, queue: usize) -> bool {
        if queue == RECEIVE && self.next.is_none() {
            self.next = self.console.read();
        }
        queue != RECEIVE || self.next.is_some()
    }

    fn serve(&mut self, queue: usize, request: Request<'_>) -> Result<u32, Broken> {
        match queue {
            RECEIVE => self.receive(request),
            _ => self.transmit(request),
        }
    }
}
