//! The environment variables that hold the secrets of a venue. They are no settings, because others may read a
//! configuration file.

/// The admin token.
pub const ADMIN_TOKEN_VARIABLE: &str = "CROSSBOOK_ADMIN_TOKEN";
/// The file with the admin tokens, in place of [`ADMIN_TOKEN_VARIABLE`].
pub const ADMIN_TOKEN_FILE_VARIABLE: &str = "CROSSBOOK_ADMIN_TOKEN_FILE";
/// The key under which the secrets of API keys are encrypted in the log.
pub const SECRET_KEY_VARIABLE: &str = "CROSSBOOK_SECRET_KEY";
