//! Statics of a machine with one CPU.

use core::cell::UnsafeCell;

/// A static that only this guest's one virtual CPU touches.
#[repr(transparent)]
pub struct Single<T>(UnsafeCell<T>);

// SAFETY: a test guest has one virtual CPU and no threads; an interrupt handler shares with the
// code that it interrupts only what `with` was not holding (see there).
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    /// A static with this first value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The address of the value.
    pub const fn get(&self) -> *mut T {
        self.0.get()
    }

    /// Lets `f` change the value. `f` does not enable interrupts, raise exceptions or come here again.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: one virtual CPU, and `f` runs to its end before anybody else comes here.
        f(unsafe { &mut *self.0.get() })
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
