//! The folders for a stack's data and logs, and the lock that keeps a second stack out of them.

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::user::{remove_entry, remove_folder};

const TEST_PREFIX: &str = "shop-test-";
const LOCK: &str = "lock";
/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// A whole test run needs less than half of this.
const MEMORY_NEEDED_BYTES: u64 = 8 << 30;
/// Downloads.
const CACHE: &str = "cache";

/// The folder of one stack, locked while this value lives.
#[derive(Debug)]
pub struct Folders {
    root: PathBuf,
    base: PathBuf,
    private: bool,
    _lock: File,
}

impl Folders {
    /// The folder that `SHOP_DATA` names, or else `.stack` in the project. Its data outlive the
    /// stack.
    pub fn of_the_project() -> Result<Self> {
        let root = project_root()?;
        let named = std::env::var_os("SHOP_DATA").filter(|path| !path.is_empty());
        let base = named.map_or_else(|| Ok(root.join(".stack")), std::path::absolute)?;
        if base.is_dir()
            && !base.join(LOCK).exists()
            && fs::read_dir(&base)?.any(|entry| !is_cache(&entry))
        {
            bail!(
                "{} holds other files: name an empty folder, or one of an earlier run",
                base.display()
            );
        }
        fs::create_dir_all(&base).with_context(|| format!("cannot create {}", base.display()))?;
        let Some(lock) = try_lock(&base)? else {
            bail!("another stack is using the data in {}: stop it first", base.display());
        };
        Ok(Self { root, base, private: false, _lock: lock })
    }

    /// A new private folder, deleted when this value is dropped. It is in memory if there is room,
    /// because creating a database on a disk costs ten times as much. `TMPDIR` overrides that.
    pub fn for_a_test_run() -> Result<Self> {
        remove_abandoned(Path::new(MEMORY));
        let in_memory = std::env::var_os("TMPDIR").is_none() && memory_has_room();
        Self::private(if in_memory { PathBuf::from(MEMORY) } else { std::env::temp_dir() })
    }

    /// Like [`Self::for_a_test_run`], but always on the disk, for measurements.
    pub fn for_a_measurement() -> Result<Self> {
        Self::private(std::env::temp_dir())
    }

    /// A new folder in `parent`. First deletes the folders of test runs that were killed.
    fn private(parent: PathBuf) -> Result<Self> {
        remove_abandoned(&parent);
        let folder = tempfile::Builder::new().prefix(TEST_PREFIX).tempdir_in(parent)?;
        // Other users, such as the servers' user, may enter the folder but not list it.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let Some(lock) = try_lock(folder.path())? else {
            bail!("{} is in use", folder.path().display());
        };
        Ok(Self { root: project_root()?, base: folder.keep(), private: true, _lock: lock })
    }

    /// Whether the data are in memory.
    pub fn are_in_memory(&self) -> bool {
        self.base.starts_with(MEMORY)
    }

    /// The root of the project.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds everything of this stack.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The data folder of a server. Does not create it.
    pub fn data(&self, server: &str) -> PathBuf {
        self.base.join(server)
    }

    /// The data folder of a server, created if it is missing.
    pub fn create_data(&self, server: &str) -> Result<PathBuf> {
        let folder = self.data(server);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// The log file of a process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.base.join("logs").join(format!("{process}.log"))
    }

    /// Deletes all data and logs. Downloads stay, and so does the lock that this value holds.
    pub fn remove_data(&self) -> Result<()> {
        for entry in fs::read_dir(&self.base)? {
            let entry = entry?;
            if entry.file_name() != CACHE && entry.file_name() != LOCK {
                remove_entry(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The folder of Kafka's jars. `make setup` fills it; the stack only reads it.
    pub fn kafka_jars(&self) -> PathBuf {
        self.root.join(".stack").join(CACHE).join("kafka")
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if self.private
            && let Err(error) = remove_folder(&self.base)
        {
            eprintln!("{error:#}");
        }
    }
}

/// Whether a test run fits into memory, and into the file system that is kept there.
fn memory_has_room() -> bool {
    let room = statvfs(MEMORY).map(|found| found.blocks_available() * found.fragment_size());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    room.is_ok_and(|room| room >= MEMORY_NEEDED_BYTES)
        && available_kib.is_some_and(|kib| kib * 1024 >= MEMORY_NEEDED_BYTES)
}

/// Whether an entry of the folder is the one of downloads, which `make setup` creates first.
fn is_cache(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == CACHE)
}

/// The project's root: the nearest ancestor of the current folder that looks like it, or else the
/// folder that this program was built from.
pub fn project_root() -> Result<PathBuf> {
    let looks_like_it = |folder: &&Path| folder.join("docker/postgres/postgresql.conf").is_file();
    let here = std::env::current_dir()?;
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let found = here.ancestors().find(looks_like_it).or(built_in.filter(looks_like_it));
    found.map(Path::to_path_buf).context("the project's folder was not found: run this inside it")
}

/// Locks a folder, or returns `None` if another process holds the lock. The lock ends with its
/// process, even if that is killed.
fn try_lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the stack's folder"),
    }
}

fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        // A link or another user's folder may use our prefix to trick us into deleting something.
        let owned = entry
            .metadata()
            .is_ok_and(|folder| folder.is_dir() && folder.uid() == geteuid().as_raw());
        let ours =
            owned && entry.file_name().to_str().is_some_and(|name| name.starts_with(TEST_PREFIX));
        let age = fs::metadata(entry.path().join(LOCK))
            .and_then(|lock| lock.modified())
            .map(|made| made.elapsed());
        // A younger folder may belong to a stack that is just starting.
        let old = age.is_ok_and(|age| age.is_ok_and(|age| age > Duration::from_mins(1)));
        if !ours || !old {
            continue;
        }
        if let Ok(Some(_lock)) = try_lock(&entry.path()) {
            let _ = remove_folder(&entry.path());
        }
    }
}
