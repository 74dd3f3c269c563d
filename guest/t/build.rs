//! Gives every test guest its linker script: the runtime's, or that of Multiboot kernels.

use std::{env, fs, path::Path};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let here = Path::new(&here);
    println!("cargo:rerun-if-changed=src/bin");
    println!("cargo:rerun-if-changed=../rt");
    // On the host (`cargo check` of the whole workspace) nothing is linked with it.
    for file in fs::read_dir(here.join("src/bin")).expect("src/bin is there") {
        let path = file.expect("src/bin can be read").path();
        let Some(name) = path
            .file_stem()
            .filter(|_| path.extension().is_some_and(|end| end == "rs"))
        else {
            continue;
        };
        let name = name.to_string_lossy();
        let argument = |text: &str| println!("cargo:rustc-link-arg-bin={name}={text}");
        if name.starts_with("mb") {
            argument(&format!("-T{}", here.join("../rt/multiboot.ld").display()));
            // The kernel's own headers are all that its file has.
            argument("--oformat=binary");
        } else {
            argument(&format!("-T{}", here.join("../rt/guest.ld").display()));
        }
    }
}
