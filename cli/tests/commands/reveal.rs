//! `reveal`.

use crate::support::{MANIFEST, Place};

fn sealed(place: &Place) {
    place.write("plain.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "plain.yaml", "-o", "db.yaml", "-r", "me.pub"])
        .done();
}

#[test]
fn one_key_is_its_raw_bytes_and_all_keys_are_yaml() {
    let place = Place::new();
    sealed(&place);
    assert_eq!(
        place
            .run(&["reveal", "db.yaml", "password", "-i", "me.key"])
            .done()
            .stdout,
        b"hunter2"
    );
    let text = place.run(&["reveal", "db.yaml", "-i", "me.key"]);
    assert_eq!(
        text.done().text(),
        "\"password\": \"hunter2\"\n\"user\": \"app\"\n"
    );
    let json = place.run_with(
        &["reveal", "db.yaml", "-i", "me.key"],
        b"",
        &[("WAXWING_FORMAT", "json")],
    );
    assert_eq!(
        json.done().text(),
        "{\n  \"password\": \"aHVudGVyMg==\",\n  \"user\": \"YXBw\"\n}\n"
    );
}

#[test]
fn other_keys_open_nothing() {
    let place = Place::new();
    sealed(&place);
    place.run(&["keys", "generate", "-o", "other.key"]).done();
    place
        .run(&["reveal", "db.yaml", "-i", "other.key"])
        .failed(7, "unknown-key")
        .says("waxwing show");
    let both = place.run(&[
        "reveal",
        "db.yaml",
        "user",
        "-i",
        "other.key",
        "-i",
        "me.key",
    ]);
    assert_eq!(both.done().stdout, b"app");
}

#[test]
fn a_changed_object_says_its_class_and_nothing_more() {
    let place = Place::new();
    sealed(&place);
    let text = place.read("db.yaml");
    let changed = |name: &str, from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is not there");
        place.write(name, changed);
        place.run(&["reveal", name, "-i", "me.key"])
    };
    changed("moved.yaml", "namespace: payments", "namespace: other").failed(7, "misplaced");
    changed(
        "scope.yaml",
        "strict:payments/db:Opaque",
        "wide:payments/db:Opaque",
    )
    .failed(5, "malformed");
    let token = text
        .lines()
        .find(|line| line.contains("value: wx1:"))
        .expect("a token");
    let flipped = format!(
        "{}{}",
        &token[..token.len() - 2],
        if token.ends_with("AA") { "BA" } else { "AA" }
    );
    let run = changed("flipped.yaml", token, &flipped);
    assert!(run.code == 7 || run.code == 5, "{}", run.stderr);
    assert!(run.stdout.is_empty());
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::new();
    sealed(&place);
    place
        .run(&["reveal", "db.yaml", "pasword", "-i", "me.key"])
        .failed(7, "no-such-key")
        .says("password, user");
    place
        .run(&["reveal", "plain.yaml", "-i", "me.key"])
        .failed(5, "nothing-sealed");
    place
        .run(&["reveal", "missing.yaml", "-i", "me.key"])
        .failed(2, "file-unreadable");
    place
        .run(&["reveal", "db.yaml", "-i", "missing.key"])
        .failed(2, "file-unreadable");
    place.run(&["reveal", "db.yaml"]).failed(2, "usage");
    place
        .run(&["reveal", "db.yaml", "-i", "me.key", "--object", "a/b"])
        .failed(5, "nothing-sealed")
        .says("payments/db");
    place
        .run(&[
            "reveal", "db.yaml", "user", "-i", "me.key", "--format", "json",
        ])
        .failed(2, "usage");
}

#[test]
fn an_identity_file_is_checked_and_never_quoted() {
    let place = Place::new();
    sealed(&place);
    place.write("bad.key", "# mine\nAGE-SECRET-KEY-PQ-1BROKENBROKEN\n");
    let run = place.run(&["reveal", "db.yaml", "-i", "bad.key"]);
    run.failed(5, "unparsable").says("bad.key:2");
    assert!(!run.stderr.contains("BROKEN"), "{}", run.stderr);
    place
        .run(&["reveal", "db.yaml", "-i", "me.pub"])
        .failed(5, "unparsable")
        .says("public key");
    place.write("empty.key", "# nothing\n");
    place
        .run(&["reveal", "db.yaml", "-i", "empty.key"])
        .failed(5, "unparsable");
}

#[test]
fn bytes_that_are_not_text_are_marked() {
    let place = Place::new();
    place.write("bin", [0xff, 0x00, 0x1b]);
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--from-file",
            "bin",
            "-r",
            "me.pub",
            "-o",
            "db.yaml",
        ])
        .done();
    assert_eq!(
        place
            .run(&["reveal", "db.yaml", "-i", "me.key"])
            .done()
            .text(),
        "\"bin\": !!binary \"/wAb\"\n"
    );
    assert_eq!(
        place
            .run(&["reveal", "db.yaml", "bin", "-i", "me.key"])
            .done()
            .stdout,
        [0xff, 0x00, 0x1b]
    );
}
