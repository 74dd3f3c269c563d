# Where a virtual CPU begins that got a startup IPI: in real mode, at offset 0 of this page.
# NAME_r: NAME from the start of the page, which DS is.
.set rt_processor_cr0_r, rt_processor_cr0 - rt_processor
.set rt_processor_cr3_r, rt_processor_cr3 - rt_processor
.set rt_processor_cr4_r, rt_processor_cr4 - rt_processor
.set rt_processor_efer_r, rt_processor_efer - rt_processor
.set rt_processor_gdtr_r, rt_processor_gdtr - rt_processor

.section .text.processor, "ax"
.balign 4096
.global rt_processor
rt_processor:
.code16
    cli
    mov ax, cs
    mov ds, ax
    lgdt [rt_processor_gdtr_r]
    mov eax, [rt_processor_cr4_r]
    mov cr4, eax
    mov eax, [rt_processor_cr3_r]
    mov cr3, eax
    mov ecx, 0xc0000080
    mov eax, [rt_processor_efer_r]
    xor edx, edx
    wrmsr
    mov eax, [rt_processor_cr0_r]
    mov cr0, eax
    .byte 0x66, 0xea
    .long 1f
    .word 0x08
.code64
1:  mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov rsp, [rip + rt_processor_stack]
    lidt [rip + rt_processor_idtr]
    call [rip + rt_processor_work]
2:  cli
    hlt
    jmp 2b

.balign 8
.global rt_processor_words
rt_processor_words:
rt_processor_cr0: .quad 0
rt_processor_cr3: .quad 0
rt_processor_cr4: .quad 0
rt_processor_efer: .quad 0
rt_processor_stack: .quad 0
rt_processor_work: .quad 0
.global rt_processor_gdtr
rt_processor_gdtr: .zero 10
.balign 8
.global rt_processor_idtr
rt_processor_idtr: .zero 10
.balign 4096
