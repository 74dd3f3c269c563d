//! Any text as a module's command line and as the hypervisor's: read or refused, and what is refused is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::guest::request::Request;

#[path = "../../hv/boot/src/cmdline.rs"]
mod cmdline;

fuzz_target!(|line: &str| {
    match Request::parse(line) {
        Ok(request) => {
            assert!(!request.path.is_empty());
            let _ = (request.memory(16), request.allow_options(&["mem"]));
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    cmdline::Options::parse(line, |word| assert!(line.contains(word)));
});
