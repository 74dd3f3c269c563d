# The real-mode segment of all symbols is 0x1000: the image is linked at 0x10000.
.set ROUNDS, 100
# NAME_r: NAME from the start of that segment (one symbol an operand is all that LLVM takes).
.set answered_r, answered - _start
.set end_text_r, end_text - _start
.set fail_text_r, fail_text - _start
.set gdt_pointer_r, gdt_pointer - _start
.set ivt_pointer_r, ivt_pointer - _start
.set protected16_r, protected16 - _start
.set real_again_r, real_again - _start
.set real_int_r, real_int - _start
.set real_text_r, real_text - _start
.set rounds_r, rounds - _start
.section .text.start, "ax"
.code16
.global _start
_start:
    mov ax, 0x1000
    mov ds, ax
    mov es, ax
    xor ax, ax
    mov ss, ax
    mov sp, 0x8000
    mov dword ptr [rounds_r], 0
    lidt [ivt_pointer_r]
# INT 0x60 of real mode.
    mov es, ax
    mov word ptr es:[0x60 * 4], offset real_int_r
    mov word ptr es:[0x60 * 4 + 2], 0x1000

.global real_mode
real_mode:
    cli
    mov si, offset real_text_r
    call print16
    int 0x60
    cmp byte ptr [answered_r], 0x60
    jne fail16
    mov byte ptr [answered_r], 0
    data32 lgdt [gdt_pointer_r]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea
    .long protected
    .word 0x18

fail16:
    mov si, offset fail_text_r
    mov dword ptr [rounds_r], 0
    call print16
    mov dx, 0xf4
    mov eax, 1
    out dx, eax
    hlt

# Prints the string at SI in the first round.
print16:
    cmp dword ptr [rounds_r], 0
    jne 2f
    cld
    mov dx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

real_int:
    mov byte ptr cs:[answered_r], 0x60
    iret

.code32
protected:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, 0x9f000
    mov esi, offset protected_text
    call print32

# 32-bit paging with 4 MiB pages; 0x40000000 is an alias of 0.
    mov edi, offset TABLES + 0x6000
    mov dword ptr [edi], 0x83
    mov dword ptr [edi + 0x100 * 4], 0x83
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
    mov cr3, edi
    call paging_on
    mov esi, offset paging32_text
    call print32
    call check_alias
    call paging_off

# PAE paging with 2 MiB pages.
    mov edi, offset TABLES + 0x3000
    mov dword ptr [edi], offset TABLES + 0x4001
    mov dword ptr [edi + 8], offset TABLES + 0x4001
    mov dword ptr [edi + 0x1000], 0x83
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov cr3, edi
    call paging_on
    mov esi, offset pae_text
    call print32
    call check_alias
# PGE loads the four pointers again, which the processor has used by now.
    mov eax, cr4
    xor eax, 0x80
    mov cr4, eax
    xor eax, 0x80
    mov cr4, eax
    call paging_off

# Long mode: the same alias, two levels more.
    mov edi, offset TABLES
    mov dword ptr [edi], offset TABLES + 0x1003
    mov dword ptr [edi + 0x1000], offset TABLES + 0x2003
    mov dword ptr [edi + 0x1008], offset TABLES + 0x2003
    mov dword ptr [edi + 0x2000], 0x83
    mov cr3, edi
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    call paging_on
    mov ecx, 0xc0000080
    rdmsr
    test eax, 0x400
    jz fail32
    .byte 0xea
    .long long_mode
    .word 0x08

.code64
long_mode:
    lea rsi, [rip + long_text]
    call print64
    mov rax, 0x1122334455667788
    mov r15, rax
    bswap rax
    bswap rax
    cmp rax, r15
    jne fail64
    mov rdi, 0x40000000
    lea rsi, [rip + answered]
    mov byte ptr [rsi], 0x5a
    cmp byte ptr [rsi + rdi], 0x5a
    jne fail64
    mov byte ptr [rsi], 0
    push 0x18
    lea rax, [rip + compatibility]
    push rax
    retfq

fail64:
    mov edx, 0xf4
    mov eax, 64
    out dx, eax
    hlt

print64:
    cmp dword ptr [rip + rounds], 0
    jne 2f
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

.code32
compatibility:
    mov esi, offset compatibility_text
    call print32
# Byte 0x48 is DEC EAX here and a REX prefix in 64-bit code.
    mov eax, 2
    .byte 0x48
    cmp eax, 1
    jne fail32
    call paging_off
    mov ecx, 0xc0000080
    rdmsr
    test eax, 0x400
    jnz fail32
    and eax, 0xfffffeff
    wrmsr
    mov eax, cr4
    and eax, 0xffffffcf
    mov cr4, eax

# Back to real mode, through 16-bit segments.
    .byte 0xea
    .long protected16_r
    .word 0x20
.code16
protected16:
    mov ax, 0x28
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    .byte 0xea
    .word real_again_r
    .word 0x1000
real_again:
    mov ax, 0x1000
    mov ds, ax
    xor ax, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x8000
    inc dword ptr [rounds_r]
    cmp dword ptr [rounds_r], ROUNDS
    jb real_mode
    mov dword ptr [rounds_r], 0
    mov si, offset end_text_r
    call print16
    mov dx, 0xf4
    xor eax, eax
    out dx, eax
    hlt

.code32
paging_on:
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    ret

paging_off:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    xor eax, eax
    mov cr3, eax
    ret

check_alias:
    mov byte ptr [answered], 0x5a
    cmp byte ptr [answered + 0x40000000], 0x5a
    jne fail32
    mov byte ptr [answered], 0
    ret

fail32:
    mov edx, 0xf4
    mov eax, 32
    out dx, eax
    hlt

print32:
    cmp dword ptr [rounds], 0
    jne 2f
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
# 16-bit code and data at base 0x10000, as the real-mode segment.
    .quad 0x00009b010000ffff
    .quad 0x000093010000ffff
ivt_pointer:
    .word 0x3ff
    .long 0

gdt_pointer:
    .word 47
    .long gdt

rounds: .long 0
answered: .byte 0
real_text: .asciz "real mode\n"
protected_text: .asciz "protected mode\n"
paging32_text: .asciz "32-bit paging\n"
pae_text: .asciz "PAE paging\n"
long_text: .asciz "long mode\n"
compatibility_text: .asciz "compatibility mode\n"
end_text: .asciz "real mode again, 100 rounds\n"
fail_text: .asciz "FAIL: INT in real mode\n"
