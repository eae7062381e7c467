//! Certificates of the servers on loopback.

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// A certificate authority and one server certificate for loopback, in PEM.
pub struct ServerTls {
    /// The authority's certificate: what clients trust.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's private key (PKCS #8).
    pub key: String,
}

impl ServerTls {
    /// A fresh authority and a certificate for `127.0.0.1`, `localhost` and `names`.
    pub fn generate(names: &[&str]) -> Result<Self> {
        let mut authority =
            CertificateParams::new(Vec::new()).context("the authority's certificate")?;
        authority
            .distinguished_name
            .push(DnType::CommonName, "waxwing tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let names: Vec<String> = ["127.0.0.1", "localhost"]
            .iter()
            .chain(names)
            .map(ToString::to_string)
            .collect();
        let mut server = CertificateParams::new(names).context("the server's certificate")?;
        server
            .distinguished_name
            .push(DnType::CommonName, "waxwing test server");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Self {
            ca: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
