//! Uses memory of nobody as no device is used: for code, page tables, the stack, SSE operands,
//! the IDT. The first argument says which. The guest may be stopped for it, or go on.
#![no_std]
#![no_main]

use rt::{attempt, machine, println, start};

rt::main!(main);

const NOWHERE: u64 = 0x8000_0000;

fn main() {
    println!("{} in nowhere", start::arguments());
    let raised = match start::arguments() {
        "code" => attempt!("call {}", in(reg) NOWHERE),
        "tables" => attempt!("mov cr3, {}", in(reg) NOWHERE),
        "stack" => attempt!("mov rsp, {}", "push rax", in(reg) NOWHERE + 64),
        "operand" => {
            machine::enable_sse();
            attempt!("movdqu xmm0, [{0}]", "movdqu [{0}], xmm0", in(reg) NOWHERE)
        }
        "idt" => {
            let pointer = [0xfff, 0, (NOWHERE >> 16) as u16, 0, 0_u16];
            attempt!("lidt [{}]", "ud2", in(reg) pointer.as_ptr())
        }
        other => panic!("no such test: {other}"),
    };
    println!("came back, vector {:?}", raised.map(|e| e.vector));
}
