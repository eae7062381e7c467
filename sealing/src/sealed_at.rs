//! When a run was sealed.
use std::fmt;

/// Why a time was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: YYYY-MM-DDTHH:MM:SSZ, from 1970 to 9999")]
pub struct TimeError(String);

/// Unix seconds from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedAt(u64);
impl SealedAt {
    /// From Unix seconds.
    pub fn from_unix(seconds: u64) -> Result<Self, TimeError> { Ok(Self(seconds)) }
    /// Unix seconds.
    pub fn unix(self) -> u64 { self.0 }
    /// From `YYYY-MM-DDTHH:MM:SSZ`.
    pub fn parse(_text: &str) -> Result<Self, TimeError> { unimplemented!() }
}
impl fmt::Display for SealedAt { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { unimplemented!() } }
