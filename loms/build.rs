//! Builds loms again when a migration changes.

fn main() {
    println!("cargo::rerun-if-changed=../migrations/loms");
    println!("cargo::rerun-if-changed=../migrations/loms-stock");
}
