//! Accounts: opening, showing and changing them, their API keys, and the end of all their orders.

use bytes::Bytes;
use crossbook_gateway::auth;
use crossbook_gateway::command_port::Subject;
use crossbook_gateway::secret::{KEY_CHARACTERS, random_text};
use crossbook_protocol::Answer;
use crossbook_protocol::command::{Body, IssueApiKey, OpenAccount, RevokeApiKey, SetTradeGroup};
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_types::{AccountId, Amount, ApiKeyId, ClientOrderId, SymbolName};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::asked::Asked;
use super::render::amount_text;
use super::request::{AccountChange, Freeze, NewAccount, NewKey, read};
use super::{render, submit};
use crate::error::AdminError;

pub(super) fn account_id(text: &str) -> Result<AccountId, AdminError> {
    // Written in one way only: whoever reads the operator log must find it.
    let number = text.parse().ok().filter(|number: &u64| number.to_string() == text);
    number.map(AccountId).ok_or_else(|| AdminError::not_found("There is no such account."))
}

pub(super) async fn open(asked: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let NewAccount { label } = read(body)?;
    match submit(asked, Body::OpenAccount(OpenAccount { label: label.clone() })).await? {
        Answer::AccountOpened(id) => Ok(json!({ "accountId": id, "label": label })),
        _ => Err(AdminError::internal()),
    }
}

pub(super) async fn change(asked: &Asked<'_>, id: &str, body: &Bytes) -> Result<Value, AdminError> {
    let account = account_id(id)?;
    let group = read::<AccountChange>(body)?.group()?;
    match submit(asked, Body::SetTradeGroup(SetTradeGroup { account, group })).await? {
        Answer::TradeGroupSet(_) => shown(asked, account),
        _ => Err(AdminError::internal()),
    }
}

/// Freezes an account, or lets it go on. When this returns, the account's partition knows, which admits its orders.
pub(super) async fn freeze(asked: &Asked<'_>, id: &str, body: &Bytes) -> Result<Value, AdminError> {
    let account = account_id(id)?;
    let Freeze { frozen: on } = read(body)?;
    match submit(asked, Body::SetFrozen { account, on }).await? {
        Answer::FrozenSet => {}
        _ => return Err(AdminError::internal()),
    }
    // What its partition says now may be of an earlier change, with one of another operator still to come.
    asked.known_to_partition_of(account).await?;
    shown(asked, account)
}

/// An account without what it has.
fn shown(asked: &Asked<'_>, account: AccountId) -> Result<Value, AdminError> {
    let registry = asked.read_model.registry();
    let known = registry.account(account).ok_or_else(AdminError::internal)?;
    Ok(render::account(known, registry.is_frozen(account)))
}

pub(super) async fn show(asked: &Asked<'_>, id: &str) -> Result<Value, AdminError> {
    let id = account_id(id)?;
    asked.caught_up(Subject::Account(id)).await?;
    let read_model = &asked.read_model;
    // Its own partition admits its orders, so that one says whether it is frozen.
    let (holdings, is_frozen) = {
        let views = read_model.of_account(id).read();
        (views.holdings(id).cloned(), views.registry().is_frozen(id))
    };
    let orders = read_model.open_orders(id);
    // Copied out, because no command of the registry's partition is published while it is locked.
    let (account, keys, assets, markets) = {
        let registry = read_model.registry();
        let keys: Vec<_> = registry.api_keys(id).cloned().collect();
        (registry.account(id).cloned(), keys, registry.assets().to_vec(), registry.markets().to_vec())
    };
    let (account, holdings) =
        account.zip(holdings).ok_or_else(|| AdminError::not_found("There is no such account."))?;
    let balances = holdings.balances().iter().filter_map(|balance| {
        let asset = assets.get(balance.asset.0 as usize)?;
        let text = |amount: Amount| amount_text(amount, asset.decimals);
        Some(json!({ "asset": asset.name, "free": text(balance.free), "locked": text(balance.held) }))
    });
    let open_orders =
        orders.iter().filter_map(|order| Some(render::order(markets.get(order.terms.symbol.0 as usize)?, order)));
    let last_uses = asked.keyring.uses().last(keys.iter().map(|key| key.key).collect()).await;
    let api_keys = keys.iter().zip(last_uses).map(|(key, last)| {
        let kind = match key.credential {
            Credential::Hmac { .. } => "HMAC",
            Credential::Ed25519 { .. } => "ED25519",
            Credential::Rsa { .. } => "RSA",
        };
        json!({
            "apiKey": key.key, "type": kind, "permissions": permission_names(key.permissions),
            "allowedIps": key.allowed_ips, "issued": key.issued.millis(),
            "lastUsed": last.map(|last| last.time.millis()), "lastAddress": last.map(|last| last.address.to_string()),
        })
    });
    let mut shown = render::account(&account, is_frozen);
    shown["balances"] = balances.collect();
    shown["openOrders"] = open_orders.collect();
    shown["apiKeys"] = api_keys.collect();
    Ok(shown)
}

