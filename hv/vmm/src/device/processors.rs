//! What reaches a guest's virtual CPUs from outside them: interrupts, NMI, INIT, SIPI, and the word to stop. Each
//! has a letter box that any other may fill at any time; the virtual CPU empties it before VM entry.

use crate::machine::Machine;
use alloc::boxed::Box;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use spec::apic::{BROADCAST_X2APIC, BROADCAST_XAPIC, DeliveryMode};

/// Who a message is for (SDM 3A "Determining IPI Destination").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The APIC with this ID; the broadcast ID of the sender's mode is [`Destination::All`].
    Physical(u32),
    /// The APICs whose logical ID matches: 8 bits from an xAPIC or an I/O APIC.
    Logical(u8),
    /// The APICs whose logical x2APIC ID matches.
    Cluster(u32),
    /// All, the sender too.
    All,
    /// All but the sender, which has this ID.
    Others(u32),
}

/// A message on the APICs' bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who it is for.
    pub destination: Destination,
    /// What it does there.
    pub mode: DeliveryMode,
    /// The vector.
    pub vector: u8,
    /// It is level triggered: its EOI goes to the I/O APICs.
    pub level: bool,
}

/// What a local APIC answers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The logical destination register.
    pub logical: u32,
    /// It is in x2APIC mode.
    pub x2apic: bool,
    /// In xAPIC mode: the cluster model, not the flat one.
    pub cluster: bool,
    /// It is enabled by IA32_APIC_BASE.
    pub enabled: bool,
    /// It is enabled by software too: else it accepts no interrupts, but NMI, INIT and startup IPIs.
    pub accepts: bool,
    /// The class of its processor's priority, for lowest-priority delivery.
    pub priority: u8,
}

/// What has come for one virtual CPU besides interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// NMIs: none, one, or two, which is as many as a processor tells apart.
    pub nmis: u8,
    /// An INIT.
    pub init: bool,
    /// A startup IPI with this vector, after the INIT if both came.
    pub startup: Option<u8>,
}

/// Bits of [`Processor::mail`] after those of the request words.
const SIGNALLED: u32 = 1 << 8;
const WOKEN: u32 = 1 << 9;

const NMI: u32 = 1 << 8;
const INIT: u32 = 1 << 9;
const STARTUP: u32 = 1 << 10;
const SECOND_NMI: u32 = 1 << 11;

/// One virtual CPU as others see it.
#[derive(Default)]
struct Processor {
    /// What is in the box: bit n for request word n, [`SIGNALLED`], [`WOKEN`].
    mail: AtomicU32,
    /// Requested vectors: bit `n % 32` of word `n / 32`; and those of them that are level triggered.
    requests: [AtomicU32; 8],
    levels: [AtomicU32; 8],
    /// NMI, INIT, STARTUP; the startup IPI's vector in bits 7:0.
    signals: AtomicU32,
    /// An [`Address`], packed.
    address: AtomicU64,
    /// The physical CPU that it belongs to.
    home: AtomicUsize,
    /// It executes nothing, and only an NMI, INIT or SIPI from another would change that.
    parked: AtomicBool,
}

/// The virtual CPUs of a guest; the index of one is its APIC ID.
pub struct Processors {
    machine: &'static dyn Machine,
    list: Box<[Processor]>,
    stopped: AtomicBool,
    /// How often one that was parked was not any longer.
    unparked: AtomicU32,
    /// The TSC at which virtual CPU 0 is to look after the devices; `u64::MAX` for never.
    alarm: AtomicU64,
}

impl Processors {
    /// So many.
    #[must_use]
    pub fn new(machine: &'static dyn Machine, count: usize) -> Self {
        Self {
            machine,
            list: (0..count).map(|_| Processor::default()).collect(),
            stopped: AtomicBool::new(false),
            unparked: AtomicU32::new(0),
            alarm: AtomicU64::new(u64::MAX),
        }
    }

    /// The TSC at which virtual CPU 0 is to look after the devices.
    #[must_use]
    pub fn alarm(&self) -> Option<u64> {
        Some(self.alarm.load(Relaxed)).filter(|&at| at != u64::MAX)
    }

