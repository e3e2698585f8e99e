//! Listen addresses: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or a port alone, which means 127.0.0.1.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// An address to listen at, or none; in the settings, none is the empty text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Optional(pub Option<SocketAddr>);

impl Serialize for Optional {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.map_or_else(String::new, |address| address.to_string()))
    }
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written { or_none: true }).map(Self).map_err(D::Error::custom)
    }
}

/// Reads an address.
///
/// # Errors
/// With what is wrong, and how to write it.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.parse::<u16>() {
        return Ok(here(port));
    }
    if text.is_empty() {
        return Err("it is empty; write it as 127.0.0.1:8080".to_owned());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_port(text));
    }
    if let Ok(IpAddr::V6(ip)) = text.trim_matches(['[', ']']).parse() {
        return Err(format!("the port is missing; write it as [{ip}]:8080"));
    }
    if let Some(port) = text.strip_prefix("*:") {
        return Err(format!("write 0.0.0.0:{port} for all networks of this machine"));
    }
    if let Some(port) = text.strip_prefix(':') {
        return Err(format!("write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} for all of its networks"));
    }
    if text.parse::<IpAddr>().is_ok() || !text.contains(':') {
        return Err(format!("the port is missing; write it as {text}:8080"));
    }
    let found: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| format!("{error}; write it as 127.0.0.1:8080"))?.collect();
    // `localhost` has two addresses; clients that get only a port mostly try IPv4 first.
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    chosen.copied().ok_or_else(|| "the name has no address; write it as 127.0.0.1:8080".to_owned())
}

fn no_port(number: impl std::fmt::Display) -> String {
    format!("{number} is no port; the highest is 65535")
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// An address as settings have it, where a port may be a number.
struct Written {
    /// Whether the empty text stands for none.
    or_none: bool,
}

impl Visitor<'_> for Written {
    type Value = Option<SocketAddr>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an address such as \"127.0.0.1:8080\", or a port")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if self.or_none && text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some).map_err(|why| E::custom(format!("{text:?} is no address to listen at: {why}")))
    }

    fn visit_u64<E: serde::de::Error>(self, port: u64) -> Result<Self::Value, E> {
        u16::try_from(port).map(|port| Some(here(port))).map_err(|_| E::custom(no_port(port)))
    }

    fn visit_i64<E: serde::de::Error>(self, port: i64) -> Result<Self::Value, E> {
        u64::try_from(port).map_err(|_| E::custom(no_port(port))).and_then(|port| self.visit_u64(port))
    }
}

/// Reads an address from settings.
///
/// # Errors
/// As [`parse`].
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let read = from.deserialize_any(Written { or_none: false }).map_err(D::Error::custom)?;
    read.ok_or_else(|| D::Error::custom("an address is missing; write it as 127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(parse(text), Ok(address.parse().unwrap()), "{text}");
        }
        for (text, advice) in [
            (":8080", "127.0.0.1:8080 for this machine only, or 0.0.0.0:8080"),
            ("127.0.0.1", "write it as 127.0.0.1:8080"),
            ("localhost", "write it as localhost:8080"),
            ("65536", "65536 is no port; the highest is 65535"),
            ("-1", "-1 is no port; the highest is 65535"),
            ("::1", "write it as [::1]:8080"),
            ("[::1]", "write it as [::1]:8080"),
            ("", "write it as 127.0.0.1:8080"),
            ("*:9080", "write 0.0.0.0:9080 for all networks of this machine"),
            ("localhost:http-or-so", "write it as 127.0.0.1:8080"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(advice), "{text}: {why}");
        }
    }
}
