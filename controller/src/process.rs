//! What this process asks of the kernel, because private keys are in its memory.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Keeps the process's memory out of core dumps and away from debuggers of the same user.
///
/// # Errors
/// When the kernel refuses; the text says which of the two.
pub fn forbid_dumps() -> Result<(), String> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|error| format!("cannot set RLIMIT_CORE to 0: {error}"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("cannot make the process undumpable: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_core_is_dumped() {
        forbid_dumps().expect("the kernel agrees");
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(
            rustix::process::dumpable_behavior(),
            Ok(DumpableBehavior::NotDumpable)
        );
    }
}
