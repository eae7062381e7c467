//! Secret values that can be searched for afterwards.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

/// What every secret value of this test process begins with. Random, so that a hit can come from nowhere else.
pub static MARK: LazyLock<String> = LazyLock::new(|| {
    // The random part of a temporary name: the standard library offers no other source of randomness.
    let seed = std::collections::hash_map::RandomState::new();
    let bits = std::hash::BuildHasher::hash_one(&seed, std::process::id());
    format!("canary-{bits:016x}")
});

/// A fresh secret value: holds the mark, and is unlike every other value of this process.
pub fn value() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", *MARK, COUNT.fetch_add(1, Ordering::Relaxed))
}
