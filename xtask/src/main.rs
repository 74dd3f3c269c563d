//! The build, run and test commands.
fn main() {}
