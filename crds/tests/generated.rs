//! `deploy/crds/waxwing.dev.yaml` is what the types say.

use std::fs;
use std::path::Path;

#[test]
fn the_definitions_in_deploy_are_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds/waxwing.dev.yaml");
    let file = fs::read_to_string(path).unwrap_or_default();
    assert!(
        file == crds::yaml(),
        "deploy/crds/waxwing.dev.yaml is stale; write it anew with\n\n    cargo run -p controller -- crds > deploy/crds/waxwing.dev.yaml\n"
    );
}
