/* A multiboot kernel of one mistake, chosen by -DCASE_NAME: what `record` feeds to QEMU to record the logs
   beside this folder. 32-bit protected mode, as QEMU's -kernel enters it. */
        .set MAGIC, 0x1BADB002
        .text
        .balign 4
        .long MAGIC, 0, -MAGIC
        .text
        .globl _start
_start: mov $stack_top, %esp
        lgdt gdt_ptr
        ljmp $0x08, $1f
1:      mov $0x10, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        call fill_idt
        lidt idt_ptr
        jmp case

/* Every gate leads to `handler`, present, DPL 3. */
fill_idt:
        mov $idt, %edi
        mov $256, %ecx
1:      mov $handler, %eax
        mov %ax, (%edi)
        movw $0x08, 2(%edi)
        movw $0xee00, 4(%edi)
        shr $16, %eax
        mov %ax, 6(%edi)
        add $8, %edi
        loop 1b
        ret

/* EOI to the primary 8259, and back. */
handler:
        push %eax
        mov $0x20, %al
        out %al, $0x20
        pop %eax
        iret

/* An exception with an error code ends here. */
fatal:  cli
        hlt
        jmp fatal

#ifdef UNREMAPPED_PIC
case:   sti
1:      hlt
        jmp 1b
#endif

#ifdef TIMER_STORM
/* The 8259 at 0x20, level-free, and a PIT that ticks every 20 microseconds. */
case:   mov $0x11, %al
        out %al, $0x20
        mov $0x20, %al
        out %al, $0x21
        mov $0x04, %al
        out %al, $0x21
        mov $0x01, %al
        out %al, $0x21
        mov $0xfe, %al
        out %al, $0x21
        mov $0x34, %al
        out %al, $0x43
        mov $24, %al
        out %al, $0x40
        xor %al, %al
        out %al, $0x40
        sti
spin:   jmp spin
#endif

#ifdef MISSING_TSS
/* To CPL 3 without an LTR; the next interrupt wants the stack of CPL 0 from a TSS. */
case:   push $0x23
        push $user_stack
        push $0x2
        push $0x1b
        push $user
        iret
user:   int $0x30
        jmp user
#endif

#ifdef BAD_SELECTOR
case:   movl $0x33, %eax
        call load_gs
        movw $0x0e00, idt + 0x31*8 + 4
        int $0x31
        jmp fatal
/* #GP's and #NP's gates drop the error code and skip the instruction of two bytes. */
load_gs:
        movl $skip, %eax
        mov %ax, idt + 13*8
        mov %ax, idt + 11*8
        shr $16, %eax
        mov %ax, idt + 13*8 + 6
        mov %ax, idt + 11*8 + 6
        mov $0x33, %eax
        mov %ax, %gs
        ret
skip:   add $4, %esp
        addl $2, (%esp)
        iret
#endif

#ifdef TRIPLE_FAULT
case:   lidt empty_idt_ptr
broken: ud2
empty_idt_ptr:
        .word 0
        .long 0
#endif

#ifdef STACK_OVERFLOW
/* Paging on, everything mapped by 4 KiB pages but the guard page under the stack; then recurse. */
case:   mov $page_table, %edi
        mov $0x3, %eax
1:      stosl
        add $0x1000, %eax
        cmp $0x400003, %eax
        jne 1b
        mov $guard, %eax
        shr $12, %eax
        movl $0, page_table(,%eax,4)
        movl $page_table + 3, page_directory
        mov $page_directory, %eax
        mov %eax, %cr3
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
recurse:
        call recurse
#endif

#ifdef NULL_POINTER
/* Page 0 is not mapped; #PF's gate leads to `fatal`. Then a jump into data without the NX bit has no trace, so jump high. */
case:   mov $page_table, %edi
        mov $0x3, %eax
1:      stosl
        add $0x1000, %eax
        cmp $0x400003, %eax
        jne 1b
        movl $0, page_table
        movl $page_table + 3, page_directory
        mov $page_directory, %eax
        mov %eax, %cr3
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        mov $fatal, %eax
        mov %ax, idt + 14*8
null_read:
        mov 0x18, %eax
        jmp fatal
#endif

#ifdef SVM_GUEST
/* A guest with an IDT of its own takes #BP, INT 0x30 and #UD, then asks for VMMCALL; three times. Then the host takes #UD. */
case:   mov $0xc0000080, %ecx
        rdmsr
        or $0x1000, %eax
        wrmsr
        mov $0xc0010117, %ecx
        mov $hsave, %eax
        xor %edx, %edx
        wrmsr
        movl $(1<<18 | 1<<31), vmcb + 0x00c      /* CPUID, SHUTDOWN */
        movl $3, vmcb + 0x010                    /* VMRUN, VMMCALL */
        movl $1, vmcb + 0x058
        mov $vmcb + 0x400, %edi
        mov $4, %ecx
        mov $0x0c930010, %eax
1:      mov %eax, (%edi)
        movl $0xffffffff, 4(%edi)
        add $16, %edi
        loop 1b
        movl $0x0c9b0008, vmcb + 0x410
        movl $0x27, vmcb + 0x464                 /* GDTR */
        movl $gdt, vmcb + 0x468
        movl $0x7ff, vmcb + 0x484                /* IDTR */
        movl $guest_idt, vmcb + 0x488
        movl $0x1000, vmcb + 0x4d0               /* EFER */
        movl $0x11, vmcb + 0x558                 /* CR0 */
        movl $0x400, vmcb + 0x560                /* DR7 */
        movl $0xffff0ff0, vmcb + 0x568
        movl $2, vmcb + 0x570
        movl $guest_stack_top, vmcb + 0x5d8
        mov $idt, %esi
        mov $guest_idt, %edi
        mov $512, %ecx
        rep movsl
        mov $guest_skip, %eax
        mov %ax, guest_idt + 6*8
        mov $3, %ebx
2:      movl $guest, vmcb + 0x578
        mov $vmcb, %eax
        vmrun
        dec %ebx
        jnz 2b
        mov $fatal, %eax
        mov %ax, idt + 6*8
host_ud:
        ud2
guest:  int3
        int $0x30
guest_ud:
        ud2
        vmmcall
guest_skip:
        addl $2, (%esp)
        iret
#endif

        .data
        .balign 8
gdt:    .quad 0
        .quad 0x00cf9b000000ffff
        .quad 0x00cf93000000ffff
        .quad 0x00cffb000000ffff
        .quad 0x00cff3000000ffff
gdt_ptr:
        .word . - gdt - 1
        .long gdt
idt_ptr:
        .word 0x7ff
        .long idt
        .bss
        .balign 4096
        .type idt, @object
        .size idt, 2048
idt:    .skip 2048
        .type guest_idt, @object
        .size guest_idt, 2048
guest_idt:
        .skip 2048
page_directory: .skip 4096
page_table:     .skip 4096
vmcb:   .skip 4096
hsave:  .skip 4096
guard:  .skip 4096
        .skip 4096
stack_top:
        .skip 4096
guest_stack_top:
user_stack:
