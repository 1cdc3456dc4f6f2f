#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::in_time(fuzz::bundle::run, input, fuzz::SLOWEST));
