//! Which addresses may be read at all.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::SourceError;
use super::resolver;

/// An accepted address of a repository: `https` without userinfo, or `file` in tests.
#[derive(Clone)]
pub(super) struct Address {
    url: Url,
}

impl Address {
    /// Judges an address. What is refused is never repeated in the error, because it may hold a
    /// password.
    pub(super) fn parse(text: &str, allow_file: bool) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(refused("it is empty; write https://host/path"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(refused(
                "it holds white space or control characters; write https://host/path",
            ));
        }
        if is_scp_like(text) {
            return Err(refused(SSH_NOT_BUILT));
        }
        let Ok(url) = Url::parse(text) else {
            return Err(refused("it is not a URL; write https://host/path"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "it holds a user name or a password, which would be shown wherever the address \
                 is. Remove them from the address, renew them, and put them as `username` and \
                 `password` into a Secret that spec.source.git.secretRef names",
            ));
        }
        match url.scheme() {
            "https" => {}
            "file" if allow_file => {
                if url.host_str().is_some_and(|host| !host.is_empty()) {
                    return Err(refused("a file:// address has no host; write file:///path"));
                }
            }
            "file" => {
                return Err(refused(
                    "file:// is for tests only (`allowFileSources` of the controller's \
                     configuration); write https://host/path",
                ));
            }
            "ssh" | "git+ssh" | "ssh+git" => return Err(refused(SSH_NOT_BUILT)),
            "http" => {
                return Err(refused(
                    "http:// is neither private nor authentic: whoever sits on the way could \
                     write to the cluster. Write https://, with `ca.crt` in the Secret of \
                     spec.source.git.secretRef when the server has a certificate of its own",
                ));
            }
            "git" => {
                return Err(refused(
                    "git:// is neither private nor authentic; write https://host/path",
                ));
            }
            other => {
                let other: String = other.chars().take(32).collect();
                return Err(refused(&format!(
                    "{other}:// is not a scheme that is read; write https://host/path"
                )));
            }
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused(
                "it has a query or a fragment (`?` or `#`); write https://host/path, and put \
                 tokens into the Secret of spec.source.git.secretRef",
            ));
        }
        if let Some(address) = literal(&url)
            && resolver::is_blocked(address)
        {
            return Err(SourceError::AddressBlocked {
                host: url.host_str().unwrap_or_default().to_owned(),
                address,
            });
        }
        Ok(Self { url })
    }

    /// The path of a `file` address.
    pub(super) fn file_path(&self) -> Option<std::path::PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok())?
    }

    /// Whether a request to `url` goes to this very server: scheme, host and port are the same.
    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// Where a server's answer to `from` may send the client on: https, no userinfo, no blocked
    /// address, and still the same file of a repository (`tail`), so that it stays a Git address.
    pub(super) fn redirect(
        &self,
        from: &Url,
        location: Option<&HeaderValue>,
        tail: &str,
    ) -> Result<Url, SourceError> {
        let refuse = |why: &str| SourceError::RedirectRefused {
            url: self.to_string(),
            why: why.to_owned(),
        };
        let location = location
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| refuse("without a readable Location"))?;
        let target = from
            .join(location)
            .map_err(|_| refuse("to something that is not an address"))?;
        if target.scheme() != "https" {
            return Err(refuse("away from https"));
        }
        if !target.username().is_empty() || target.password().is_some() {
            return Err(refuse("to an address with userinfo"));
        }
        if let Some(address) = literal(&target)
            && resolver::is_blocked(address)
        {
            return Err(SourceError::AddressBlocked {
                host: target.host_str().unwrap_or_default().to_owned(),
                address,
            });
        }
        if !target.as_str().ends_with(tail) {
            // Most often the login page of a hosting service: the repository is private.
            return Err(refuse(&format!(
                "to a page of {} that is not a Git repository; if that is its login page, the \
                 repository needs credentials in spec.source.git.secretRef",
                target.host_str().unwrap_or_default()
            )));
        }
        Ok(target)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

const SSH_NOT_BUILT: &str = "reading over ssh is not built yet; write the https:// address of \
                             the same repository, with an access token in the Secret of \
                             spec.source.git.secretRef";

fn refused(why: &str) -> SourceError {
    SourceError::UrlRefused {
        why: why.to_owned(),
    }
}

/// `user@host:path` and `host:path`, as ssh and scp read them: a colon before the first slash and
/// no `://`.
fn is_scp_like(text: &str) -> bool {
    !text.contains("://")
        && text
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':') || first.contains('@'))
}

