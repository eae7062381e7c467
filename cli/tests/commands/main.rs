//! Drives the `waxwing` binary as a user does: arguments and files in; exit code, streams and files out.

mod cases;
mod conduct;
mod configuration;
mod keys;
mod manifest;
mod recovery;
mod reveal;
mod seal;
mod show;
mod support;
mod terminal;
mod trust;
