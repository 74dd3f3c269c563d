//! The `log` crate's lines on the console.

use crate::console;
use log::{Level, LevelFilter, Log, Metadata, Record};

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let kind = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
        };
        console::write_line(format_args!("nestling: {kind}{}", record.args()));
    }

    fn flush(&self) {}
}

/// Starts logging.
pub fn init(level: LevelFilter) {
    // It fails only when called twice.
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}
