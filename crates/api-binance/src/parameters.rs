//! The parameters of a request: names and texts, and their conversion to values. Each check fails with the code and
//! text that the API documents for it.

use std::borrow::Cow;

use crossbook_types::{ClientOrderId, Decimal, Timestamp};
use percent_encoding::percent_decode_str;

use crate::error::{self, ApiError};

/// The most parameters of one request.
pub const PARAMETERS_MAX: usize = 64;
/// The longest decimal number that is looked at, in characters.
pub const DECIMAL_CHARACTERS_MAX: usize = 41;
/// The most names in a list of symbols.
pub const SYMBOLS_MAX: usize = 1_000;

/// Parameters of a typical order.
pub(crate) const TYPICAL: usize = 12;
/// Timestamps from here on are in microseconds; in milliseconds this would be the year 5138.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;

/// The parameters of a request, each name once.
#[derive(Clone, Debug, Default)]
pub struct Parameters<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The union of the [`bit_of`] all names. An order may have thirty parameters and has ten: most of those that are
    /// looked for are found absent by this alone.
    present: u64,
}

/// One of 64 bits for a name, by its length and its first and last character.
#[inline]
fn bit_of(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let (first, last) = (bytes.first().copied().unwrap_or(0), bytes.last().copied().unwrap_or(0));
    let mixed = (bytes.len() as u64).wrapping_mul(5) ^ u64::from(first) ^ (u64::from(last) << 2);
    1 << (mixed % 64)
}

impl<'a> Parameters<'a> {
    /// Reads a query string and a form body. Where both have a parameter, the query's counts.
    ///
    /// # Errors
    /// -1101 if either has a name twice or there are more than [`PARAMETERS_MAX`], -1100 if something is not UTF-8.
    pub fn parse(query: &'a str, body: &'a str) -> Result<Self, ApiError> {
        let mut parameters = Self { entries: Vec::with_capacity(TYPICAL), present: 0 };
        for pair in query.split('&') {
            parameters.add(pair, 0)?;
        }
        let of_body = parameters.entries.len();
        for pair in body.split('&') {
            let name = decoded(pair.split_once('=').unwrap_or((pair, "")).0)?;
            if !parameters.entries[..of_body].iter().any(|(known, _)| *known == name) {
                parameters.add(pair, of_body)?;
            }
        }
        Ok(parameters)
    }

    /// From names and values that are decoded already.
    ///
    /// # Errors
    /// -1101 if a name occurs twice, or there are more than [`PARAMETERS_MAX`].
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ApiError> {
        let mut parameters = Self { entries: Vec::with_capacity(TYPICAL), present: 0 };
        for (name, value) in pairs {
            parameters.push(name, value, 0)?;
        }
        Ok(parameters)
    }

