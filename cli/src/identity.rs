//! Identity files: private keys in age's form, plain or protected by a passphrase.

use std::{io::Read, path::Path};

use age::{Decryptor, armor::ArmoredReader, scrypt, secrecy::SecretString};
use sealing::Identity;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    error::{Code, CommandError},
    files, terminal,
};

/// All identities of a file, in its order. A file that `age -p` encrypted asks for its passphrase.
pub fn read(path: &Path) -> Result<Vec<Identity>, CommandError> {
    let bytes = files::read(path)?;
    let shown = path.display().to_string();
    if is_encrypted(&bytes) {
        let passphrase = terminal::hidden(&format!("passphrase of {shown}"))?;
        let opened = decrypt(&bytes, &passphrase, &shown)?;
        return parse(&opened, &shown);
    }
    parse(&bytes, &shown)
}

fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/")
        || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

fn decrypt(
    bytes: &[u8],
    passphrase: &Zeroizing<String>,
    shown: &str,
) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let failed = |why: &str| CommandError::new(Code::Unparsable, format!("{shown}: {why}"));
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(bytes))
        .map_err(|error| failed(&error.to_string()))?;
    if !decryptor.is_scrypt() {
        return Err(failed("this file is encrypted to another key, not by a passphrase")
            .hint("open it first: age -d -i KEY FILE, and give the result to -i through a file of mode 0600"));
    }
    let identity = scrypt::Identity::new(SecretString::from(passphrase.to_string()));
    let mut reader = decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .map_err(|error| match error {
            age::DecryptError::DecryptionFailed
            | age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::NoMatchingKeys => CommandError::new(
                Code::UnknownKey,
                format!("{shown}: the passphrase does not open it"),
            ),
            other => failed(&other.to_string()),
        })?;
    // An identity file is a few lines; the armour is longer than what it holds.
    let mut opened = Zeroizing::new(vec![0; bytes.len() + 1]);
    let mut filled = 0;
    loop {
        match reader.read(&mut opened[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(failed(&error.to_string())),
        }
    }
    opened[filled..].zeroize();
    opened.truncate(filled);
    Ok(opened)
}

fn parse(bytes: &[u8], shown: &str) -> Result<Vec<Identity>, CommandError> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        CommandError::new(
            Code::Unparsable,
            format!("{shown} is not an identity file: not UTF-8 text"),
        )
    })?;
    let mut identities = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |why: &str| {
            CommandError::new(Code::Unparsable, format!("{shown}:{}: {why}", index + 1))
        };
        if line.starts_with("age1") {
            return Err(fault("this is a public key; -i takes the private one"));
        }
        if line.starts_with("AGE-PLUGIN-") {
            return Err(fault("plugin identities cannot open sealed values"));
        }
        // The error's words are ours to choose: a parser's could quote the line.
        identities.push(Identity::parse(line).map_err(|_| {
            fault("this is not a private key: AGE-SECRET-KEY-PQ-1… or AGE-SECRET-KEY-1…")
        })?);
    }
    if identities.is_empty() {
        return Err(CommandError::new(
            Code::Unparsable,
            format!("{shown} holds no private key"),
        ));
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sealing::Suite;

    use super::*;

    fn encrypted(text: &str, passphrase: &str) -> Vec<u8> {
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        recipient.set_work_factor(2);
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .unwrap();
        let armour =
            age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor)
                .unwrap();
        let mut writer = encryptor.wrap_output(armour).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer
            .finish()
            .and_then(age::armor::ArmoredWriter::finish)
            .unwrap()
    }

    #[test]
    fn a_passphrase_opens_a_file_that_age_encrypted_and_a_wrong_one_does_not() {
        let key = Identity::generate(Suite::XWing).unwrap();
        let text = format!("# mine\n{}\n", *key.to_line());
        let file = encrypted(&text, "correct horse");
        assert!(is_encrypted(&file));
        let opened = decrypt(&file, &Zeroizing::new("correct horse".to_owned()), "me.age").unwrap();
        let identities = parse(&opened, "me.age").unwrap();
        assert_eq!(identities[0].recipient(), key.recipient());
        let wrong = decrypt(
            &file,
            &Zeroizing::new("battery staple".to_owned()),
            "me.age",
        );
        assert!(
            matches!(wrong, Err(CommandError::Failed(failure)) if failure.code == Code::UnknownKey)
        );
    }

    #[test]
    fn a_broken_line_is_named_and_never_quoted() {
        let Err(CommandError::Failed(failure)) = parse(b"# a\n\nAGE-SECRET-KEY-1QQQQ\n", "me.key")
        else {
            panic!("accepted")
        };
        assert_eq!(failure.code, Code::Unparsable);
        assert!(failure.message.starts_with("me.key:3:"), "{failure}");
        assert!(!failure.message.contains("QQQQ"), "{failure}");
    }
}
