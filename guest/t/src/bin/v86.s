# What virtual-8086 code asks of the handler of #GP, in CX.
.set SET_IOPL_3, 1
.set LEAVE, 2
.set FAILED, 3
# The stack of a handler behind PUSHAD: the registers, and from ERROR the error code.
.set SAVED_BX, 16
.set ERROR, 32
# NAME_r: NAME from the start of segment 0x1000, where the image is linked.
.set v86_r, v86 - _start
.set ok_r, ok - _start
.set strings_r, strings - _start
.set string_length, strings_end - strings
.set entered_text_r, entered_text - _start
.set cli_text_r, cli_text - _start
.set sti_text_r, sti_text - _start
.set pushf_text_r, pushf_text - _start
.set popf_text_r, popf_text - _start
.set int_text_r, int_text - _start
.set iret_text_r, iret_text - _start
.set hlt_text_r, hlt_text - _start
.set in_text_r, in_text - _start
.set out_text_r, out_text - _start
.set cpuid_text_r, cpuid_text - _start
.set flags_text_r, flags_text - _start
.set gate_text_r, gate_text - _start
.set in_3_text_r, in_3_text - _start
.set hlt_3_text_r, hlt_3_text - _start

# An instruction of so many bytes raises #GP(0), and is stepped over.
.macro raises length, text, instruction:vararg
    mov si, offset \text
    mov di, \length
    xor bx, bx
    xor cx, cx
    \instruction
    call raised
.endm

.section .text.start, "ax"
.code32
.global _start
_start:
    cld
    mov eax, offset task
    mov [gdt + 0x32], ax
    shr eax, 16
    mov [gdt + 0x34], al
    lgdt [gdt_pointer]
    mov eax, 0x30
    ltr ax
    mov dword ptr [task + 4], 0x9e000
    mov dword ptr [task + 8], 0x10
    mov ecx, offset general_protection
    mov edx, 0x8e00
    mov edi, offset idt + 13 * 8
    call set_gate
    mov ecx, offset answer
    mov edx, 0xee00
    mov edi, offset idt + 0x40 * 8
    call set_gate
    lidt [idt_pointer]
# GS, FS, DS, ES, SS, ESP, EFLAGS with VM, CS, EIP.
    push 0
    push 0
    push 0x1000
    push 0x1000
    push 0x9000
    push 0xc000
    push 0x20002
    push 0x1000
    mov eax, offset v86_r
    push eax
    mov esi, offset entered_text
    iretd

set_gate:
    mov [edi], cx
    mov word ptr [edi + 2], 0x18
    mov [edi + 4], dx
    shr ecx, 16
    mov [edi + 6], cx
    ret

general_protection:
    pushad
    mov ebp, ds
    mov eax, 0x10
    mov ds, eax
    mov es, eax
# The segment registers were emptied; #GP(0) in the code below.
    test ebp, ebp
    jnz fail
    cmp dword ptr [esp + ERROR], 0
    jne fail
    cmp dword ptr [esp + ERROR + 8], 0x1000
    jne fail
    test dword ptr [esp + ERROR + 12], 0x20000
    jz fail
    movzx edi, di
    add [esp + ERROR + 4], edi
    mov word ptr [esp + SAVED_BX], 13
    cmp cx, offset SET_IOPL_3
    je set_iopl_3
    cmp cx, offset LEAVE
    je leave_v86
    cmp cx, offset FAILED
    je fail
    popad
    add esp, 4
    iretd

set_iopl_3:
    or dword ptr [esp + ERROR + 12], 0x3000
    popad
    add esp, 4
    iretd

# INT 0x40.
answer:
    pushad
    mov word ptr [esp + SAVED_BX], 0x40
    popad
    iretd

leave_v86:
    pushfd
    pop eax
    mov esi, offset left_text
    test eax, 0x20000
    jnz fail_here
    call print
    xor eax, eax
    jmp exit

fail:
    movzx esi, si
    add esi, 0x10000
fail_here:
    push esi
    mov esi, offset fail_text
    call print
    pop esi
    call print
    mov eax, 1
exit:
    mov edx, 0xf4
    out dx, eax
    hlt

print:
    mov edx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

.code16
v86:
    mov si, offset entered_text_r
    smsw ax
    test al, 1
    jz failed
    mov ax, cs
    cmp ax, 0x1000
    jne failed
    call succeeded
    raises 1, cli_text_r, cli
    raises 1, sti_text_r, sti
    raises 1, pushf_text_r, pushf
    raises 1, popf_text_r, popf
    raises 2, int_text_r, int 0x40
    raises 1, iret_text_r, iret
    raises 1, hlt_text_r, hlt
    raises 2, in_text_r, in al, 0x60
    mov dx, 0x3ff
    raises 1, out_text_r, out dx, ax
    mov si, offset strings_r
    mov cx, offset string_length
    mov dx, 0x3f8
    rep outsb
    mov si, offset cpuid_text_r
    xor eax, eax
    cpuid
    test eax, eax
    jz failed
    call succeeded

    mov cx, offset SET_IOPL_3
    mov di, 1
    hlt
    mov si, offset flags_text_r
    cli
    pushf
    pop ax
    and ax, 0x3200
    cmp ax, 0x3000
    jne failed
    call succeeded
    mov si, offset gate_text_r
    xor cx, cx
    int 0x40
    cmp bx, 0x40
    jne failed
    call succeeded
    raises 2, in_3_text_r, in al, 0x60
    raises 1, hlt_3_text_r, hlt
    mov cx, offset LEAVE
    hlt

raised:
    cmp bx, 13
    jne failed
succeeded:
    push si
    mov si, offset ok_r
    call print16
    pop si
print16:
    mov dx, 0x3f8
1:  lodsb
    test al, al
    jz 2f
    out dx, al
    jmp 1b
2:  ret

failed:
    mov cx, offset FAILED
    hlt

.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
    .quad 0x00009b000000ffff
    .quad 0x000093000000ffff
    .quad 0x00008900000000e9
gdt_pointer:
    .word 55
    .long gdt
idt_pointer:
    .word 0x41 * 8 - 1
    .long idt
# The TSS; its map of permissions has the ports 0x3f8 to 0x3ff only, and ends behind 0x407.
.balign 256
task:
    .fill 51, 2, 0
    .word 104
    .fill 127, 1, 0xff
    .byte 0
    .fill 2, 1, 0xff
.balign 8
idt: .fill 0x41, 8, 0
ok: .asciz "ok "
fail_text: .asciz "FAIL "
strings: .ascii "ok REP OUTSB to a port with permission\n"
strings_end:
entered_text: .asciz "virtual-8086 mode\n"
cli_text: .asciz "#GP of CLI\n"
sti_text: .asciz "#GP of STI\n"
pushf_text: .asciz "#GP of PUSHF\n"
popf_text: .asciz "#GP of POPF\n"
int_text: .asciz "#GP of INT n\n"
iret_text: .asciz "#GP of IRET\n"
hlt_text: .asciz "#GP of HLT\n"
in_text: .asciz "#GP of IN without permission\n"
out_text: .asciz "#GP of OUT with half a permission\n"
cpuid_text: .asciz "CPUID\n"
flags_text: .asciz "CLI and PUSHF with IOPL 3\n"
gate_text: .asciz "INT n with IOPL 3, through its gate\n"
in_3_text: .asciz "#GP of IN without permission, with IOPL 3\n"
hlt_3_text: .asciz "#GP of HLT with IOPL 3\n"
left_text: .asciz "ok protected mode again\n"
