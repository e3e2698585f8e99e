//! How values are written: the basic ones, and the two macros that describe structs and enums.
//!
//! Basic values are written as in the postcard format: whole numbers as little-endian varints (signed ones in zigzag),
//! a length before texts and lists, a byte before what may be absent. A struct is its fields in the order of their
//! numbers; an enum is the number of its variant, and the variant's fields.
//!
//! # How a value grows
//! - An enum: a new variant with a new number.
//! - A struct: a new field with a higher number, behind the word `optional`. In records of version 4 and later a struct
//!   begins with a mask in which each optional field that is there has its bit; a field that is not there has its
//!   default. So a record without the new field stays what it was, and no new version is needed. Structs that are
//!   described as `plain` have no mask and never grow: they are small, and many.
//!
//! A reader that meets a bit or a variant that it does not know refuses it by name. Older versions have no masks, and
//! fewer fields: `since` names the version in which a field came, and what it is in older records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Error;

/// The first version in whose records structs begin with a mask of optional fields.
const MASKED: u8 = 4;

/// Where bytes go.
pub trait Sink {
    /// Whether structs begin with the mask of their optional fields, as records do. A hash is taken without: an
    /// optional field that came later changes the hash only of values that have it.
    const MASKED: bool;

    /// Adds a byte.
    fn push(&mut self, byte: u8);

    /// Adds bytes.
    fn extend(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    const MASKED: bool = true;

    #[inline]
    fn push(&mut self, byte: u8) {
        Vec::push(self, byte);
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The bytes of a record that are yet to be read, and its version.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    version: u8,
    /// Whether what may not be within its own kind has begun.
    entered: bool,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which were written in `version`.
    #[must_use]
    #[inline]
    pub fn new(version: u8, bytes: &'a [u8]) -> Self {
        Self { bytes, version, entered: false }
    }

    /// The version of the record.
    #[must_use]
    #[inline]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Whether everything is read.
    ///
    /// # Errors
    /// [`Error::Trailing`] if not.
    #[inline]
    pub fn end(&self) -> Result<(), Error> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Error::Trailing) }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Error> {
        let (&byte, rest) = self.bytes.split_first().ok_or(Error::Malformed)?;
        self.bytes = rest;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Error::Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Takes note that a value begins which no record has twice.
    ///
    /// # Errors
    /// When one has begun before.
    pub fn enter_once(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.entered, true) { Err(Error::Malformed) } else { Ok(()) }
    }

    /// The number of an enum's variant.
    ///
    /// # Errors
    /// When there is none.
    #[inline]
    pub fn variant(&mut self) -> Result<u32, Error> {
        u32::read(self)
    }

    /// The mask of a struct's optional fields; `known` are the bits of those that this program knows.
    ///
    /// # Errors
    /// [`Error::UnknownField`] for others.
    #[inline]
    pub fn mask(&mut self, known: u64, of: &'static str) -> Result<u64, Error> {
        if self.version < MASKED {
            return Ok(0);
        }
        let mask = u64::read(self)?;
        match mask & !known {
            0 => Ok(mask),
            unknown => Err(Error::UnknownField { of, number: unknown.trailing_zeros() }),
        }
    }

    fn length(&mut self) -> Result<usize, Error> {
        let length = usize::read(self)?;
        // Nothing is shorter than a byte.
        if length > self.bytes.len() { Err(Error::Malformed) } else { Ok(length) }
    }
}

/// What has a form in bytes.
pub trait Wire: Sized {
    /// Appends the bytes.
    fn write<S: Sink>(&self, out: &mut S);

    /// Reads the value.
    ///
    /// # Errors
    /// When the bytes are not one, or hold something that this program does not know.
    fn read(from: &mut Reader<'_>) -> Result<Self, Error>;
}

macro_rules! unsigned {
    ($($number:ty),+) => { $(
        impl Wire for $number {
            #[inline]
            fn write<S: Sink>(&self, out: &mut S) {
                let mut rest = *self;
                while rest >= 0x80 {
                    out.push((rest as u8) | 0x80);
                    rest >>= 7;
                }
                out.push(rest as u8);
            }

            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
                let first = from.byte()?;
                if first < 0x80 {
                    return Ok(Self::from(first));
                }
                let mut number = Self::from(first & 0x7f);
                let mut shift = 7;
                loop {
                    let byte = from.byte()?;
                    let part = Self::from(byte & 0x7f);
                    // What does not fit is not a number of this size.
                    if shift >= Self::BITS || (part << shift) >> shift != part {
                        return Err(Error::Malformed);
                    }
                    number |= part << shift;
                    if byte < 0x80 {
                        return Ok(number);
                    }
                    shift += 7;
                }
            }
        }
    )+ };
}
unsigned!(u16, u32, u64, u128);

