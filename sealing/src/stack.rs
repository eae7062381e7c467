//! The part of the stack that a computation leaves behind.
//!
//! Buffers of ours are wiped when dropped. What the primitives below us keep in their frames (a
//! cipher's last block, ML-KEM's vectors) is not: it stays on the stack until other calls happen to
//! overwrite it, which in a sleeping thread is never. So whoever uses keys or values overwrites the
//! stack below itself before it returns, as `libgcrypt` does.

use std::hint::black_box;

/// More than the deepest of the computations takes, also without optimisation (ML-KEM-768: 50 KiB).
const DEPTH: usize = 96 * 1024;

/// Runs `work` and overwrites the stack that it used. Costs two microseconds.
pub(crate) fn clean_after<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    overwrite();
    result
}

/// A frame of its own, so that everything `work` puts on the stack lies where [`overwrite`] writes.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "the stack is what it is about")]
fn overwrite() {
    let mut frame = [0_u8; DEPTH];
    // Taken for used, the array is really written.
    black_box(&mut frame);
}
