.section .text.start, "ax"
.code32
.global _start
_start:
    cld
    lgdt [gdt_pointer]
    mov edi, offset gdt + 0x30
    mov eax, offset first_task
    call describe
    mov edi, offset gdt + 0x38
    mov eax, offset second_task
    call describe
    mov eax, 0x30
    ltr ax
    mov edi, offset second_task
    mov dword ptr [edi + 32], offset second
    mov dword ptr [edi + 36], 2
    mov dword ptr [edi + 56], 0x9e000
    mov dword ptr [edi + 72], 0x10
    mov dword ptr [edi + 76], 0x18
    mov dword ptr [edi + 80], 0x10
    mov dword ptr [edi + 84], 0x10
    mov esi, offset before
    call print
    mov ebx, 7
    .byte 0xea
    .long 0
    .word 0x38
    cmp ebx, 7
    jne fail
    mov esi, offset after
    call print
    xor eax, eax
    jmp exit

second:
    mov ebx, 9
    mov esi, offset inside
    call print
    .byte 0xea
    .long 0
    .word 0x30

fail:
    mov eax, 1
exit:
    mov edx, 0xf4
    out dx, eax
    hlt

# Writes the base EAX into the TSS descriptor at EDI.
describe:
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov [edi + 7], ah
    ret

print:
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
    .quad 0x00009b000000ffff
    .quad 0x000093000000ffff
    .quad 0x0000890000000067
    .quad 0x0000890000000067
gdt_pointer:
    .word 63
    .long gdt
.balign 128
first_task: .fill 26, 4, 0
.balign 128
second_task: .fill 26, 4, 0
before: .asciz "in the first task\n"
inside: .asciz "in the second task\n"
after: .asciz "ok back in the first task\n"
