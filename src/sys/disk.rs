#![allow(unsafe_code)]
//! What to tell the system about a file that is written in one go.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Has a part of a file brought to the disk from now on, and does not wait for it. What becomes of it `fdatasync` tells.
pub fn begin_writing_back(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    sync_range(file, from, bytes, libc::SYNC_FILE_RANGE_WRITE)
}

/// Waits until a part of a file is on the disk, as far as its content goes: that it can be found there, only `fdatasync`
/// says.
pub fn wait_for_writing_back(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    let all =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_range(file, from, bytes, all)
}

fn sync_range(file: &File, from: u64, bytes: u64, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: the descriptor is the file's, and no memory of ours is involved.
    let status = unsafe { libc::sync_file_range(file.as_raw_fd(), from as i64, bytes as i64, flags) };
    match status {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // A file system that cannot; `fdatasync` at the end does it all.
            error if matches!(error.raw_os_error(), Some(libc::ESPIPE | libc::EINVAL | libc::ENOSYS)) => {
                Ok(())
            }
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn parts_of_a_file_are_written_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        begin_writing_back(&file, 0, 50_000).unwrap();
        wait_for_writing_back(&file, 0, 100_000).unwrap();
    }
}
