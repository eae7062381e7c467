//! Random bytes of the operating system, without a panic when there are none.

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};

/// The operating system gave no random bytes.
#[derive(Debug)]
pub(crate) struct NoRandomness;

/// Fills a buffer from the operating system.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(buffer).map_err(|_| NoRandomness)
}

/// The operating system as HPKE wants it: a generator that cannot say that it failed. It remembers
/// a failure instead, and whoever used it must ask [`Os::check`] before using what was made.
#[derive(Default)]
pub(crate) struct Os {
    failed: bool,
}

impl Os {
    pub(crate) fn check(&self) -> Result<(), NoRandomness> {
        if self.failed {
            Err(NoRandomness)
        } else {
            Ok(())
        }
    }
}

impl TryRng for Os {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= fill(buffer).is_err();
        Ok(())
    }
}

impl TryCryptoRng for Os {}
