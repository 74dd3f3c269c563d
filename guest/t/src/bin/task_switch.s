# A check that fails makes the next `report` one of failure.
.macro expect operands:vararg
    cmp \operands
    je 2f
    mov byte ptr [failed], 1
2:
.endm

.macro report text
    mov esi, offset text\@
    call report_one
    jmp 2f
text\@:
    .asciz "\text\n"
2:
.endm

.macro jump_to task
    .byte 0xea
    .long 0
    .word \task
.endm

.macro call_task task
    .byte 0x9a
    .long 0
    .word \task
.endm

# A TSS descriptor's base, and a task of flat segments that begins at `entry`.
.macro describe selector, base
    mov edi, offset gdt + \selector
    mov eax, offset \base
    call set_base
.endm

.macro task tss, entry, stack
    mov edi, offset \tss
    mov eax, offset \entry
    mov ebx, \stack
    call set_task
.endm

# The type of a TSS descriptor: 9 available, 11 busy.
.macro expect_type selector, type
    mov al, [gdt + \selector + 5]
    and al, 15
    expect al, \type
.endm

.macro available selector
    and byte ptr [gdt + \selector + 5], 0xfd
.endm

# An interrupt gate: the handler remembers vector and error code, and goes on at [resume].
.macro gate vector
    mov eax, offset handler_\vector
    mov edi, offset idt + \vector * 8
    call set_gate
.endm

.macro handler vector
handler_\vector:
    mov dword ptr [taken], \vector
    pop dword ptr [error_code]
    jmp go_on
.endm

.macro task_gate vector, task
    mov dword ptr [idt + \vector * 8], \task << 16
    mov dword ptr [idt + \vector * 8 + 4], 0x8500
.endm

# These instructions end in an exception: its vector, or the task that it is raised in if it has a task gate; and its
# error code.
.macro raises vector, code, instructions:vararg
    mov dword ptr [taken], -1
    mov dword ptr [resume], offset resume\@
    \instructions
resume\@:
    mov eax, [taken]
    expect eax, \vector
    mov eax, [error_code]
    expect eax, \code
.endm

.set MAIN, 0x30
.set OTHER, 0x38
.set SIXTEEN, 0x40
.set FAULT, 0x48
.set VIRTUAL, 0x50
.set ABSENT, 0x58
.set TOO_SHORT, 0x60
.set ABSENT_DATA, 0x68
.set GATE, 0x30
.set NT, 0x4000

.section .text.start, "ax"
.code32
.global _start
_start:
    cld
    lgdt [gdt_pointer]
    lidt [idt_pointer]
    describe MAIN, main_tss
    describe OTHER, other_tss
    describe SIXTEEN, sixteen_tss
    describe FAULT, fault_tss
    describe VIRTUAL, virtual_tss
    describe ABSENT, other_tss
    describe TOO_SHORT, other_tss
    describe 0x20, sixteen
    mov eax, MAIN
    ltr ax
    gate 10
    gate 11
    gate 13
    mov eax, offset debug_handler
    mov edi, offset idt + 8
    call set_gate

# JMP, and back by JMP.
    task other_tss, jumped_to, 0x98000
    mov ebx, 7
    jump_to OTHER
    expect ebx, 7
    expect dword ptr [seen_task], OTHER
    mov eax, [seen_cr0]
    and eax, 8
    expect eax, 8
    mov eax, [seen_flags]
    and eax, NT
    expect eax, 0
    expect word ptr [other_tss], 0
    expect_type OTHER, 9
    expect_type MAIN, 11
    report "JMP to a TSS and back"

# CALL, and back by IRET, twice.
    task other_tss, recorder, 0x98000
    mov eax, 0x455
    mov dr7, eax
    mov dword ptr [entered], 0
    call_task OTHER
    expect dword ptr [entered], 1
    expect word ptr [other_tss], MAIN
    mov eax, [seen_flags]
    and eax, NT
    expect eax, NT
    mov eax, [other_tss + 36]
    and eax, NT
    expect eax, 0
    pushfd
    pop eax
    and eax, NT
    expect eax, 0
    expect_type OTHER, 9
    expect_type MAIN, 11
    report "CALL of a TSS and IRET"
    mov eax, [seen_dr7]
    and eax, 0x55
    expect eax, 0
    report "no local breakpoints in the new task"
    call_task OTHER
    expect dword ptr [entered], 2
    report "the called task goes on behind its IRET"

