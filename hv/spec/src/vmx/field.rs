//! What a VMCS field is: its type, and what its encoding says.
//! SDM 3C "VMREAD, VMWRITE, and Encodings of VMCS Fields".

use core::fmt;
use core::marker::PhantomData;

/// Bits 14:13 of an encoding: the width of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 16 bits.
    Bits16,
    /// 64 bits.
    Bits64,
    /// 32 bits.
    Bits32,
    /// 64 bits on a processor with Intel 64.
    Natural,
}

/// Bits 11:10 of an encoding: the part of the VMCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// VM-execution, VM-exit and VM-entry control fields.
    Control,
    /// VM-exit information fields: read-only.
    ExitInformation,
    /// The guest-state area.
    GuestState,
    /// The host-state area.
    HostState,
}

/// The width of a natural-width field, whose value is a `u64`.
#[derive(Clone, Copy, Debug)]
pub enum Natural {}

/// The width of a field as a type: `u16`, `u32`, `u64` or [`Natural`].
pub trait FieldType {
    /// What is read and written.
    type Value: Copy;
    /// The width that belongs in the encoding.
    const WIDTH: Width;
    /// The value in what VMREAD gives.
    fn from_raw(raw: u64) -> Self::Value;
    /// What VMWRITE takes.
    fn to_raw(value: Self::Value) -> u64;
}

macro_rules! field_types {
    ($($type:ty: $value:ty = $width:ident;)*) => {$(
        impl FieldType for $type {
            type Value = $value;
            const WIDTH: Width = Width::$width;
            #[inline]
            fn from_raw(raw: u64) -> $value {
                raw as $value
            }
            #[inline]
            fn to_raw(value: $value) -> u64 {
                value as u64
            }
        }
    )*};
}

field_types! {
    u16: u16 = Bits16;
    u32: u32 = Bits32;
    u64: u64 = Bits64;
    Natural: u64 = Natural;
}

/// A VMCS field of width `T`.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field<T> {
    encoding: u32,
    width: PhantomData<fn() -> T>,
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T: FieldType> Field<T> {
    /// A constant of the table: an encoding whose width bits contradict the type fails the build.
    pub(super) const fn row(encoding: u32) -> Self {
        assert!(width(encoding) as u8 == T::WIDTH as u8);
        assert!(encoding & !0x6ffe == 0);
        Self {
            encoding,
            width: PhantomData,
        }
    }
}

impl<T> Field<T> {
    /// The encoding that VMREAD and VMWRITE take.
    #[inline]
    #[must_use]
    pub const fn encoding(self) -> u32 {
        self.encoding
    }

    /// The name of the field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match super::fields::name(self.encoding) {
            Some(name) => name,
            None => unreachable!(),
        }
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:#06x})", self.name(), self.encoding)
    }
}

/// The width that an encoding names.
#[inline]
#[must_use]
pub const fn width(encoding: u32) -> Width {
    match (encoding >> 13) & 3 {
        0 => Width::Bits16,
        1 => Width::Bits64,
        2 => Width::Bits32,
        _ => Width::Natural,
    }
}

/// The area that an encoding names.
#[inline]
#[must_use]
pub const fn area(encoding: u32) -> Area {
    match (encoding >> 10) & 3 {
        0 => Area::Control,
        1 => Area::ExitInformation,
        2 => Area::GuestState,
        _ => Area::HostState,
    }
}

/// Bits 9:1: the index of the field among those of its width and area.
#[inline]
#[must_use]
pub const fn index(encoding: u32) -> u32 {
    (encoding >> 1) & 0x1ff
}

/// Whether the encoding is of the high half of a 64-bit field.
#[inline]
#[must_use]
pub const fn is_high(encoding: u32) -> bool {
    encoding & 1 != 0
}

/// One field as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The encoding that VMREAD and VMWRITE take.
    pub encoding: u32,
    /// The name of the field.
    pub name: &'static str,
}
