#![allow(unsafe_code)]
//! A big file that is written from its beginning to its end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use super::memory::Region;

/// Written at a time. What direct writes start and end at is a multiple of every block size there is.
const BLOCK_BYTES: usize = 1 << 20;
/// Where writes go through the page cache, the system is told to write to the disk after so many bytes...
const WRITE_BACK_BYTES: u64 = 4 << 20;
/// ...and is waited for when it is behind by so many, so that little is left for the sync at the end.
const BEHIND_BYTES: u64 = 64 << 20;

/// How a file gets to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Past the page cache.
    Direct,
    /// Through the page cache, and out of it steadily.
    Steady,
    /// Through the page cache, as the system sees fit.
    Free,
}

/// A file under way. Before [`Stream::sync`] not all of it may be in the file.
///
/// PERF: half a gigabyte, beside 50 clients that write: through the page cache (`dd conv=fdatasync`) it took 2 to 3 s and
/// the clients got a third of what they got without; directly (`dd oflag=direct`) 1.2 s, and they got nine tenths.
pub struct Stream {
    file: File,
    way: Way,
    block: Region,
    filled: usize,
    written_bytes: u64,
    /// Up to here the system was told to write to the disk, and has.
    told_bytes: u64,
    waited_bytes: u64,
}

impl Stream {
    /// For an empty file. `steady`: it is to reach the disk as it is written, not when it is synced.
    pub fn new(file: File, steady: bool) -> io::Result<Stream> {
        let way = match steady {
            true if set_direct(&file, true).is_ok() => Way::Direct,
            true => Way::Steady,
            false => Way::Free,
        };
        let block = Region::map(BLOCK_BYTES)?;
        Ok(Stream { file, way, block, filled: 0, written_bytes: 0, told_bytes: 0, waited_bytes: 0 })
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.block.as_mut_slice()[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK_BYTES {
                self.put_block()?;
                self.write_back()?;
            }
        }
        Ok(())
    }

    /// Brings all of it to the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.leave_direct()?;
        }
        self.put_block()?;
        self.file.sync_all()
    }

    fn put_block(&mut self) -> io::Result<()> {
        let mut done = 0;
        while done < self.filled {
            match self.file.write(&self.block.as_slice()[done..self.filled]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A file system that cannot after all, or a write that was cut short: the page cache takes all.
                Err(error) if self.way == Way::Direct && error.raw_os_error() == Some(libc::EINVAL) => {
                    self.leave_direct()?;
                }
                Err(error) => return Err(error),
            }
        }
        self.written_bytes += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    fn leave_direct(&mut self) -> io::Result<()> {
        if self.way == Way::Direct {
            set_direct(&self.file, false)?;
            self.way = Way::Steady;
            (self.told_bytes, self.waited_bytes) = (self.written_bytes, self.written_bytes);
        }
        Ok(())
    }

    fn write_back(&mut self) -> io::Result<()> {
        if self.way != Way::Steady || self.written_bytes - self.told_bytes < WRITE_BACK_BYTES {
            return Ok(());
        }
        let begin = libc::SYNC_FILE_RANGE_WRITE;
        sync_range(&self.file, self.told_bytes..self.written_bytes, begin)?;
        self.told_bytes = self.written_bytes;
        let until = self.told_bytes.saturating_sub(BEHIND_BYTES);
        if until > self.waited_bytes {
            let wait = libc::SYNC_FILE_RANGE_WAIT_BEFORE | begin | libc::SYNC_FILE_RANGE_WAIT_AFTER;
            sync_range(&self.file, self.waited_bytes..until, wait)?;
            self.waited_bytes = until;
        }
        Ok(())
    }
}

fn set_direct(file: &File, on: bool) -> io::Result<()> {
    // SAFETY: the descriptor is the file's, and no memory of ours is involved.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = if on { flags | libc::O_DIRECT } else { flags & !libc::O_DIRECT };
    // SAFETY: as above.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn sync_range(file: &File, range: std::ops::Range<u64>, flags: libc::c_uint) -> io::Result<()> {
    let (from, bytes) = (range.start as i64, (range.end - range.start) as i64);
    // SAFETY: as in `set_direct`.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), from, bytes, flags) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // A file system that cannot: the sync at the end does it all.
            error if matches!(error.raw_os_error(), Some(libc::ESPIPE | libc::EINVAL | libc::ENOSYS)) => {
                Ok(())
            }
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes so many bytes in pieces of all sizes, in one of the ways, and reads them back.
    fn round_trip(total: usize, way: impl FnOnce(&mut Stream)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut stream = Stream::new(File::create(&path).unwrap(), true).unwrap();
        way(&mut stream);
        let mut rng = fastrand::Rng::with_seed(total as u64);
        let bytes: Vec<u8> = (0..total).map(|_| rng.u8(..)).collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = if rng.bool() { 100 } else { 700_000 };
            let (now, later) = rest.split_at(rng.usize(1..=most).min(rest.len()));
            stream.write(now).unwrap();
            rest = later;
        }
        stream.sync().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{total} bytes come back");
    }

    #[test]
    fn what_is_written_is_in_the_file_whatever_way_it_goes() {
        for total in [0, 1, 5000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 77] {
            round_trip(total, |_| {});
        }
        let total = (BEHIND_BYTES + 2 * WRITE_BACK_BYTES) as usize / 4 + 13;
        round_trip(total, |stream| stream.leave_direct().unwrap());
        round_trip(total, |stream| {
            stream.leave_direct().unwrap();
            stream.way = Way::Free;
        });
    }

    #[test]
    fn what_cannot_be_written_directly_goes_through_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // After a write of three bytes no direct write can follow.
        let mut file = File::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        let mut stream = Stream::new(file, true).unwrap();
        stream.write(&vec![7; 2 * BLOCK_BYTES]).unwrap();
        stream.sync().unwrap();
        let found = std::fs::read(&path).unwrap();
        assert!(found[..3] == *b"abc" && found[3..].iter().all(|byte| *byte == 7));
        assert_eq!(found.len(), 3 + 2 * BLOCK_BYTES);
    }
}
