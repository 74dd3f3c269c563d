//! The hypervisor's own command line.

use log::LevelFilter;

/// How the machine ends when it is no emulator that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Through the emulator's port, else by halting.
    Auto,
    /// By halting.
    Halt,
    /// By a reset.
    Reboot,
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// What the processor has.
    Auto,
    /// VMX or nothing.
    Vmx,
    /// SVM or nothing.
    Svm,
}

/// A fault that the hypervisor makes on purpose, so that its report can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// UD2.
    InvalidOpcode,
    /// A read of page 0.
    Page,
    /// A double fault: a fault whose handler cannot run.
    Double,
    /// A read of a non-canonical address.
    Protection,
    /// `panic!`.
    Panic,
    /// Recursion without end.
    Stack,
    /// The 8259s' spurious interrupts, which are no fault: everything goes on.
    Spurious,
}

/// When it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultTime {
    /// Before the guests are loaded.
    Early,
    /// When the guests of the first CPU have ended; those of others may still run.
    Late,
}

/// Where the console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleChoice {
    /// The UART at this port, at this speed; the screen if it does not answer.
    Serial(u16, u32),
    /// The screen.
    Screen,
}

/// The command line's meaning.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `console=com1|com2|0xPORT[,BAUD]`, or `console=screen`.
    pub console: ConsoleChoice,
    /// `trace=dump`.
    pub trace_dump: bool,
    /// `end=auto|halt|reboot`.
    pub end: End,
    /// `log=error|warn|info|debug|trace`.
    pub log: LevelFilter,
    /// `engine=auto|vmx|svm`.
    pub engine: EngineChoice,
    /// `stdin=none|serial`.
    pub stdin: bool,
    /// `bench`.
    pub bench: bool,
    /// `fault=ud|pf|df|gp|panic|stack|spurious[,late]`.
    pub fault: Option<(Fault, FaultTime)>,
}

const BAUD: u32 = 115_200;

impl Default for Options {
    fn default() -> Self {
        Self {
            console: ConsoleChoice::Serial(0x3f8, BAUD),
            trace_dump: false,
            end: End::Auto,
            log: LevelFilter::Info,
            engine: EngineChoice::Auto,
            stdin: false,
            bench: false,
            fault: None,
        }
    }
}

impl Options {
    /// Parses the command line; `unknown` is told each word that means nothing.
    pub fn parse(line: &str, mut unknown: impl FnMut(&str)) -> Self {
        let mut options = Self::default();
        for word in line.split_ascii_whitespace() {
            if options.take(word).is_none() {
                unknown(word);
            }
        }
        options
    }

    fn take(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "console" => self.console = console(value)?,
            "trace" => self.trace_dump = choose(value, &[("dump", true)])?,
            "end" => {
                self.end = choose(
                    value,
                    &[
                        ("auto", End::Auto),
                        ("halt", End::Halt),
                        ("reboot", End::Reboot),
                    ],
                )?
            }
            "log" => self.log = value.parse().ok()?,
            "engine" => {
                let engines = [
                    ("auto", EngineChoice::Auto),
                    ("vmx", EngineChoice::Vmx),
                    ("svm", EngineChoice::Svm),
                ];
                self.engine = choose(value, &engines)?;
            }
            "stdin" => self.stdin = choose(value, &[("none", false), ("serial", true)])?,
            "bench" if word == "bench" => self.bench = true,
            "fault" => {
                let (kind, time) = match value.strip_suffix(",late") {
                    Some(kind) => (kind, FaultTime::Late),
                    None => (value, FaultTime::Early),
                };
                self.fault = Some((choose(kind, &FAULTS)?, time));
            }
            _ => return None,
        }
        Some(())
    }
}

const FAULTS: [(&str, Fault); 7] = [
    ("ud", Fault::InvalidOpcode),
    ("pf", Fault::Page),
    ("df", Fault::Double),
    ("gp", Fault::Protection),
    ("panic", Fault::Panic),
    ("stack", Fault::Stack),
    ("spurious", Fault::Spurious),
];

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Option<T> {
    choices
        .iter()
        .find(|(name, _)| *name == value)
        .map(|&(_, choice)| choice)
}

fn console(value: &str) -> Option<ConsoleChoice> {
    let (place, baud) = match value.split_once(',') {
        Some((place, baud)) => (place, baud.parse().ok().filter(|&b| b > 0)?),
        None => (value, BAUD),
    };
    let port = match place {
        "screen" => return Some(ConsoleChoice::Screen),
        "com1" => 0x3f8,
        "com2" => 0x2f8,
        _ => u16::from_str_radix(place.strip_prefix("0x")?, 16).ok()?,
    };
    Some(ConsoleChoice::Serial(port, baud))
}
