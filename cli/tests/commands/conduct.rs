//! What holds for every command: streams, colours, signals, pipes, names.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::support::{MANIFEST, Place};

#[test]
fn version_and_help_are_results() {
    let place = Place::new();
    assert_eq!(
        place.run(&["--version"]).done().text(),
        format!("waxwing {}\n", env!("CARGO_PKG_VERSION"))
    );
    for command in [
        vec!["--help"],
        vec!["seal", "--help"],
        vec!["reveal", "--help"],
        vec!["show", "--help"],
        vec!["trust", "--help"],
        vec!["completions", "--help"],
        vec!["keys", "generate", "--help"],
        vec!["keys", "fetch", "--help"],
        vec!["keys", "list", "--help"],
        vec!["keys", "fingerprint", "--help"],
    ] {
        let run = place.run(&command);
        assert!(
            run.done().text().contains("Examples:"),
            "{command:?} shows no example"
        );
        assert!(run.stderr.is_empty());
    }
}

#[test]
fn kubectl_waxwing_is_the_same_program() {
    let place = Place::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_waxwing"), place.path("kubectl-waxwing"))
        .expect("a link");
    let mut command = Command::new(place.path("kubectl-waxwing"));
    place.isolate(&mut command);
    let run = crate::support::finish(command.args(["keys", "--help"]).output().expect("runs"));
    assert!(
        run.done().text().contains("Usage: kubectl waxwing keys"),
        "{}",
        run.text()
    );
    let mut command = Command::new(place.path("kubectl-waxwing"));
    place.isolate(&mut command);
    let run = crate::support::finish(command.args(["seal", "--help"]).output().expect("runs"));
    assert!(
        run.done()
            .text()
            .contains("Usage: kubectl waxwing seal NAME"),
        "{}",
        run.text()
    );
    let mut command = Command::new(place.path("kubectl-waxwing"));
    place.isolate(&mut command);
    let run = crate::support::finish(
        command
            .args(["keys", "fingerprint", "me.pub"])
            .output()
            .expect("runs"),
    );
    assert!(run.done().text().starts_with("SHA256:"));
}

#[test]
fn completions_exist_for_the_usual_shells() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = place.run(&["completions", shell]);
        assert!(run.done().text().contains("fingerprint"), "{shell}");
    }
    place.run(&["completions", "tcsh"]).failed(2, "usage");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("read");
    assert_eq!(child.wait().expect("ends").code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn a_full_disk_is_an_error() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = place
        .command()
        .args(["completions", "bash"])
        .stdout(full)
        .output()
        .expect("runs");
    let run = crate::support::finish(output);
    assert_eq!(run.code, 70);
    run.says("error[io]");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let place = Place::new();
    let arguments = ["show", "missing"];
    assert!(!place.run(&arguments).stderr.contains('\u{1b}'));
    let forced = place.run_with(&arguments, b"", &[("CLICOLOR_FORCE", "1")]);
    assert!(forced.stderr.contains('\u{1b}'), "{}", forced.stderr);
    let refused = place.run_with(
        &arguments,
        b"",
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
    );
    assert!(!refused.stderr.contains('\u{1b}'));
}

#[test]
fn the_log_level_is_the_user_s() {
    let place = Place::new();
    let arguments = ["seal", "-f", "-"];
    assert!(
        place
            .run_with(&arguments, "a: b\n", &[])
            .stderr
            .contains("note:")
    );
    assert_eq!(
        place
            .run_with(&arguments, "a: b\n", &[("WAXWING_LOG", "error")])
            .stderr,
        ""
    );
}

#[test]
fn interrupted_while_reading_files_stay_untouched() {
    let place = Place::new();
    place.write("db.yaml", MANIFEST);
    for signal in ["-INT", "-TERM"] {
        let mut child = place
            .command()
            .args([
                "seal",
                "db",
                "-n",
                "p",
                "--from-file",
                "k=-",
                "-r",
                "me.pub",
                "-o",
                "out.yaml",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        // Held open, so that the command waits for the value.
        let input = child.stdin.take();
        wait_until_reading(child.id());
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .expect("kill")
                .success()
        );
        assert_eq!(ended(&mut child), Some(130));
        drop(input);
        assert_eq!(place.files(), ["db.yaml", "me.key", "me.pub"]);
    }
}

/// The exit code of a process that must end soon.
fn ended(child: &mut Child) -> Option<i32> {
    for _ in 0..1000 {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("killed");
    panic!("the command does not end");
}

/// Until the process's main thread waits in a read: its signal handlers are installed by then.
fn wait_until_reading(process: u32) {
    for _ in 0..200 {
        let waits = std::fs::read_to_string(format!("/proc/{process}/wchan")).unwrap_or_default();
        if waits.contains("pipe") || waits.contains("read") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Some kernels hide it: by now it has had two seconds.
}

#[test]
fn a_missing_directory_is_named_before_anything_happens() {
    let place = Place::new();
    let run = place.run(&[
        "seal",
        "db",
        "-n",
        "p",
        "--from-literal",
        "a=b",
        "-r",
        "me.pub",
        "-o",
        "missing/dir/db.yaml",
    ]);
    run.failed(2, "usage").says("mkdir -p missing/dir");
}

#[test]
fn what_a_terminal_would_obey_does_not_pass() {
    let place = Place::new();
    place.write("db.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: \"a\\e[2Jb\", namespace: p}\nstringData: {a: b}\n");
    let run = place.run_with(
        &["seal", "-f", "db.yaml", "-r", "me.pub"],
        b"",
        &[("CLICOLOR_FORCE", "1")],
    );
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(!run.stderr.contains("\u{1b}[2J"), "{:?}", run.stderr);
}

#[test]
fn no_message_ever_carries_a_value() {
    let place = Place::new();
    let canary = "canary-7f3a9d";
    place.write(
        "db.yaml",
        MANIFEST
            .replace("aHVudGVyMg==", canary)
            .replace("  user: YXBw", &format!("  {canary} {canary}: YXBw")),
    );
    for arguments in [
        vec!["seal", "-f", "db.yaml", "-r", "me.pub"],
        vec!["show", "db.yaml"],
        vec!["keys", "fingerprint", "db.yaml"],
        vec![
            "seal",
            "x",
            "-n",
            "p",
            "-r",
            "db.yaml",
            "--from-literal",
            "a=b",
        ],
        vec!["reveal", "db.yaml", "-i", "db.yaml"],
        vec![
            "seal",
            "x",
            "-n",
            "p",
            "-r",
            "me.pub",
            "--from-env-file",
            "db.yaml",
        ],
    ] {
        let run = place.run_with(&arguments, b"", &[("WAXWING_LOG", "debug")]);
        assert_ne!(run.code, 0, "{arguments:?}");
        assert!(
            !run.stderr
                .replace(&format!("{canary} {canary}"), "KEY")
                .contains(canary),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}
