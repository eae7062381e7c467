//! Finding `.waxwing.yaml`: from the target upward to the top of the repository, never beyond.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use super::{Config, FILE_NAME, file};
use crate::{
    environment::Environment,
    error::{Code, CommandError},
    files,
};

/// Reads the configuration for a target: the file named by flag or environment, else the discovered one, else the
/// user's own. `None` when there is none.
pub fn load(
    named: Option<&Path>,
    environment: &Environment,
    target: &Path,
) -> Result<Option<Config>, CommandError> {
    if let Some(path) = named.or(environment.config.as_deref()) {
        if !path.is_file() {
            return Err(CommandError::new(
                Code::Config,
                format!("there is no configuration at {}", path.display()),
            ));
        }
        return read(path, environment).map(Some);
    }
    let start = target.parent().unwrap_or(target);
    let start = real(start)?;
    let top =
        repository_root(&start, environment).map_or_else(|| top_without_repository(&start), Ok)?;
    for directory in start.ancestors() {
        let path = directory.join(FILE_NAME);
        if path.is_file() {
            return read(&path, environment).map(Some);
        }
        if directory == top {
            break;
        }
    }
    match &environment.user_config {
        Some(path) if path.is_file() => read(path, environment).map(Some),
        _ => Ok(None),
    }
}

fn read(path: &Path, environment: &Environment) -> Result<Config, CommandError> {
    let bytes = files::read(path)?;
    let shown = shown(path);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CommandError::new(Code::Config, format!("{shown} is not UTF-8 text")))?;
    let directory = real(path.parent().unwrap_or_else(|| Path::new(".")))?;
    let root = repository_root(&directory, environment).unwrap_or_else(|| directory.clone());
    file::parse(text, &shown, &directory, &root)
}

/// Outside of a repository nothing above the working directory is looked at, and nothing above a target elsewhere:
/// a file further up could be anybody's.
fn top_without_repository(start: &Path) -> Result<PathBuf, CommandError> {
    let here = real(Path::new("."))?;
    Ok(if start.starts_with(&here) {
        here
    } else {
        start.to_owned()
    })
}

/// The top of the work tree that holds `directory` (absolute), if it is in one.
pub fn repository_root(directory: &Path, environment: &Environment) -> Option<PathBuf> {
    if let Some(tree) = environment
        .git_work_tree
        .as_deref()
        .and_then(|tree| tree.canonicalize().ok())
        && directory.starts_with(&tree)
    {
        return Some(tree);
    }
    directory
        .ancestors()
        .find(|ancestor| ancestor.join(".git").exists())
        .map(Path::to_owned)
}

/// The absolute path with symbolic links resolved, also when only its beginning exists yet.
pub fn real(path: &Path) -> Result<PathBuf, CommandError> {
    let failed = |error: &io::Error| {
        CommandError::new(
            Code::Io,
            format!("cannot find {}: {}", path.display(), files::describe(error)),
        )
    };
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let absolute = std::path::absolute(path).map_err(|error| failed(&error))?;
    let mut missing = Vec::new();
    for existing in absolute.ancestors() {
        if let Ok(mut real) = existing.canonicalize() {
            real.extend(missing.into_iter().rev());
            return Ok(real);
        }
        if let Some(name) = existing.file_name() {
            missing.push(name);
        }
    }
    Ok(absolute)
}

/// How a path is named in messages: relative when it lies below the working directory.
pub fn shown(path: &Path) -> String {
    let here = env::current_dir()
        .ok()
        .and_then(|here| here.canonicalize().ok());
    let relative = here
        .as_deref()
        .and_then(|here| path.strip_prefix(here).ok());
    match relative {
        Some(relative) if !relative.as_os_str().is_empty() => relative.display().to_string(),
        _ => path.display().to_string(),
    }
}