# INT n through a task gate.
    task other_tss, interrupted, 0x98000
    task_gate GATE, OTHER
before_int:
    int GATE
after_int:
    expect dword ptr [entered], 3
    expect word ptr [other_tss], MAIN
    expect dword ptr [main_tss + 32], offset after_int
    report "INT through a task gate"

# Faults through task gates: the error code is on the new task's stack, the old task is at the instruction.
    task fault_tss, fault_task, 0x97000
    task_gate 11, FAULT
    mov eax, ABSENT_DATA
    raises MAIN, ABSENT_DATA, not_there: mov fs, ax
    expect dword ptr [fault_eip], offset not_there
    call is_amd
    je 1f
    mov eax, [fault_flags]
    and eax, 0x10000
    expect eax, 0x10000
1:  report "#NP through a task gate"

# What is found in the new task is raised there.
    task_gate 10, FAULT
    task other_tss, recorder, 0x98000
    mov dword ptr [other_tss + 84], 0x100
    raises OTHER, 0x100, call_task OTHER
    expect_type OTHER, 11
    available OTHER
    report "#TS in the new task: DS beyond the limit"
    task other_tss, recorder, 0x98000
    mov dword ptr [other_tss + 96], 0x18
    raises OTHER, 0x18, call_task OTHER
    available OTHER
    report "#TS in the new task: no LDT"
    task other_tss, recorder, 0x98000
    mov dword ptr [other_tss + 72], ABSENT_DATA
    raises OTHER, ABSENT_DATA, call_task OTHER
    available OTHER
    report "#NP in the new task: ES"
    gate 10
    gate 11

# What is refused before the switch is raised in the old task.
    raises 11, ABSENT, jump_to ABSENT
    report "#NP: the TSS is not present"
    raises 13, MAIN, jump_to MAIN
    report "#GP: the TSS is busy"
    raises 10, TOO_SHORT, call_task TOO_SHORT
    expect_type TOO_SHORT, 9
    report "#TS: the limit of the TSS"
    raises 13, 0x400, call_task 0x400
    report "#GP: beyond the GDT"
    mov word ptr [main_tss], OTHER
    pushfd
    or dword ptr [esp], NT
    popfd
    raises 10, OTHER, iretd
    pushfd
    and dword ptr [esp], 0xffffffff - NT
    popfd
    report "#TS: IRET to a task that is not busy"

# A 16-bit TSS.
    mov edi, offset sixteen_tss
    mov word ptr [edi + 14], 0
    mov word ptr [edi + 16], 2
    mov word ptr [edi + 24], 0x5678
    mov word ptr [edi + 26], 0x6000
    mov word ptr [edi + 34], 0x10
    mov word ptr [edi + 36], 0x20
    mov word ptr [edi + 38], 0x28
    mov word ptr [edi + 40], 0x10
    mov dword ptr [entered], 0
    mov eax, 0x10
    mov fs, ax
    mov ebx, 0x12345678
    call_task SIXTEEN
    expect dword ptr [entered], 1
    expect ebx, 0x12345678
    expect word ptr [seen_ebx], 0x5678
    expect dword ptr [seen_task], SIXTEEN
    expect word ptr [seen_fs], 0
    expect word ptr [sixteen_tss], MAIN
    expect word ptr [sixteen_tss + 26], 0x6000
    expect word ptr [sixteen_tss + 14], offset sixteen_length
    call_task SIXTEEN
    expect dword ptr [entered], 2
    report "a 16-bit TSS"

