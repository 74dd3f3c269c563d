//! Makes the multiboot2 header, and tells the linker about the image's layout.
//!
//! The header crate's builder wants an allocator, so the header is made here, at build time,
//! and included as bytes.
//!
//! No framebuffer tag: with one, GRUB on BIOS switches to a graphics mode, which costs time and
//! ends Bochs' text display. On UEFI, where there is no text mode, GRUB passes a framebuffer anyway.

use multiboot2_header::{
    Builder, ConsoleHeaderTag, ConsoleHeaderTagFlags, HeaderTagFlag, HeaderTagISA,
    InformationRequestHeaderTag, MaybeDynSized, MbiTagType, ModuleAlignHeaderTag,
};
use std::{env, fs, path::Path};

fn main() {
    let requests = [
        MbiTagType::Cmdline,
        MbiTagType::Module,
        MbiTagType::Mmap,
        MbiTagType::ElfSections,
        MbiTagType::AcpiV1,
        MbiTagType::AcpiV2,
        MbiTagType::Framebuffer,
    ];
    let optional = HeaderTagFlag::Optional;
    let header = Builder::new(HeaderTagISA::I386)
        .information_request_tag(InformationRequestHeaderTag::new(optional, &requests))
        .console_tag(ConsoleHeaderTag::new(
            optional,
            ConsoleHeaderTagFlags::EgaTextSupported,
        ))
        .module_align_tag(ModuleAlignHeaderTag::new(HeaderTagFlag::Required))
        .build();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("multiboot2_header"), header.as_bytes())
        .expect("OUT_DIR can be written");

    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rustc-link-arg-bins=-T{here}/link.ld");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=build.rs");
}
