//! Drives the `waxwing` binary as a user does: arguments and files in; exit code, streams and files out.
#![expect(
    clippy::expect_used,
    reason = "a helper of a test that cannot go on says why and ends it"
)]

mod cases;
mod conduct;
mod configuration;
mod fetch;
mod keys;
mod manifest;
mod recovery;
mod reveal;
mod seal;
mod show;
mod support;
mod terminal;
mod trust;
