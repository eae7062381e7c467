//! `waxwing seal`: the three forms of sealing.
//!
//! [`new`] makes a `SealedSecret` of single values, [`manifest`] replaces Secrets in a file, [`raw`] prints one token.
//! All of them decide where and for whom first, and only then take a value into memory.

mod env_file;
mod generate;
mod manifest;
mod new;
mod object;
mod raw;
mod secret;
mod values;

use std::{
    fs,
    io::{self, IsTerminal},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use sealing::{Label, Recipient, Scope, SealedAt};

use self::values::ValueArgs;
use crate::{
    config::{Config, Rule, discover, rules},
    error::{Code, CommandError},
    recipients::{self, RecipientArgs},
    session::Session,
};

/// The three forms. Called as kubectl's plugin, help says `kubectl waxwing`.
pub const USAGE: &str = "\
waxwing seal NAME -n NS [VALUES] [OPTIONS] [-o FILE]
       waxwing seal -f FILE|- [-n NS] [OPTIONS] [-o FILE | --in-place | --write]
       waxwing seal --raw -n NS --name NAME KEY [OPTIONS]";

/// Arguments of `seal`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Args)]
#[command(
    override_usage = USAGE,
    after_help = "Examples:
  waxwing seal db -n payments --from-literal user=app --prompt password -o db.yaml
  waxwing seal tls -n web --type kubernetes.io/tls --from-file tls.crt --from-file tls.key --cluster prod
  waxwing seal db -n payments --generate password=40 --from-env-file .env -r prod.pub
  waxwing seal -f all.yaml --in-place
  kubectl create secret generic db -n payments --from-file=password --dry-run=client -o yaml | waxwing seal -f - -r prod.pub
  printf %s \"$TOKEN\" | waxwing seal --raw -n payments --name db token -r prod.pub"
)]
pub struct SealArgs {
    /// Name of the new Secret; with --raw the key of the value
    #[arg(value_name = "NAME|KEY")]
    pub name: Option<String>,

    /// Seal every Secret of this manifest (- for standard input); every other document stays as it is
    #[arg(short, long, value_name = "FILE|-", conflicts_with_all = ["raw", "name"])]
    pub file: Option<PathBuf>,

    /// Print one self-contained token for the value on standard input
    #[arg(long)]
    pub raw: bool,

    /// Namespace of the Secret
    #[arg(short, long, value_name = "NS")]
    pub namespace: Option<String>,

    /// Name of the Secret that the token is for
    #[arg(
        long = "name",
        value_name = "NAME",
        requires = "raw",
        id = "secret_name"
    )]
    pub secret_name: Option<String>,

    /// Write to this file, which must not exist yet
    #[arg(short, long, value_name = "FILE", conflicts_with = "raw")]
    pub output: Option<PathBuf>,

    /// Replace the manifest itself
    #[arg(long, requires = "file", conflicts_with_all = ["output", "write"])]
    pub in_place: bool,

    /// Write to the file that the rule's `output` names
    #[arg(long, requires = "file", conflicts_with = "output")]
    pub write: bool,

    /// Where single values come from.
    #[command(flatten)]
    pub values: ValueArgs,

    /// How widely the values may be moved: strict (this name and namespace), namespace or cluster [default: strict]
    #[arg(long, value_name = "SCOPE", value_parser = parse_scope, help_heading = "Sealing")]
    pub scope: Option<Scope>,

    /// Type of the Secret [default: Opaque]
    #[arg(long = "type", value_name = "T", help_heading = "Sealing")]
    pub secret_type: Option<String>,

    /// Allow this value in template.data (repeatable)
    #[arg(long, value_name = "K", help_heading = "Sealing")]
    pub templatable: Vec<String>,

    /// Bind the text of template.data too: nobody else can change it
    #[arg(long, help_heading = "Sealing")]
    pub bind_template: bool,

    /// Drop the line ends at the end of each value
    #[arg(long, help_heading = "Sealing")]
    pub trim: bool,

    /// For whom.
    #[command(flatten)]
    pub recipients: RecipientArgs,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    text.parse()
        .map_err(|error: sealing::PlaceError| error.to_string())
}

