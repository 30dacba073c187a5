#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ferrite_engine::fuzzing::frame(bytes));
