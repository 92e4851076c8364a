#![no_main]

use fuzz::Target;

libfuzzer_sys::fuzz_target!(
    init: fuzz::seeds(Target::Coinbase),
    |data: &[u8]| fuzz::read(Target::Coinbase, data)
);
