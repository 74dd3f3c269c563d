//! Open sets of hardware numbers: a newtype with named constants, where an unknown number is still a value.

/// Declares a newtype over an integer, one row a known number: `NAME = value, "what it is";`.
/// A doubled value is an unreachable pattern and so fails the build.
macro_rules! numbers {
    (
        $(#[$doc:meta])*
        $type:ident($int:ty);
        $($name:ident = $value:literal, $text:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $type(pub $int);

        impl $type {
            $(#[doc = $text] pub const $name: Self = Self($value);)*

            /// Every number known here, with its name, in the order of the manual.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name))),*];

            /// The constant's name, if the number is known.
            #[must_use]
            #[deny(unreachable_patterns)]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What the number stands for, if it is known.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, concat!(stringify!($type), " {:#x}"), self.0),
                }
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($type), "({:#x}"), self.0)?;
                match self.name() {
                    Some(name) => write!(f, " {name})"),
                    None => f.write_str(")"),
                }
            }
        }
    };
}

/// Declares a newtype over an integer with one accessor a row: `name: bit N, "what";` or `name: HIGH..=LOW as type, "what";`.
macro_rules! layout {
    (
        $(#[$doc:meta])*
        $type:ident($int:ty);
        $($name:ident: $kind:ident $low:literal $(+ $width:literal as $out:ty)?, $text:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $type(pub $int);

        impl $type {
            $($crate::number::layout!(@row $name, $kind, $low $(, $width, $out)?, $text);)*
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(concat!(stringify!($type)))
                    .field("raw", &format_args!("{:#x}", self.0))
                    $(.field(stringify!($name), &self.$name()))*
                    .finish()
            }
        }
    };
    (@row $name:ident, bit, $low:literal, $text:literal) => {
        #[doc = $text]
        #[inline]
        #[must_use]
        pub const fn $name(self) -> bool {
            self.0 & (1 << $low) != 0
        }
    };
    (@row $name:ident, from, $low:literal, $width:literal, $out:ty, $text:literal) => {
        #[doc = $text]
        #[inline]
        #[must_use]
        pub const fn $name(self) -> $out {
            ((self.0 >> $low) & ((1 << $width) - 1)) as $out
        }
    };
}

pub(crate) use layout;
pub(crate) use numbers;
