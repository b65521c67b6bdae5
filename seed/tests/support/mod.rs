//! Where the real data sets are, if they are here.

use std::path::PathBuf;

/// The file `name` of the data sets: in `EMPORIUM_DATASETS`, or in `../shared/data` beside the workspace. None, with
/// a line that says so, if it is in neither: the test is left out then.
#[allow(dead_code, reason = "not every test file asks")]
pub fn dataset(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let folder = std::env::var_os("EMPORIUM_DATASETS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let file = folder.join(name);
    if file.exists() {
        return Some(file);
    }
    println!("LEFT OUT: {name} is not there; set EMPORIUM_DATASETS to the folder with the data sets");
    None
}

/// The most memory this process ever had, in MiB, where the system tells.
#[allow(dead_code, reason = "not every test file asks")]
pub fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}
