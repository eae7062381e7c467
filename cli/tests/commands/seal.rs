//! `seal NAME` and `seal --raw`.

use crate::support::Place;

const SEAL: [&str; 6] = ["seal", "db", "-n", "payments", "-r", "me.pub"];

fn seal(place: &Place, more: &[&str]) -> crate::support::Run {
    let mut arguments = SEAL.to_vec();
    arguments.extend(more);
    place.run(&arguments)
}

#[test]
fn every_source_of_values_comes_back_byte_for_byte() {
    let place = Place::new();
    place.write("tls.key", b"\x00\xff\nkey\n");
    place.write("app.env", "# settings\nURL=postgres://a=b\nEMPTY=\n");
    seal(
        &place,
        &[
            "--from-literal",
            "user=app=1",
            "--from-file",
            "tls.key",
            "--from-file",
            "other=tls.key",
            "--from-env-file",
            "app.env",
            "--generate",
            "token=40",
            "-o",
            "db.yaml",
        ],
    )
    .done();
    let values = place.reveal("db.yaml");
    assert_eq!(values["user"], b"app=1");
    assert_eq!(values["tls.key"], b"\x00\xff\nkey\n");
    assert_eq!(values["other"], b"\x00\xff\nkey\n");
    assert_eq!(values["URL"], b"postgres://a=b");
    assert_eq!(values["EMPTY"], b"");
    assert_eq!(values["token"].len(), 40);
    assert!(values["token"].iter().all(u8::is_ascii_alphanumeric));
    assert_eq!(values.len(), 6);
}

#[test]
fn a_value_comes_from_standard_input_when_asked_for() {
    let place = Place::new();
    let mut arguments = SEAL.to_vec();
    arguments.extend(["--from-file", "k=-", "-o", "db.yaml"]);
    place.pipe(&arguments, "from stdin").done();
    assert_eq!(place.reveal("db.yaml")["k"], b"from stdin");
    arguments.extend(["--from-file", "j=-"]);
    place.write("db.yaml", "");
    std::fs::remove_file(place.path("db.yaml")).expect("removed");
    place
        .pipe(&arguments, "x")
        .failed(2, "usage")
        .says("only one value");
}

