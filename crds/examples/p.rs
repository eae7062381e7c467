//! x
fn main() {
    print!("{}", crds::yaml());
}