# The T flag.
    task other_tss, recorder, 0x98000
    mov word ptr [other_tss + 100], 1
    mov dword ptr [entered], 0
    mov eax, 0xffff0ff0
    mov dr6, eax
    call_task OTHER
    expect dword ptr [entered], 1
    call is_amd
    jne 1f
    cmp dword ptr [debug_eip], 0
    je 3f
1:  expect dword ptr [debug_eip], offset recorder
    mov eax, [debug_dr6]
    and eax, 0xe00f
    expect eax, 0x8000
3:  report "#DB by the T flag"

# Virtual-8086 mode: HLT is not for CPL 3. Bochs' ryzen panics at the exit of a guest in that mode.
    call is_zen
    je address_spaces
    task_gate 13, FAULT
    mov edi, offset virtual_tss
    mov dword ptr [edi + 32], 0
    mov dword ptr [edi + 36], 0x20002
    mov dword ptr [edi + 56], 0x100
    mov eax, offset virtual_8086
    shr eax, 4
    mov [edi + 76], eax
    mov dword ptr [edi + 80], 0x9000
    mov dword ptr [edi + 84], 0x1234
    raises VIRTUAL, 0, call_task VIRTUAL
    mov eax, offset virtual_8086
    shr eax, 4
    expect [virtual_tss + 40], eax
    expect dword ptr [virtual_tss + 44], 0x1234
    expect dword ptr [fault_eip], offset virtual_length
    mov eax, [fault_flags]
    and eax, 0x20000
    expect eax, 0x20000
    available VIRTUAL
    report "a virtual-8086 task and its #GP"
    gate 13

# Address spaces: 4 MiB pages, and PAE. That of the other task has page 4 MiB, too.
address_spaces:
    mov edi, 0x80000
    mov ecx, 0x6000 / 4
    xor eax, eax
    rep stosd
    mov dword ptr [0x80000], 0x83
    mov dword ptr [0x81000], 0x83
    mov dword ptr [0x81004], 0x83
    mov dword ptr [0x82000], 0x84001
    mov dword ptr [0x83000], 0x85001
    mov dword ptr [0x84000], 0x83
    mov dword ptr [0x85000], 0x83
    mov dword ptr [0x85010], 0x83
    mov eax, 0x10
    mov ebx, 0x80000
    call switch_under_paging
    report "CR3 of the new task"
    mov eax, 0x20
    mov ebx, 0x82000
    call switch_under_paging
    report "CR3 of the new task under PAE paging"
    movzx eax, byte ptr [any]

exit:
    mov edx, 0xf4
    out dx, eax
    hlt

# Calls the other task with CR4 EAX, from CR3 EBX to the next page's.
switch_under_paging:
    mov cr4, eax
    mov cr3, ebx
    mov [main_tss + 28], ebx
    push ebx
    task other_tss, paged, 0x98000
    pop ebx
    lea ecx, [ebx + 0x1000]
    mov [other_tss + 28], ecx
    mov dword ptr [seen_alias], 0
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    push ecx
    call_task OTHER
    pop ecx
    expect dword ptr [seen_alias], 0x600df00d
    expect [seen_cr3], ecx
    mov eax, cr3
    expect eax, ebx
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

# Whether the processor is AMD's, as QEMU's is, which ignores the T flag and saves no RF, and as Bochs' ryzen is, whose
# INT n looks like another event to a hypervisor.
is_amd:
    xor eax, eax
    cpuid
    cmp ecx, 0x444d4163
    ret

# Whether it is one of AMD's family 17H, as Bochs' ryzen is.
is_zen:
    mov eax, 1
    cpuid
    and eax, 0x0ff00f00
    cmp eax, 0x00800f00
    ret

# A task that tells what it sees, and returns.
recorder:
    call record
    iretd
    jmp recorder

interrupted:
    call record
    cmp dword ptr [main_tss + 32], offset before_int
    jne 1f
    call is_amd
    jne 1f
    mov dword ptr [main_tss + 32], offset after_int
1:  iretd

jumped_to:
    mov ebx, 9
    call record
    jump_to MAIN

