//! The `Date` header of answers, by the machine's clock as it is now: hyper's own never goes back, so it would stay in
//! the future after the clock was set back.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;

thread_local! {
    /// The last value, and the second since 1970 that it stands for.
    static LAST: RefCell<(u64, HeaderValue)> = const {
        RefCell::new((0, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")))
    };
}

/// The header's value at that time. It is written once for each second and thread.
pub(crate) fn header(now: SystemTime) -> HeaderValue {
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(of, value)| {
        if *of != second
            && let Ok(written) = HeaderValue::try_from(httpdate::fmt_http_date(now))
        {
            (*of, *value) = (second, written);
        }
        value.clone()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_goes_back_with_the_clock() {
        let at = |seconds| header(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(at(784_025_377), "Sat, 05 Nov 1994 08:49:37 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
