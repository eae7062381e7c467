//! `tests/cmd/*.toml`: one small file per use and misuse, readable without Rust.

#[test]
fn every_case_prints_what_it_says() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("XDG_STATE_HOME", "/nonexistent")
        .case("tests/cmd/*.toml")
        .run();
}
