//! Seal and open 1, 10 and 100 values, against RSA-4096-OAEP in the same run.
//!
//! `cargo bench -p sealing`. Every round measures everything once, so that whatever else the machine
//! does meets all alike; times are medians over the rounds, ratios are medians of the rounds' ratios.
//! Opening includes reading the text of the object. Ends with an error when opening ten values of
//! one envelope is less than 50 times faster than ten RSA-4096 private operations.

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey,
};
use sealing::{
    EntryKey, Identity, Label, NewEntry, Place, Plaintext, Recipient, Scope, SealError, Sealed,
    SealedAt, SealedText, SealingRun, Suite, seal,
};
use zeroize::Zeroizing;

const ROUNDS: usize = 40;
/// Calls per round, so that no measured slice is shorter than some milliseconds.
const CALLS: u32 = 8;
const COUNTS: [usize; 3] = [1, 10, 100];
const REQUIRED: f64 = 50.0;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` builds and runs this too, without optimisation: one round then.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        1
    };

    let rsa = PrivateDecryptingKey::generate(KeySize::Rsa4096)?;
    let rsa_public = OaepPublicEncryptingKey::new(rsa.public_key())?;
    let rsa = OaepPrivateDecryptingKey::new(rsa)?;
    let mut ciphertext = vec![0; rsa_public.ciphertext_size()];
    rsa_public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut ciphertext, None)?;

    let mut cases = Vec::new();
    for suite in [Suite::XWing, Suite::X25519] {
        for count in COUNTS {
            cases.push(Case::new(suite, count)?);
        }
    }
    let mut rsa_times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        rsa_times.push(time(|| {
            let mut plaintext = vec![0; rsa.min_output_size()];
            Ok(rsa
                .decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plaintext, None)
                .map(|value| value.len())?)
        })?);
        for case in &mut cases {
            let seal_time = time(|| Ok(case.seal()?.entries.len()))?;
            let open_time = time(|| case.open())?;
            case.seal_times.push(seal_time);
            case.open_times.push(open_time);
        }
    }

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{rounds} rounds, values of 32 bytes, one recipient, one thread; microseconds\n"
    )?;
    writeln!(
        out,
        "RSA-4096-OAEP-SHA256 private operation (aws-lc): {:.0}\n",
        median(&rsa_times)
    )?;
    writeln!(
        out,
        "suite    values      seal      open   RSA private operations for as many values / open"
    )?;
    let mut reached = 0.0;
    for case in &cases {
        let count = f64::from(u32::try_from(case.count)?);
        let ratios: Vec<f64> = case
            .open_times
            .iter()
            .zip(&rsa_times)
            .map(|(open, rsa)| rsa * count / open)
            .collect();
        let (seal, open, ratio) = (
            median(&case.seal_times),
            median(&case.open_times),
            median(&ratios),
        );
        let suite = format!("{:?}", case.suite);
        writeln!(
            out,
            "{suite:<8} {:>6} {seal:>9.0} {open:>9.0}   {ratio:.1}",
            case.count
        )?;
        if case.suite == Suite::XWing && case.count == 10 {
            reached = ratio;
        }
    }
    if rounds > 1 && reached < REQUIRED {
        return Err(format!("opening ten values is {reached:.1} times faster than ten RSA-4096 private operations; {REQUIRED} are required").into());
    }
    Ok(())
}

struct Case {
    suite: Suite,
    count: usize,
    identity: Identity,
    place: Place,
    recipients: [(Label, Recipient); 1],
    sealed: SealedText,
    seal_times: Vec<f64>,
    open_times: Vec<f64>,
}

impl Case {
    fn new(suite: Suite, count: usize) -> Result<Self, Box<dyn Error>> {
        let identity = Identity::generate(suite)?;
        let mut case = Self {
            suite,
            count,
            place: Place::new("payments", "db-credentials", None)?,
            recipients: [(Label::key(), identity.recipient().clone())],
            identity,
            sealed: SealedText::default(),
            seal_times: Vec::new(),
            open_times: Vec::new(),
        };
        case.sealed = case.seal()?;
        Ok(case)
    }

    fn seal(&self) -> Result<SealedText, Box<dyn Error>> {
        let entries = (0..self.count)
            .map(|i| {
                let key = EntryKey::new(&format!("KEY_{i}"))?;
                Ok(NewEntry {
                    key,
                    value: Plaintext::new(Zeroizing::new(vec![7; 32])),
                    templatable: false,
                })
            })
            .collect::<Result<Vec<_>, sealing::NameError>>()?;
        let run = SealingRun {
            place: &self.place,
            scope: Scope::Strict,
            bound_template: None,
            sealed_at: SealedAt::from_unix(1_795_287_600)?,
            recipients: &self.recipients,
            allow_classical: true,
        };
        let sealed = seal(&run, entries).map_err(|error: SealError| error.to_string())?;
        Ok(SealedText {
            namespace: self.place.namespace().to_owned(),
            name: self.place.name().to_owned(),
            envelopes: [(sealed.envelope_id, sealed.envelope)].into(),
            entries: sealed.tokens,
            ..SealedText::default()
        })
    }

    fn open(&self) -> Result<usize, Box<dyn Error>> {
        Ok(Sealed::parse(&self.sealed)?
            .open(&[&self.identity])?
            .values()
            .count())
    }
}

/// Microseconds of one call.
fn time(mut call: impl FnMut() -> Result<usize, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(call()?);
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
