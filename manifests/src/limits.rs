//! How much one file, and one tree, may hold before reading stops.

/// Limits of reading and rendering. Passing one is an error that names it: nothing is ever read in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file. Default 16 MiB: a manifest is at most a few MiB, a CRD bundle a dozen.
    pub file_bytes: usize,
    /// Documents of one file. Default 20,000.
    pub documents: usize,
    /// YAML nodes (scalars, sequences, mappings) of one document. Default 1,000,000.
    pub nodes: usize,
    /// Nesting of one document. Default 100 levels.
    pub depth: usize,
    /// Aliases (`*name`) of one document. Default 1,000.
    pub aliases: usize,
    /// Nodes that the aliases of one document may expand to in total. Default 100,000.
    pub alias_nodes: usize,
    /// Objects of one file, and of one rendered tree. Default 20,000.
    pub objects: usize,
    /// Files read by one rendering. Default 20,000.
    pub files: usize,
    /// Bytes read by one rendering. Default 128 MiB.
    pub total_bytes: usize,
    /// Directories below the rendered one. Default 32 levels.
    pub directory_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            documents: 20_000,
            nodes: 1_000_000,
            depth: 100,
            aliases: 1_000,
            alias_nodes: 100_000,
            objects: 20_000,
            files: 20_000,
            total_bytes: 128 << 20,
            directory_depth: 32,
        }
    }
}
