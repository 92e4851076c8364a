#![no_main]

use fuzz::Target;

libfuzzer_sys::fuzz_target!(
    init: fuzz::seeds(Target::KrakenFutures),
    |data: &[u8]| fuzz::read(Target::KrakenFutures, data)
);
