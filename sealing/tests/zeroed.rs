//! After sealing and opening, no value and no private key is left in this process's memory.
//!
//! A program of its own with one test: it reads all of its own writable memory. The values are made
//! from a mask and searched for through the mask, so that looking for them does not put them there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use sealing::{
    EntryKey, Identity, NewEntry, Place, Plaintext, Scope, Sealed, SealedAt, SealedText,
    SealingRun, Signer, Suite, seal,
};
use zeroize::{Zeroize as _, Zeroizing};

const MASK: u8 = 0xa5;
const LENGTH: usize = 48;
const CHUNK: usize = 1 << 20;

/// The bytes to look for, masked. Text, so that templates take them; fixed, and found nowhere else.
fn masked(seed: u8) -> [u8; LENGTH] {
    std::array::from_fn(|i| {
        (b'A'
            + (seed
                .wrapping_mul(17)
                .wrapping_add(u8::try_from(i).unwrap().wrapping_mul(7)))
                % 58)
            ^ MASK
    })
}

fn canary(masked: &[u8; LENGTH]) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(vec![0; LENGTH]);
    for (to, from) in value.iter_mut().zip(masked) {
        *to = std::hint::black_box(*from ^ MASK);
    }
    value
}

/// Reads the memory of this process. Its buffers are made once, before anything secret is: taken
/// later they would lie on, and overwrite, just the freed memory that is of interest.
struct Search {
    memory: File,
    maps: Vec<u8>,
    chunk: Vec<u8>,
}

impl Search {
    fn new() -> Self {
        Self {
            memory: File::open("/proc/self/mem").unwrap(),
            maps: vec![0; 1 << 18],
            chunk: vec![0; CHUNK],
        }
    }

    /// How often the middle of the bytes behind `masked` stands in writable memory.
    fn found(&mut self, masked: &[u8]) -> usize {
        let needle = &masked[8..masked.len() - 8];
        let length = self.read_maps();
        let own = self.chunk.as_ptr().addr();
        let mut count = 0;
        for line in str::from_utf8(&self.maps[..length]).unwrap().lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let (mut at, end) = (
                usize::from_str_radix(start, 16).unwrap(),
                usize::from_str_radix(end, 16).unwrap(),
            );
            while at < end {
                let take = CHUNK.min(end - at);
                let Ok(read) = self.memory.read_at(&mut self.chunk[..take], at as u64) else {
                    break;
                };
                for (i, window) in self.chunk[..read].windows(needle.len()).enumerate() {
                    let inside_own = (own..own + CHUNK).contains(&(at + i));
                    if window[0] ^ MASK == needle[0]
                        && !inside_own
                        && window
                            .iter()
                            .zip(needle)
                            .all(|(byte, masked)| byte ^ MASK == *masked)
                    {
                        count += 1;
                    }
                }
                // Chunks overlap, so that no border hides anything.
                at += if read == take && at + take < end {
                    take - needle.len()
                } else {
                    take
                };
            }
        }
        self.chunk.zeroize();
        self.chunk.resize(CHUNK, 0);
        count
    }

    fn read_maps(&mut self) -> usize {
        let mut file = File::open("/proc/self/maps").unwrap();
        let mut length = 0;
        loop {
            let read = file.read(&mut self.maps[length..]).unwrap();
            length += read;
            assert!(length < self.maps.len(), "more memory maps than expected");
            if read == 0 {
                return length;
            }
        }
    }
}

fn seal_and_open(
    search: &mut Search,
    value: &[u8; LENGTH],
    padding: usize,
    identity: &Identity,
) -> (usize, SealedText) {
    let place = Place::new("payments", "db-credentials", None).unwrap();
    let recipients = support::labelled(&[identity.recipient()]);
    let template = [(
        "file".to_owned(),
        "x{{ V | json }}y{{ V | base64 }}".to_owned(),
    )]
    .into();
    let run = SealingRun {
        place: &place,
        scope: Scope::Strict,
        bound_template: Some(&template),
        sealed_at: SealedAt::from_unix(0).unwrap(),
        recipients: &recipients,
        allow_classical: true,
    };
    // A buffer of its final size, filled in place.
    let mut bytes = Zeroizing::new(vec![b'.'; padding + LENGTH]);
    bytes[padding..].copy_from_slice(&canary(value));
    let sealed = seal(
        &run,
        vec![NewEntry {
            key: EntryKey::new("V").unwrap(),
            value: Plaintext::new(bytes),
            templatable: true,
        }],
    )
    .unwrap();
    let text = SealedText {
        namespace: "payments".to_owned(),
        name: "db-credentials".to_owned(),
        template_data: template,
        envelopes: [(sealed.envelope_id, sealed.envelope)].into(),
        entries: sealed.tokens,
        ..SealedText::default()
    };
    let opened = Sealed::parse(&text).unwrap().open(&[identity]).unwrap();
    let data = opened.data().unwrap();
    assert_eq!(data.len(), 2);
    (search.found(value), text)
}

