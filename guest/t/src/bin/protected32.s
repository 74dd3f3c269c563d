# Checks that one exception was taken since the last time, of vector and error code, and prints.
.macro took vector, error, text
    mov eax, \vector
    mov ebx, \error
    mov esi, offset \text
    call took_one
.endm

# A handler of an exception without an error code, which steps over `length` bytes.
.macro handler vector, length
handler_\vector:
    mov dword ptr [taken], \vector
    mov dword ptr [error_code], 0
    add dword ptr [esp], \length
    and dword ptr [esp + 8], 0xfffffeff
    iretd
.endm

.macro handler_with_error vector, length
handler_\vector:
    mov dword ptr [taken], \vector
    pop dword ptr [error_code]
    add dword ptr [esp], \length
    iretd
.endm

.macro gate vector
    mov eax, offset handler_\vector
    mov edi, offset idt + \vector * 8
    call set_gate
.endm

.section .text.start, "ax"
.code32
.global _start
_start:
    cld
    gate 0
    gate 1
    gate 3
    gate 4
    gate 5
    gate 6
    gate 7
    gate 11
    gate 13
    lidt [idt_pointer]
    mov esi, offset hello
    call print
    mov esi, offset strings
    mov ecx, offset string_length
    mov edx, 0x3f8
    rep outsb

    xor edx, edx
    xor ecx, ecx
    div ecx
    took 0, 0, divide_text
    pushfd
    or dword ptr [esp], 0x100
    popfd
    nop
    took 1, 0, step_text
    int3
    took 3, 0, breakpoint_text
    mov eax, 0x7fffffff
    inc eax
    into
    took 4, 0, overflow_text
    mov eax, 5
    bound eax, [bounds]
    took 5, 0, bound_text
    ud2
    took 6, 0, opcode_text
    mov eax, cr0
    or eax, 8
    mov cr0, eax
    fld1
    mov eax, cr0
    and eax, 0xfffffff7
    mov cr0, eax
    took 7, 0, device_text
    mov eax, 0x7ff8
    mov fs, eax
    took 13, 0x7ff8, protection_text

# INS of all widths from nobody.
    mov edi, offset buffer
    mov ecx, 4
    mov edx, 0x1234
    rep insb
    insw
    insw
    insd
    mov edi, offset buffer
    mov ecx, 3
    mov eax, 0xffffffff
    repe scasd
    jne fail
    mov esi, offset in_text
    call print
# PUSHAD, POPAD, and 16-bit operands.
    mov eax, 0x11112222
    pushad
    mov ax, 0x3333
    cmp eax, 0x11113333
    jne fail
    popad
    cmp eax, 0x11112222
    jne fail
    mov esi, offset registers_text
    call print
    mov edx, 0xf4
    xor eax, eax
    out dx, eax
    hlt

fail:
    mov esi, offset fail_text
    call print
    mov edx, 0xf4
    mov eax, 1
    out dx, eax
    hlt

took_one:
    cmp [taken], eax
    jne fail
    cmp [error_code], ebx
    jne fail
    mov dword ptr [taken], -1
print:
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

set_gate:
    mov [edi], ax
    mov word ptr [edi + 2], 0x18
    mov word ptr [edi + 4], 0x8e00
    shr eax, 16
    mov [edi + 6], ax
    ret

handler 0, 2
handler 1, 0
handler 3, 0
handler 4, 0
handler 5, 6
handler 6, 2
handler 7, 2
handler_with_error 11, 2
handler_with_error 13, 2

.balign 8
idt: .fill 64, 8, 0
idt_pointer:
    .word 64 * 8 - 1
    .long idt
bounds: .long 0, 4
taken: .long -1
error_code: .long 0
buffer: .long 0, 0, 0
hello: .asciz "32-bit guest\n"
strings: .ascii "written by REP OUTSB\n"
strings_end:
.set string_length, strings_end - strings
divide_text: .asciz "ok #DE\n"
step_text: .asciz "ok #DB by TF\n"
breakpoint_text: .asciz "ok #BP\n"
overflow_text: .asciz "ok #OF\n"
bound_text: .asciz "ok #BR\n"
opcode_text: .asciz "ok #UD\n"
device_text: .asciz "ok #NM\n"
protection_text: .asciz "ok #GP(selector)\n"
in_text: .asciz "ok INS of all widths\n"
registers_text: .asciz "ok PUSHAD and 16-bit operands\n"
fail_text: .asciz "FAIL\n"
