//! The last log lines of the process, for its operator.
//!
//! Nothing here logs secrets. Lines are cut and masked all the same before they are kept: whatever a library says, what
//! looks like a token, a key or the password of an address does not leave the machine by this way.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::Level;

use crate::error::AdminError;

/// The most bytes of a line's text; the rest is cut off.
const TEXT_BYTES_MAX: usize = 2_000;
/// Letters and digits in a row that may be a token, a key or a secret.
const SECRET_CHARACTERS: usize = 32;
/// So many of them are shown, so that a key can be recognized.
const SHOWN_CHARACTERS: usize = 6;
/// Lines of an answer whose request does not say.
const LINES_DEFAULT: usize = 200;
/// The most lines of an answer.
const LINES_MAX: usize = 1_000;
/// From the fewest words on.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// A log line.
#[derive(Clone, Debug)]
struct Line {
    number: u64,
    millis: u64,
    level: Level,
    target: String,
    text: String,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    /// The number of the newest line, from 1 on.
    newest: u64,
}

/// The last lines; the oldest are dropped.
#[derive(Debug)]
pub struct LogTail {
    kept: Mutex<Kept>,
    lines_max: usize,
    /// When it began, to tell one process from the next.
    began: u64,
}

impl LogTail {
    /// Keeps at most so many lines.
    #[must_use]
    pub fn new(lines_max: usize) -> Self {
        Self { kept: Mutex::default(), lines_max, began: millis() }
    }

    /// Adds a line.
    pub fn push(&self, level: Level, target: &str, text: &str) {
        let (millis, text) = (millis(), shortened(&masked(text)));
        let mut kept = self.kept.lock();
        kept.newest += 1;
        let line = Line { number: kept.newest, millis, level, target: target.to_owned(), text };
        kept.lines.push_back(line);
        while kept.lines.len() > self.lines_max {
            kept.lines.pop_front();
        }
    }

    fn page(&self, Asking { after, limit, level }: Asking) -> Value {
        // Whoever logs waits while this is locked, so the lines are copied, and rendered afterwards.
        let kept = self.kept.lock();
        let (newest, oldest) = (kept.newest, kept.lines.front().map(|line| line.number));
        let chosen = kept.lines.iter().filter(|line| line.level <= level);
        let mut lines: Vec<Line> = match after {
            Some(after) => chosen.filter(|line| line.number > after).take(limit).cloned().collect(),
            None => chosen.rev().take(limit).cloned().collect(),
        };
        drop(kept);
        lines.sort_by_key(|line| line.number);
        let is_cut = after.is_some() && lines.len() == limit;
        let next = lines.last().filter(|_| is_cut).map_or(newest, |line| line.number);
        json!({
            "process": self.began,
            "lines": lines.iter().map(shown).collect::<Vec<_>>(),
            "next": next,
            "oldest": oldest,
        })
    }
}

/// Which lines are asked for.
#[derive(Clone, Copy, Debug)]
struct Asking {
    after: Option<u64>,
    limit: usize,
    level: Level,
}

impl Asking {
    fn read(query: Option<&str>) -> Result<Self, AdminError> {
        let mut asking = Self { after: None, limit: LINES_DEFAULT, level: Level::TRACE };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("limit", value) => {
                    let given = value.parse::<usize>().ok().filter(|&limit| limit > 0);
                    let given = given.ok_or_else(|| AdminError::invalid("limit must be a whole number from 1."))?;
                    asking.limit = given.min(LINES_MAX);
                }
                ("after", value) => {
                    let given = value.parse().map_err(|_| AdminError::invalid("after must be a `next`."))?;
                    asking.after = Some(given);
                }
                ("level", value) => {
                    let given = LEVELS.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(value));
                    let unknown = || AdminError::invalid("level must be error, warn, info, debug or trace.");
                    asking.level = given.ok_or_else(unknown)?;
                }
                (name, _) => {
                    return Err(AdminError::invalid(format!(
                        "There is no parameter {name:?}; there are after, level and limit."
                    )));
                }
            }
        }
        Ok(asking)
    }
}

/// The lines that a request asks for.
pub(super) fn page(log: Option<&LogTail>, query: Option<&str>) -> Result<Value, AdminError> {
    let asking = Asking::read(query)?;
    let none = || AdminError::not_found("This process keeps no log lines (logging.tail_lines is 0).");
    Ok(log.ok_or_else(none)?.page(asking))
}

fn shown(line: &Line) -> Value {
    json!({
        "number": line.number,
        "time": line.millis,
        "level": line.level.as_str(),
        "target": line.target,
        "text": line.text,
    })
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

/// The text without what may be secret: of long rows of letters and digits the beginning is left, and of who is named
/// in an address nothing.
fn masked(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (part, more) = rest.split_at(length);
        rest = more;
        if !is_word(first) {
            out.push_str(part);
            if part.ends_with("://")
                && let Some(at) = authority(rest).rfind('@')
            {
                out.push('…');
                rest = &rest[at..];
            }
        } else if part.len() >= SECRET_CHARACTERS {
            out.push_str(&part[..SHOWN_CHARACTERS]);
            out.push('…');
        } else {
            out.push_str(part);
        }
    }
    out
}

/// What names user and host at the beginning of the rest of an address.
fn authority(rest: &str) -> &str {
    &rest[..rest.find(|c: char| c == '/' || c == '"' || c.is_whitespace()).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_masked() {
        let key = "a1B2".repeat(16);
        assert_eq!(masked(&format!("key={key} of \"{key}\"")), "key=a1B2a1… of \"a1B2a1…\"");
        assert_eq!(masked("mysql://me:p@ss@db.example/x at 10.0.0.1"), "mysql://…@db.example/x at 10.0.0.1");
        assert_eq!(masked("http://127.0.0.1:8081/a@b is 통 open"), "http://127.0.0.1:8081/a@b is 통 open");
        assert_eq!(masked(&"x".repeat(31)), "x".repeat(31));
        let base64 = format!("{}/{}==", "a+".repeat(20), "b".repeat(40));
        assert_eq!(masked(&base64), "a+a+a+…/bbbbbb…==");
    }

    #[test]
    fn the_last_lines_are_kept_and_followed() {
        let tail = LogTail::new(3);
        let page = |query| page(Some(&tail), Some(query)).unwrap();
        for number in 1..=5 {
            let level = if number == 4 { Level::ERROR } else { Level::INFO };
            tail.push(level, "of", &format!("line {number}"));
        }
        let texts = |answer: &Value| {
            answer["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
        };
        let all: Vec<String> = texts(&page(""));
        assert_eq!(all, ["line 3", "line 4", "line 5"]);
        let last: Vec<String> = texts(&page("limit=1"));
        assert_eq!(last, ["line 5"]);
        let errors = page("level=warn");
        assert_eq!(
            (&errors["lines"][0]["level"], &errors["next"], &errors["oldest"]),
            (&json!("ERROR"), &json!(5), &json!(3))
        );
        let first = page("after=2&limit=2");
        assert_eq!(first["next"], 4, "{first}");
        let rest: Vec<String> = texts(&page("after=4&limit=2"));
        assert_eq!(rest, ["line 5"]);
        assert_eq!(page("after=5")["lines"], json!([]));
        for wrong in ["limit=0", "level=loud", "after=x", "before=1"] {
            assert_eq!(super::page(Some(&tail), Some(wrong)).unwrap_err().status, 400, "{wrong}");
        }
        assert_eq!(super::page(None, None).unwrap_err().status, 404);
    }

    #[test]
    fn a_line_has_a_length() {
        let tail = LogTail::new(1);
        tail.push(Level::INFO, "of", &"한 ".repeat(2_000));
        let text = tail.page(Asking { after: None, limit: 1, level: Level::TRACE })["lines"][0]["text"].clone();
        let text = text.as_str().unwrap();
        assert!(text.len() <= TEXT_BYTES_MAX + 3 && text.ends_with('…'));
    }
}
