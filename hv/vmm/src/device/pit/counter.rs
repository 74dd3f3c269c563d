//! One counter of an 8254 (Intel 8254 data sheet "Mode Definitions"). Its time is the number of CLK pulses so far.

/// How a counter is read and written (RW of the control word).
mod access {
    pub(super) const LOW: u8 = 1;
    pub(super) const HIGH: u8 = 2;
    pub(super) const BOTH: u8 = 3;
}

/// The bits of the control word that a counter keeps: RW, mode, BCD.
const KEPT: u8 = 0x3f;
/// Modes 2 and 3 with shorter periods than this are looked at once in so many pulses (25 us): there is no guest
/// that can take interrupts faster, and it would do nothing else.
const SHORTEST: u64 = 30;

/// The counting element, once it is loaded.
#[derive(Clone, Copy, Debug)]
struct Element {
    /// The count that it was loaded with.
    count: u32,
    /// When that was.
    start: u64,
    /// How far it had come when GATE stopped it.
    stopped: Option<u64>,
}

/// A counter.
#[derive(Debug)]
pub(super) struct Counter {
    /// The control word.
    control: u8,
    gate: bool,
    /// The count register, as it was written.
    register: u16,
    /// The low byte of a count whose high byte is still to come.
    low: Option<u8>,
    /// A count was written since the control word.
    written: bool,
    /// The count register was not loaded since it was written.
    null: bool,
    /// When the count register is loaded into the counting element.
    load: Option<u64>,
    element: Option<Element>,
    /// What the counting element holds while there is none.
    held: u16,
    latch: Option<u16>,
    status: Option<u8>,
    /// The next byte read is the high one.
    reads_high: bool,
}

impl Counter {
    /// A counter that nobody has programmed yet.
    pub(super) fn new(gate: bool) -> Self {
        Self {
            control: access::BOTH << 4,
            gate,
            register: 0,
            low: None,
            written: false,
            null: true,
            load: None,
            element: None,
            held: 0,
            latch: None,
            status: None,
            reads_high: false,
        }
    }

    /// The mode, 0 to 5; the upper bit of 2 and 3 is "don't care".
    pub(super) fn mode(&self) -> u8 {
        match self.control >> 1 & 7 {
            mode @ 6.. => mode - 4,
            mode => mode,
        }
    }

    fn is_periodic(&self) -> bool {
        matches!(self.mode(), 2 | 3)
    }

    fn access(&self) -> u8 {
        self.control >> 4 & 3
    }

    fn modulus(&self) -> u32 {
        match self.control & 1 {
            0 => 0x1_0000,
            _ => 10_000,
        }
    }

    /// The count in the count register; 0 is the largest.
    fn count(&self) -> u32 {
        let digits = u32::from(self.register);
        let count = match self.control & 1 {
            0 => digits,
            _ => (0..4)
                .rev()
                .fold(0, |n, digit| n * 10 + (digits >> (4 * digit) & 0xf)),
        };
        if count == 0 { self.modulus() } else { count }
    }

    /// Programs it ("Control Word Format").
    pub(super) fn program(&mut self, control: u8, now: u64) {
        self.stop(now);
        *self = Self {
            control: control & KEPT,
            held: self.held,
            ..Self::new(self.gate)
        };
    }

    /// The counter latch command.
    pub(super) fn latch(&mut self, now: u64) {
        if self.latch.is_none() {
            self.latch = Some(self.value(now));
        }
    }

    /// Latches the status byte ("Read-Back Command").
    pub(super) fn latch_status(&mut self, now: u64) {
        self.settle(now);
        let status = u8::from(self.out(now)) << 7 | u8::from(self.null) << 6 | self.control & KEPT;
        self.status.get_or_insert(status);
    }

