//! The bodies of the operator's requests.

use bytes::Bytes;
use crossbook_types::{AssetName, Decimal, PartitionId, SymbolName, TradeGroupId, TransferId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::error::AdminError;

/// Reads a JSON object; an absent body is an empty one.
///
/// # Errors
/// 400 with the position and the reason.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, AdminError> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    // The library takes an array for an object without names, in the order in which the fields stand here.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(AdminError::invalid("The body is not as expected: it must be a JSON object.".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| AdminError::invalid(format!("The body is not as expected: {error}.")))
}

/// Checks the name of a new asset or market. Beyond ASCII it has letters and digits, and no letter that has an upper
/// case: clients put names into lower case to subscribe to a market's streams, and each must lead back to one market.
/// Of several canonically equivalent spellings only the composed one (NFC) is a name, because people cannot distinguish
/// the others from it. The fillers of Hangul count as letters, but show nothing. There is a letter or a digit.
///
/// # Errors
/// 400 that names the character that is not allowed, or states what the name must have.
pub(super) fn new_name(field: &str, name: &str) -> Result<(), AdminError> {
    let is_invisible = |c: char| matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    let leads_back = |c: char| c.to_uppercase().eq([c]) && c.to_lowercase().flat_map(char::to_uppercase).eq([c]);
    if let Some(c) = name.chars().find(|&c| !(c.is_ascii() || c.is_alphanumeric() && leads_back(c) && !is_invisible(c)))
    {
        return Err(AdminError::invalid(format!(
            "{field} has the character {c:?}; beyond ASCII, letters without a capital of their own and digits are \
             allowed."
        )));
    }
    // `.` and `..` would not arrive as parts of a path.
    if !name.chars().any(char::is_alphanumeric) {
        return Err(AdminError::invalid(format!("{field} must have a letter or a digit.")));
    }
    if !is_nfc(name) {
        let composed: String = name.nfc().collect();
        return Err(AdminError::invalid(format!(
            "{field} is not in Unicode normalization form C (NFC); in that form it is {composed:?}."
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewAsset {
    pub(super) asset: AssetName,
    pub(super) decimals: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewAccount {
    #[serde(default)]
    pub(super) label: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccountChange {
    trade_group_id: i64,
}

impl AccountChange {
    /// The trade group that the account is to be in.
    ///
    /// # Errors
    /// 400 if there is no such group.
    pub(super) fn group(&self) -> Result<Option<TradeGroupId>, AdminError> {
        if self.trade_group_id == -1 {
            return Ok(None);
        }
        let group = u32::try_from(self.trade_group_id).ok().and_then(TradeGroupId::new_checked);
        group.map(Some).ok_or_else(|| {
            AdminError::invalid(format!("tradeGroupId must be from 1 to {}, or -1 for no group.", u32::MAX))
        })
    }
}

/// Whether an account is to be frozen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freeze {
    pub(super) frozen: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewKey {
    pub(super) permissions: Vec<String>,
    pub(super) public_key: Option<String>,
    #[serde(default)]
    pub(super) allowed_ips: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTransfer {
    pub(super) asset: AssetName,
    pub(super) amount: Number,
    pub(super) transfer_id: TransferId,
}

/// A balance that is to be corrected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewAdjustment {
    pub(super) asset: AssetName,
    /// Below zero to take money away.
    pub(super) amount: Number,
    pub(super) transfer_id: TransferId,
    pub(super) reason: String,
}

/// Fees that are to be paid out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewPayout {
    pub(super) asset: AssetName,
    pub(super) amount: Number,
    pub(super) transfer_id: TransferId,
    /// Needed where there are several.
    pub(super) partition: Option<PartitionId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewMarket {
    pub(super) symbol: SymbolName,
    pub(super) base_asset: AssetName,
    pub(super) quote_asset: AssetName,
    pub(super) tick_size: Number,
    pub(super) step_size: Number,
    // The rest is as for a change; `flatten` would lose the check for unknown fields.
    min_price: Option<Number>,
    max_price: Option<Number>,
    min_qty: Option<Number>,
    max_qty: Option<Number>,
    market_max_qty: Option<Number>,
    min_notional: Option<Number>,
    max_notional: Option<Number>,
    multiplier_up: Option<Number>,
    multiplier_down: Option<Number>,
    ask_multiplier_up: Option<Number>,
    ask_multiplier_down: Option<Number>,
    percent_price_up: Option<Number>,
    percent_price_down: Option<Number>,
    avg_price_mins: Option<u32>,
    notional_filter: Option<String>,
    apply_min_to_market: Option<bool>,
    apply_max_to_market: Option<bool>,
    max_position: Option<Number>,
    max_num_orders: Option<u32>,
    max_num_algo_orders: Option<u32>,
    iceberg_parts: Option<u32>,
    peg_instructions_allowed: Option<bool>,
    max_num_iceberg_orders: Option<u32>,
    max_num_order_amends: Option<u32>,
    max_num_order_lists: Option<u32>,
    min_trailing_above_delta: Option<u32>,
    max_trailing_above_delta: Option<u32>,
    min_trailing_below_delta: Option<u32>,
    max_trailing_below_delta: Option<u32>,
    maker_fee: Option<Number>,
    taker_fee: Option<Number>,
    status: Option<String>,
    default_self_trade_prevention_mode: Option<String>,
    allowed_self_trade_prevention_modes: Option<Vec<String>>,
}

impl NewMarket {
    /// What was given beside the identity of the market.
    pub(super) fn rules(self) -> Rules {
        Rules {
            min_price: self.min_price,
            max_price: self.max_price,
            min_qty: self.min_qty,
            max_qty: self.max_qty,
            market_max_qty: self.market_max_qty,
            min_notional: self.min_notional,
            max_notional: self.max_notional,
            multiplier_up: self.multiplier_up,
            multiplier_down: self.multiplier_down,
            ask_multiplier_up: self.ask_multiplier_up,
            ask_multiplier_down: self.ask_multiplier_down,
            percent_price_up: self.percent_price_up,
            percent_price_down: self.percent_price_down,
            avg_price_mins: self.avg_price_mins,
            notional_filter: self.notional_filter,
            apply_min_to_market: self.apply_min_to_market,
            apply_max_to_market: self.apply_max_to_market,
            max_position: self.max_position,
            max_num_orders: self.max_num_orders,
            max_num_algo_orders: self.max_num_algo_orders,
            iceberg_parts: self.iceberg_parts,
            peg_instructions_allowed: self.peg_instructions_allowed,
            max_num_iceberg_orders: self.max_num_iceberg_orders,
            max_num_order_amends: self.max_num_order_amends,
            max_num_order_lists: self.max_num_order_lists,
            min_trailing_above_delta: self.min_trailing_above_delta,
            max_trailing_above_delta: self.max_trailing_above_delta,
            min_trailing_below_delta: self.min_trailing_below_delta,
            max_trailing_below_delta: self.max_trailing_below_delta,
            maker_fee: self.maker_fee,
            taker_fee: self.taker_fee,
            status: self.status,
            default_self_trade_prevention_mode: self.default_self_trade_prevention_mode,
            allowed_self_trade_prevention_modes: self.allowed_self_trade_prevention_modes,
        }
    }
}

/// The properties of a market that can be set at any time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) min_price: Option<Number>,
    pub(super) max_price: Option<Number>,
    pub(super) min_qty: Option<Number>,
    pub(super) max_qty: Option<Number>,
    pub(super) market_max_qty: Option<Number>,
    pub(super) min_notional: Option<Number>,
    pub(super) max_notional: Option<Number>,
    pub(super) multiplier_up: Option<Number>,
    pub(super) multiplier_down: Option<Number>,
    pub(super) ask_multiplier_up: Option<Number>,
    pub(super) ask_multiplier_down: Option<Number>,
    pub(super) percent_price_up: Option<Number>,
    pub(super) percent_price_down: Option<Number>,
    pub(super) avg_price_mins: Option<u32>,
    pub(super) notional_filter: Option<String>,
    pub(super) apply_min_to_market: Option<bool>,
    pub(super) apply_max_to_market: Option<bool>,
    pub(super) max_position: Option<Number>,
    pub(super) max_num_orders: Option<u32>,
    pub(super) max_num_algo_orders: Option<u32>,
    pub(super) iceberg_parts: Option<u32>,
    pub(super) peg_instructions_allowed: Option<bool>,
    pub(super) max_num_iceberg_orders: Option<u32>,
    pub(super) max_num_order_amends: Option<u32>,
    pub(super) max_num_order_lists: Option<u32>,
    pub(super) min_trailing_above_delta: Option<u32>,
    pub(super) max_trailing_above_delta: Option<u32>,
    pub(super) min_trailing_below_delta: Option<u32>,
    pub(super) max_trailing_below_delta: Option<u32>,
    pub(super) maker_fee: Option<Number>,
    pub(super) taker_fee: Option<Number>,
    pub(super) status: Option<String>,
    pub(super) default_self_trade_prevention_mode: Option<String>,
    pub(super) allowed_self_trade_prevention_modes: Option<Vec<String>>,
}

/// A decimal as a JSON string, or as a JSON number, which is then read digit by digit and never becomes a float.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Number(Box<RawValue>);

impl Number {
    /// The most bytes of its text: more than any number here needs, however many zeros it is written with.
    const TEXT_BYTES_MAX: usize = 64;

    /// Its value, for the field `name`.
    pub(super) fn decimal(&self, name: &str) -> Result<Decimal, AdminError> {
        let text = self.0.get();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        if text.len() > Self::TEXT_BYTES_MAX {
            let most = Self::TEXT_BYTES_MAX;
            return Err(AdminError::invalid(format!("{name} has more than {most} characters; write it as \"0.01\".")));
        }
        Decimal::parse(text).map_err(|error| AdminError::invalid(format!("{name} is {error}; write it as \"0.01\".")))
    }
}

/// The rules to activate.
pub(super) fn rules(body: &Bytes) -> Result<crossbook_protocol::Rules, AdminError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NewRules {
        rules: u32,
    }
    let NewRules { rules } = read(body)?;
    crossbook_protocol::Rules::from_number(rules).ok_or_else(|| {
        let newest = crossbook_protocol::Rules::NEWEST;
        AdminError::invalid(format!("rules must be from 1 to {newest}; this program knows no others."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_length() {
        let read = |zeros: usize| {
            let number: Number = serde_json::from_str(&format!("\"{}1\"", "0".repeat(zeros))).unwrap();
            number.decimal("amount").map_err(|error| error.message)
        };
        assert_eq!(read(63), Decimal::parse("1").map_err(|_| "".into()));
        assert!(read(64).unwrap_err().contains("amount has more than 64 characters"));
    }
}