    fn add(&mut self, pair: &'a str, unique_from: usize) -> Result<(), ApiError> {
        if pair.is_empty() {
            return Ok(());
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        self.push(decoded(name)?, decoded(value)?, unique_from)
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>, unique_from: usize) -> Result<(), ApiError> {
        let may_be_known = self.present & bit_of(&name) != 0;
        if may_be_known && self.entries[unique_from..].iter().any(|(known, _)| *known == name) {
            return Err(ApiError::duplicate_parameter(&name));
        }
        if self.entries.len() == PARAMETERS_MAX {
            return Err(ApiError::too_many_parameters(PARAMETERS_MAX, PARAMETERS_MAX + 1));
        }
        self.present |= bit_of(&name);
        self.entries.push((name, value));
        Ok(())
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The value of `name`, if it was sent.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Option<&str> {
        if self.present & bit_of(name) == 0 {
            return None;
        }
        self.find(name)
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// Whether `name` was sent.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// -1105 if it was sent without a value.
    #[inline]
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            Some("") => Err(ApiError::empty(name)),
            value => Ok(value),
        }
    }

    /// The value of `name`, which must be there.
    ///
    /// # Errors
    /// -1102 if not, -1105 if empty.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::mandatory(name))
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&str, &str) -> Result<T, ApiError>) -> Result<Option<T>, ApiError> {
        self.text(name)?.map(|text| read(name, text)).transpose()
    }

    /// The value of `name` as a whole number. See [`integer`] for the errors.
    pub fn integer(&self, name: &str) -> Result<Option<u64>, ApiError> {
        self.read(name, integer)
    }

    /// The value of `name` as a decimal number. See [`decimal`] for the errors.
    pub fn decimal(&self, name: &str) -> Result<Option<Decimal>, ApiError> {
        self.read(name, decimal)
    }

    /// The value of `name` as a truth value; false if it was not sent. See [`boolean`] for the errors.
    pub fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.read(name, boolean)?.unwrap_or(false))
    }

    /// The value of `name` as a client's own name. See [`client_order_id`] for the errors.
    pub fn client_order_id(&self, name: &str) -> Result<Option<ClientOrderId>, ApiError> {
        self.read(name, client_order_id)
    }

    /// The value of `name` as the first instant of the milli- or microsecond it names. See [`time`] for the errors.
    pub fn start_time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        Ok(self.read(name, time)?.map(|(first, _)| first))
    }

    /// The value of `name` as the last instant of the milli- or microsecond it names. See [`time`] for the errors.
    pub fn end_time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        Ok(self.read(name, time)?.map(|(_, last)| last))
    }

    /// The value of `name` as a list of names. See [`names`] for the errors.
    pub fn names(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        self.read(name, names)
    }

    /// The value of `limit`, `default` if it was not sent, `max` if it is more: who asks for more than an answer holds
    /// gets as much as it does.
    ///
    /// # Errors
    /// -1130 if it is 0.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        match self.integer("limit")? {
            None => Ok(default),
            Some(0) => Err(ApiError::invalid("limit")),
            Some(limit) => Ok(usize::try_from(limit).map_or(max, |limit| limit.min(max))),
        }
    }
}

/// A percent-decoded name or value; `+` stands for a space, as in the data of forms.
fn decoded(text: &str) -> Result<Cow<'_, str>, ApiError> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|decoded| Cow::Owned(decoded.into_owned()))
        .map_err(|_| ApiError::bad_request(-1100, "Illegal characters found in a parameter."))
}

/// A whole number.
///
/// # Errors
/// -1100 if it is something else, -1108 if it is too large.
pub fn integer(name: &str, text: &str) -> Result<u64, ApiError> {
    if text.len() > 20 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ApiError::illegal_characters(name, error::INTEGER_RANGE));
    }
    // Ids and times are signed 64-bit numbers to the clients of this API.
    text.parse::<i64>().ok().and_then(|value| u64::try_from(value).ok()).ok_or_else(|| ApiError::overflow(name))
}

/// A decimal number without sign or exponent.
///
/// # Errors
/// -1100 if it is something else, -1111 if it has more digits than any asset.
pub fn decimal(name: &str, text: &str) -> Result<Decimal, ApiError> {
    let illegal = || ApiError::illegal_characters(name, error::DECIMAL_RANGE);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| (1..=20).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > DECIMAL_CHARACTERS_MAX || !digits(whole) || !digits(fraction) {
        return Err(illegal());
    }
    Decimal::parse(text).map_err(|why| match why {
        crossbook_types::decimal::Error::Malformed => illegal(),
        crossbook_types::decimal::Error::TooLong => ApiError::precision(name),
    })
}

/// `true` or `false`, in any case.
///
/// # Errors
/// -1130 if it is something else.
pub fn boolean(name: &str, text: &str) -> Result<bool, ApiError> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ApiError::invalid(name)),
    }
}

/// A client's own name for an order or a cancel.
///
/// # Errors
/// -1100 if it is too long or has other characters.
pub fn client_order_id(name: &str, text: &str) -> Result<ClientOrderId, ApiError> {
    // Orders of earlier days may have other characters in their names; they are found by their numbers.
    let known = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let checked = known.then(|| ClientOrderId::new_checked(text).ok()).flatten();
    checked.ok_or_else(|| ApiError::illegal_characters(name, error::CLIENT_ORDER_ID_RANGE))
}

/// A time in milli- or microseconds, as the first and the last instant that it names.
///
/// # Errors
/// As of [`integer`].
pub fn time(name: &str, text: &str) -> Result<(Timestamp, Timestamp), ApiError> {
    let value = integer(name, text)?;
    if value >= MICROSECONDS_FROM {
        return Ok((Timestamp(value), Timestamp(value)));
    }
    let first = value * 1_000;
    Ok((Timestamp(first), Timestamp(first + 999)))
}