    /// Reads a byte: of the status or the count if they are latched, else of the count as it is.
    pub(super) fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latch.unwrap_or_else(|| self.value(now)).to_le_bytes();
        if self.access() == access::BOTH {
            self.reads_high = !self.reads_high;
            if self.reads_high {
                return low;
            }
        }
        self.latch = None;
        if self.access() == access::LOW {
            low
        } else {
            high
        }
    }

    /// Writes a byte of the count.
    pub(super) fn write(&mut self, byte: u8, now: u64) {
        self.settle(now);
        if self.mode() == 0 {
            self.stop(now);
            self.load = None;
        }
        self.register = match self.access() {
            access::LOW => byte.into(),
            access::HIGH => u16::from(byte) << 8,
            _ => match self.low.take() {
                Some(low) => u16::from_le_bytes([low, byte]),
                None => return self.low = Some(byte),
            },
        };
        self.written = true;
        self.null = true;
        if !matches!(self.mode(), 1 | 5) {
            self.load = self.load.or(Some(self.next_load(now)));
        }
    }

    /// When a count that is written now is loaded: with the next pulse, but modes 2 and 3 end their (half) period.
    fn next_load(&self, now: u64) -> u64 {
        let Some(element) = self.element.filter(|element| element.stopped.is_none()) else {
            return now + 1;
        };
        let (period, elapsed) = (u64::from(element.count), now.wrapping_sub(element.start));
        let high = element.high();
        match (self.mode(), elapsed % period) {
            (3, phase) if phase < high => now + (high - phase),
            (2 | 3, phase) => now + (period - phase),
            _ => now + 1,
        }
    }

    /// Sets GATE ("Gate Pin Operations Summary").
    pub(super) fn set_gate(&mut self, gate: bool, now: u64) {
        self.settle(now);
        if self.gate == gate {
            return;
        }
        self.gate = gate;
        let is_trigger = matches!(self.mode(), 1 | 2 | 3 | 5);
        if gate && is_trigger && self.written {
            if self.is_periodic() {
                self.stop(now);
            }
            self.load = Some(now + 1);
        } else if !matches!(self.mode(), 1 | 5)
            && let Some(element) = &mut self.element
        {
            match element.stopped.take() {
                Some(elapsed) => element.start = now.wrapping_sub(elapsed),
                None => element.stopped = Some(now.wrapping_sub(element.start)),
            }
        }
    }

    /// Ends the counting: the counting element keeps what it holds.
    fn stop(&mut self, now: u64) {
        self.held = self.value(now);
        self.element = None;
    }

    /// Loads the counting element if that was due.
    pub(super) fn settle(&mut self, now: u64) {
        let Some(at) = self.load.filter(|&at| at <= now) else {
            return;
        };
        let count = self.count();
        // What was written in the high half of mode 3 begins with its low half.
        let was_high = self.element.is_some() && self.mode() == 3 && self.level(at - 1);
        let mut element = Element {
            count,
            start: at,
            stopped: (!self.gate && !matches!(self.mode(), 1 | 5)).then_some(0),
        };
        if was_high {
            element.start = at.wrapping_sub(element.high());
        }
        self.element = Some(element);
        self.load = None;
        self.null = false;
    }

    /// The level of OUT.
    pub(super) fn out(&mut self, now: u64) -> bool {
        self.settle(now);
        self.level(now)
    }

    fn level(&self, now: u64) -> bool {
        let Some(element) = self.element else {
            return self.mode() != 0;
        };
        let (count, elapsed) = (u64::from(element.count), element.elapsed(now));
        match self.mode() {
            0 | 1 => elapsed >= count,
            _ if self.is_periodic() && (!self.gate || count == 1) => true,
            2 => elapsed % count != count - 1,
            3 => elapsed % count < element.high(),
            _ => elapsed != count,
        }
    }

    /// What the counting element holds.
    fn value(&mut self, now: u64) -> u16 {
        self.settle(now);
        let Some(element) = self.element else {
            return self.held;
        };
        let (count, elapsed) = (u64::from(element.count), element.elapsed(now));
        let modulus = u64::from(self.modulus());
        let value = match self.mode() {
            2 => count - elapsed % count,
            3 => {
                let (phase, high) = (elapsed % count, element.high());
                (count & !1) - 2 * if phase < high { phase } else { phase - high }
            }
            _ => count + modulus - elapsed % modulus,
        };
        self.digits((value % modulus) as u16)
    }

    /// The count as it is read.
    fn digits(&self, value: u16) -> u16 {
        match self.control & 1 {
            0 => value,
            _ => (0..4).fold(0, |bcd, digit| {
                bcd | (value / 10u16.pow(digit) % 10) << (4 * digit)
            }),
        }
    }

    /// When OUT next goes high after `now`, GATE being high: the ends of modes 0 and 4, and of the periods of 2 and
    /// 3.
    pub(super) fn next_rise(&self, now: u64) -> Option<u64> {
        let mode = self.mode();
        let once = |start: u64, count: u32| match mode {
            0 | 2 | 3 => Some(start + u64::from(count)),
            4 => Some(start + u64::from(count) + 1),
            _ => None,
        };
        match (self.load, self.element) {
            _ if self.is_periodic() && self.count() == 1 => None,
            (Some(at), Some(_)) if mode == 3 && self.level(at - 1) => {
                Some(at + u64::from(self.count() / 2))
            }
            (Some(at), Some(_)) if self.is_periodic() => Some(at),
            (Some(at), _) => once(at, self.count()),
            (None, Some(element)) if self.is_periodic() => {
                let period = u64::from(element.count);
                let phase = element.elapsed(now) % period;
                Some(now + period * (1 + SHORTEST / period) - phase)
            }
            (None, Some(element)) => once(element.start, element.count).filter(|&at| at > now),
            (None, None) => None,
        }
    }
}

impl Element {
    fn elapsed(&self, now: u64) -> u64 {
        self.stopped.unwrap_or(now.wrapping_sub(self.start))
    }

    /// How long OUT is high in a period of mode 3.
    fn high(&self) -> u64 {
        u64::from(self.count).div_ceil(2)
    }
}