#[test]
fn the_files_of_a_directory_are_values() {
    let place = Place::new();
    place.write("d/one", "1");
    place.write("d/two", "2");
    place.write("d/not a key", "3");
    place.write("d/below/three", "3");
    seal(&place, &["--from-file", "d", "-o", "db.yaml"])
        .done()
        .says("not a key is left out");
    let values = place.reveal("db.yaml");
    assert_eq!(values.keys().collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn a_newline_at_the_end_is_named_and_trim_drops_it() {
    let place = Place::new();
    place.write("v", "value\r\n");
    seal(&place, &["--from-file", "v", "-o", "a.yaml"])
        .done()
        .says("--trim");
    assert_eq!(place.reveal("a.yaml")["v"], b"value\r\n");
    let trimmed = seal(&place, &["--from-file", "v", "--trim", "-o", "b.yaml"]);
    assert!(
        !trimmed.done().stderr.contains("--trim"),
        "{}",
        trimmed.stderr
    );
    assert_eq!(place.reveal("b.yaml")["v"], b"value");
}

#[test]
fn the_object_has_no_labels_and_its_type_is_bound() {
    let place = Place::new();
    let run = seal(
        &place,
        &["--from-literal", "a=b", "--type", "example.org/db"],
    );
    let text = run.done().text();
    assert!(text.starts_with(
        "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: payments\nspec:\n  template:\n    type: example.org/db\n"
    ));
    assert!(text.contains("binding: strict:payments/db:example.org/db\n"));
    assert!(!text.contains("labels"));
    place.write(
        "db.yaml",
        text.replace("    type: example.org/db\n", "    type: Opaque\n"),
    );
    place
        .run(&["reveal", "db.yaml", "-i", "me.key"])
        .failed(7, "misplaced");
}

#[test]
fn scopes_bind_what_they_say() {
    let place = Place::new();
    let sealed = seal(&place, &["--from-literal", "a=b", "--scope", "namespace"]);
    let renamed = sealed.done().text().replace("name: db", "name: other");
    place.write("renamed.yaml", &renamed);
    assert_eq!(place.reveal("renamed.yaml")["a"], b"b");
    place.write(
        "moved.yaml",
        renamed.replace("namespace: payments", "namespace: elsewhere"),
    );
    place
        .run(&["reveal", "moved.yaml", "-i", "me.key"])
        .failed(7, "misplaced");

    let anywhere = place.run(&[
        "seal",
        "db",
        "--scope",
        "cluster",
        "-r",
        "me.pub",
        "--from-literal",
        "a=b",
    ]);
    assert!(!anywhere.done().text().contains("\n  namespace:"));
    assert!(anywhere.text().contains("binding: cluster:Opaque"));
}

#[test]
fn templatable_and_bound_templates_are_sealed_in() {
    let place = Place::new();
    let run = seal(
        &place,
        &[
            "--from-literal",
            "pw=x y",
            "--from-literal",
            "other=z",
            "--templatable",
            "pw",
        ],
    );
    let text = run.done().text();
    let with = |template: &str| {
        text.replacen(
            "spec:\n",
            &format!("spec:\n  template:\n    data:\n      url: \"{template}\"\n"),
            1,
        )
    };
    place.write("a.yaml", with("db://{{ pw | urlencode }}"));
    assert_eq!(place.reveal("a.yaml")["url"], b"db://x%20y");
    place.write("b.yaml", with("db://{{ other }}"));
    let refused = place.run(&["reveal", "b.yaml", "-i", "me.key"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stdout.is_empty());

    let bound = seal(
        &place,
        &[
            "--from-literal",
            "pw=x",
            "--templatable",
            "pw",
            "--bind-template",
        ],
    );
    assert!(bound.done().text().contains("templateBound: true"));
    seal(&place, &["--from-literal", "a=b", "--templatable", "c"])
        .failed(2, "usage")
        .says("there is no value of that key");
}

#[test]
fn raw_prints_one_token_that_opens_where_it_was_sealed_for() {
    let place = Place::new();
    let run = place.pipe(
        &[
            "seal", "--raw", "-n", "payments", "--name", "db", "token", "-r", "me.pub",
        ],
        "s3cret\n",
    );
    run.done().says("--trim");
    let token = run.text();
    assert!(token.starts_with("wx1:self:") && token.ends_with('\n') && token.lines().count() == 1);
    let object = format!(
        "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{ name: db, namespace: payments }}\nspec:\n  encryptedData:\n    token:\n      value: {token}"
    );
    place.write("db.yaml", &object);
    assert_eq!(place.reveal("db.yaml")["token"], b"s3cret\n");
    place.write("other.yaml", object.replace("    token:", "    renamed:"));
    place
        .run(&["reveal", "other.yaml", "-i", "me.key"])
        .failed(7, "cannot-be-unsealed");
}

#[test]
fn raw_needs_its_place() {
    let place = Place::new();
    let raw = |more: &[&str]| {
        let mut arguments = vec!["seal", "--raw", "-r", "me.pub"];
        arguments.extend(more);
        place.pipe(&arguments, "x")
    };
    raw(&["-n", "payments", "k"])
        .failed(2, "usage")
        .says("--name");
    raw(&["--name", "db", "k"]).failed(2, "no-namespace");
    raw(&["-n", "payments", "--name", "db"])
        .failed(2, "usage")
        .says("key");
    raw(&["-n", "payments", "--name", "db", "bad key"]).failed(2, "grammar");
    raw(&["-n", "payments", "--scope", "namespace", "k"]).done();
    raw(&["--scope", "cluster", "k"]).done();
}

#[test]
fn wrong_grammar_writes_nothing() {
    let place = Place::new();
    for arguments in [
        [
            "seal",
            "db",
            "-n",
            "Payments",
            "-r",
            "me.pub",
            "--from-literal",
            "a=b",
        ],
        [
            "seal",
            "db_1",
            "-n",
            "payments",
            "-r",
            "me.pub",
            "--from-literal",
            "a=b",
        ],
        [
            "seal",
            "db",
            "-n",
            "payments",
            "-r",
            "me.pub",
            "--from-literal",
            "a b=c",
        ],
        [
            "seal",
            "db",
            "-n",
            "payments",
            "-r",
            "age1nonsense",
            "--from-literal",
            "a=b",
        ],
    ] {
        let mut all = arguments.to_vec();
        all.extend(["-o", "out.yaml"]);
        place.run(&all).failed(2, "grammar");
        assert!(!place.exists("out.yaml"));
    }
    seal(
        &place,
        &["--from-literal", "a=b", "--type", "waxwing.dev/signer"],
    )
    .failed(2, "grammar");
    seal(&place, &["--from-literal", "a=b", "--type", "no spaces"]).failed(2, "grammar");
}

#[test]
fn usage_errors_say_what_to_do() {
    let place = Place::new();
    place
        .run(&["seal", "db", "-n", "payments", "-r", "me.pub"])
        .failed(2, "usage")
        .says("--prompt");
    seal(&place, &["--from-literal", "novalue"]).failed(2, "usage");
    seal(&place, &["--from-literal", "a=1", "--from-literal", "a=2"])
        .failed(2, "usage")
        .says("twice");
    seal(&place, &["--generate", "a=0"]).failed(2, "usage");
    seal(&place, &["--from-file", "missing"])
        .failed(2, "file-unreadable")
        .says("missing");
    seal(&place, &["--scope", "wide", "--from-literal", "a=b"]).failed(2, "usage");
    seal(&place, &["-f", "x.yaml"]).failed(2, "usage");
    place
        .run(&["seal", "db", "-r", "me.pub", "--from-literal", "a=b"])
        .failed(2, "no-namespace")
        .says("-n NAMESPACE");
    place
        .run(&["seal", "db", "-n", "p", "--from-literal", "a=b"])
        .failed(3, "no-recipients")
        .says("-r");
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--cluster",
            "prod",
            "--from-literal",
            "a=b",
        ])
        .failed(3, "config");
    place.run(&["edit", "db.yaml"]).failed(2, "usage");
}

#[test]
fn a_prompt_without_a_terminal_fails_at_once() {
    let place = Place::new();
    seal(&place, &["--prompt", "pw"])
        .failed(2, "no-terminal")
        .says("--from-file");
}

#[test]
fn an_env_file_that_is_not_one_is_named_and_not_quoted() {
    let place = Place::new();
    place.write(".env", "A=1\nhunter2\n");
    let run = seal(&place, &["--from-env-file", ".env"]);
    run.failed(5, "unparsable").says(".env:2:");
    assert!(!run.stderr.contains("hunter2"));
}

#[test]
fn an_existing_target_is_left_alone() {
    let place = Place::new();
    place.write("db.yaml", "mine\n");
    seal(&place, &["--from-literal", "a=b", "-o", "db.yaml"]).failed(8, "would-overwrite");
    assert_eq!(place.read("db.yaml"), "mine\n");
    std::os::unix::fs::symlink("nowhere", place.path("link.yaml")).expect("a link");
    seal(&place, &["--from-literal", "a=b", "-o", "link.yaml"]).failed(8, "would-overwrite");
    assert!(!place.exists("nowhere"));
}

#[test]
fn values_over_the_limits_are_refused_and_large_ones_are_warned_about() {
    let place = Place::new();
    place.write("large", vec![b'x'; 260_000]);
    place.write("huge", vec![b'x'; 1024 * 1024 + 1]);
    seal(&place, &["--from-file", "large", "-o", "large.yaml"])
        .done()
        .says("256 KiB");
    let run = seal(&place, &["--from-file", "huge", "-o", "huge.yaml"]);
    run.failed(5, "limit").says("1048576");
    assert!(!place.exists("huge.yaml"));
    // 900,000 bytes fit into a Secret, and sealed they no longer fit into a cluster.
    place.write("between", vec![b'x'; 950_000]);
    seal(&place, &["--from-file", "between", "-o", "between.yaml"])
        .failed(5, "limit")
        .says("1200000");
}

#[test]
fn classical_keys_need_consent() {
    let place = Place::new();
    place
        .run(&["keys", "generate", "--classical", "-o", "old.key"])
        .done();
    let key = place.run(&["keys", "fingerprint", "old.key"]);
    assert!(key.done().text().starts_with("SHA256:"));
    let public = place.read("old.key");
    let public = public
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .expect("a public key");
    let arguments = [
        "seal",
        "db",
        "-n",
        "p",
        "--from-literal",
        "a=b",
        "-r",
        public,
    ];
    place
        .run(&arguments)
        .failed(4, "classical-key")
        .says("--allow-classical");
    let mut allowed = arguments.to_vec();
    allowed.extend(["--allow-classical", "-o", "db.yaml"]);
    place.run(&allowed).done();
    assert_eq!(place.reveal_with(&["db.yaml", "-i", "old.key"])["a"], b"b");
}

#[test]
fn several_recipients_open_the_same_value_and_one_key_counts_once() {
    let place = Place::new();
    place.run(&["keys", "generate", "-o", "two.key"]).done();
    let two = place.read("two.key");
    let two = two
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .expect("a public key");
    seal(
        &place,
        &[
            "-r",
            two,
            "-r",
            &place.recipient.to_string(),
            "--from-literal",
            "a=b",
            "-o",
            "db.yaml",
        ],
    )
    .done();
    assert_eq!(place.reveal("db.yaml")["a"], b"b");
    assert_eq!(place.reveal_with(&["db.yaml", "-i", "two.key"])["a"], b"b");
    assert_eq!(place.read("db.yaml").matches("  key.").count(), 2);
}

#[test]
fn a_private_key_given_as_recipient_is_refused_and_not_quoted() {
    let place = Place::new();
    let run = place.run(&[
        "seal",
        "db",
        "-n",
        "p",
        "--from-literal",
        "a=b",
        "-r",
        "me.key",
    ]);
    run.failed(5, "unparsable").says("private key");
    assert!(!run.stderr.contains("AGE-SECRET-KEY-PQ-1"));
}
