//! Faults of the disk that a test asks for (DEBUG DISK-FAULT): what the system would answer, given in its place.
//!
//! Everything that writes or syncs the log, or a snapshot, asks here first. Without a fault that is one load.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// How often one that hangs looks whether it may go on.
const LOOK: Duration = Duration::from_millis(1);

/// Where a fault can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    LogWrite,
    LogSync,
    /// Where a write was cut short, what it left is cut off.
    LogCut,
    SaveWrite,
    SaveSync,
}

impl Place {
    pub const ALL: [(&'static str, Place); 5] = [
        ("log-write", Place::LogWrite),
        ("log-sync", Place::LogSync),
        ("log-cut", Place::LogCut),
        ("save-write", Place::SaveWrite),
        ("save-sync", Place::SaveSync),
    ];
}

/// What happens there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// It does not end before this fault does.
    Hang,
    /// The system's error, so many times (for ever if negative); a write does so many bytes before.
    Fails {
        errno: i32,
        times: i64,
        bytes: u64,
    },
}

#[derive(Default)]
struct Slot {
    hangs: AtomicBool,
    errno: AtomicI32,
    times: AtomicI64,
    bytes: AtomicU64,
}

/// The faults there are.
#[derive(Default)]
pub struct Faults {
    slots: [Slot; Place::ALL.len()],
}

impl Faults {
    /// From here on this happens there.
    pub fn set(&self, place: Place, fault: Fault) {
        let slot = &self.slots[place as usize];
        let (errno, times, bytes) = match fault {
            Fault::Fails { errno, times, bytes } => (errno, times, bytes),
            Fault::None | Fault::Hang => (0, 0, 0),
        };
        slot.times.store(times, Ordering::Relaxed);
        slot.bytes.store(bytes, Ordering::Relaxed);
        slot.errno.store(errno, Ordering::Release);
        slot.hangs.store(fault == Fault::Hang, Ordering::Release);
    }

    /// Hangs if that is wanted; the error that is wanted, with how much a write does before.
    fn meet(&self, place: Place) -> Option<(u64, io::Error)> {
        let slot = &self.slots[place as usize];
        while slot.hangs.load(Ordering::Acquire) {
            std::thread::park_timeout(LOOK);
        }
        let errno = slot.errno.load(Ordering::Acquire);
        if errno == 0 {
            return None;
        }
        if slot.times.load(Ordering::Relaxed) >= 0 && slot.times.fetch_sub(1, Ordering::Relaxed) <= 1 {
            slot.errno.store(0, Ordering::Release);
        }
        Some((slot.bytes.load(Ordering::Relaxed), io::Error::from_raw_os_error(errno)))
    }

    /// An error if one is wanted there.
    pub fn check(&self, place: Place) -> io::Result<()> {
        self.meet(place).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Brings a file's data to the disk.
    pub fn sync(&self, place: Place, file: &File) -> io::Result<()> {
        self.check(place)?;
        file.sync_data()
    }

    /// Writes as much as can be written; how much that was, and why it was not all.
    pub fn write(&self, place: Place, file: &File, bytes: &[u8]) -> (usize, Option<io::Error>) {
        match self.meet(place) {
            None => write_all(file, bytes),
            Some((room, error)) => {
                let room = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                let (written, other) = write_all(file, &bytes[..room]);
                (written, Some(other.unwrap_or(error)))
            }
        }
    }
}

fn write_all(mut file: &File, mut bytes: &[u8]) -> (usize, Option<io::Error>) {
    let all = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return (all - bytes.len(), Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (all - bytes.len(), Some(error)),
        }
    }
    (all, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn a_fault_comes_as_often_as_it_was_asked_for_and_only_there() {
        let faults = Faults::default();
        let mut file = tempfile::tempfile().expect("a temporary file can be made");
        faults.set(Place::LogWrite, Fault::Fails { errno: 28, times: 2, bytes: 3 });
        for _ in 0..2 {
            let (written, error) = faults.write(Place::LogWrite, &file, b"abcdef");
            assert_eq!((written, error.and_then(|error| error.raw_os_error())), (3, Some(28)));
        }
        let (written, error) = faults.write(Place::LogWrite, &file, b"abcdef");
        assert!(written == 6 && error.is_none());
        assert!(faults.sync(Place::LogSync, &file).is_ok());
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("it can be read");
        assert_eq!(text, "abcabcabcdef");
        faults.set(Place::LogSync, Fault::Fails { errno: 5, times: -1, bytes: 0 });
        assert!((0..9).all(|_| faults.sync(Place::LogSync, &file).is_err()));
        faults.set(Place::LogSync, Fault::None);
        assert!(faults.sync(Place::LogSync, &file).is_ok());
    }
}
