//! Checks, and the end of a guest.

use core::fmt::Debug;

use x86::io::outl;

use crate::machine::out8;
use crate::{Single, println};

/// The port that ends the guest.
pub const EXIT_PORT: u16 = 0xf4;
/// The status of a guest that panicked.
pub const PANICKED: u32 = 101;

static PASSED: Single<u32> = Single::new(0);
static FAILED: Single<u32> = Single::new(0);

/// Ends the guest with `status`.
pub fn exit(status: u32) -> ! {
    // SAFETY: the debug exit port touches no memory.
    unsafe { outl(EXIT_PORT, status) };
    // Where there is no such port: Bochs itself ends by this.
    for byte in *b"Shutdown" {
        out8(0x8900, byte);
    }
    loop {
        // Nor is it Bochs: stay, without burning the CPU.
        // SAFETY: HLT with interrupts off waits for the end of the machine.
        unsafe { core::arch::asm!("cli", "hlt") };
    }
}

/// Notes a check, and prints its line.
pub fn check(name: &str, passed: bool) {
    let counter = if passed { &PASSED } else { &FAILED };
    counter.store(counter.load() + 1);
    if passed {
        println!("ok {name}");
    } else {
        println!("FAIL {name}");
    }
}

/// Notes a comparison, and prints its line.
pub fn check_eq<T: PartialEq + Debug>(name: &str, got: T, want: T) {
    if got == want {
        check(name, true);
    } else {
        FAILED.store(FAILED.load() + 1);
        println!("FAIL {name}: got {got:x?}, want {want:x?}");
    }
}

/// Prints the sum of the checks and ends the guest: status 0 if all passed, else 1.
pub fn finish(guest: &str) -> ! {
    let (passed, failed) = (PASSED.load(), FAILED.load());
    if failed == 0 {
        println!("{guest}: {passed} passed");
    } else {
        println!("{guest}: {passed} passed, {failed} failed");
    }
    exit(u32::from(failed != 0))
}

/// Checks that a condition holds: `check!("name", condition)`.
#[macro_export]
macro_rules! check {
    ($name:expr, $condition:expr) => {
        $crate::report::check($name, $condition)
    };
}

/// Checks that two values are equal: `check_eq!("name", got, want)`.
#[macro_export]
macro_rules! check_eq {
    ($name:expr, $got:expr, $want:expr) => {
        $crate::report::check_eq($name, $got, $want)
    };
}

/// Checks which exception an expression raises:
/// `check_raises!("name", expression, vector)` or `..., vector, error_code)`.
#[macro_export]
macro_rules! check_raises {
    ($name:expr, $raised:expr, $vector:expr) => {
        $crate::report::check_eq($name, $raised.map(|e| e.vector), Some($vector))
    };
    ($name:expr, $raised:expr, $vector:expr, $error:expr) => {
        $crate::report::check_eq(
            $name,
            $raised.map(|e| (e.vector, e.error_code)),
            Some(($vector, Some($error))),
        )
    };
}

#[panic_handler]
fn panic(why: &core::panic::PanicInfo) -> ! {
    static PANICKING: Single<bool> = Single::new(false);
    // A guest whose memory is garbage may panic while it prints.
    if PANICKING.load() {
        exit(PANICKED);
    }
    PANICKING.store(true);
    println!("panic: {why}");
    exit(PANICKED)
}
