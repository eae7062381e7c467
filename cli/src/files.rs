//! Reading inputs into memory that is wiped, and writing results so that a file is either old or new.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    error::{Code, CommandError},
    interrupt,
};

/// No input is read beyond this: no Secret, no manifest a person wrote, comes near.
pub const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// May an existing file be replaced?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it and fail with [`Code::WouldOverwrite`].
    Refuse,
    /// Replace its content; mode and a symbolic link's target stay.
    Replace,
}

/// Reads a whole file. The buffer is made as large as the file at once, so that growing leaves no copies behind.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let failed = |error: io::Error| {
        CommandError::new(
            Code::FileUnreadable,
            format!("cannot read {}: {}", path.display(), describe(&error)),
        )
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(CommandError::new(
            Code::FileUnreadable,
            format!("cannot read {}: it is a directory", path.display()),
        ));
    }
    read_all(file, metadata.size()).map_err(failed)
}

/// Reads standard input to its end.
pub fn read_stdin() -> Result<Zeroizing<Vec<u8>>, CommandError> {
    read_all(io::stdin().lock(), 0).map_err(|error| {
        CommandError::new(
            Code::FileUnreadable,
            format!("cannot read standard input: {}", describe(&error)),
        )
    })
}

/// Fills one wiped buffer after another: a `Vec` that grows by itself would leave its old halves in memory.
fn read_all(mut from: impl Read, size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let expected = usize::try_from(size.min(MAX_INPUT)).unwrap_or(0);
    // One byte more than expected, so that the end is seen without growing.
    let mut buffer = Zeroizing::new(vec![0; (expected + 1).max(8 * 1024)]);
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            let mut larger = Zeroizing::new(vec![0; buffer.len() * 2]);
            larger[..filled].copy_from_slice(&buffer);
            buffer = larger;
        }
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled as u64 > MAX_INPUT {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("more than {MAX_INPUT} bytes"),
            ));
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// Fails early when `path` exists already or its directory does not: before anything is asked, read or sealed.
pub fn refuse_existing(path: &Path) -> Result<(), CommandError> {
    if path.symlink_metadata().is_ok() {
        return Err(would_overwrite(path));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(CommandError::usage(format!(
                "there is no directory {} for {}",
                parent.display(),
                path.display()
            ))
            .hint(format!("make it first: mkdir -p {}", parent.display())))
        }
        _ => Ok(()),
    }
}

/// Writes `bytes` beside the target, flushes them to the disk and renames. A new file gets `mode` (less the umask).
///
/// Fails with [`Code::WouldOverwrite`] when the target exists and `existing` refuses, also when it appears in
/// between; with [`Code::Io`] when the directory cannot be written.
pub fn write(path: &Path, bytes: &[u8], existing: Existing, mode: u32) -> Result<(), CommandError> {
    place(path, bytes, existing, mode, true)
}

/// Replaces a file of the user's own state: what a command remembers, not what it was asked for.
pub fn write_state(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    place(path, bytes, Existing::Replace, 0o600, false)
}

fn place(
    path: &Path,
    bytes: &[u8],
    existing: Existing,
    mode: u32,
    result: bool,
) -> Result<(), CommandError> {
    if existing == Existing::Refuse {
        refuse_existing(path)?;
    }
    // Through a symbolic link, so that the link stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |error: io::Error| {
        CommandError::new(
            Code::Io,
            format!("cannot write {}: {}", path.display(), describe(&error)),
        )
        .hint("nothing was written; check the directory, its rights and the free space")
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let old = fs::metadata(&target).ok();
    let temporary = temporary_name(
        &directory,
        target.file_name().unwrap_or_else(|| OsStr::new("output")),
    );
    interrupt::temporary(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        if let Some(old) = &old {
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        interrupt::place(result, || put(&temporary, &target, existing))?;
        File::open(&directory)?.sync_all()
    })();
    match written {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            if existing == Existing::Refuse && error.kind() == io::ErrorKind::AlreadyExists {
                return Err(would_overwrite(path));
            }
            Err(failed(error))
        }
    }
}

/// Makes the temporary file the real one.
fn put(temporary: &Path, target: &Path, existing: Existing) -> io::Result<()> {
    if existing == Existing::Replace {
        return fs::rename(temporary, target);
    }
    // A link fails when the name is taken: nobody's file is lost to a race.
    match fs::hard_link(temporary, target) {
        Ok(()) => fs::remove_file(temporary),
        // A file system without links: the check and the renaming are then two steps.
        Err(error)
            if error.kind() != io::ErrorKind::AlreadyExists
                && target.symlink_metadata().is_err() =>
        {
            fs::rename(temporary, target)
        }
        Err(error) => Err(error),
    }
}

fn temporary_name(directory: &Path, name: &OsStr) -> PathBuf {
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    directory.join(hidden)
}

fn would_overwrite(path: &Path) -> CommandError {
    CommandError::new(
        Code::WouldOverwrite,
        format!("{} exists already and is left as it is", path.display()),
    )
    .hint("name another file with -o, or remove this one first")
}

/// The system's words without Rust's "(os error 2)".
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_appears_in_between_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (new, target) = (
            directory.path().join("new"),
            directory.path().join("target"),
        );
        fs::write(&new, "new").unwrap();
        fs::write(&target, "theirs").unwrap();
        let refused = put(&new, &target, Existing::Refuse).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        put(&new, &target, Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn reading_keeps_every_byte_at_every_size() {
        for size in [0, 1, 8191, 8192, 8193, 100_000] {
            let bytes: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
            for expected in [0, u64::from(size)] {
                assert_eq!(*read_all(bytes.as_slice(), expected).unwrap(), bytes);
            }
        }
    }
}
