//! The user for servers that refuse to run as root (`PostgreSQL`), and folders that this user can
//! reach.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User};

use super::tools;

/// An unprivileged user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl ServerUser {
    /// `None` if this process runs as an ordinary user. As root, the user `postgres`, or `nobody`
    /// if there is no `postgres`.
    pub fn unless_ordinary() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name)? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!(
            "PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody"
        )
    }

    fn can_write(self, folder: &Path) -> Result<bool> {
        let status = Command::new(tools::find("test")?)
            .arg("-w")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .uid(self.uid)
            .gid(self.gid)
            .status()?;
        Ok(status.success())
    }
}

/// Creates `wanted` as a private folder of `user` and returns its real path.
///
/// If `user` cannot reach `wanted`, for example below a private home folder, the folder is created
/// in /var/tmp. `wanted` then is a link to it.
pub fn private_folder(wanted: &Path, user: Option<ServerUser>) -> Result<PathBuf> {
    let Some(user) = user else {
        fs::create_dir_all(wanted)
            .with_context(|| format!("cannot create {}", wanted.display()))?;
        return close(wanted.to_path_buf());
    };
    if let Ok(elsewhere) = fs::read_link(wanted) {
        if elsewhere.is_dir() {
            let owner = fs::symlink_metadata(&elsewhere)?.uid();
            if owner != user.uid {
                bail!(
                    "{} belongs to another user: remove the link {}",
                    elsewhere.display(),
                    wanted.display()
                );
            }
            return close(elsewhere);
        }
        fs::remove_file(wanted)?;
    }
    fs::create_dir_all(wanted).with_context(|| format!("cannot create {}", wanted.display()))?;
    chown(wanted, Some(user.uid), Some(user.gid))?;
    if user.can_write(wanted)? {
        return close(wanted.to_path_buf());
    }
    fs::remove_dir(wanted)?;
    let elsewhere = tempfile::Builder::new().prefix("shop-postgres-").tempdir_in("/var/tmp")?;
    chown(elsewhere.path(), Some(user.uid), Some(user.gid))?;
    symlink(elsewhere.path(), wanted)?;
    close(elsewhere.keep())
}

/// Removes a folder of the stack and everything in it, including the folders in /var/tmp that it
/// links to.
pub fn remove_folder(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        remove_entry(&entry?.path())?;
    }
    fs::remove_dir(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Removes a file, a folder, or a link with the folder of the servers' user that it leads to.
pub fn remove_entry(path: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path)?;
        if target.parent() == Some(Path::new("/var/tmp")) && target.is_dir() {
            fs::remove_dir_all(&target)?;
        }
    }
    let removed = if kind.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn close(folder: PathBuf) -> Result<PathBuf> {
    fs::set_permissions(&folder, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot make {} private", folder.display()))?;
    Ok(folder)
}
