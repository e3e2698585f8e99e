//! What an audit of a log or of a cluster proves.

/// What an audit proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All balances reconcile, and nothing is missing.
    Reconciled,
    /// All balances reconcile, but the history could not be asked whether anything is missing.
    Unasked,
    /// Something is wrong.
    Wrong,
}

impl Verdict {
    pub(crate) fn of(findings: &[String], unasked: Option<&String>) -> Self {
        match (findings, unasked) {
            ([], None) => Self::Reconciled,
            ([], Some(_)) => Self::Unasked,
            _ => Self::Wrong,
        }
    }
}
