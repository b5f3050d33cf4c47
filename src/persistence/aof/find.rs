//! Which files are loaded at the start.
//!
//! INVARIANT: where data of a log lie that no manifest names, nothing is loaded and nothing is begun: a new log beside them
//! would hide them, and its files would take their names.

use std::fs;
use std::io;
use std::path::Path;

use super::manifest::{Folder, Manifest};
use super::replay::LogFile;
use crate::persistence::{Durable, level};

/// What there is to load.
#[derive(Debug)]
pub struct Found {
    pub files: Vec<LogFile>,
    pub total_bytes: u64,
    pub manifest: Manifest,
}

/// So many files are named in an error.
const NAMED: usize = 5;

/// Finds the log of a folder; `None` when there is none. A log of Redis before 7, one file beside the folder, is taken
/// over into it.
///
/// Redis: files that a manifest does not name are as good as not there. Redis takes them so even where there is no manifest,
/// and begins an empty log over them.
pub fn find(folder: &Folder, durable: &Durable) -> Result<Option<Found>, String> {
    let mut manifest = Manifest::read(folder).map_err(|error| error.to_string())?.unwrap_or_default();
    if manifest.is_empty() {
        refuse_unnamed(folder)?;
    }
    if folder.single_file().is_file() && is_to_be_taken_over(folder, &manifest) {
        manifest = take_over(folder).map_err(|error| {
            let path = folder.single_file();
            format!(
                "Error trying to move the old AOF file {} into dir {}: {error}",
                path.display(),
                folder.path.display()
            )
        })?;
        durable.log(
            level::NOTICE,
            format!(
                "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
                folder.name,
                folder.path.file_name().unwrap_or_default().display()
            ),
        );
    }
    if manifest.is_empty() {
        return Ok(None);
    }
    let files = files_of(folder, &manifest);
    let total_bytes = files.iter().try_fold(0, |sum, file| Ok::<_, String>(sum + length_of(file)?))?;
    Ok(Some(Found { files, total_bytes, manifest }))
}

/// An error if the folder holds data of its log.
fn refuse_unnamed(folder: &Folder) -> Result<(), String> {
    let names = folder.files_with_data().map_err(|error| {
        format!("Fatal error: can't look into the append-only dir {}: {error}", folder.path.display())
    })?;
    if names.is_empty() {
        return Ok(());
    }
    let mut list = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED {
        list.push_str(", ...");
    }
    Err(format!(
        "Fatal error: {} holds files of an append-only log ({list}), but {} names none of them, so it is not known which \
         of them are the data and in what order. Nothing was changed. Put the manifest back, or move these files away to \
         begin with an empty log",
        folder.path.display(),
        folder.manifest().display()
    ))
}

/// The files that a manifest names, in their order.
pub fn files_of(folder: &Folder, manifest: &Manifest) -> Vec<LogFile> {
    let base = manifest.base.iter().map(|info| (info, true));
    let all = base.chain(manifest.incrs.iter().map(|info| (info, false)));
    all.map(|(info, is_base)| LogFile {
        path: folder.file(&info.name),
        name: info.name.escape_ascii().to_string(),
        is_base,
        is_single: is_base && info.name == folder.name.as_bytes(),
    })
    .collect()
}

/// Redis: also when a move into the folder was begun and not finished.
fn is_to_be_taken_over(folder: &Folder, manifest: &Manifest) -> bool {
    let begun = || {
        let base = manifest.base.as_ref().filter(|_| manifest.incrs.is_empty());
        base.is_some_and(|base| base.name == folder.name.as_bytes() && !folder.file(&base.name).exists())
    };
    !folder.path.is_dir() || manifest.is_empty() || begun()
}

/// The manifest first: should the process end between the two, the next start goes on.
fn take_over(folder: &Folder) -> io::Result<Manifest> {
    folder.create()?;
    let manifest = Manifest::of_single_file(folder);
    manifest.write(folder).map_err(|error| io::Error::new(error.error.kind(), error.to_string()))?;
    let path = folder.single_file();
    fs::rename(&path, folder.file(folder.name.as_bytes()))?;
    folder.sync()?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(manifest)
}

fn length_of(file: &LogFile) -> Result<u64, String> {
    let failed = |error: io::Error| {
        format!("Unable to obtain the AOF file {} length. stat: {}", file.name, plain(&error))
    };
    fs::metadata(&file.path).map(|data| data.len()).map_err(failed)
}

/// An error of the system in its words alone.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
