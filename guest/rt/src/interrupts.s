# One stub a vector, 16 bytes each.
.text
.balign 16
.global rt_stubs
rt_stubs:
.set rt_vector, 0
.rept 256
    .balign 16
    push rt_vector
    jmp rt_deliver
    .set rt_vector, rt_vector + 1
.endr

# The CPU aligns RSP to 16 before it pushes 5 words, or 6 with an error code: so RSP tells
# whether there is one, for an exception as for INT n of the same vector.
.global rt_deliver
rt_deliver:
    test spl, 8
    jnz 1f
    push [rsp]
    mov qword ptr [rsp + 8], -1
1:  cld
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call rt_interrupt
    mov rsp, rbp
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq

# bool rt_catch(f, argument): calls f(argument); true if an exception cut it short.
.global rt_catch
rt_catch:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    pushfq
    push [rip + rt_recovery_rsp]
    mov [rip + rt_recovery_rsp], rsp
    mov rax, rdi
    mov rdi, rsi
    sub rsp, 8
    call rax
    add rsp, 8
    xor eax, eax
    jmp 1f
# A handler returns here, with RSP already taken from rt_recovery_rsp.
.global rt_recover
rt_recover:
    mov eax, 1
1:  pop [rip + rt_recovery_rsp]
    popfq
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

.bss
.balign 8
.global rt_recovery_rsp
rt_recovery_rsp: .quad 0