pub(super) async fn issue_key(asked: &Asked<'_>, id: &str, body: &Bytes) -> Result<Value, AdminError> {
    let account = account_id(id)?;
    let NewKey { permissions, public_key, allowed_ips } = read(body)?;
    let permissions = read_permissions(&permissions)?;
    if let Some(bad) = allowed_ips.iter().find(|text| auth::network(text).is_none()) {
        return Err(AdminError::invalid(format!(
            "allowedIps has {bad:?}; write addresses or networks such as 10.0.0.0/8."
        )));
    }
    let draw = || random_text(KEY_CHARACTERS).map_err(|_| AdminError::internal());
    let key = ApiKeyId::new_checked(&draw()?).map_err(|_| AdminError::internal())?;
    let (credential, secret) = match &public_key {
        Some(pem) => (auth::public_key(pem).map_err(|error| AdminError::invalid(error.to_string()))?, None),
        None => {
            let secret = SecretString::from(draw()?);
            let sealed = asked.keyring.master_key().seal(&key, &secret).map_err(|error| {
                tracing::error!(%error, "an API secret could not be sealed");
                AdminError::internal()
            })?;
            (Credential::Hmac { sealed }, Some(secret))
        }
    };
    // The networks and the public key may be too long for the operator log, and are in the command anyway: they come
    // last.
    let (names, networks) = (json!(permission_names(permissions)), json!(allowed_ips));
    let first = format!(r#"POST accounts/{account}/api-keys {{"permissions":{names}"#);
    let public = public_key.map_or_else(String::new, |pem| format!(r#","publicKey":{}"#, json!(pem)));
    let rest = format!(r#","allowedIps":{networks}{public}}}"#);
    let asked = &asked.in_words(&first, &rest)?;
    let body = Body::IssueApiKey(Box::new(IssueApiKey { account, key, permissions, credential, allowed_ips }));
    match submit(asked, body).await? {
        Answer::ApiKeyIssued(key) => {
            let mut answer = json!({ "apiKey": key, "permissions": permission_names(permissions) });
            if let Some(secret) = secret {
                // Reported once.
                answer["secretKey"] = json!(secret.expose_secret());
            }
            Ok(answer)
        }
        _ => Err(AdminError::internal()),
    }
}

pub(super) async fn revoke_key(asked: &Asked<'_>, id: &str, key: &str) -> Result<Value, AdminError> {
    let account = account_id(id)?;
    let key = ApiKeyId::new_checked(key).map_err(|_| AdminError::not_found("There is no such API key."))?;
    match submit(asked, Body::RevokeApiKey(RevokeApiKey { account, key })).await? {
        Answer::ApiKeyRevoked(key) => Ok(json!({ "apiKey": key, "revoked": true })),
        _ => Err(AdminError::internal()),
    }
}

/// Cancels all open orders of an account, market by market. One that is refused keeps none of the others from it.
pub(super) async fn cancel_orders(asked: &Asked<'_>, id: &str) -> Result<Value, AdminError> {
    let account = account_id(id)?;
    asked.caught_up(Subject::Account(account)).await?;
    asked.read_model.registry().account(account).ok_or_else(|| AdminError::not_found("There is no such account."))?;
    let mut symbols: Vec<_> = asked.read_model.open_orders(account).iter().map(|order| order.terms.symbol).collect();
    symbols.dedup();
    let (mut canceled, mut refused) = (Vec::new(), Vec::new());
    for symbol in symbols {
        let cancel_id = random_text(KEY_CHARACTERS / 4).ok().and_then(|name| ClientOrderId::new_checked(&name).ok());
        let cancel_id = cancel_id.ok_or_else(AdminError::internal)?;
        let done = submit(asked, Body::CancelAll(CancelAll { account, symbol, cancel_id })).await;
        let name = asked.read_model.registry().markets().get(symbol.0 as usize).map(|market| market.symbol);
        let name = name.ok_or_else(AdminError::internal)?;
        match done {
            Ok(_) => canceled.push(name),
            // They have ended meanwhile.
            Err(error) if error.is_unknown_order() => {}
            Err(error) => refused.push((name, error)),
        }
    }
    told(account, &canceled, &refused)
}

/// What came of cancelling an account's orders market by market.
///
/// # Errors
/// If no market was done, what kept the first from it; that an outcome is unknown comes first.
fn told(
    account: AccountId,
    canceled: &[SymbolName],
    refused: &[(SymbolName, AdminError)],
) -> Result<Value, AdminError> {
    let unknown = refused.iter().find(|(_, error)| error.status == StatusCode::GATEWAY_TIMEOUT);
    if let (true, Some((_, error))) = (canceled.is_empty(), unknown.or(refused.first())) {
        return Err(error.clone());
    }
    let refused = refused
        .iter()
        .map(|(symbol, AdminError { code, message, .. })| json!({ "symbol": symbol, "code": code, "msg": message }));
    Ok(json!({ "accountId": account, "symbols": canceled, "refused": refused.collect::<Vec<_>>() }))
}

fn read_permissions(names: &[String]) -> Result<Permissions, AdminError> {
    let mut permissions = Permissions { read: false, trade: false };
    for name in names {
        match name.as_str() {
            "READ" => permissions.read = true,
            "TRADE" => permissions.trade = true,
            _ => return Err(AdminError::invalid(format!("permissions has {name:?}; there are READ and TRADE."))),
        }
    }
    if names.is_empty() {
        return Err(AdminError::invalid("permissions must have READ, TRADE or both.".to_owned()));
    }
    Ok(permissions)
}

fn permission_names(permissions: Permissions) -> Vec<&'static str> {
    let named = [("READ", permissions.read), ("TRADE", permissions.trade)];
    named.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use crossbook_gateway::Error;

    use super::*;

    #[test]
    fn an_account_is_written_in_one_way() {
        assert_eq!(account_id("1001"), Ok(AccountId(1001)));
        for other in ["01001", "+1001", "", " 1001", "-1"] {
            assert_eq!(account_id(other).map_err(|error| error.status), Err(StatusCode::NOT_FOUND), "{other}");
        }
    }

    #[test]
    fn one_market_that_is_refused_does_not_hide_what_was_done() {
        let market = |name: &str| SymbolName::new_checked(name).unwrap();
        let (busy, unknown) = (AdminError::from(Error::Busy), AdminError::from(Error::OutcomeUnknown));
        let account = AccountId(1001);
        let partly = told(account, &[market("AB")], &[(market("CD"), busy.clone())]).unwrap();
        let refused = json!([{ "symbol": "CD", "code": -1008, "msg": busy.message }]);
        assert_eq!(partly, json!({ "accountId": 1001, "symbols": ["AB"], "refused": refused }));
        assert_eq!(told(account, &[], &[]), Ok(json!({ "accountId": 1001, "symbols": [], "refused": [] })));
        let busy = (market("AB"), busy);
        assert_eq!(told(account, &[], std::slice::from_ref(&busy)), Err(busy.1.clone()));
        assert_eq!(told(account, &[], &[busy, (market("CD"), unknown.clone())]), Err(unknown));
    }
}
