//! Virtio over the PCI bus (VIRTIO 1.2 "Virtio Over PCI Bus"): the registers, all behind one base address register for
//! I/O ports, and the life of a device.

use super::queue::{Area, Chain, Queue};
use super::{Broken, Model};
use crate::device::clock::Clock;
use crate::device::pci::configuration::{Configuration, Identity, SUBSYSTEM, VIRTIO_VENDOR};
use crate::device::pci::{Function, all_ones};
use crate::memory::GuestRam;
use alloc::boxed::Box;
use alloc::vec::Vec;

mod capabilities;
mod registers;

/// Reserved feature bits ("Reserved Feature Bits").
const RING_INDIRECT_DESC: u64 = 1 << 28;
const VERSION_1: u64 = 1 << 32;

/// Bits of the device status ("Device Status Field").
mod status {
    pub(super) const DRIVER_OK: u8 = 4;
    pub(super) const FEATURES_OK: u8 = 8;
    pub(super) const NEEDS_RESET: u8 = 0x40;
    /// Those that a driver sets.
    pub(super) const DRIVERS: u8 = 0x8f;
}

/// Bits of the ISR status.
const ISR_QUEUE: u8 = 1;
const ISR_CONFIGURATION: u8 = 2;

/// How many bytes of requests are carried out before the guest runs again, and what a request counts at least.
const BYTES_AT_ONCE: u64 = 1 << 20;
const REQUEST_COST: u64 = 4096;
/// How often what is left then goes on, and how often a device is asked that was not ready, in hertz.
const RESUME_HZ: u64 = 20_000;
const POLL_HZ: u64 = 200;

/// A virtio device as a function of the PCI bus.
pub struct VirtioPci {
    model: Box<dyn Model>,
    configuration: Configuration,
    ram: GuestRam,
    clock: Clock,
    queues: Vec<Queue>,
    chain: Chain,
    status: u8,
    isr: u8,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u64,
    queue_select: u16,
    /// The queues that have more to do: bit n for queue n.
    unfinished: u32,
    /// When that goes on.
    resume: u64,
}

impl VirtioPci {
    /// This model's device, over this guest's RAM.
    #[must_use]
    pub fn new(model: Box<dyn Model>, ram: GuestRam, clock: Clock) -> Self {
        let mut configuration = Configuration::new(&Identity {
            vendor: VIRTIO_VENDOR,
            device: 0x1040 + model.id(),
            revision: 1,
            class: model.class(),
            subsystem: SUBSYSTEM,
        });
        capabilities::add(&mut configuration, model.configuration().len());
        let queues = (0..model.queues()).map(|_| Queue::new()).collect();
        Self {
            model,
            configuration,
            ram,
            clock,
            queues,
            chain: Chain::new(),
            status: 0,
            isr: 0,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            queue_select: 0,
            unfinished: 0,
            resume: 0,
        }
    }

    fn features(&self) -> u64 {
        self.model.features() | RING_INDIRECT_DESC | VERSION_1
    }

    /// "Driver Requirements: Device Status Field", "Device Requirements: Feature bits".
    fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let mut status = self.status | value & status::DRIVERS;
        let sound =
            self.driver_features & !self.features() == 0 && self.driver_features & VERSION_1 != 0;
        if self.status & status::FEATURES_OK == 0 && !sound {
            status &= !status::FEATURES_OK;
        }
        if status & status::FEATURES_OK == 0 {
            status &= !status::DRIVER_OK;
        }
        self.status = status;
    }

    fn reset(&mut self) {
        self.queues.fill_with(Queue::new);
        self.status = 0;
        self.device_feature_select = 0;
        self.driver_feature_select = 0;
        self.driver_features = 0;
        self.queue_select = 0;
        self.unfinished = 0;
        self.set_isr(0);
    }

    fn set_isr(&mut self, isr: u8) {
        self.isr = isr;
        self.configuration.set_interrupt(isr != 0);
    }

    /// Whether the driver lets the device touch memory.
    fn is_live(&self) -> bool {
        let state = self.status & (status::DRIVER_OK | status::NEEDS_RESET);
        state == status::DRIVER_OK && self.configuration.is_bus_master()
    }

    /// Carries out what is available in a virtqueue, as far as the time for it goes.
    fn notify(&mut self, index: u16) {
        let known = self.queues.get(usize::from(index));
        if self.unfinished >> (index % 32) & 1 != 0 && self.clock.now() < self.resume {
            return; // One instruction can notify hundreds of times.
        }
        if !self.is_live() || !known.is_some_and(|queue| queue.enabled) {
            return;
        }
        let served = self.serve(index.into());
        let interrupt = match served {
            Ok(false) => 0,
            Ok(true) => ISR_QUEUE,
            Err(Broken) => {
                self.status |= status::NEEDS_RESET;
                ISR_CONFIGURATION
            }
        };
        if interrupt != 0 {
            self.set_isr(self.isr | interrupt);
        }
    }

    /// Whether the driver wants to know of what was done.
    fn serve(&mut self, index: usize) -> Result<bool, Broken> {
        let indirect = self.driver_features & RING_INDIRECT_DESC != 0;
        let (queue, chain) = (&mut self.queues[index], &mut self.chain);
        let mut spent = 0;
        while queue.peek(&self.ram, indirect, chain)? {
            let again = match spent >= BYTES_AT_ONCE {
                true => Some(RESUME_HZ),
                false if self.model.is_ready(index) => None,
                false => Some(POLL_HZ),
            };
            if let Some(hz) = again {
                let tick = self.clock.ticks(hz).saturating_add(2);
                let at = self.clock.when(tick, hz);
                self.resume = match self.unfinished {
                    0 => at,
                    _ => self.resume.min(at),
                };
                self.unfinished |= 1 << index;
                break;
            }
            let written = self.model.serve(index, chain.request(&self.ram))?;
            queue.finish(&self.ram, chain, written)?;
            let cost = chain.bytes.saturating_mul(self.model.weight());
            spent += cost.min(BYTES_AT_ONCE) + REQUEST_COST;
        }
        Ok(spent > 0 && queue.wants_interrupt(&self.ram)?)
    }
}

impl Function for VirtioPci {
    fn configuration(&mut self) -> &mut Configuration {
        &mut self.configuration
    }

    fn read_configuration(&mut self, offset: u8, size: u8) -> u32 {
        self.before_read(offset);
        self.configuration.read(offset, size)
    }

    fn write_configuration(&mut self, offset: u8, size: u8, value: u32) {
        self.configuration.write(offset, size, value);
        self.after_write(offset);
    }

    fn read_port(&mut self, offset: u16, size: u8) -> u32 {
        match offset {
            _ if offset % 4 + u16::from(size) > 4 => all_ones(size),
            registers::ISR => {
                let isr = self.isr;
                self.set_isr(0);
                isr.into()
            }
            _ => self.register(offset & !3) >> (offset % 4 * 8) & all_ones(size),
        }
    }

    fn write_port(&mut self, offset: u16, size: u8, value: u32) {
        match (offset, size) {
            (registers::NOTIFY, 2 | 4) => self.notify(value as u16),
            _ => self.set_register(offset, size, value),
        }
    }

    fn deadline(&self) -> Option<u64> {
        (self.unfinished != 0).then_some(self.resume)
    }

    fn advance(&mut self) {
        if self.deadline().is_some_and(|at| at <= self.clock.now()) {
            let queues = core::mem::take(&mut self.unfinished);
            let indices = (0..self.queues.len() as u16).filter(|n| queues >> n & 1 != 0);
            indices.for_each(|index| self.notify(index));
        }
    }
}
