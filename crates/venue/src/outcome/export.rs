//! The result of an export.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Outcome;
use crate::cluster::export::Reopened;
use crate::export::{Exported, Origin, SecretKey, counts};
use crate::variables::SECRET_KEY_VARIABLE;

impl Outcome for Exported {
    fn as_json(&self) -> Value {
        let assets: Map<String, Value> = self
            .sums()
            .into_iter()
            .map(|(name, clients, fees)| (name, json!({ "clients": clients, "fees": fees })))
            .collect();
        let counts: Map<String, Value> =
            counts(&self.export.inventory).into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
        json!({
            "export": hex::encode(self.name),
            "cluster": matches!(self.origin, Origin::Cluster { .. }),
            "file": self.file.display().to_string(),
            "sequence": self.export.sequence.0,
            "stateHash": hex::encode(self.export.state_hash),
            "assets": assets,
            "counts": counts,
            "secretKeyNeeded": self.secret_key != SecretKey::NotNeeded,
            "secretKeyAtHand": matches!(self.secret_key, SecretKey::At(_)),
        })
    }

    fn as_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "file          {}", self.file.display());
        let _ = writeln!(out, "export        {}", hex::encode(self.name));
        let sequence = self.export.sequence;
        let _ = match self.origin {
            Origin::Folder => writeln!(out, "last command  {sequence}"),
            Origin::Cluster { partitions } => writeln!(out, "commands      {sequence} in {partitions} partitions"),
        };
        let _ = writeln!(out, "state hash    {}", hex::encode(self.export.state_hash));
        let [assets, markets, accounts, keys, transfers, orders] =
            counts(&self.export.inventory).map(|(_, count)| count);
        let _ = writeln!(
            out,
            "what there is {assets} assets, {markets} markets, {accounts} accounts, {keys} API keys, {transfers} \
             transfers, {orders} open orders"
        );
        let _ = writeln!(out, "\n{:<10} {:>32} {:>28}", "asset", "clients", "fees");
        for (name, clients, fees) in self.sums() {
            let _ = writeln!(out, "{name:<10} {clients:>32} {fees:>28}");
        }
        out.push('\n');
        let _ = match &self.secret_key {
            SecretKey::NotNeeded => writeln!(out, "No API key needs the secret key."),
            SecretKey::At(place) => writeln!(
                out,
                "The secrets of API keys are encrypted in the file. Every gateway of a new cluster needs the key to \
                 them as {}; it is {place}.",
                SECRET_KEY_VARIABLE
            ),
            SecretKey::Missing(why) => writeln!(
                out,
                "WARNING: the secrets of API keys are encrypted in the file, and the key to them is not at hand \
                 ({why}). Without it, no gateway of the new cluster and no `crossbook serve` starts."
            ),
        };
        out.push_str(match self.origin {
            Origin::Folder => "Do not start this venue again: what it did from now on would not move.",
            Origin::Cluster { .. } => {
                "The cluster is closed for good: its gateways refuse their clients, and none of its gateways and \
                 workers starts again."
            }
        });
        let file = self.file.display();
        let _ = writeln!(
            out,
            " Next: crossbook import --config CLUSTER.toml {file}\nor, into a folder: crossbook import --data DIR \
             {file}"
        );
        out
    }
}

impl Outcome for Reopened {
    fn as_json(&self) -> Value {
        json!({ "wasClosed": self.0.is_some(), "export": self.0.as_ref().map(|closing| closing.export.as_str()) })
    }

    fn as_text(&self) -> String {
        match &self.0 {
            None => "The cluster was not closed. It is open.\n".to_owned(),
            Some(closing) => format!(
                "The cluster is open again; gateways that run notice it within seconds. Delete the export {}: a venue \
                 that is imported from it would be a second one with the same balances.\n",
                closing.export
            ),
        }
    }
}
