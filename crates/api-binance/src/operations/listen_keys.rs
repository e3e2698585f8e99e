//! The listen keys that older clients ask for, to read the events of their account as a stream. They ask with their API
//! key alone, without a signature, so a venue has these operations only where the operator wants them.

use crossbook_gateway::auth::{AuthError, Identity};
use crossbook_gateway::clock::now;
use crossbook_gateway::secret::random_text;
use crossbook_types::Timestamp;

use super::Request;
use crate::error::ApiError;
use crate::render::json;
use crate::streams::hub::listen_keys::CHARACTERS;

/// Gives the listen key of the sender's API key, which lasts anew.
pub(super) fn start(request: &Request<'_>) -> Result<String, ApiError> {
    let Identity { account, key, .. } = request.identity()?;
    let fresh = random_text(CHARACTERS).map_err(|_| ApiError::internal())?;
    let keys_max = request.listen_keys.keys_max;
    let started = request.hub.start_listen_key((account, key), &fresh, expires(request), keys_max);
    let name = started.map_err(|_| ApiError::busy())?;
    // The API key may have been revoked since it was looked up. If it still is in the registry now, a revocation finds
    // this listen key.
    if request.gateway.read_model.registry().api_key(key.as_str()).is_none() {
        request.hub.stop_listen_key(account, &name, now());
        return Err(AuthError::KeyRejected.into());
    }
    let mut out = String::with_capacity(CHARACTERS + 20);
    json::object(&mut out, |o| {
        o.name("listenKey", &name);
    });
    Ok(out)
}

/// Has a listen key last anew.
pub(super) fn ping(request: &Request<'_>) -> Result<String, ApiError> {
    let name = request.parameters.required("listenKey")?;
    done(request.hub.extend_listen_key(request.account()?, name, expires(request)))
}

/// Ends a listen key.
pub(super) fn stop(request: &Request<'_>) -> Result<String, ApiError> {
    let name = request.parameters.required("listenKey")?;
    done(request.hub.stop_listen_key(request.account()?, name, now()))
}

fn expires(request: &Request<'_>) -> Timestamp {
    Timestamp(now().0.saturating_add(request.listen_keys.lifetime_ms.saturating_mul(1_000)))
}

fn done(found: bool) -> Result<String, ApiError> {
    if found { Ok("{}".to_owned()) } else { Err(ApiError::bad_request(-1125, "This listenKey does not exist.")) }
}
