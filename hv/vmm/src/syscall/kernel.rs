//! What system calls want from outside.

/// The machine and the virtual CPU under a process.
pub trait Kernel {
    /// The guest's number, for messages.
    fn guest_number(&self) -> usize;
    /// Writes to the guest's console.
    fn write_console(&mut self, text: &[u8]);
    /// Reads what has come in on the console, if anything has.
    fn read_console(&mut self) -> Option<u8>;
    /// Whether anything can ever come in on the console; if not, reading it finds its end.
    fn has_console_input(&self) -> bool;
    /// The time-stamp counter as the guest sees it.
    fn now(&self) -> u64;
    /// In how many of its ticks the process has executed.
    fn run_time(&self) -> u64;
    /// Its frequency, in hertz.
    fn tsc_hz(&self) -> u64;
    /// The seconds since the epoch at which the time-stamp counter was 0.
    fn epoch(&self) -> u64;
    /// The virtual CPU's number.
    fn cpu(&self) -> u32;
    /// RSP.
    fn stack_pointer(&self) -> u64;
    /// Reads the base of FS.
    fn fs_base(&self) -> u64;
    /// Writes the base of FS.
    fn set_fs_base(&mut self, base: u64);
    /// Reads the base of GS.
    fn gs_base(&self) -> u64;
    /// Writes the base of GS.
    fn set_gs_base(&mut self, base: u64);
}
