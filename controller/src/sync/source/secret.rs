//! Credentials and certificate authorities from the Secret of a `ManifestSync`.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use zeroize::Zeroizing;

use super::{Credentials, Proxy, SourceError};

/// What a Secret says about reaching a repository: `username` and `password`, or `bearerToken`;
/// `ca.crt` (PEM), alone or with either. The names are those that Flux uses.
///
/// # Errors
/// [`SourceError::SecretRefused`] when a key is missing, empty, not text, or not built yet; it
/// names keys and never values.
pub fn from_secret(
    data: &BTreeMap<String, ByteString>,
) -> Result<(Option<Credentials>, Option<Vec<u8>>), SourceError> {
    for (key, what) in NOT_BUILT {
        if data.contains_key(key) {
            return Err(refused(&format!(
                "`{key}` is for {what}, which is not built yet; use `username` and `password`, \
                 or `bearerToken`"
            )));
        }
    }
    let credentials = match (
        text(data, "username")?,
        text(data, "password")?,
        text(data, "bearerToken")?,
    ) {
        (None, None, None) => None,
        (Some(username), Some(password), None) => {
            if username.contains(':') {
                return Err(refused(
                    "`username` holds a colon, which HTTP basic authentication cannot carry \
                     (RFC 7617)",
                ));
            }
            Some(Credentials::Basic { username, password })
        }
        (None, None, Some(token)) => {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refused(
                    "`bearerToken` holds a space or a character that is not ASCII; a token has \
                     none",
                ));
            }
            Some(Credentials::Bearer(token))
        }
        (Some(_), None, None) => {
            return Err(refused(
                "it has `username` and no `password`; add `password` (an access token does)",
            ));
        }
        (None, Some(_), None) => {
            return Err(refused(
                "it has `password` and no `username`; add `username` (with an access token most \
                 services take any, such as `git`)",
            ));
        }
        (_, _, Some(_)) => {
            return Err(refused(
                "it has `bearerToken` beside `username` or `password`; keep one of the two ways",
            ));
        }
    };
    let ca = data.get("ca.crt").map(|bytes| bytes.0.clone());
    if ca.as_ref().is_some_and(|pem| pem.trim_ascii().is_empty()) {
        return Err(refused("`ca.crt` is empty; it holds PEM certificates"));
    }
    if credentials.is_none() && ca.is_none() {
        return Err(refused(
            "it has none of `username` with `password`, `bearerToken` and `ca.crt`",
        ));
    }
    Ok((credentials, ca))
}

/// What a Secret says about a proxy: `address`, and `username` and `password` where the proxy asks for them. The names
/// are those that Flux uses.
///
/// # Errors
/// [`SourceError::ProxyRefused`] when a key is missing, empty, not text, or not built yet; it names keys and never
/// values.
pub fn proxy_from_secret(data: &BTreeMap<String, ByteString>) -> Result<Proxy, SourceError> {
    read_proxy(data).map_err(|error| match error {
        SourceError::SecretRefused { why } => SourceError::ProxyRefused { why },
        other => other,
    })
}

fn read_proxy(data: &BTreeMap<String, ByteString>) -> Result<Proxy, SourceError> {
    for key in ["ca.crt", "tls.crt", "tls.key"] {
        if data.contains_key(key) {
            return Err(refused(&format!(
                "`{key}` is for TLS with the proxy itself, which is not built yet; remove it"
            )));
        }
    }
    let address = text(data, "address")?
        .ok_or_else(|| refused("it has no `address`, such as http://proxy.example:3128"))?;
    let credentials = match (text(data, "username")?, text(data, "password")?) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, password)),
        _ => {
            return Err(refused(
                "it has one of `username` and `password`; a proxy takes both or none",
            ));
        }
    };
    Ok(Proxy {
        address: address.as_str().to_owned(),
        credentials,
    })
}

/// Keys that other tools know, so that using one is never ignored.
const NOT_BUILT: [(&str, &str); 5] = [
    ("identity", "ssh"),
    ("known_hosts", "ssh"),
    ("ssh-privatekey", "ssh"),
    ("tls.crt", "TLS client certificates"),
    ("tls.key", "TLS client certificates"),
];

