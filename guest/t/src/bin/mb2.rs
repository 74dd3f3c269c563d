//! A Multiboot 2 kernel as ELF32. Checks its entry state, prints its boot information.
#![no_std]
#![no_main]

core::arch::global_asm!(
    include_str!("multiboot.s"),
    r#"
.section .header, "a"
    elf32_header
    .balign 8
multiboot_header:
    .long 0xe85250d6, 0, multiboot_header_end - multiboot_header
    .long -(0xe85250d6 + multiboot_header_end - multiboot_header)
    .short 1, 0
    .long 24, 1, 4, 6, 8
    .short 6, 1
    .long 8
    .short 0, 0
    .long 8
multiboot_header_end:
"#
);

guest_tests::multiboot_main!();