impl Wire for usize {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        (*self as u64).write(out);
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        Self::try_from(u64::read(from)?).map_err(|_| Error::Malformed)
    }
}

impl Wire for i128 {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        let zigzag = ((*self << 1) ^ (*self >> 127)) as u128;
        match u64::try_from(zigzag) {
            Ok(short) => short.write(out),
            Err(_) => zigzag.write(out),
        }
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let zigzag = u128::read(from)?;
        Ok((zigzag >> 1) as Self ^ -((zigzag & 1) as Self))
    }
}

impl Wire for u8 {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        out.push(*self);
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        from.byte()
    }
}

impl Wire for bool {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Malformed),
        }
    }
}

impl Wire for () {
    fn write<S: Sink>(&self, _: &mut S) {}

    fn read(_: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(())
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn write<S: Sink>(&self, out: &mut S) {
        out.extend(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        from.take(N)?.try_into().map_err(|_| Error::Malformed)
    }
}

/// Appends a text.
#[inline]
pub(super) fn write_text<S: Sink>(text: &str, out: &mut S) {
    text.len().write(out);
    out.extend(text.as_bytes());
}

/// Reads a text.
#[inline]
pub(super) fn read_text<'a>(from: &mut Reader<'a>) -> Result<&'a str, Error> {
    let length = from.length()?;
    std::str::from_utf8(from.take(length)?).map_err(|_| Error::Malformed)
}

impl Wire for String {
    fn write<S: Sink>(&self, out: &mut S) {
        write_text(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        read_text(from).map(str::to_owned)
    }
}

impl<T: Wire> Wire for Option<T> {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.byte()? {
            0 => Ok(None),
            1 => T::read(from).map(Some),
            _ => Err(Error::Malformed),
        }
    }
}

impl<T: Wire> Wire for Box<T> {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        T::write(self, out);
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        T::read(from).map(Self::new)
    }
}

/// The most memory that a list takes before its entries are there: its length may be a lie.
const RESERVED_MAX: usize = 1 << 20;

#[inline]
fn room_for<T>(length: usize) -> usize {
    length.min(RESERVED_MAX / size_of::<T>().max(1))
}

/// Appends a list.
#[inline]
pub(super) fn write_list<T: Wire, S: Sink>(list: &[T], out: &mut S) {
    list.len().write(out);
    list.iter().for_each(|entry| entry.write(out));
}

impl<T: Wire> Wire for Vec<T> {
    #[inline]
    fn write<S: Sink>(&self, out: &mut S) {
        write_list(self, out);
    }

    #[inline]
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let length = from.length()?;
        let mut list = Self::with_capacity(room_for::<T>(length));
        for _ in 0..length {
            list.push(T::read(from)?);
        }
        Ok(list)
    }
}

impl<T: Wire> Wire for VecDeque<T> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.len().write(out);
        self.iter().for_each(|entry| entry.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        Vec::read(from).map(Self::from)
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.len().write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        (0..from.length()?).map(|_| Wire::read(from)).collect()
    }
}

impl<T: Wire + Ord> Wire for BTreeSet<T> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.len().write(out);
        for value in self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        (0..from.length()?).map(|_| Wire::read(from)).collect()
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),+))+) => { $(
        impl<$($part: Wire),+> Wire for ($($part,)+) {
            #[inline]
            fn write<Out: Sink>(&self, out: &mut Out) {
                $(self.$at.write(out);)+
            }

            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(($($part::read(from)?,)+))
            }
        }
    )+ };
}
tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

/// Whether the numbers of fields rise. There may be gaps.
///
/// # Panics
/// If not, or one is beyond the bits of a mask; at compile time.
pub const fn numbered(numbers: &[u64]) {
    let mut at = 0;
    while at < numbers.len() {
        assert!(numbers[at] < 64, "a mask has 64 bits");
        assert!(at == 0 || numbers[at - 1] < numbers[at], "the numbers of fields rise");
        at += 1;
    }
}