    /// Changes it.
    pub fn set_alarm(&self, at: Option<u64>) {
        self.alarm.store(at.unwrap_or(u64::MAX), Relaxed);
        self.wake(0);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Says which physical CPU a virtual one belongs to.
    pub fn set_home(&self, index: usize, cpu: usize) {
        self.list[index].home.store(cpu, Relaxed);
    }

    /// Says what a virtual CPU's APIC answers to.
    pub fn set_address(&self, index: usize, address: Address) {
        self.list[index].address.store(address.pack(), Relaxed);
    }

    /// Whether something has come for this virtual CPU, or all are to stop.
    #[inline]
    #[must_use]
    pub fn has_mail(&self, index: usize) -> bool {
        self.list[index].mail.load(Acquire) != 0
    }

    /// Whether all are to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Acquire)
    }

    /// Has all of them stop.
    pub fn stop(&self) {
        self.stopped.store(true, Release);
        (0..self.list.len()).for_each(|index| self.wake(index));
    }

    /// Says that a virtual CPU executes nothing until another sends it an NMI, INIT or SIPI, or that it may go on.
    /// One that was parked says the latter before it empties its box.
    pub fn set_parked(&self, index: usize, parked: bool) {
        let was = self.list[index].parked.swap(parked, SeqCst);
        if was && !parked {
            self.unparked.fetch_add(1, SeqCst);
        }
    }

    /// Whether none executes anything any more, nor ever will by what another sends.
    ///
    /// If nobody goes on while we look, then all that were seen parked are so together, and what the last of them
    /// sent is still in a box.
    #[must_use]
    pub fn are_all_parked(&self) -> bool {
        let before = self.unparked.load(SeqCst);
        self.list.iter().all(|p| p.parked.load(SeqCst))
            && self.list.iter().all(|p| p.mail.load(SeqCst) == 0)
            && self.unparked.load(SeqCst) == before
    }

    /// Empties the box: tells each requested vector and whether it is level triggered, and returns the rest.
    #[must_use]
    pub fn take(&self, index: usize, mut request: impl FnMut(u8, bool)) -> Signals {
        let processor = &self.list[index];
        let mail = processor.mail.swap(0, AcqRel);
        let mut words = mail & 0xff;
        while words != 0 {
            let word = words.trailing_zeros();
            words &= words - 1;
            processor.take_word(word as usize, &mut request);
        }
        let signals = match mail & SIGNALLED {
            0 => 0,
            _ => processor.signals.swap(0, AcqRel),
        };
        Signals {
            nmis: u8::from(signals & NMI != 0) + u8::from(signals & SECOND_NMI != 0),
            init: signals & INIT != 0,
            startup: (signals & STARTUP != 0).then_some(signals as u8),
        }
    }

    /// Has this virtual CPU look at all that its VM entry depends on.
    pub fn wake(&self, index: usize) {
        self.notify(index, WOKEN);
    }

    fn notify(&self, index: usize, mail: u32) {
        let processor = &self.list[index];
        if processor.mail.fetch_or(mail, AcqRel) == 0 {
            let home = processor.home.load(Relaxed);
            if home != self.machine.cpu() {
                self.machine.wake(home);
            }
        }
    }

    /// Delivers a message to all that it is for. False if nobody accepts it.
    pub fn send(&self, message: Message) -> bool {
        let matching = |index: &usize| self.is_for(message, *index);
        if let Destination::Physical(id) = message.destination {
            let one = Some(id as usize).filter(|index| *index < self.list.len() && matching(index));
            return one.map(|index| self.post(index, message)).is_some();
        }
        let all = (0..self.list.len()).filter(matching);
        if message.mode == DeliveryMode::LOWEST_PRIORITY {
            let chosen = all.min_by_key(|&index| self.address(index).priority);
            return chosen.map(|index| self.post(index, message)).is_some();
        }
        let mut found = false;
        all.for_each(|index| {
            self.post(index, message);
            found = true;
        });
        found
    }

