# From GRUB's 32-bit protected mode to 64-bit mode, and the application processors' way there.

.section .rodata.early_gdt, "a"
.balign 8
# Null, 64-bit code, data; already accessed, as the pages are read-only.
early_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
early_gdt_pointer:
    .word 23
    .quad early_gdt
no_long_mode_text:
    .asciz "nestling: error: this processor has no 64-bit mode; in QEMU use -cpu max or another 64-bit model\r\nnestling: end, status 2\r\n"
shutdown_text:
    .ascii "Shutdown"

.section .bss.early, "aw", @nobits
.balign 4096
early_pml4: .skip 4096
early_pdpt: .skip 4096
early_pd:   .skip 4 * 4096
.global early_pml4, early_pdpt, early_high
early_high: .skip 2 * 4096                  # a PDPT and a page directory: see paging.rs, map_early
.global entry_tsc
entry_tsc:  .skip 16
.balign 4096
.global boot_stacks
boot_stacks: .skip {stacks_size}

.section .text.entry, "ax"
.code32
.global entry
entry:
    cli
    cld
    movl $(boot_stacks + {stacks_size}), %esp
    movl %eax, %edi                         # multiboot2's magic number
    movl %ebx, %esi                         # and information
    rdtsc
    movl %eax, entry_tsc
    movl %edx, entry_tsc + 4

    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc no_long_mode
    movl %edx, %ebp

    # The first 4 GiB, identically, in pages of 2 MiB.
    movl $early_pdpt + 3, early_pml4
    movl $early_pd + 3, %eax
    movl $early_pdpt, %ebx
1:  movl %eax, (%ebx)
    addl $4096, %eax
    addl $8, %ebx
    cmpl $early_pdpt + 32, %ebx
    jne 1b
    movl $0x83, %eax
    movl $early_pd, %ebx
2:  movl %eax, (%ebx)
    addl $0x200000, %eax
    addl $8, %ebx
    cmpl $early_pd + 4 * 4096, %ebx
    jne 2b

    movl $early_pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax                         # CR4.PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx                  # IA32_EFER
    rdmsr
    orl $0x100, %eax                        # LME
    btl $20, %ebp
    jnc 3f
    orl $0x800, %eax                        # NXE
3:  wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax                   # PG, WP, PE
    movl %eax, %cr0
    lgdt early_gdt_pointer
    ljmp $8, $entry_64

# Text on COM1, as the firmware left it.
no_long_mode:
    movl $no_long_mode_text, %esi
4:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 4b
    movb (%esi), %al
    testb %al, %al
    jz 5f
    movw $0x3f8, %dx
    outb %al, %dx
    incl %esi
    jmp 4b
5:  movw $0x3fd, %dx                        # all sent?
    inb %dx, %al
    testb $0x40, %al
    jz 5b
    # On QEMU and Bochs, by the OEM ID of the ACPI table's root, this ends the machine with status 2.
    movl $0xe0000, %esi
6:  cmpl $0x20445352, (%esi)                # "RSD PTR "
    jne 7f
    cmpl $0x20525450, 4(%esi)
    jne 7f
    cmpl $0x48434f42, 9(%esi)               # "BOCH"
    je 8f
7:  addl $16, %esi
    cmpl $0x100000, %esi
    jne 6b
    jmp 9f
8:  movw $0xf4, %dx
    movl $2, %eax
    outl %eax, %dx
    movl $shutdown_text, %esi
    movw $0x8900, %dx
    movl $8, %ecx
    rep outsb
9:  cli
    hlt
    jmp 9b

.code64
entry_64:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl $(boot_stacks + {stacks_size}), %esp
    movl %edi, %edi
    movl %esi, %esi
    xorl %ebp, %ebp
    call {boot_main}
    ud2

# Copied to a page below 1 MiB; runs there in real mode, with CS on the page.
.section .rodata.trampoline, "a"
.global trampoline, trampoline_cr3, trampoline_end
.code16
trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movl $0x20, %eax                        # CR4.PAE
    movl %eax, %cr4
    movl trampoline_cr3 - trampoline, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax                        # EFER.LME, NXE
    wrmsr
    lgdtl trampoline_gdt_pointer - trampoline
    movl %cr0, %eax
    andl $0x9fffffff, %eax                  # caches on
    orl $0x80010001, %eax                   # straight to long mode
    movl %eax, %cr0
    ljmpl $8, $ap_entry_64
trampoline_gdt_pointer:
    .word 23
    .long early_gdt
trampoline_cr3:
    .long 0
trampoline_end:

.section .text.entry, "ax"
.code64
ap_entry_64:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movq {ap_stack}, %rsp
    xorl %ebp, %ebp
    call {ap_main}
    ud2
