//! What only happens at a terminal: prompts without echo, questions, plaintext on the screen. `script` gives the
//! command a terminal of its own; it is part of every Linux distribution (util-linux).

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Cluster, Place};

/// Runs a command line at a terminal. Of each pair the first is a prompt, the second is typed when it has appeared.
/// Returns the exit code and everything that was on the screen.
fn at_terminal(place: &Place, line: &str, dialogue: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new("script");
    place.isolate(&mut command);
    let mut child = command
        .args([
            "-qec",
            &line.replacen("waxwing", env!("CARGO_BIN_EXE_waxwing"), 1),
            "/dev/null",
        ])
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script is installed: apt install bsdutils");
    let mut keyboard = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    let screen = Arc::new(Mutex::new(String::new()));
    let reader = thread::spawn({
        let screen = Arc::clone(&screen);
        move || {
            let mut bytes = [0; 1024];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen
                    .lock()
                    .expect("no panic")
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        }
    });
    let mut seen = 0;
    for (prompt, keys) in dialogue {
        let start = Instant::now();
        loop {
            let text = screen.lock().expect("no panic").clone();
            if let Some(found) = text[seen..].find(prompt) {
                seen += found + prompt.len();
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "no {prompt:?} in {text:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        // Between a prompt and the end of the echo lies a moment in which nobody can type.
        thread::sleep(Duration::from_millis(400));
        keyboard.write_all(keys.as_bytes()).expect("typed");
    }
    let code = child.wait().expect("script ends").code().unwrap_or(-1);
    reader.join().expect("the reader ends");
    drop(keyboard);
    let screen = screen.lock().expect("no panic").clone();
    (code, screen)
}

#[test]
fn a_prompted_value_is_asked_twice_and_not_echoed() {
    let place = Place::new();
    let line = "waxwing seal db -n p --prompt pw -r me.pub -o db.yaml";
    let (code, screen) = at_terminal(
        &place,
        line,
        &[("pw: ", "s3cret word\r"), ("pw again: ", "s3cret word\r")],
    );
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("pw: ") && screen.contains("pw again: ") && !screen.contains("s3cret"),
        "{screen}"
    );
    assert_eq!(place.reveal("db.yaml")["pw"], b"s3cret word");
}

#[test]
fn two_different_inputs_and_ctrl_c_write_nothing() {
    let place = Place::new();
    let line = "waxwing seal db -n p --prompt pw -r me.pub -o db.yaml";
    let (code, screen) = at_terminal(&place, line, &[("pw: ", "one\r"), ("pw again: ", "two\r")]);
    assert_eq!(code, 2, "{screen}");
    let (code, screen) = at_terminal(&place, line, &[("pw: ", "one\u{3}")]);
    assert_eq!(code, 130, "{screen}");
    assert!(!place.exists("db.yaml"));
}

#[test]
fn plaintext_goes_to_a_terminal_only_on_purpose() {
    let place = Place::new();
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--from-literal",
            "a=plaintext",
            "-r",
            "me.pub",
            "-o",
            "db.yaml",
        ])
        .done();
    let (code, screen) = at_terminal(
        &place,
        "waxwing reveal db.yaml a -i me.key",
        &[("[y/N] ", "n\r")],
    );
    assert_eq!(code, 2, "{screen}");
    assert!(
        !screen.contains("plaintext\r") && screen.contains("[y/N]"),
        "{screen}"
    );
    let (code, screen) = at_terminal(
        &place,
        "waxwing reveal db.yaml a -i me.key",
        &[("[y/N] ", "y\r")],
    );
    assert_eq!(code, 0, "{screen}");
    assert!(screen.ends_with("plaintext"), "{screen}");
    let (code, screen) = at_terminal(
        &place,
        "waxwing reveal db.yaml a -i me.key --to-terminal",
        &[],
    );
    assert_eq!((code, screen.as_str()), (0, "plaintext"));
}

#[test]
fn a_signer_is_pinned_on_first_use_by_a_clear_yes_only() {
    let place = Place::new();
    let cluster = Cluster::new();
    place.write(
        ".waxwing.yaml",
        format!("version: 1\nclusters:\n{}", cluster.entry("prod")),
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 3));
    let line = "waxwing seal db -n p --from-literal a=b --cluster prod -o db.yaml";
    let (code, screen) = at_terminal(&place, line, &[("[y/N] ", "\r")]);
    assert_eq!(code, 4, "{screen}");
    assert!(screen.contains(&cluster.fingerprint()), "{screen}");
    assert!(!place.pins().exists() && !place.exists("db.yaml"));
    let (code, screen) = at_terminal(&place, line, &[("[y/N] ", "yes\r")]);
    assert_eq!(code, 0, "{screen}");
    let pins = std::fs::read_to_string(place.pins()).expect("pins");
    assert!(
        pins.contains(&format!("prod {} 3\n", cluster.fingerprint())),
        "{pins}"
    );
}

#[test]
fn standard_input_that_is_a_terminal_is_not_waited_for() {
    let place = Place::new();
    for line in [
        "waxwing seal -r me.pub",
        "waxwing seal -f - -r me.pub",
        "waxwing seal --raw -n p --name n k -r me.pub",
        "waxwing seal n -n p --from-file k=- -r me.pub",
    ] {
        let (code, screen) = at_terminal(&place, line, &[]);
        assert_eq!(code, 2, "{line}: {screen}");
        assert!(screen.contains("hint:"), "{screen}");
    }
}

#[test]
fn an_identity_with_a_passphrase_asks_for_it() {
    let place = Place::new();
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--from-literal",
            "a=plaintext",
            "-r",
            "me.pub",
            "-o",
            "db.yaml",
        ])
        .done();
    let mut recipient =
        age::scrypt::Recipient::new(age::secrecy::SecretString::from("open sesame".to_owned()));
    recipient.set_work_factor(2);
    let encrypted = {
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .expect("encrypts");
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).expect("encrypts");
        writer
            .write_all(place.read("me.key").as_bytes())
            .expect("encrypts");
        writer.finish().expect("encrypts");
        file
    };
    place.write("me.key.age", encrypted);
    let line = "waxwing reveal db.yaml a -i me.key.age --to-terminal";
    let (code, screen) = at_terminal(&place, line, &[("key.age: ", "open sesame\r")]);
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("plaintext") && !screen.contains("sesame"),
        "{screen}"
    );
    let (code, screen) = at_terminal(&place, line, &[("key.age: ", "wrong\r")]);
    assert_eq!(code, 7, "{screen}");
}
