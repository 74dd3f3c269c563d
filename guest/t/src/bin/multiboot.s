# From a Multiboot loader to `multiboot_main` in long mode, with the state at entry.

# The headers of an ELF32 file whose only segment is the whole file.
.macro elf32_header
    .byte 0x7f
    .ascii "ELF"
    .byte 1, 1, 1, 0
    .zero 8
    .short 2, 3
    .long 1, multiboot_entry, 52, 0, 0
    .short 52, 32, 1, 40, 0, 0
    .long 1, 0, 0x100000, 0x100000
    .long multiboot_load_end - 0x100000, multiboot_end - 0x100000, 7, 0x1000
.endm

.section .text.start, "ax"
.code32
.global multiboot_entry
multiboot_entry:
    mov [state], eax
    mov [state + 4], ebx
    mov esp, offset stack_top
    pushfd
    pop eax
    mov [state + 8], eax
    mov eax, cr0
    mov [state + 12], eax
    mov eax, cs
    mov [state + 16], eax
    mov eax, ds
    mov [state + 20], eax
    mov eax, es
    mov [state + 24], eax
    mov eax, fs
    mov [state + 28], eax
    mov eax, gs
    mov [state + 32], eax
    mov eax, ss
    mov [state + 36], eax
    sgdt [state + 40]

# The first 4 GiB, mapped to themselves.
    mov dword ptr [pml4], offset pdpt + 3
    mov edi, offset pdpt
    mov eax, offset directories + 3
1:  mov [edi], eax
    add edi, 8
    add eax, 0x1000
    cmp edi, offset pdpt + 32
    jne 1b
    mov edi, offset directories
    mov eax, 0x83
2:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    jnc 2b
    mov eax, offset pml4
    mov cr3, eax
    mov eax, 0x20
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    lgdt [long_gdt_pointer]
    push 8
    mov eax, offset long_mode
    push eax
    retf

.code64
long_mode:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov edi, offset state
    call multiboot_main
    ud2

.section .data
.balign 8
long_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
long_gdt_pointer:
    .short 23
    .long long_gdt
.balign 8
state:
    .zero 64

.section .bss
.balign 4096
pml4: .zero 4096
pdpt: .zero 4096
directories: .zero 4 * 4096
.zero 65536
stack_top:
