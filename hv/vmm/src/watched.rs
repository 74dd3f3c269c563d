//! A value whose changes are noticed.

use core::ops::{Deref, DerefMut};

/// A value that remembers whether anybody could have changed it, so that what follows from it need
/// not be worked out again and again.
#[derive(Debug)]
pub struct Watched<T> {
    value: T,
    touched: bool,
}

impl<T> Watched<T> {
    /// A value that nobody has looked at.
    pub const fn new(value: T) -> Self {
        Self {
            value,
            touched: true,
        }
    }

    /// Whether it may have changed since [`Self::settle`].
    #[inline]
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Behaves as if it had changed.
    #[inline]
    pub const fn touch(&mut self) {
        self.touched = true;
    }

    /// The value, for a change that nothing follows from.
    #[inline]
    pub const fn quietly(&mut self) -> &mut T {
        &mut self.value
    }

    /// All that follows from it has been worked out.
    #[inline]
    pub const fn settle(&mut self) {
        self.touched = false;
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Watched<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.touched = true;
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_noticed_and_looks_are_not() {
        let mut value = Watched::new(1);
        assert!(value.is_touched());
        value.settle();
        *value.quietly() += 1;
        assert!(*value == 2 && !value.is_touched());
        *value = 3;
        assert!(value.is_touched());
    }
}
