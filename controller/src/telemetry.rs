//! Logs: to stderr, as text or one JSON object a line.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// Starts logging. What is logged is set by the environment variable [`FILTER`], in the syntax of
/// [`EnvFilter`], such as `debug` or `controller=debug,kube=info`.
///
/// # Errors
/// When the filter cannot be parsed (the text says where), or logging was started before.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = parse_filter(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        // Colour is for terminals; in a pod it is noise.
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// The environment variable that says what is logged.
pub const FILTER: &str = "WAXWING_LOG";

/// What is logged when nothing is asked for: our own progress, and warnings of the libraries,
/// which say in `info` what our own lines say better. HTTP libraries never go below `info`,
/// because at `trace` they print headers, and with them credentials.
const DEFAULT_FILTER: &str = "info,kube=warn,kube_client=warn,kube_runtime=warn,gix=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn,tower=warn";

/// Ceilings that no filter lifts: below them these libraries print what they send and receive.
const CEILINGS: [&str; 6] = [
    "h2=info",
    "hyper=info",
    "hyper_util=info",
    "kube_client=info",
    "reqwest=info",
    "rustls=info",
];

fn parse_filter(filter: Option<&str>) -> Result<EnvFilter, String> {
    let asked = filter.map(str::trim).filter(|filter| !filter.is_empty());
    let mut parsed = EnvFilter::try_new(asked.unwrap_or(DEFAULT_FILTER)).map_err(|error| {
        format!("{FILTER} is not a log filter: {error}; write for example {FILTER}=debug")
    })?;
    if asked.is_some() {
        for ceiling in CEILINGS {
            let directive = ceiling
                .parse()
                .map_err(|_| format!("{ceiling} is not a log filter"))?;
            parsed = parsed.add_directive(directive);
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lets_http_libraries_print_what_they_send() {
        for asked in [
            "trace",
            "hyper=trace,info",
            "reqwest=debug",
            "kube_client::client=trace",
        ] {
            let filter = parse_filter(Some(asked)).expect("a filter").to_string();
            for ceiling in CEILINGS {
                assert!(filter.contains(ceiling), "{asked}: {filter}");
            }
            assert!(!filter.contains("hyper=trace"), "{filter}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = parse_filter(Some("controller=loud")).expect_err("refused");
        assert!(error.contains(FILTER), "{error}");
        assert!(parse_filter(None).is_ok());
        assert!(parse_filter(Some(" ")).is_ok());
    }
}