/// Whether an optional field is not there.
#[inline]
pub fn is_absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Describes the form of structs in bytes; see [`codec`](crate::wire::codec).
///
/// ```text
/// wire_struct! {
///     Name { 0: field, 1: another (since 3, else None); optional 2: added }
///     plain Small { 0: field }
///     Holder as { id, part: Part { field, another } } { 0: field, 1: id, 2: another }
///     Options as { field } { ; optional 0: field }
/// }
/// ```
///
/// A struct that holds another one may be written as if the fields of that were its own: behind `as` stands how its
/// value is put together, and the fields are in the order of their numbers as ever.
#[macro_export]
macro_rules! wire_struct {
    () => {};
    (plain $name:ident { $($number:literal: $field:ident $((since $version:literal, else $value:expr))?),+ $(,)? } $($more:tt)*) => {
        const _: () = $crate::wire::codec::numbered(&[$($number),+]);

        impl $crate::wire::codec::Wire for $name {
            #[inline]
            fn write<S: $crate::wire::codec::Sink>(&self, out: &mut S) {
                $($crate::wire::codec::Wire::write(&self.$field, out);)+
            }

            #[inline]
            fn read(from: &mut $crate::wire::codec::Reader<'_>) -> Result<Self, $crate::wire::Error> {
                Ok(Self { $($field: $crate::wire_field!(from $(, $version, $value)?)),+ })
            }
        }

        $crate::wire_struct! { $($more)* }
    };
    ($name:ident { $($number:literal: $field:ident $((since $version:literal, else $value:expr))?),+ $(,)?
        $(; optional $($added:literal: $new:ident),+ $(,)?)? } $($more:tt)*) => {
        $crate::wire_struct! {
            $name as { $($field,)+ $($($new),+)? } {
                $($number: $field $((since $version, else $value))?),+ $(; optional $($added: $new),+)?
            }
        }
        $crate::wire_struct! { $($more)* }
    };
    ($name:ident as { $($shape:tt)+ } {
        $($number:literal: $field:ident $((since $version:literal, else $value:expr))?),* $(,)?
        $(; optional $($added:literal: $new:ident),+ $(,)?)? } $($more:tt)*) => {
        const _: () = $crate::wire::codec::numbered(&[$($number,)* $($($added),+)?]);

        impl $crate::wire::codec::Wire for $name {
            #[inline]
            fn write<S: $crate::wire::codec::Sink>(&self, out: &mut S) {
                let Self { $($shape)+ } = self;
                let mask: u64 = 0 $($(| (u64::from(!$crate::wire::codec::is_absent($new)) << $added))+)?;
                if S::MASKED {
                    $crate::wire::codec::Wire::write(&mask, out);
                }
                $($crate::wire::codec::Wire::write($field, out);)*
                if !S::MASKED && mask != 0 {
                    $crate::wire::codec::Wire::write(&mask, out);
                }
                $($(
                    if mask & (1 << $added) != 0 {
                        $crate::wire::codec::Wire::write($new, out);
                    }
                )+)?
            }

            #[inline]
            fn read(from: &mut $crate::wire::codec::Reader<'_>) -> Result<Self, $crate::wire::Error> {
                const KNOWN: u64 = 0 $($(| (1 << $added))+)?;
                let _mask = from.mask(KNOWN, stringify!($name))?;
                $(let $field = $crate::wire_field!(from $(, $version, $value)?);)*
                $($(
                    let $new = if _mask & (1 << $added) != 0 {
                        $crate::wire::codec::Wire::read(from)?
                    } else {
                        Default::default()
                    };
                )+)?
                Ok(Self { $($shape)+ })
            }
        }

        $crate::wire_struct! { $($more)* }
    };
}

/// Reads a field; part of [`wire_struct`](crate::wire_struct).
#[doc(hidden)]
#[macro_export]
macro_rules! wire_field {
    ($from:ident) => {
        $crate::wire::codec::Wire::read($from)?
    };
    ($from:ident, $version:literal, $value:expr) => {
        if $from.version() >= $version { $crate::wire::codec::Wire::read($from)? } else { $value }
    };
}

/// Describes the form of enums in bytes; see [`codec`](crate::wire::codec).
///
/// ```text
/// wire_enum! { Name { 0 => Unit, 1 => Tuple(value), 2 => Struct { field, another } } }
/// ```
#[macro_export]
macro_rules! wire_enum {
    ($($name:ident { $($number:literal => $variant:ident $(($($inner:ident),+))? $({ $($field:ident),+ })?),+ $(,)? })+) => { $(
        impl $crate::wire::codec::Wire for $name {
            #[inline]
            fn write<S: $crate::wire::codec::Sink>(&self, out: &mut S) {
                match self {
                    $(Self::$variant $(($($inner),+))? $({ $($field),+ })? => {
                        const _: () = assert!($number < 0x80, "numbers of variants are one byte");
                        out.push($number);
                        $($($crate::wire::codec::Wire::write($inner, out);)+)?
                        $($($crate::wire::codec::Wire::write($field, out);)+)?
                    })+
                }
            }

            #[inline]
            fn read(from: &mut $crate::wire::codec::Reader<'_>) -> Result<Self, $crate::wire::Error> {
                Ok(match from.variant()? {
                    $($number => Self::$variant
                        $(($({ let $inner = $crate::wire::codec::Wire::read(from)?; $inner }),+))?
                        $({ $($field: $crate::wire::codec::Wire::read(from)?),+ })?,)+
                    number => return Err($crate::wire::Error::UnknownVariant { of: stringify!($name), number }),
                })
            }
        }
    )+ };
}

pub use {wire_enum, wire_struct};
