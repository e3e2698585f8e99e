//! Asks a process whether it is alive or ready, where a supervisor has neither a shell nor a client of HTTP.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;

use super::Error;
use super::client::Client;

/// What a process is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Whether it runs.
    IsAlive,
    /// Whether it does its work.
    IsReady,
}

/// What it has answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probed {
    /// Whether it said yes.
    pub is_well: bool,
    /// Its answer.
    pub text: String,
}

/// Asks the process at `url`. `ca` is a file with the authority of its certificate.
///
/// # Errors
/// When it cannot be reached, or does not answer within `timeout`.
pub fn ask(url: &str, question: Question, ca: Option<&Path>, timeout: Duration) -> Result<Probed, Error> {
    let path = match question {
        Question::IsAlive => "healthz",
        Question::IsReady => "readyz",
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::without_token(url, ca, timeout)?;
        let (status, text) = client.send(Method::GET, path).await?;
        Ok(Probed { is_well: status.is_success(), text })
    })
}