    /// Delivers a message to one virtual CPU, whatever its destination says.
    pub fn post(&self, index: usize, message: Message) {
        let processor = &self.list[index];
        let (word, bit) = (usize::from(message.vector / 32), 1 << (message.vector % 32));
        match message.mode {
            DeliveryMode::FIXED | DeliveryMode::LOWEST_PRIORITY => {
                if message.level {
                    processor.levels[word].fetch_or(bit, AcqRel);
                }
                processor.requests[word].fetch_or(bit, AcqRel);
                return self.notify(index, 1 << word);
            }
            DeliveryMode::NMI => {
                if processor.signals.fetch_or(NMI, AcqRel) & NMI != 0 {
                    processor.signals.fetch_or(SECOND_NMI, AcqRel);
                }
            }
            // A startup IPI that came before the INIT is lost.
            DeliveryMode::INIT => {
                let _ = processor
                    .signals
                    .fetch_update(AcqRel, Acquire, |old| Some(old & !(STARTUP | 0xff) | INIT));
            }
            // Only the first one counts.
            DeliveryMode::STARTUP => {
                let first = |old: u32| {
                    (old & STARTUP == 0).then_some(old | STARTUP | u32::from(message.vector))
                };
                let _ = processor.signals.fetch_update(AcqRel, Acquire, first);
            }
            _ => return,
        }
        self.notify(index, SIGNALLED);
    }

    fn address(&self, index: usize) -> Address {
        Address::unpack(self.list[index].address.load(Relaxed))
    }

    fn is_for(&self, message: Message, index: usize) -> bool {
        let address = self.address(index);
        if !address.enabled || message.mode.has_vector() && !address.accepts {
            return false;
        }
        match message.destination {
            Destination::All => true,
            Destination::Others(id) => id as usize != index,
            Destination::Physical(id) => id as usize == index,
            Destination::Logical(to) => address.answers_to(to),
            Destination::Cluster(to) => address.answers_to_cluster(to),
        }
    }
}

impl Processor {
    /// A level is set before its request, and taken after it.
    #[inline]
    fn take_word(&self, word: usize, request: &mut impl FnMut(u8, bool)) {
        let mut requests = self.requests[word].swap(0, AcqRel);
        let levels = match self.levels[word].load(Acquire) & requests {
            0 => 0,
            _ => self.levels[word].fetch_and(!requests, AcqRel),
        };
        while requests != 0 {
            let bit = requests.trailing_zeros();
            requests &= requests - 1;
            request((32 * word as u32 + bit) as u8, levels >> bit & 1 != 0);
        }
    }
}

impl Address {
    fn pack(self) -> u64 {
        u64::from(self.logical)
            | u64::from(self.priority) << 32
            | u64::from(self.x2apic) << 40
            | u64::from(self.cluster) << 41
            | u64::from(self.enabled) << 42
            | u64::from(self.accepts) << 43
    }

    fn unpack(word: u64) -> Self {
        Self {
            logical: word as u32,
            priority: (word >> 32) as u8,
            x2apic: word >> 40 & 1 != 0,
            cluster: word >> 41 & 1 != 0,
            enabled: word >> 42 & 1 != 0,
            accepts: word >> 43 & 1 != 0,
        }
    }

    /// SDM 3A "Logical Destination Mode": flat and cluster model, and in x2APIC mode the cluster and the bit that
    /// fit into 8 bits.
    fn answers_to(self, to: u8) -> bool {
        let own = (self.logical >> 24) as u8;
        match (self.x2apic, self.cluster) {
            _ if to == BROADCAST_XAPIC => true,
            (true, _) => self.logical >> 16 == 0 && self.logical & u32::from(to) != 0,
            (false, false) => to & own != 0,
            (false, true) => to >> 4 == own >> 4 && to & own & 0xf != 0,
        }
    }

    /// SDM 3A "Logical Destination Mode in x2APIC Mode".
    fn answers_to_cluster(self, to: u32) -> bool {
        let own = self.logical;
        to == BROADCAST_X2APIC || self.x2apic && to >> 16 == own >> 16 && to & own & 0xffff != 0
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Processors, Signals};

    /// All that has come for one virtual CPU.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Mail {
        /// Requested vectors: bit `n % 32` of word `n / 32`.
        pub(crate) requests: [u32; 8],
        /// Those of them that are level triggered.
        pub(crate) levels: [u32; 8],
        pub(crate) nmis: u8,
        pub(crate) init: bool,
        pub(crate) startup: Option<u8>,
    }

    impl Processors {
        /// Empties the box at once.
        pub(crate) fn take_all(&self, index: usize) -> Mail {
            let mut mail = Mail::default();
            let Signals {
                nmis,
                init,
                startup,
            } = self.take(index, |vector, level| {
                let (word, bit) = (usize::from(vector / 32), vector % 32);
                mail.requests[word] |= 1 << bit;
                mail.levels[word] |= u32::from(level) << bit;
            });
            Mail {
                nmis,
                init,
                startup,
                ..mail
            }
        }
    }
}
