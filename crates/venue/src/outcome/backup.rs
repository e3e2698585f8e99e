//! What a backup and a restore have done.

use crossbook_object_store::backup::Manifest;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::Outcome;
use crate::backup::{Made, RestoredFolder};
use crate::variables::SECRET_KEY_VARIABLE;

fn contents(manifest: &Manifest) -> Value {
    json!({
        "log": manifest.log,
        "firstCommand": manifest.first().0,
        "lastCommand": manifest.last.0,
        "segments": manifest.segments.len(),
        "snapshot": manifest.snapshot.as_ref().map(|(at, _)| at.0),
        "missing": manifest.missing().map(|(first, last)| json!({ "first": first, "last": last })),
        "bytes": manifest.objects().map(|stored| stored.bytes).sum::<u64>(),
    })
}

fn described(manifest: &Manifest) -> String {
    let commands = match manifest.segments.is_empty() {
        true => "none".to_owned(),
        false => format!("{} to {}", manifest.first(), manifest.last),
    };
    let snapshot = manifest.snapshot.as_ref().map_or("none".to_owned(), |(at, _)| format!("at command {at}"));
    let lost =
        manifest.missing().map(|(first, last)| format!("missing       {first} to {last}: the log has lost them\n"));
    format!("commands      {commands}\n{}snapshot      {snapshot}\n", lost.unwrap_or_default())
}

impl Outcome for Made {
    fn as_json(&self) -> Value {
        let Self { taken, place, .. } = self;
        let mut object = contents(&taken.manifest);
        object["place"] = place.as_str().into();
        object["segmentsCopied"] = taken.segments_copied.into();
        object["segmentsDropped"] = taken.segments_dropped.into();
        object["snapshotCopied"] = taken.snapshot_copied.into();
        object["bytesCopied"] = taken.bytes_copied.into();
        object
    }

    fn as_text(&self) -> String {
        let Self { taken, place, data } = self;
        let mut out = format!("backup        {place}\n");
        out.push_str(&described(&taken.manifest));
        let all = taken.manifest.segments.len();
        let bytes = HumanBytes(taken.bytes_copied);
        out.push_str(&format!("copied        {} of {all} segments, {bytes}, and read back\n", taken.segments_copied));
        if taken.segments_dropped > 0 {
            out.push_str(&format!(
                "dropped       {} segments: the log was trimmed past where the backup before ended, so they lead \
                 nowhere\n",
                taken.segments_dropped
            ));
        }
        out.push_str(&format!(
            "\nNot in it: the secret key ({SECRET_KEY_VARIABLE}, or {}), the settings, and the history in SQL, which \
             is rebuilt from the log.\n",
            data.secret_key().display()
        ));
        out
    }
}

impl Outcome for RestoredFolder {
    fn as_json(&self) -> Value {
        let Self { restored, data } = self;
        let mut object = contents(&restored.manifest);
        object["data"] = data.path().display().to_string().into();
        object["secretKeyFile"] = data.secret_key().display().to_string().into();
        object
    }

    fn as_text(&self) -> String {
        let Self { restored, data } = self;
        let mut out = format!("data folder   {}\n", data.path().display());
        out.push_str(&described(&restored.manifest));
        out.push_str(&format!("verified      all of it, {}\n", HumanBytes(restored.bytes)));
        out.push_str(&format!(
            "\nNext: put the venue's secret key back as {} (or set {SECRET_KEY_VARIABLE}), then\n  crossbook audit \
             --data {}\n",
            data.secret_key().display(),
            data.path().display()
        ));
        if restored.manifest.first().0 > 1 {
            out.push_str("The log begins after its first command, so it cannot be audited as a whole; the snapshot stands for the rest.\n");
        }
        out
    }
}