/// A market's name.
///
/// # Errors
/// -1100 if it is too long or has other characters.
pub fn symbol<'a>(name: &str, text: &'a str) -> Result<&'a str, ApiError> {
    crossbook_types::SymbolName::new_checked(text)
        .map(|_| text)
        .map_err(|_| ApiError::illegal_characters(name, error::SYMBOL_RANGE))
}

/// A JSON array of names.
///
/// # Errors
/// -1100 if it is something else, -1130 if it is empty or has more than [`SYMBOLS_MAX`], -1151 if one occurs twice.
pub fn names(name: &str, text: &str) -> Result<Vec<String>, ApiError> {
    let names: Vec<String> =
        serde_json::from_str(text).map_err(|_| ApiError::illegal_characters(name, error::SYMBOLS_RANGE))?;
    if names.is_empty() || names.len() > SYMBOLS_MAX {
        return Err(ApiError::invalid(name));
    }
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiError::bad_request(-1151, "Symbol is present multiple times in the list."));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> i32 {
        result.unwrap_err().code
    }

    #[test]
    fn the_query_wins_and_each_part_has_a_name_once() {
        let p = Parameters::parse("a=1&b=x%20y&&c=", "b=other&d=p%2Bq+r").unwrap();
        assert_eq!(p.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "x y"), ("c", ""), ("d", "p+q r")]);
        assert_eq!(
            Parameters::parse("a=1&a=2", "").unwrap_err().message,
            "Duplicate values for parameter 'a' detected."
        );
        assert_eq!(code(Parameters::parse("", "a=1&%61=2")), -1101);
        assert_eq!(code(Parameters::parse("a=%ff", "")), -1100);
        let many: String = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(code(Parameters::parse(&many, "")), -1101);
    }

    #[test]
    fn presence_is_told_apart_from_emptiness() {
        let p = Parameters::parse("empty=", "").unwrap();
        assert_eq!(code(p.required("absent")), -1102);
        assert_eq!(code(p.required("empty")), -1105);
        assert_eq!(p.text("absent"), Ok(None));
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(integer("n", "9223372036854775807"), Ok(i64::MAX as u64));
        assert_eq!(code(integer("n", "9223372036854775808")), -1108);
        for bad in ["-1", "+1", "1.0", "1e3", " 1", "x", &"1".repeat(21)] {
            assert_eq!(code(integer("n", bad)), -1100, "{bad:?}");
        }
        assert_eq!(decimal("d", "100.05").unwrap().to_string(), "100.05");
        for bad in ["1e-05", "-1", ".5", "1.", "1,5", "0x1", "NaN", &"1".repeat(21), &format!("0.{}", "1".repeat(21))] {
            assert_eq!(code(decimal("d", bad)), -1100, "{bad:?}");
        }
        assert_eq!(code(decimal("d", "0.00000000000000000001")), -1111);
        assert_eq!(boolean("b", "TRUE"), Ok(true));
        assert_eq!(code(boolean("b", "1")), -1130);
    }

    #[test]
    fn times_are_milli_or_microseconds() {
        assert_eq!(
            time("t", "1700000000000"),
            Ok((Timestamp(1_700_000_000_000_000), Timestamp(1_700_000_000_000_999)))
        );
        assert_eq!(
            time("t", "1700000000000001"),
            Ok((Timestamp(1_700_000_000_000_001), Timestamp(1_700_000_000_000_001)))
        );
    }

    #[test]
    fn a_limit_above_the_most_is_the_most() {
        for sent in ["1000", "1001", "9223372036854775807"] {
            assert_eq!(Parameters::parse(&format!("limit={sent}"), "").unwrap().limit(500, 1000), Ok(1000));
        }
        assert_eq!(code(Parameters::parse("limit=0", "").unwrap().limit(500, 1000)), -1130);
        assert_eq!(Parameters::default().limit(500, 1000), Ok(500));
    }

    #[test]
    fn lists_of_names_are_json() {
        assert_eq!(names("symbols", "[\"A\",\"B\"]"), Ok(vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!(code(names("symbols", "A,B")), -1100);
        assert_eq!(code(names("symbols", "[]")), -1130);
        assert_eq!(code(names("symbols", "[\"A\",\"A\"]")), -1151);
    }
}
