//! Statics of a machine with one CPU.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A static value that is read and replaced as a whole, by this guest's one virtual CPU.
#[repr(transparent)]
pub struct Single<T>(UnsafeCell<T>);

// SAFETY: a test guest has one virtual CPU and no threads, and there are no references to the value: it
// is copied in and out. What an interrupt handler shares with the code that it interrupts is a word or a flag.
unsafe impl<T: Send> Sync for Single<T> {}

impl<T> Single<T> {
    /// A static with this first value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The address of the value.
    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}

impl<T: Copy> Single<T> {
    /// The value, read anew at every call: an interrupt handler may have changed it.
    pub fn load(&self) -> T {
        // SAFETY: the cell is valid, and nothing writes it during this read (one virtual CPU).
        unsafe { self.0.get().read_volatile() }
    }

    /// Replaces the value, at once: the code that was interrupted sees it.
    pub fn store(&self, value: T) {
        // SAFETY: as for `load`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A static value that is changed in place, by one at a time.
pub struct Exclusive<T> {
    value: UnsafeCell<T>,
    busy: AtomicBool,
}

// SAFETY: `with` gives out one reference at a time.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    /// A static with this first value.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            busy: AtomicBool::new(false),
        }
    }

    /// The address of the value.
    pub const fn get(&self) -> *mut T {
        self.value.get()
    }

    /// Lets `f` change the value.
    ///
    /// # Panics
    /// If it is being changed already: by the code that was interrupted, or by the caller.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let busy = self.busy.swap(true, Ordering::Acquire);
        assert!(!busy, "a static is changed while it is being changed");
        // SAFETY: nobody else has a reference before the flag is clear again.
        let result = f(unsafe { &mut *self.value.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}
