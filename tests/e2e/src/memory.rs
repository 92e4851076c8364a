//! Searching the memory of a running process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem;

/// Pages are read at once as far as they can be, and one by one where not.
const PAGE: u64 = 4096;

/// Which of `needles` are anywhere in the readable memory of a process.
///
/// # Errors
/// This user may not look into that process.
pub fn find(pid: u32, needles: &[&[u8]]) -> io::Result<Vec<usize>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut found = vec![false; needles.len()];
    let mut read = 0_usize;
    for line in maps.lines() {
        let Some((low, high)) = readable(line) else { continue };
        for run in runs(&memory, low, high) {
            read += run.len();
            for (needle, found) in needles.iter().zip(&mut found) {
                *found |= memmem::find(&run, needle).is_some();
            }
        }
    }
    // A process of ours has more than that; less means that nothing was really read.
    assert!(read > 1 << 20, "only {read} bytes of process {pid} could be read");
    Ok((0..needles.len()).filter(|index| found[*index]).collect())
}

fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (low, high) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    (rest.starts_with('r') && !line.ends_with("[vvar]") && !line.ends_with("[vsyscall]"))
        .then_some((number(low)?, number(high)?))
}

/// The readable stretches of a mapping.
fn runs(memory: &File, low: u64, high: u64) -> Vec<Vec<u8>> {
    let mut whole = vec![0; usize::try_from(high - low).unwrap()];
    if memory.read_exact_at(&mut whole, low).is_ok() {
        return vec![whole];
    }
    let mut runs = vec![Vec::new()];
    let mut page = vec![0; usize::try_from(PAGE).unwrap()];
    let mut at = low;
    while at < high {
        match memory.read_exact_at(&mut page, at) {
            Ok(()) => runs.last_mut().unwrap().extend(&page),
            Err(_) => runs.push(Vec::new()),
        }
        at += PAGE;
    }
    runs
}