#[test]
fn nothing_is_left_after_use() {
    let mut search = Search::new();
    // The search finds what is there.
    let planted = masked(1);
    let kept = canary(&planted);
    assert!(
        search.found(&planted) >= 1,
        "the search does not find what is there"
    );
    drop(kept);
    assert_eq!(
        search.found(&planted),
        0,
        "the search finds what is gone, or wiping does not wipe"
    );
    // A buffer that is dropped without being wiped stays, and is found.
    let forgotten = masked(2);
    let mut plain = vec![b'.'; 5_000];
    plain[2_500..2_500 + LENGTH].copy_from_slice(&canary(&forgotten));
    drop(std::hint::black_box(plain));
    assert!(
        search.found(&forgotten) >= 1,
        "a freed buffer is expected to keep its bytes here"
    );

    for (seed, suite, padding) in [
        (3, Suite::XWing, 0),
        (4, Suite::X25519, 0),
        (5, Suite::XWing, 5_000),
        (6, Suite::XWing, 60_000),
    ] {
        let identity = Identity::generate(suite).unwrap();
        let value = masked(seed);
        let (while_open, text) = seal_and_open(&mut search, &value, padding, &identity);
        assert!(
            while_open >= 2,
            "{suite:?}: opened values are expected in memory, found {while_open}"
        );
        assert_eq!(
            search.found(&value),
            0,
            "{suite:?}, {padding} bytes before: the value is left in memory"
        );
        // Opened and dropped, with nothing after it that could overwrite what was freed.
        drop(Sealed::parse(&text).unwrap().open(&[&identity]).unwrap());
        assert_eq!(
            search.found(&value),
            0,
            "{suite:?}, {padding} bytes before: the value is left in memory after opening"
        );
        // A refusal wipes too: the value is decrypted before its fill is judged, other entries were open.
        let mut broken = text;
        broken.template_data.clear();
        assert!(Sealed::parse(&broken).unwrap().open(&[&identity]).is_err());
        assert_eq!(
            search.found(&value),
            0,
            "{suite:?}: the value is left in memory after a refusal"
        );
    }

    // Private keys: the text and the 32 bytes.
    for suite in [Suite::XWing, Suite::X25519] {
        let identity = Identity::generate(suite).unwrap();
        let line = identity.to_line();
        let text: Vec<u8> = line.bytes().map(|byte| byte ^ MASK).collect();
        drop(line);
        let seed = masked_seed(&text);
        assert!(
            search.found(&seed) >= 1,
            "{suite:?}: the search does not find the key that is in use"
        );
        drop(identity);
        assert_eq!(
            search.found(&text),
            0,
            "{suite:?}: the text of a private key is left in memory"
        );
        assert_eq!(
            search.found(&seed),
            0,
            "{suite:?}: a private key is left in memory"
        );

        let again = Identity::parse(&unmask(&text)).unwrap();
        assert!(
            search.found(&seed) >= 1,
            "{suite:?}: the search does not find the key that is in use"
        );
        let (_, sealed) = seal_and_open(&mut search, &masked(7), 0, &again);
        drop(again);
        assert_eq!(
            search.found(&text),
            0,
            "{suite:?}: the text of a private key is left in memory"
        );
        assert_eq!(
            search.found(&seed),
            0,
            "{suite:?}: a private key is left in memory"
        );
        drop(sealed);
    }

    // The signer.
    let signer = Signer::generate().unwrap();
    let file = signer.to_openssh();
    let text: Vec<u8> = file.bytes().map(|byte| byte ^ MASK).collect();
    drop(file);
    drop(signer);
    assert_eq!(
        search.found(&text[80..200]),
        0,
        "the file of a signer is left in memory"
    );
    let again = Signer::from_openssh(&unmask(&text)).unwrap();
    assert!(again.public().to_string().starts_with("ssh-ed25519 "));
    drop(again);
    assert_eq!(
        search.found(&text[80..200]),
        0,
        "the file of a signer is left in memory"
    );
}

/// The 32 bytes behind the masked text of a private key (bech32), masked.
fn masked_seed(text: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let data = text.iter().rposition(|byte| byte ^ MASK == b'1').unwrap() + 1;
    let (mut bits, mut count, mut seed) = (0_u32, 0, Vec::with_capacity(32));
    for byte in &text[data..text.len() - 6] {
        let value = ALPHABET
            .iter()
            .position(|letter| *letter == byte ^ MASK)
            .unwrap();
        bits = (bits << 5 | u32::try_from(value).unwrap()) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            seed.push((bits >> count).to_le_bytes()[0] ^ MASK);
        }
    }
    assert_eq!(seed.len(), 32);
    seed
}

fn unmask(masked: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(masked.len()));
    text.extend(masked.iter().map(|byte| char::from(byte ^ MASK)));
    text
}
