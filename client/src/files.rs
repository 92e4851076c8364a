//! Files of the customer: bounded reads, private and atomic writes.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::ClientError;

/// Reads a public file of at most `len_max` bytes.
pub fn read(path: &Path, len_max: usize) -> Result<Vec<u8>, ClientError> {
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    bounded(file, len_max, &path.display().to_string()).map(|mut bytes| std::mem::take(&mut *bytes))
}

/// Reads a secret: from standard input when the path is `-`, else from a file
/// that only its owner may read.
pub fn read_secret(path: &Path, len_max: usize) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    if path == Path::new("-") {
        return bounded(io::stdin().lock(), len_max, "standard input");
    }
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    let mode = file.metadata().map_err(|error| cannot("read", path, &error))?.mode();
    if mode & 0o077 != 0 {
        return Err(ClientError::usage(
            format!("{} can be read by others", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    bounded(file, len_max, &path.display().to_string())
}

/// Writes a new file that only its owner may read; refuses to replace one.
pub fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| cannot("create", path, &error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| cannot("write", path, &error))
}

/// A new file that is empty so far, and gone again unless it is filled.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    filled: bool,
}

impl Reserved {
    /// Makes the file, readable by its owner alone; refuses to replace one.
    pub fn new(path: &Path) -> Result<Self, ClientError> {
        create_secret(path, b"")?;
        Ok(Self { path: path.to_owned(), filled: false })
    }

    /// Writes what it was made for.
    pub fn fill(mut self, bytes: &[u8]) -> Result<(), ClientError> {
        replace(&self.path, bytes, 0o600)?;
        self.filled = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            // Nothing was in it; left behind it would only be in the way.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Replaces a file as a whole: a reader sees the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ClientError> {
    let mut next = PathBuf::from(path).into_os_string();
    next.push(".new");
    let next = PathBuf::from(next);
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&next)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&next, path)
    };
    write().map_err(|error| {
        drop(std::fs::remove_file(&next));
        cannot("write", path, &error)
    })
}

/// Refuses a path where something stands that `is_ours` does not know: it may be dear.
pub fn check_replaceable(
    path: &Path,
    len_max: usize,
    is_ours: impl Fn(&[u8]) -> bool,
) -> Result<(), ClientError> {
    if !path.exists() || read(path, len_max).is_ok_and(|bytes| is_ours(&bytes)) {
        return Ok(());
    }
    Err(ClientError::usage(
        format!("{} exists and would be lost", path.display()),
        "name another file",
    ))
}

fn bounded(from: impl Read, len_max: usize, name: &str) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    // Sized once, so that growing leaves no copy of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(len_max.saturating_add(1)));
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut bytes).map_err(|error| {
        ClientError::usage(format!("{name} cannot be read: {}", error.kind()), "check the file")
    })?;
    if bytes.len() > len_max {
        return Err(ClientError::usage(
            format!("{name} is longer than {len_max} bytes"),
            "check that it is the right file",
        ));
    }
    Ok(bytes)
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> ClientError {
    ClientError::usage(
        format!("cannot {action} {}: {}", path.display(), error.kind()),
        "check the path and its permissions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret(&path, b"hunter2").unwrap();
        assert_eq!(read_secret(&path, 16).unwrap().as_slice(), b"hunter2");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_secret(&path, 16).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn secret_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret(&path, b"first").unwrap();
        assert_eq!(create_secret(&path, b"second").unwrap_err().exit_code(), 2);
        assert_eq!(read(&path, 16).unwrap(), b"first");
    }

    #[test]
    fn a_reserved_file_is_filled_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session");
        drop(Reserved::new(&path).unwrap());
        assert!(!path.exists());
        let reserved = Reserved::new(&path).unwrap();
        assert_eq!(Reserved::new(&path).unwrap_err().exit_code(), 2);
        reserved.fill(b"keys").unwrap();
        assert_eq!(read_secret(&path, 16).unwrap().as_slice(), b"keys");
        assert_eq!(Reserved::new(&dir.path().join("no/where")).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn length_limit_is_exact() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, &[7; 16], 0o644).unwrap();
        assert_eq!(read(&path, 16).unwrap().len(), 16);
        assert_eq!(read(&path, 15).unwrap_err().exit_code(), 2);
    }
}
