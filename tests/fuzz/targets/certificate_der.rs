#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regtrust_fuzz::certificate::check_der(data));
