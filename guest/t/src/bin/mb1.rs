//! A Multiboot 1 kernel as ELF32. Checks its entry state, prints its boot information.
#![no_std]
#![no_main]

core::arch::global_asm!(
    include_str!("multiboot.s"),
    r#"
.section .header, "a"
    elf32_header
    .balign 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)
"#
);

guest_tests::multiboot_main!();
