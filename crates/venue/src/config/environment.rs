//! Environment variables that look like settings and are none. They are ignored, because platforms set such variables
//! themselves (Kubernetes sets CROSSBOOK_SERVICE_PORT if a Service is called crossbook). But platforms do not use two
//! underscores, which separate section and key: such a variable may be a misspelt limit, and causes a warning. So does
//! one that would be a setting if its underscores were two.

use figment::value::{Dict, Value};

use super::{Config, ENVIRONMENT_PREFIX, FromSerialised as _, lookup, renamed, similarity};

/// Warnings about such variables, one sentence each.
#[must_use]
pub fn warnings() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    Dict::from_serialised(&Config::default()).map(|known| of(names, &known)).unwrap_or_default()
}

fn of(names: impl Iterator<Item = String>, known: &Dict) -> Vec<String> {
    let mut settings = Vec::new();
    walk(known, "", &mut settings);
    let mut warnings: Vec<String> = names.filter_map(|name| warning(&name, known, &settings)).collect();
    warnings.sort();
    warnings
}

fn warning(name: &str, known: &Dict, settings: &[String]) -> Option<String> {
    let key = name.strip_prefix(ENVIRONMENT_PREFIX)?;
    if !key.contains("__") {
        return single_underscores(name, key, settings);
    }
    let path = key.to_lowercase().replace("__", ".");
    if lookup(known, &path).is_some() {
        return None;
    }
    if let Some(new) = renamed::new_name(&path) {
        let variable = new.replace('.', "__").to_uppercase();
        return Some(format!("{name} is now {ENVIRONMENT_PREFIX}{variable}; the old name will be refused later"));
    }
    // As alike as possible, and of those the one that is as long.
    let nearest = settings.iter().map(|setting| (similarity(setting, &path), -length(setting, &path), setting)).max();
    let hint = nearest
        .filter(|&(shared, ..)| shared * 2 >= path.len())
        .map_or_else(|| "`crossbook config` prints all settings".to_owned(), |(.., setting)| did_you_mean(setting));
    Some(format!("{name} is set, which is not a setting; {hint}"))
}

/// The warning about a variable with the name of a setting in a section, but with single underscores.
fn single_underscores(name: &str, key: &str, settings: &[String]) -> Option<String> {
    let key = key.to_lowercase();
    let setting = settings.iter().find(|setting| setting.contains('.') && setting.replace('.', "_") == key)?;
    Some(format!("{name} is set, which is not a setting; {}", did_you_mean(setting)))
}

fn did_you_mean(setting: &str) -> String {
    format!("did you mean {ENVIRONMENT_PREFIX}{}?", setting.replace('.', "__").to_uppercase())
}

/// By how much two names differ in length.
fn length(one: &str, other: &str) -> i64 {
    one.len().abs_diff(other.len()).try_into().unwrap_or(i64::MAX)
}

/// The paths of all settings that are no sections.
fn walk(known: &Dict, prefix: &str, found: &mut Vec<String>) {
    for (key, value) in known {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Dict(_, section) => walk(section, &path, found),
            _ => found.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_nearly_settings_are_told_with_the_nearest_one() {
        let known = Dict::from_serialised(&Config::default()).unwrap();
        let names = [
            "PATH",
            "CROSSBOOK_ADMIN_TOKEN",
            "CROSSBOOK_SERVICE_PORT",
            "CROSSBOOK_PORT_8080_TCP",
            "CROSSBOOK_HISTORY__DATABASE",
            "CROSSBOOK_GATEWAY__LIMITS__ORDER_10S",
            "CROSSBOOK_LOGING__FILTER",
            "CROSSBOOK_VIEWS__TRADES_PER_MARKT",
            "CROSSBOOK_COMPLETELY__DIFFERENT",
            "CROSSBOOK_GATEWAY_SERVER_DRAIN_MS",
            "CROSSBOOK_SNAPSHOTS__EVERY_COMMANDS",
        ];
        let told = of(names.into_iter().map(str::to_owned), &known);
        assert_eq!(
            told,
            [
                "CROSSBOOK_COMPLETELY__DIFFERENT is set, which is not a setting; `crossbook config` prints all \
                 settings",
                "CROSSBOOK_GATEWAY_SERVER_DRAIN_MS is set, which is not a setting; did you mean \
                 CROSSBOOK_GATEWAY__SERVER__DRAIN_MS?",
                "CROSSBOOK_GATEWAY__LIMITS__ORDER_10S is set, which is not a setting; did you mean \
                 CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S?",
                "CROSSBOOK_LOGING__FILTER is set, which is not a setting; did you mean CROSSBOOK_LOGGING__FILTER?",
                "CROSSBOOK_SNAPSHOTS__EVERY_COMMANDS is now CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS; the old name will \
                 be refused later",
                "CROSSBOOK_VIEWS__TRADES_PER_MARKT is set, which is not a setting; did you mean \
                 CROSSBOOK_VIEWS__TRADES_PER_MARKET?",
            ]
        );
    }
}
