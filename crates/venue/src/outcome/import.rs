//! The result of an import.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Outcome;
use crate::cluster::audit::Report;
use crate::cluster::import::{Imported, Secrets};
use crate::export::counts;
use crate::import::{self, SecretKey};
use crate::variables::SECRET_KEY_VARIABLE;

/// How many differences are printed.
const DIFFERENCES_MAX: usize = 100;

impl Outcome for Imported {
    fn as_json(&self) -> Value {
        let Imported { export, name, outcome, .. } = self;
        let counts: serde_json::Map<String, Value> =
            counts(&export.inventory).into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
        json!({
            "export": hex::encode(name),
            "sequence": export.sequence.0,
            "stateHash": hex::encode(export.state_hash),
            "counts": counts,
            "delivered": outcome.delivered,
            "compared": outcome.report.is_some(),
            "differences": outcome.differences,
            "audit": outcome.report.as_ref().map(Report::as_json),
            "ok": outcome.has_imported(),
        })
    }

    fn as_text(&self) -> String {
        let Imported { export, name, secrets, outcome } = self;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "export        {}", hex::encode(name));
        let _ = writeln!(out, "last command  {}", export.sequence);
        let [assets, markets, accounts, keys, transfers, orders] = counts(&export.inventory).map(|(_, count)| count);
        let _ = writeln!(
            out,
            "what there is {assets} assets, {markets} markets, {accounts} accounts, {keys} API keys, {transfers} \
             transfers, {orders} open orders\n"
        );
        let Some(report) = &outcome.report else {
            out.push_str(
                "This export had been imported before, and later changes are untouched. The cluster is open.\n",
            );
            return out;
        };
        out.push_str(&report.as_text());
        for difference in outcome.differences.iter().take(DIFFERENCES_MAX) {
            let _ = writeln!(out, "WRONG: {difference}");
        }
        if !outcome.has_imported() {
            out.push_str(
                "The cluster does not have what the export has, and was not opened. Empty the store and import \
                 again.\n",
            );
            return out;
        }
        out.push_str(
            "Balances are equal account by account, open orders place by place, and so is all else. The cluster is \
             open: it trades as soon as workers and gateways run.\n",
        );
        if *secrets == Secrets::Unchecked {
            let _ = writeln!(
                out,
                "Every gateway needs the old venue's key as {}; `crossbook export` said where it is.",
                SECRET_KEY_VARIABLE
            );
        }
        out
    }
}

impl Outcome for import::Imported {
    fn as_json(&self) -> Value {
        let counts: serde_json::Map<String, Value> =
            counts(&self.export.inventory).into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
        json!({
            "export": hex::encode(self.name),
            "folder": self.folder.display().to_string(),
            "sequence": self.sequence.0,
            "stateHash": hex::encode(self.state_hash),
            "counts": counts,
            "secretKeyNeeded": self.secret_key != SecretKey::NotNeeded,
            "secretKeyAtHand": self.secret_key == SecretKey::Opens,
            "differences": self.differences,
            "ok": self.has_imported(),
        })
    }

    fn as_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "export        {}", hex::encode(self.name));
        let _ = writeln!(out, "last command  {}", self.sequence);
        let _ = writeln!(out, "state hash    {}", hex::encode(self.state_hash));
        let [assets, markets, accounts, keys, transfers, orders] =
            counts(&self.export.inventory).map(|(_, count)| count);
        let _ = writeln!(
            out,
            "what there is {assets} assets, {markets} markets, {accounts} accounts, {keys} API keys, {transfers} \
             transfers, {orders} open orders\n"
        );
        for difference in self.differences.iter().take(DIFFERENCES_MAX) {
            let _ = writeln!(out, "WRONG: {difference}");
        }
        let folder = self.folder.display();
        if !self.has_imported() {
            let _ = writeln!(
                out,
                "The new venue does not have what the export has, and was not opened. Empty {folder} and import again."
            );
            return out;
        }
        let _ = writeln!(
            out,
            "Balances are equal account by account, open orders place by place, and so is all else. Next: crossbook \
             serve --data {folder}"
        );
        if let SecretKey::Absent(place) = &self.secret_key {
            let _ = writeln!(
                out,
                "Before that, put the old venue's key into {}, or set {SECRET_KEY_VARIABLE} to it; `crossbook export` \
                 said where it is.",
                place.display()
            );
        }
        out
    }
}
