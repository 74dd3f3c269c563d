//! Gives every test guest the linker script of the runtime.

use std::{env, path::Path};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let script = Path::new(&here).join("../rt/guest.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    // On the host (`cargo check` of the whole workspace) nothing is linked with it.
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
}
