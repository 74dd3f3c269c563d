# NAME_r: NAME from the start of segment 0x1000, where the image is linked.
.set ivt_pointer_r, ivt_pointer - _start
.set hello_r, hello - _start
.set strings_r, strings - _start
.set string_length, strings_end - strings
.set divide_text_r, divide_text - _start
.set opcode_text_r, opcode_text - _start
.set bound_text_r, bound_text - _start
.set overflow_text_r, overflow_text - _start
.set step_text_r, step_text - _start
.set in_text_r, in_text - _start
.set huge_text_r, huge_text - _start
.set fail_text_r, fail_text - _start
.set skip2_r, skip2 - _start
.set skip4_r, skip4 - _start
.set count_only_r, count_only - _start
.set bounds_r, bounds - _start
.set taken_r, taken - _start
.set buffer_r, buffer - _start

# Checks that one interrupt was taken since the last time, and prints the text.
.macro took text
    mov si, offset \text
    call took_one
.endm

.section .text.start, "ax"
.code16
.global _start
_start:
    cli
    cld
    mov ax, 0x1000
    mov ds, ax
    xor ax, ax
    mov es, ax
    lidt [ivt_pointer_r]
    mov di, 0
    mov bx, offset skip2_r
    call set_vector
    mov di, 6 * 4
    call set_vector
    mov di, 5 * 4
    mov bx, offset skip4_r
    call set_vector
    mov di, 4 * 4
    mov bx, offset count_only_r
    call set_vector
    mov di, 1 * 4
    call set_vector

    mov si, offset hello_r
    call print
    mov si, offset strings_r
    mov cx, offset string_length
    mov dx, 0x3f8
    rep outsb

    xor dx, dx
    xor ax, ax
    xor cx, cx
    div cx
    took divide_text_r
    ud2
    took opcode_text_r
    mov ax, 5
    bound ax, [bounds_r]
    took bound_text_r
    mov al, 0x7f
    inc al
    into
    took overflow_text_r
    pushf
    pop ax
    mov bx, ax
    or ah, 1
    push ax
    popf
    nop
# Trap flag cleared by the handler: one step only.
    took step_text_r

# REP INSB into ES:DI, from the port of the debug console and from nobody.
    push ds
    pop es
    mov di, offset buffer_r
    mov cx, 4
    mov dx, 0x1234
    rep insb
    mov cx, 2
    rep insw
    cmp dword ptr [buffer_r], 0xffffffff
    jne fail
    cmp dword ptr [buffer_r + 4], 0xffffffff
    jne fail
    mov si, offset in_text_r
    call print

# 32-bit operands and addresses in 16-bit code.
    mov eax, 0x12345678
    mov ebx, offset buffer_r
    mov [ebx], eax
    cmp word ptr [buffer_r + 2], 0x1234
    jne fail
    mov si, offset huge_text_r
    call print
    mov dx, 0xf4
    xor al, al
    out dx, al
    hlt

fail:
    mov si, offset fail_text_r
    call print
    mov dx, 0xf4
    mov al, 1
    out dx, al
    hlt

took_one:
    cmp byte ptr [taken_r], 1
    jne fail
    mov byte ptr [taken_r], 0
print:
    mov dx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

set_vector:
    mov word ptr es:[di], bx
    mov word ptr es:[di + 2], 0x1000
    ret

# Faults save the address of the instruction: these handlers step over it.
skip4:
    push bp
    mov bp, sp
    add word ptr [bp + 2], 2
    pop bp
skip2:
    push bp
    mov bp, sp
    add word ptr [bp + 2], 2
    pop bp
count_only:
    inc byte ptr cs:[taken_r]
    push bp
    mov bp, sp
    and word ptr [bp + 6], 0xfeff
    pop bp
    iret

ivt_pointer:
    .word 0x3ff
    .long 0
bounds: .word 0, 4
taken: .byte 0
buffer: .long 0, 0
hello: .asciz "16-bit guest\n"
strings: .ascii "written by REP OUTSB\n"
strings_end:
divide_text: .asciz "ok #DE\n"
opcode_text: .asciz "ok #UD\n"
bound_text: .asciz "ok #BR\n"
overflow_text: .asciz "ok #OF\n"
step_text: .asciz "ok #DB by TF\n"
in_text: .asciz "ok REP INSB and INSW\n"
huge_text: .asciz "ok 32-bit operands and addresses\n"
fail_text: .asciz "FAIL\n"