fn text(
    data: &BTreeMap<String, ByteString>,
    key: &str,
) -> Result<Option<Zeroizing<String>>, SourceError> {
    let Some(bytes) = data.get(key) else {
        return Ok(None);
    };
    if bytes.0.is_empty() {
        return Err(refused(&format!("`{key}` is empty")));
    }
    if bytes.0.ends_with(b"\n") {
        return Err(refused(&format!(
            "`{key}` ends in a line break, which the server would take as part of it; write it \
             without (`printf %s`, or `kubectl create secret --from-literal`)"
        )));
    }
    match std::str::from_utf8(&bytes.0) {
        Ok(text) if !text.chars().any(char::is_control) => {
            Ok(Some(Zeroizing::new(text.to_owned())))
        }
        _ => Err(refused(&format!("`{key}` is not plain text"))),
    }
}

fn refused(why: &str) -> SourceError {
    SourceError::SecretRefused {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect()
    }

    fn why(pairs: &[(&str, &str)]) -> String {
        match from_secret(&data(pairs)) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_ways_and_a_certificate_authority() {
        let (credentials, ca) =
            from_secret(&data(&[("username", "git"), ("password", "p:w")])).expect("basic");
        assert!(ca.is_none());
        let Some(Credentials::Basic { username, password }) = credentials else {
            panic!("not basic");
        };
        assert_eq!((username.as_str(), password.as_str()), ("git", "p:w"));

        let (credentials, _) = from_secret(&data(&[("bearerToken", "abc.def")])).expect("bearer");
        let Some(Credentials::Bearer(token)) = credentials else {
            panic!("not bearer");
        };
        assert_eq!(token.as_str(), "abc.def");

        let (credentials, ca) = from_secret(&data(&[("ca.crt", "pem")])).expect("ca alone");
        assert!(credentials.is_none());
        assert_eq!(ca.as_deref(), Some(&b"pem"[..]));
    }

    #[test]
    fn what_cannot_work_is_named_by_key_and_never_by_value() {
        for (pairs, says) in [
            (&[][..], "none of `username`"),
            (&[("unrelated", "hunter2")][..], "none of `username`"),
            (&[("username", "hunter2")][..], "no `password`"),
            (&[("password", "hunter2")][..], "no `username`"),
            (
                &[("username", "a"), ("password", "")][..],
                "`password` is empty",
            ),
            (
                &[("username", "a"), ("password", "hunter2\n")][..],
                "line break",
            ),
            (&[("username", "a:hunter2"), ("password", "x")][..], "colon"),
            (&[("bearerToken", "hunter2 x")][..], "`bearerToken`"),
            (&[("bearerToken", "hunter2\u{e9}")][..], "`bearerToken`"),
            (
                &[("bearerToken", "hunter2"), ("username", "a")][..],
                "keep one",
            ),
            (&[("identity", "hunter2"), ("known_hosts", "x")][..], "ssh"),
            (&[("tls.crt", "hunter2")][..], "client certificates"),
            (&[("ca.crt", " \n")][..], "`ca.crt` is empty"),
        ] {
            let why = why(pairs);
            assert!(why.contains(says), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
            assert!(why.contains("spec.source.git.secretRef"), "{why}");
        }
    }

    #[test]
    fn a_proxy_has_an_address_and_credentials_or_none() {
        let proxy = |pairs: &[(&str, &str)]| proxy_from_secret(&data(pairs));
        let open = proxy(&[("address", "http://p:3128")]).unwrap_or_else(|_| panic!("refused"));
        assert!(open.address == "http://p:3128" && open.credentials.is_none());
        let closed = [
            ("address", "http://p"),
            ("username", "u"),
            ("password", "hunter2"),
        ];
        let closed = proxy(&closed).unwrap_or_else(|_| panic!("refused"));
        assert!(
            closed
                .credentials
                .is_some_and(|(_, password)| *password == "hunter2")
        );
        for (pairs, says) in [
            (&[][..], "no `address`"),
            (
                &[("address", "http://p"), ("password", "hunter2")][..],
                "both or none",
            ),
            (&[("address", "http://p\n")][..], "line break"),
            (&[("address", "http://p"), ("ca.crt", "x")][..], "`ca.crt`"),
        ] {
            let Err(error) = proxy(pairs) else {
                panic!("{pairs:?} is accepted")
            };
            let why = error.to_string();
            assert!(
                why.contains(says) && why.contains("spec.source.git.proxySecretRef"),
                "{why}"
            );
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        let data = BTreeMap::from([
            ("username".to_owned(), ByteString(b"git".to_vec())),
            ("password".to_owned(), ByteString(vec![0xff, 0xfe])),
        ]);
        assert!(from_secret(&data).is_err());
    }
}
