#![no_main]

use fuzz::Target;

libfuzzer_sys::fuzz_target!(
    init: fuzz::seeds(Target::BinanceUsdm),
    |data: &[u8]| fuzz::read(Target::BinanceUsdm, data)
);
