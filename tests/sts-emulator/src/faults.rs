//! Faults a test may ask for, and in which order they strike.

use serde::{Deserialize, Serialize};

/// What goes wrong from now on. Absent fields are off; the control endpoints are never affected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Answers with this error.
    pub fail: Option<Fail>,
    /// Answers this many requests with 400 `Throttling`, before `fail` gets its turn.
    pub throttle: u32,
    /// Waits this long before every answer, in milliseconds.
    pub delay_ms: u64,
    /// Never answers.
    pub hang: bool,
    /// Answers 200 with XML that ends in the middle.
    pub malformed: bool,
    /// Answers 200 with 64 MiB of XML.
    pub huge_body: bool,
    /// Moves the clock the emulator believes in and sends as `Date`, in seconds.
    pub skew_seconds: i64,
    /// As in the configuration, and stronger.
    pub session_lifetime_seconds: Option<u32>,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The AWS error code, like `InternalFailure`.
    pub code: String,
    /// The error's message.
    #[serde(default)]
    pub message: String,
    /// For how many requests; `None` until cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What happens to one request instead of an honest answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Strike {
    Hang,
    HugeBody,
    Malformed,
    Throttle,
    Fail(Fail),
}

impl Strike {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Hang => "fault:hang",
            Self::HugeBody => "fault:huge_body",
            Self::Malformed => "fault:malformed",
            Self::Throttle => "fault:throttle",
            Self::Fail(_) => "fault:fail",
        }
    }
}

impl Faults {
    /// Why these faults cannot be set, if so.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.fail.as_ref().is_some_and(|fail| !(400..600).contains(&fail.status)) {
            return Err("fail.status must be 400 to 599");
        }
        if self.session_lifetime_seconds == Some(0) {
            return Err("session_lifetime_seconds must be at least 1");
        }
        Ok(())
    }

    /// The fault for the next request; counts it.
    pub(crate) fn strike(&mut self) -> Option<Strike> {
        if self.hang {
            return Some(Strike::Hang);
        }
        if self.huge_body {
            return Some(Strike::HugeBody);
        }
        if self.malformed {
            return Some(Strike::Malformed);
        }
        if let Some(left) = self.throttle.checked_sub(1) {
            self.throttle = left;
            return Some(Strike::Throttle);
        }
        let fail = self.fail.as_mut()?;
        if let Some(times) = &mut fail.times {
            *times = times.checked_sub(1)?;
        }
        Some(Strike::Fail(fail.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_faults_end_and_throttling_comes_first() {
        let mut faults: Faults =
            serde_json::from_str(r#"{"throttle":1,"fail":{"status":500,"code":"InternalFailure","times":2}}"#).unwrap();
        let strikes: Vec<_> = (0..5).map(|_| faults.strike().map(|strike| strike.as_str())).collect();
        assert_eq!(strikes, [Some("fault:throttle"), Some("fault:fail"), Some("fault:fail"), None, None]);
    }

    #[test]
    fn a_fault_without_a_count_stays() {
        let mut faults: Faults = serde_json::from_str(r#"{"fail":{"status":503,"code":"X"}}"#).unwrap();
        assert!((0..100).all(|_| faults.strike().is_some()));
    }

    #[test]
    fn an_unknown_fault_is_refused() {
        assert!(serde_json::from_str::<Faults>(r#"{"fial":{}}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"fail":{"status":200,"code":"X"}}"#).unwrap().check().is_err());
    }
}
