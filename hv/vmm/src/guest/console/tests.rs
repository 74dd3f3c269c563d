use crate::guest::test::TEST;
use crate::guest::{Module, Seat};
use crate::machine::fake::FakeMachine;
use crate::vcpu::Vcpu;
use alloc::vec::Vec;

/// Two guests that these command lines ask for, with bytes on the console.
fn guests(lines: [&'static str; 2]) -> Vec<Vcpu> {
    let machine = FakeMachine::leak();
    machine.typed.lock().extend(b"ab");
    let host = machine.leak_host();
    let module = |command_line| Module {
        command_line,
        content: &[],
    };
    let modules = ["file:first", lines[0], lines[1]].map(module);
    let seat = |number| {
        let seat = Seat {
            host,
            number,
            shares_console: true,
            program: &[],
            modules: &modules,
        };
        let (space, heap) = (
            host.new_space(1 << 20).unwrap(),
            host.promise(0).ok().unwrap(),
        );
        seat.new_vcpu(&TEST, "fake", space, heap, 1, None)
    };
    Vec::from([1, 2].map(seat))
}

#[test]
fn one_guest_reads_the_console() {
    for (lines, reader) in [
        (["test:a", "test:b"], 0),
        (["test:a", "test:b,stdin"], 1),
        (["test:a,stdin", "test:b,stdin"], 0),
        (["nonsense", "test:b,mem=4,stdin"], 1),
    ] {
        let guests = guests(lines);
        let (reads, other) = (&guests[reader].guest, &guests[1 - reader].guest);
        assert!(reads.console.has_input() && !other.console.has_input());
        // The line status register of a UART takes a byte to say that there is one.
        assert_eq!(other.bus.lock().read(0x3fd, 1) & 1, 0);
        assert_eq!(other.console.read(), None);
        assert_eq!(reads.bus.lock().read(0x3fd, 1) & 1, 1);
        assert_eq!(reads.bus.lock().read(0x3f8, 1), u32::from(b'a'));
        assert_eq!(reads.console.read(), Some(b'b'));
    }
}
