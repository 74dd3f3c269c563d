//! A Multiboot 1 kernel without ELF: its header says where it goes. Checks its entry state, prints its boot information.
#![no_std]
#![no_main]

core::arch::global_asm!(
    include_str!("multiboot.s"),
    r#"
.section .header, "a"
    .zero 32
multiboot_header:
    .long 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    .long multiboot_header, 0x100000, multiboot_load_end, multiboot_end, multiboot_entry
"#
);

guest_tests::multiboot_main!();
