//! The one error of every command: what went wrong, its stable code, the exit code that follows from it, and what mends it.

use std::{borrow::Cow, fmt, io};

/// What the process ends with. The numbers are a contract with scripts and hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Wrong or missing arguments.
    Usage = 2,
    /// Configuration missing or invalid.
    Config = 3,
    /// A key or signer that is not trusted.
    Trust = 4,
    /// An input that cannot be parsed, or is over a limit.
    Input = 5,
    /// The cluster or the network cannot be reached.
    Cluster = 6,
    /// A sealed value that cannot be opened here.
    Unseal = 7,
    /// A file would be overwritten.
    Conflict = 8,
    /// A defect or a failing machine: never the user's input.
    Internal = 70,
    /// Interrupted; files are untouched.
    Interrupted = 130,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal => $exit:ident,)*) => {
        /// The stable word that names one kind of error. Words are never reused for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, for the documentation's completeness test.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word itself.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The exit code of every error with this word.
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)* }
            }
        }
    };
}

codes! {
    /// Arguments that make no sense together, or lack something.
    Usage = "usage" => Usage,
    /// A namespace, name, type, key or label given as argument that Kubernetes would not accept.
    Grammar = "grammar" => Usage,
    /// The manifest names no namespace, and neither does a flag or a rule.
    NoNamespace = "no-namespace" => Usage,
    /// Flag, rule and manifest do not name the same namespace or type.
    Disagreement = "disagreement" => Usage,
    /// Something must be asked or read, and there is nobody at a terminal.
    NoTerminal = "no-terminal" => Usage,
    /// An argument names a file that cannot be read.
    FileUnreadable = "file-unreadable" => Usage,
    /// Nothing says for whom to seal.
    NoRecipients = "no-recipients" => Config,
    /// `.waxwing.yaml` is missing where it is needed, or invalid.
    Config = "config" => Config,
    /// A cluster that `.waxwing.yaml` does not name.
    UnknownCluster = "unknown-cluster" => Config,
    /// Two rules match one path equally well.
    RuleTie = "rule-tie" => Config,
    /// A rule forbids sealing at this path.
    RuleDenies = "rule-denies" => Config,
    /// The recipients file of a cluster is not there yet.
    RecipientsMissing = "recipients-missing" => Config,
    /// A configured recipients file carries no attestation.
    AttestationMissing = "attestation-missing" => Trust,
    /// The attestation's signature, or what it says, does not hold for this key.
    AttestationInvalid = "attestation-invalid" => Trust,
    /// The attestation comes from another signer than the configured one.
    SignerMismatch = "signer-mismatch" => Trust,
    /// The signer is another one than the user pinned.
    SignerChanged = "signer-changed" => Trust,
    /// Nobody has pinned this signer or recovery key yet.
    NotPinned = "not-pinned" => Trust,
    /// The attestation is older than one already seen.
    SequenceReplayed = "sequence-replayed" => Trust,
    /// The attestation is for a cluster of another name.
    ForeignCluster = "foreign-cluster" => Trust,
    /// The attested key is not the one that seals.
    KeyNotActive = "key-not-active" => Trust,
    /// A recovery key that the configuration does not list.
    RecoveryMismatch = "recovery-mismatch" => Trust,
    /// A key of a suite that is not hybrid, without consent.
    Classical = "classical-key" => Trust,
    /// A manifest, list of keys, environment file or identity file that cannot be parsed.
    Unparsable = "unparsable" => Input,
    /// The file holds no `SealedSecret`, or not the one asked for.
    NothingSealed = "nothing-sealed" => Input,
    /// A Secret in a manifest that cannot become a `SealedSecret`.
    BadSecret = "bad-secret" => Input,
    /// A size or count over its limit.
    Limit = "limit" => Input,
    /// A sealed object that the format does not allow.
    Malformed = "malformed" => Input,
    /// A socket would be needed, and `--offline` forbids it.
    Offline = "offline" => Cluster,
    /// The cluster did not answer as it must.
    Cluster = "cluster" => Cluster,
    /// Sealed for another place than where it is found.
    Misplaced = "misplaced" => Unseal,
    /// None of the given identities is a recipient.
    UnknownKey = "unknown-key" => Unseal,
    /// Everything else that keeps a value closed.
    CannotBeUnsealed = "cannot-be-unsealed" => Unseal,
    /// The key that was asked for is not in the object.
    NoSuchKey = "no-such-key" => Unseal,
    /// The target exists already.
    WouldOverwrite = "would-overwrite" => Conflict,
    /// Reading or writing failed for a reason that lies in the machine.
    Io = "io" => Internal,
    /// A defect of this program.
    Internal = "internal" => Internal,
    /// Ctrl-C.
    Interrupted = "interrupted" => Interrupted,
}

/// Why a command ended without doing its work.
#[derive(Debug)]
pub enum CommandError {
    /// An error to print.
    Failed(Box<Failure>),
    /// The reader of stdout went away: nothing is wrong, nothing is left to say.
    BrokenPipe,
}

/// The printable kind of [`CommandError`].
#[derive(Debug)]
pub struct Failure {
    /// Fixes wording and exit code.
    pub code: Code,
    /// What, where and why. Never a value.
    pub message: String,
    /// Each one thing to do, commands included.
    pub hints: Vec<Cow<'static, str>>,
}

impl CommandError {
    /// An error without hints yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure {
            code,
            message: message.into(),
            hints: Vec::new(),
        }))
    }

    /// The same error with one more thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.hints.push(hint.into());
        }
        self
    }

    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// A failure to write to stdout or stderr.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::new(Code::Io, format!("cannot write the output: {error}"))
        }
    }

    /// What the process ends with.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Failed(failure) => failure.code.exit() as u8,
            Self::BrokenPipe => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_word_and_is_documented() {
        let page = include_str!("../../docs/cli.md");
        let mut words = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(words.insert(code.word()), "{} twice", code.word());
            let row = format!("| `{}` | {} |", code.word(), code.exit() as u8);
            assert!(page.contains(&row), "docs/cli.md lacks the row {row}");
        }
    }
}
