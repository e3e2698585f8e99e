//! The mark of a data folder whose venue was exported. The venue goes on where the export is imported; here it must
//! not, because two venues with the same balances pay everybody twice.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{DataFolder, Error};

/// The name of the mark.
const NAME: &str = "exported";

impl DataFolder {
    fn export_mark(&self) -> PathBuf {
        self.path.join(NAME)
    }

    /// Marks the folder as exported to the file `out`. The mark outlives a crash from now on.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub(crate) fn mark_exported(&self, out: &Path) -> Result<(), Error> {
        let mark = self.export_mark();
        let write = || {
            let mut file = File::create(&mark)?;
            file.write_all(out.as_os_str().as_encoded_bytes())?;
            file.sync_all()?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| Error::Io { doing: "write", path: mark.clone(), source })
    }

    /// Removes the mark, if there is one: the venue was exported nowhere, or its export was imported nowhere.
    ///
    /// # Errors
    /// When the mark cannot be removed.
    pub(crate) fn forget_export(&self) -> Result<(), Error> {
        let mark = self.export_mark();
        let remove = || match fs::remove_file(&mark) {
            Ok(()) => File::open(&self.path)?.sync_all(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        remove().map_err(|source| Error::Io { doing: "remove", path: mark.clone(), source })
    }

    /// Refuses a folder whose venue was exported.
    ///
    /// # Errors
    /// [`Error::Exported`], or when the mark cannot be read.
    pub(crate) fn check_not_exported(&self) -> Result<(), Error> {
        let mark = self.export_mark();
        match fs::read(&mark) {
            Ok(file) => {
                let file = PathBuf::from(String::from_utf8_lossy(&file).into_owned());
                Err(Error::Exported { folder: self.path.clone(), file })
            }
            Err(error) if is_absent(&error) => Ok(()),
            Err(source) => Err(Error::Io { doing: "read", path: mark, source }),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
