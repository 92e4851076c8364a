#![no_main]

use fuzz::Target;

libfuzzer_sys::fuzz_target!(
    init: fuzz::seeds(Target::Bybit),
    |data: &[u8]| fuzz::read(Target::Bybit, data)
);