/// Seals.
pub fn run(mut args: SealArgs, session: &mut Session) -> Result<(), CommandError> {
    if args.raw {
        return raw::run(&args, session);
    }
    if args.file.is_none() && args.name.is_none() && args.values.is_empty() && stdin_is_piped() {
        args.file = Some(PathBuf::from("-"));
    }
    if args.file.is_some() {
        return manifest::run(&args, session);
    }
    new::run(args, session)
}

/// What was decided before any value is read.
struct Decided {
    config: Option<Config>,
    /// Index of the rule in the configuration.
    rule: Option<usize>,
    target: PathBuf,
}

impl Decided {
    fn rule(&self) -> Option<(&Config, &Rule)> {
        let config = self.config.as_ref()?;
        Some((config, &config.rules[self.rule?]))
    }

    /// The namespace that the rule gives, if there is one.
    fn rule_namespace(&self) -> Result<Option<String>, CommandError> {
        self.rule().map_or(Ok(None), |(config, rule)| {
            rules::namespace(config, rule, &self.target)
        })
    }

    fn scope(&self, args: &SealArgs) -> Scope {
        args.scope
            .or_else(|| self.rule()?.1.scope)
            .unwrap_or(Scope::Strict)
    }

    fn recipients(
        &self,
        args: &SealArgs,
        session: &mut Session,
    ) -> Result<Vec<(Label, Recipient)>, CommandError> {
        let rule = self.rule().map(|(_, rule)| rule);
        recipients::resolve(
            session,
            &args.recipients,
            self.config.as_ref(),
            rule,
            &discover::shown(&self.target),
        )
    }
}

/// Finds configuration and rule of the target, and stops where a rule denies it.
fn decide(args: &SealArgs, session: &mut Session) -> Result<Decided, CommandError> {
    let target = target(args)?;
    let config = session.config_for(&target)?;
    let mut index = None;
    if let Some(config) = &config
        && let Some(rule) = rules::rule_for(config, &target)?
    {
        session
            .output
            .debug(&format!("rule {:?} ({})", rule.path, config.at(rule.line)));
        if let Some(reason) = &rule.deny {
            return Err(CommandError::new(
                Code::RuleDenies,
                format!(
                    "{} is not to be sealed here: {reason}",
                    discover::shown(&target)
                ),
            )
            .hint(format!(
                "the rule is {:?} at {}",
                rule.path,
                config.at(rule.line)
            )));
        }
        index = config
            .rules
            .iter()
            .position(|other| std::ptr::eq(other, rule));
    }
    Ok(Decided {
        config,
        rule: index,
        target,
    })
}

/// `-o`, else `-f`, else a file in the working directory. Its directory is real, its own name is not followed.
fn target(args: &SealArgs) -> Result<PathBuf, CommandError> {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    if let Some(path) = args.output.as_deref().or(file) {
        let directory = discover::real(path.parent().unwrap_or_else(|| Path::new(".")))?;
        return Ok(directory.join(path.file_name().unwrap_or_default()));
    }
    let name = args
        .secret_name
        .as_deref()
        .or(args.name.as_deref())
        .unwrap_or("secret");
    // A name is judged later; here it must only not lead elsewhere.
    Ok(discover::real(Path::new("."))?.join(format!("{}.yaml", name.replace('/', "-"))))
}

/// Whether standard input is a pipe, a socket or a file: somebody gave it on purpose.
fn stdin_is_piped() -> bool {
    fs::metadata("/dev/stdin").is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_socket() || kind.is_file()
    })
}

/// Stops at once when reading standard input would wait for a person who does not know.
fn need_piped_stdin(what: &str) -> Result<(), CommandError> {
    if io::stdin().is_terminal() {
        return Err(CommandError::new(
            Code::NoTerminal,
            format!("{what} is read from standard input, and that is this terminal"),
        )
        .hint("pipe it in, or redirect a file: < FILE"));
    }
    Ok(())
}

fn now() -> Result<SealedAt, CommandError> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    SealedAt::from_unix(seconds)
        .map_err(|error| CommandError::new(Code::Internal, format!("the system's clock: {error}")))
}