/// The address of a URL whose host is written as an address. The URL parser has normalised the
/// odd notations (`0x7f.1`, one decimal number) already.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        match Address::parse(text, false) {
            Ok(_) => panic!("{text} is accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn https_is_read_and_shown_as_it_is() {
        for text in [
            "https://git.example.com/team/config.git",
            "https://git.example.com:8443/team/config",
            "https://127.0.0.1:4433/r.git",
            "https://[::1]:4433/r.git",
            "https://10.0.0.7/r.git",
        ] {
            let address = Address::parse(text, false).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn other_schemes_are_refused_with_what_to_write() {
        for (text, says) in [
            ("http://git.example.com/r", "http:// is neither private"),
            ("git://git.example.com/r", "git:// is neither private"),
            ("ssh://git@git.example.com/r", "userinfo or ssh"),
            ("ssh://git.example.com/r", "ssh is not built yet"),
            ("git+ssh://git.example.com/r", "ssh is not built yet"),
            ("git@git.example.com:team/r.git", "ssh is not built yet"),
            ("git.example.com:team/r.git", "ssh is not built yet"),
            ("ext::sh -c id", "white space"),
            ("ext::sh", "ssh is not built yet"),
            ("ftp://git.example.com/r", "ftp:// is not a scheme"),
            ("file:///srv/git/r", "file:// is for tests only"),
            ("/srv/git/r", "not a URL"),
            ("", "empty"),
            (
                "https://git.example.com/r?token=abc",
                "a query or a fragment",
            ),
            ("https://git.example.com/r#main", "a query or a fragment"),
            ("https://git.example.com/r\n", "white space"),
        ] {
            let why = why(text);
            if says == "userinfo or ssh" {
                assert!(why.contains("user name"), "{text}: {why}");
            } else {
                assert!(why.contains(says), "{text}: {why}");
            }
            assert!(
                why.starts_with("spec.source.git.url is not accepted"),
                "{why}"
            );
        }
    }

    #[test]
    fn userinfo_is_refused_and_never_repeated() {
        for text in [
            "https://deploy:hunter2-secret@git.example.com/r",
            "https://hunter2-secret@git.example.com/r",
            "https://:hunter2-secret@git.example.com/r",
            "http://deploy:hunter2-secret@git.example.com/r",
            "https://deploy:hunter2-secret@git.example.com:notaport/r",
            "deploy:hunter2-secret@git.example.com/r",
        ] {
            let why = why(text);
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(why("https://a:b@h/r").contains("spec.source.git.secretRef"));
    }

    #[test]
    fn metadata_and_link_local_literals_are_refused_in_every_notation() {
        for text in [
            "https://169.254.169.254/latest",
            "https://0xa9.0xfe.0xa9.0xfe/latest",
            "https://2852039166/latest",
            "https://[fe80::1]/r",
            "https://[::ffff:169.254.169.254]/r",
        ] {
            assert!(
                matches!(
                    Address::parse(text, false),
                    Err(SourceError::AddressBlocked { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn files_are_read_only_where_tests_allow_it() {
        let address = Address::parse("file:///srv/git/r.git", true).expect("allowed");
        assert_eq!(
            address.file_path().as_deref(),
            Some(std::path::Path::new("/srv/git/r.git"))
        );
        assert!(Address::parse("file://host/srv/git/r.git", true).is_err());
    }

    #[test]
    fn redirects_stay_on_https_and_on_the_same_file() {
        let address = Address::parse("https://a.example/old.git", false).expect("accepted");
        let from = Url::parse("https://a.example/old.git/info/refs?service=x").expect("a URL");
        let to = |location: &str| {
            let header = HeaderValue::from_str(location).expect("a header");
            address.redirect(&from, Some(&header), "/info/refs?service=x")
        };
        for good in [
            "https://b.example/new.git/info/refs?service=x",
            "/new.git/info/refs?service=x",
        ] {
            assert!(to(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/new.git/info/refs?service=x",
            "https://u:p@a.example/new.git/info/refs?service=x",
            "https://a.example/login",
            "https://169.254.169.254/info/refs?service=x",
            "file:///etc/passwd",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
        assert!(address.redirect(&from, None, "/info").is_err());
    }

    #[test]
    fn only_the_named_server_is_the_origin() {
        let address = Address::parse("https://a.example/r.git", false).expect("accepted");
        for (url, same) in [
            ("https://a.example/other", true),
            ("https://a.example:443/other", true),
            ("https://a.example:444/other", false),
            ("https://b.example/r.git", false),
            ("http://a.example/r.git", false),
        ] {
            assert_eq!(
                address.is_origin_of(&Url::parse(url).expect("a URL")),
                same,
                "{url}"
            );
        }
    }
}
