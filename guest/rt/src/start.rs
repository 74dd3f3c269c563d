//! From the loader to the guest's `main`.

use core::ffi::{CStr, c_char};

use crate::{Single, interrupts, report, segments};

static MEMORY: Single<u64> = Single::new(0);
static ARGUMENTS: Single<&'static str> = Single::new("");

/// The size of the guest's memory in bytes, as the loader tells.
#[must_use]
pub fn memory() -> u64 {
    MEMORY.load()
}

/// The words after the path in the guest's SPEC.
#[must_use]
pub fn arguments() -> &'static str {
    ARGUMENTS.load()
}

/// The number that is the first word of the arguments, or `default`.
#[must_use]
pub fn argument_or(default: u64) -> u64 {
    arguments()
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(default)
}

/// Sets the machine up, runs `main`, and ends the guest by its checks. `rt::main!` calls this.
///
/// # Safety
/// `arguments` is null or the address of a NUL-terminated string that nothing changes.
pub unsafe fn run(guest: &str, main: fn(), memory: u64, arguments: *const c_char) -> ! {
    set_up();
    MEMORY.store(memory);
    if !arguments.is_null() {
        // SAFETY: as the caller promises.
        let text = unsafe { CStr::from_ptr(arguments) };
        ARGUMENTS.store(text.to_str().unwrap_or(""));
    }
    main();
    report::finish(guest)
}

/// Loads the GDT, TSS and IDT of the runtime: for guests that reach long mode by themselves.
pub fn set_up() {
    segments::load();
    interrupts::load();
}

/// Makes `fn()` the guest: `rt::main!(main);`. The loader has entered long mode.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".text.start")]
        extern "C" fn _start(memory: u64, arguments: *const core::ffi::c_char) -> ! {
            // SAFETY: the loader passes the arguments so.
            unsafe { $crate::start::run(env!("CARGO_BIN_NAME"), $main, memory, arguments) }
        }
    };
}
