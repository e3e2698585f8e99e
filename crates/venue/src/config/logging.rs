//! What is logged, and how: the section `[logging]`.

use serde::{Deserialize, Serialize};

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggingOptions {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines there are: a level, or levels by module, such as `info,crossbook_gateway=debug`.
    pub filter: String,
    /// How many of the last lines the admin API shows; 0: none.
    pub tail_lines: usize,
    /// Warnings about the configuration, which are logged first. Not a setting.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Default for LoggingOptions {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info".into(), tail_lines: 1_000, warnings: Vec::new() }
    }
}