record:
    str eax
    movzx eax, ax
    mov [seen_task], eax
    mov eax, cr0
    mov [seen_cr0], eax
    mov eax, dr7
    mov [seen_dr7], eax
    pushfd
    pop dword ptr [seen_flags]
    inc dword ptr [entered]
    ret

# Its code segment begins here.
sixteen:
    str eax
    movzx eax, ax
    mov [seen_task], eax
    mov [seen_ebx], ebx
    mov [seen_fs], fs
    inc dword ptr [entered]
    iretd
sixteen_end:
    jmp sixteen
.set sixteen_length, sixteen_end - sixteen

paged:
    mov eax, [0x400000 + magic]
    mov [seen_alias], eax
    mov eax, cr3
    mov [seen_cr3], eax
    iretd

# Remembers which task it was that faulted, and has the first task go on.
fault_task:
    pop dword ptr [error_code]
    movzx eax, word ptr [fault_tss]
    mov [taken], eax
    mov edi, offset main_tss
    cmp eax, VIRTUAL
    jne 1f
    mov edi, offset virtual_tss
1:  mov ebx, [edi + 32]
    mov [fault_eip], ebx
    mov ebx, [edi + 36]
    mov [fault_flags], ebx
    mov eax, [resume]
    mov [main_tss + 32], eax
    mov word ptr [fault_tss], MAIN
    iretd
    jmp fault_task

handler 10
handler 11
handler 13

go_on:
    push eax
    mov eax, [resume]
    mov [esp + 4], eax
    pop eax
    iretd

debug_handler:
    push eax
    mov eax, dr6
    mov [debug_dr6], eax
    mov eax, [esp + 4]
    mov [debug_eip], eax
    pop eax
    iretd

.balign 16
.code16
virtual_8086:
    mov ax, cs
    mov cx, ds
virtual_end:
    hlt
.code32
.set virtual_length, virtual_end - virtual_8086

set_base:
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov [edi + 7], ah
    ret

set_task:
    mov [edi + 32], eax
    mov dword ptr [edi + 36], 2
    mov [edi + 56], ebx
    mov eax, 0x10
    mov [edi + 72], eax
    mov dword ptr [edi + 76], 0x18
    mov [edi + 80], eax
    mov [edi + 84], eax
    mov dword ptr [edi + 96], 0
    mov word ptr [edi + 100], 0
    ret

set_gate:
    mov [edi], ax
    mov word ptr [edi + 2], 0x18
    mov word ptr [edi + 4], 0x8e00
    shr eax, 16
    mov [edi + 6], ax
    ret

report_one:
    push esi
    mov esi, offset good
    cmp byte ptr [failed], 0
    je 1f
    mov esi, offset bad
    mov byte ptr [any], 1
1:  mov byte ptr [failed], 0
    call print
    pop esi
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
    .quad 0x00cf9b000000ffff
    .quad 0x000093090000ffff
    .quad 0x0000890000000067
    .quad 0x0000890000000067
    .quad 0x000081000000002b
    .quad 0x0000890000000067
    .quad 0x0000890000000067
    .quad 0x0000090000000067
    .quad 0x0000890000000066
    .quad 0x00cf13000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
.balign 8
idt: .fill 64, 8, 0
idt_pointer:
    .word 64 * 8 - 1
    .long idt
.balign 128
main_tss: .fill 32, 4, 0
other_tss: .fill 32, 4, 0
sixteen_tss: .fill 32, 4, 0
fault_tss: .fill 32, 4, 0
virtual_tss: .fill 32, 4, 0
magic: .long 0x600df00d
seen_task: .long 0
seen_cr0: .long 0
seen_cr3: .long 0
seen_dr7: .long 0
seen_flags: .long 0
seen_ebx: .long 0
seen_fs: .long 0
seen_alias: .long 0
entered: .long 0
resume: .long 0
taken: .long 0
error_code: .long 0
fault_eip: .long 0
fault_flags: .long 0
debug_dr6: .long 0
debug_eip: .long 0
good: .asciz "ok "
bad: .asciz "FAIL "
failed: .byte 0
any: .byte 0
