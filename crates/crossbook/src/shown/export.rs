//! What an export has, for people and programs.

use std::path::Path;

use crossbook_venue::export::{Exported, SecretKey, counts};
use crossbook_venue::secrets::SECRET_KEY_VARIABLE;
use serde_json::{Map, Value, json};

/// For programs.
#[must_use]
pub fn as_json(exported: &Exported, file: &Path) -> Value {
    let assets: Map<String, Value> = exported
        .sums()
        .into_iter()
        .map(|(name, clients, fees)| (name, json!({ "clients": clients, "fees": fees })))
        .collect();
    let counts: Map<String, Value> =
        counts(&exported.export.inventory).into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
    json!({
        "export": hex::encode(exported.name),
        "file": file.display().to_string(),
        "sequence": exported.export.sequence.0,
        "stateHash": hex::encode(exported.export.state_hash),
        "assets": assets,
        "counts": counts,
        "secretKeyNeeded": exported.secret_key != SecretKey::NotNeeded,
        "secretKeyAtHand": matches!(exported.secret_key, SecretKey::At(_)),
    })
}

/// For people.
#[must_use]
pub fn as_text(exported: &Exported, file: &Path) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "file          {}", file.display());
    let _ = writeln!(out, "export        {}", hex::encode(exported.name));
    let _ = writeln!(out, "last command  {}", exported.export.sequence);
    let _ = writeln!(out, "state hash    {}", hex::encode(exported.export.state_hash));
    let [assets, markets, accounts, keys, transfers, orders] =
        counts(&exported.export.inventory).map(|(_, count)| count);
    let _ = writeln!(
        out,
        "what there is {assets} assets, {markets} markets, {accounts} accounts, {keys} API keys, {transfers} transfers, {orders} open orders"
    );
    let _ = writeln!(out, "\n{:<10} {:>32} {:>28}", "asset", "clients", "fees");
    for (name, clients, fees) in exported.sums() {
        let _ = writeln!(out, "{name:<10} {clients:>32} {fees:>28}");
    }
    out.push('\n');
    let _ = match &exported.secret_key {
        SecretKey::NotNeeded => writeln!(out, "No API key needs the secret key."),
        SecretKey::At(place) => writeln!(
            out,
            "The secrets of API keys are encrypted in the file. Every gateway of the cluster needs the key to them as {}; it is {place}.",
            SECRET_KEY_VARIABLE
        ),
        SecretKey::Missing(why) => writeln!(
            out,
            "WARNING: the secrets of API keys are encrypted in the file, and the key to them is not at hand ({why}). Without it, no \
             gateway of the cluster starts."
        ),
    };
    let _ = writeln!(
        out,
        "Do not start this venue again: what it did from now on would not move. Next: crossbook import --config CLUSTER.toml {}",
        file.display()
    );
    out
}
