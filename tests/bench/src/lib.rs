//! Benchmarks behind `docs/performance.md`; nothing of them is a library. `scripts/bench` runs them.
