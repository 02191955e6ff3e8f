//! Finds the programs that the stack runs. If one is missing, the error names its package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Finds a program in `PATH` or in the system folders, which the `PATH` of an ordinary user often
/// lacks.
pub fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from));
    for folder in folders {
        let candidate = folder.join(program);
        if is_executable(&candidate) {
            return Ok(candidate);
        }
    }
    bail!("{program} is not installed: run `make setup`")
}

/// Finds Java: the newest of Debian's versions, at least the 17 that Kafka needs, or else the one
/// in `PATH`.
pub fn java() -> Result<PathBuf> {
    let installed =
        fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name();
            let version =
                name.to_str()?.strip_prefix("java-")?.split('-').next()?.parse::<u32>().ok()?;
            let program = entry.path().join("bin/java");
            (version >= 17 && is_executable(&program)).then_some((version, program))
        });
    installed.max().map_or_else(|| find("java"), |(_, program)| Ok(program))
}

/// The folder of `PostgreSQL`'s programs. Existing data need their own major `version`; otherwise
/// this is the newest version that is installed.
pub fn postgres_programs(version: Option<&str>) -> Result<PathBuf> {
    let mut installed: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let programs = entry.path().join("bin");
        let major = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let (Some(major), true) = (major, is_executable(&programs.join("postgres"))) {
            installed.push((major, programs));
        }
    }
    installed.sort();
    let wanted = match version {
        Some(version) => installed.into_iter().find(|(major, _)| major.to_string() == version),
        None => installed.pop(),
    };
    if let Some((_, programs)) = wanted {
        return Ok(programs);
    }
    if let Some(version) = version {
        if let Ok(programs) = find("postgres").and_then(|path| folder_of(&path)) {
            return Ok(programs);
        }
        bail!("the stack's data were created by PostgreSQL {version}, which is no longer installed")
    }
    find("postgres").and_then(|path| folder_of(&path)).context("PostgreSQL's server was not found")
}

fn folder_of(program: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(program)?;
    Ok(real.parent().unwrap_or(Path::new("/")).to_path_buf())
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
