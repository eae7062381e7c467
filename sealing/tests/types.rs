//! What holds secrets cannot be printed, logged, serialised or copied: checked by the compiler.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fmt::{Debug, Display, LowerHex};

use sealing::{DataValue, Identity, NewEntry, Opened, OpenedValue, Plaintext, Signer};
use static_assertions::{assert_impl_all, assert_not_impl_any};

macro_rules! secret {
    ($($type:ty),+ $(,)?) => {
        $(assert_not_impl_any!($type: Debug, Display, LowerHex, Clone, Copy, serde::Serialize, PartialEq, std::hash::Hash, AsRef<[u8]>, std::ops::Deref, Default);)+
        $(assert_impl_all!($type: Send, Sync);)+
    };
}

secret!(
    DataValue,
    Identity,
    NewEntry,
    Opened,
    OpenedValue,
    Plaintext,
    Signer
);

// What was opened cannot be sealed again.
assert_not_impl_any!(OpenedValue: Into<Plaintext>, Into<Vec<u8>>);
assert_not_impl_any!(DataValue: Into<Plaintext>, Into<Vec<u8>>);
assert_not_impl_any!(Plaintext: From<OpenedValue>, From<DataValue>, From<Vec<u8>>, From<String>);

// What is public can be shown.
assert_impl_all!(sealing::Recipient: Debug, Display, Clone);
assert_impl_all!(sealing::Refusals: Debug, Display, std::error::Error);
assert_impl_all!(sealing::Sealed: Debug, Clone);

/// The assertions above are the test; this one keeps them in the list of tests.
#[test]
fn secrets_are_checked_by_the_compiler() {
    fn secrets_in_memory<T>() -> bool {
        std::mem::needs_drop::<T>()
    }
    assert!(
        secrets_in_memory::<Identity>()
            && secrets_in_memory::<Plaintext>()
            && secrets_in_memory::<OpenedValue>()
            && secrets_in_memory::<DataValue>()
    );
}
