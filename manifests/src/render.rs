//! Plain rendering: every manifest below a directory.

use std::collections::BTreeSet;

use crate::tree::Entry;
use crate::{Limits, Object, Problem, Tree, annotations, duplicates, read, tree};

/// The names that make a directory a kustomization.
pub const KUSTOMIZATION_FILES: &[&str] =
    &["Kustomization", "kustomization.yaml", "kustomization.yml"];

/// The extensions of files that are read, as kubectl has them.
pub const MANIFEST_EXTENSIONS: &[&str] = &["json", "yaml", "yml"];

/// Reads every `.yaml`, `.yml` and `.json` file below `directory` (`""`, `"."` and `"/"` are the root), sorted by path, and reports all
/// problems of the tree at once. Names that begin with a dot are skipped, as are other files; nothing else is skipped silently.
pub fn render_plain(
    tree: &Tree,
    directory: &str,
    limits: &Limits,
) -> Result<Vec<Object>, Vec<Problem>> {
    let directory = normalize(tree, directory).map_err(|problem| vec![problem])?;
    let mut rendering = Rendering {
        limits,
        objects: Vec::new(),
        problems: Vec::new(),
        files: 0,
        bytes: 0,
    };
    let kustomizations = kustomizations(tree, &directory);
    rendering
        .problems
        .extend(kustomizations.iter().map(|file| Problem::Kustomization {
            file: (*file).to_owned(),
        }));
    // What else lies there are patches and parts, which mean nothing by themselves.
    let rendered_elsewhere: BTreeSet<_> = kustomizations.iter().map(|file| parent(file)).collect();
    for (path, relative, entry) in tree.below(&directory) {
        if is_hidden(relative)
            || ancestors(path).any(|directory| rendered_elsewhere.contains(directory))
        {
            continue;
        }
        if !rendering.entry(path, relative, entry) {
            break;
        }
    }
    rendering.problems.extend(duplicates(&rendering.objects));
    if rendering.problems.is_empty() {
        Ok(rendering.objects)
    } else {
        Err(rendering.problems)
    }
}

struct Rendering<'a> {
    limits: &'a Limits,
    objects: Vec<Object>,
    problems: Vec<Problem>,
    files: usize,
    bytes: usize,
}

impl Rendering<'_> {
    /// Takes one entry; `false` when a limit of the whole rendering is passed and there is no use in going on.
    fn entry(&mut self, path: &str, relative: &str, entry: &Entry) -> bool {
        let depth = relative.matches('/').count();
        if depth > self.limits.directory_depth {
            return self.stop(path, "levels of directories", self.limits.directory_depth);
        }
        let not_a_file = match entry {
            Entry::File(bytes) if has_extension(path, MANIFEST_EXTENSIONS) => {
                return self.file(path, bytes);
            }
            Entry::Symlink if may_be_read(path) => "a symbolic link",
            Entry::Submodule => "a submodule",
            Entry::File(_) | Entry::Symlink => return true,
        };
        self.problems.push(Problem::NotAFile {
            file: path.to_owned(),
            what: not_a_file,
        });
        true
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> bool {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.files > self.limits.files {
            return self.stop(path, "files", self.limits.files);
        }
        if self.bytes > self.limits.total_bytes {
            return self.stop(path, "bytes in all files", self.limits.total_bytes);
        }
        match read(path, bytes, self.limits) {
            Ok(objects) => {
                if self.objects.len() + objects.len() > self.limits.objects {
                    return self.stop(path, "objects", self.limits.objects);
                }
                self.problems
                    .extend(objects.iter().flat_map(annotations::problems));
                self.objects.extend(objects);
            }
            Err(errors) => self.problems.extend(errors.into_iter().map(Problem::Read)),
        }
        true
    }

    fn stop(&mut self, path: &str, what: &'static str, limit: usize) -> bool {
        self.problems.push(Problem::Limit {
            file: path.to_owned(),
            what,
            limit,
        });
        false
    }
}

/// `directory` as the tree spells it, if it is one.
fn normalize(tree: &Tree, directory: &str) -> Result<String, Problem> {
    let components: Vec<_> = directory
        .split('/')
        .filter(|component| !matches!(*component, "" | "."))
        .collect();
    let path = components.join("/");
    if path.is_empty() {
        return Ok(path);
    }
    tree::check(&path).map_err(Problem::Path)?;
    if tree.below(&path).next().is_some() {
        return Ok(path);
    }
    let what = match tree.entries().find(|(other, _)| *other == path) {
        Some((_, Entry::File(_))) => "a file",
        Some((_, Entry::Symlink)) => "a symbolic link",
        Some((_, Entry::Submodule)) => "a submodule",
        None => return Err(Problem::NoDirectory { directory: path }),
    };
    Err(Problem::NotADirectory { file: path, what })
}

fn kustomizations<'a>(tree: &'a Tree, directory: &'a str) -> Vec<&'a str> {
    let named = |path: &str| KUSTOMIZATION_FILES.contains(&path.rsplit('/').next().unwrap_or(path));
    tree.below(directory)
        .filter(|(_, relative, _)| named(relative) && !is_hidden(relative))
        .map(|(path, ..)| path)
        .collect()
}

/// The directory of a path, `""` for the root's.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(parent(path)), |directory| {
        (!directory.is_empty()).then(|| parent(directory))
    })
}

fn is_hidden(relative: &str) -> bool {
    relative
        .split('/')
        .any(|component| component.starts_with('.'))
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    path.rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Whether a link of this name could stand for a manifest or for a directory. Only a name with the extension of another kind of file can
/// not: what is skipped by mistake would be pruned from the cluster.
fn may_be_read(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let other_kind = name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && extension.starts_with(|first: char| first.is_ascii_alphabetic())
            && !MANIFEST_EXTENSIONS.contains(&extension)
    });
    !other_kind
}

#[cfg(test)]
mod tests;
