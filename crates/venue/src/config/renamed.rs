//! Settings that have been renamed. Their old names are accepted for one release, with a warning.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// Old and new name of each, as dotted paths.
const RENAMED: &[(&str, &str)] = &[
    ("clock.behind_max_ms", "clock.behind_log_max_ms"),
    ("clock.look_every_ms", "clock.check_interval_ms"),
    ("cluster.gate.backlog_max", "cluster.log_client.backlog_max"),
    ("cluster.gate.batch_requests_max", "cluster.log_client.batch_requests_max"),
    ("cluster.gate.breaker_ms", "cluster.log_client.circuit_breaker_ms"),
    ("cluster.gate.fence_ms", "cluster.log_client.read_barrier_timeout_ms"),
    ("cluster.gate.follow_commands_max", "cluster.log_client.read_batch_commands_max"),
    ("cluster.gate.keep_ms", "cluster.log_client.retention_ms"),
    ("cluster.gate.queue_requests_max", "cluster.log_client.queue_requests_max"),
    ("cluster.gate.queue_wait_max_ms", "cluster.log_client.queue_wait_max_ms"),
    ("cluster.gate.retry_delay_max_ms", "cluster.log_client.retry_delay_max_ms"),
    ("cluster.gate.retry_ms", "cluster.log_client.retry_ms"),
    ("cluster.snapshot_every_commands", "cluster.snapshot_interval_commands"),
    ("cluster.worker.courier_batch_max", "cluster.worker.forward_batch_max"),
    ("cluster.worker.courier_messages_max", "cluster.worker.forward_retained_max"),
    ("cluster.worker.depth_every_ms", "cluster.worker.depth_interval_ms"),
    ("cluster.worker.held_commands_max", "cluster.worker.read_ahead_commands_max"),
    ("cluster.worker.idle_ms", "cluster.worker.poll_timeout_ms"),
    ("cluster.worker.takeover_ms", "cluster.worker.failover_ms"),
    ("cluster.writer.mark_every_ms", "cluster.writer.checkpoint_interval_ms"),
    ("gateway.limits.tracked_max", "gateway.limits.tracked_clients_max"),
    ("gateway.streams.lifetime_ms", "gateway.streams.connection_lifetime_ms"),
    ("gateway.streams.unread_bytes_max", "gateway.streams.send_queue_bytes_max"),
    ("gateway.streams.unread_bytes_total_max", "gateway.streams.send_queue_bytes_total_max"),
    ("gateway.streams.unread_timeout_ms", "gateway.streams.send_timeout_ms"),
    ("node.publish_batches_max", "node.publish_queue_batches_max"),
    ("node.queue_wait_standing_ms", "node.queue_wait_sustained_max_ms"),
    ("snapshots.every_commands", "snapshots.interval_commands"),
    ("snapshots.look_every_ms", "snapshots.check_interval_ms"),
];

/// The new name of a setting, if the path is an old one.
pub(super) fn new_name(path: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == path).map(|(_, new)| *new)
}

/// Moves values from old names to new ones. A value under the new name wins. Returns the renamed settings that were
/// found, as pairs of the old and the new name.
fn apply(settings: &mut Dict) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for &(old, new) in RENAMED {
        if let Some(value) = take(settings, old) {
            put(settings, new, value);
            found.push((old, new));
        }
    }
    found
}

/// Warnings about the old names in settings, which are changed to the new ones.
pub(super) fn warnings(settings: &mut Dict, origin: &str) -> Vec<String> {
    let warning =
        |(old, new)| format!("{origin} sets `{old}`, which is now `{new}`; the old name will be refused later");
    apply(settings).into_iter().map(warning).collect()
}

/// Removes the value at a path, and sections that are empty without it.
fn take(settings: &mut Dict, path: &str) -> Option<Value> {
    let Some((section, rest)) = path.split_once('.') else { return settings.remove(path) };
    let Some(Value::Dict(_, inner)) = settings.get_mut(section) else { return None };
    let value = take(inner, rest);
    if value.is_some() && inner.is_empty() {
        settings.remove(section);
    }
    value
}

/// Sets the value at a path, unless it is set already.
fn put(settings: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            settings.entry(path.to_owned()).or_insert(value);
        }
        Some((section, rest)) => {
            let inner = settings.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A source of settings, whose old names become new ones.
pub(super) struct Renaming<P>(pub(super) P);

impl<P: Provider> Provider for Renaming<P> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = self.0.data()?;
        for settings in data.values_mut() {
            apply(settings);
        }
        Ok(data)
    }

    fn profile(&self) -> Option<Profile> {
        self.0.profile()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FromSerialised as _, lookup};

    #[test]
    fn new_names_are_settings_and_old_ones_are_not() {
        let known = Dict::from_serialised(&Config::default()).unwrap();
        for (old, new) in RENAMED {
            assert!(lookup(&known, new).is_some(), "{new} is no setting");
            assert!(lookup(&known, old).is_none(), "{old} is still a setting");
        }
    }
}
