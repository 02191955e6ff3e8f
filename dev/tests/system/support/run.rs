//! Runs binaries that are expected to end by themselves.

use std::path::Path;
use std::time::Duration;

use dev::stack::program::Program;
use dev::testing::Servers;

use super::{Env, eventually};

/// The exit code of a binary, and what it wrote.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

/// Runs a service's binary to its end, which must come within 30 s.
pub async fn run_to_end(binary: &str, args: &[&str], env: &Env) -> Ended {
    let path = Servers::from_env().bin_dir.join(binary);
    end_of(binary, |log| Program::new(binary, path, log).args(args), env).await
}

/// Like [`run_to_end`], in a private folder that contains `files`.
pub async fn run_in_folder(binary: &str, files: &[(&str, &str)], env: &Env) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let path = Servers::from_env().bin_dir.join(binary);
    let script = format!("cd {} && exec {}", folder.path().display(), path.display());
    end_of(binary, |log| Program::new(binary, "/bin/sh", log).args(["-c", &script]), env).await
}

/// Like [`run_to_end`], through a shell script that finds the binaries by name.
pub async fn run_in_shell(binary: &str, script: &str) -> Ended {
    let folder = Servers::from_env().bin_dir;
    let script = format!("PATH={}:$PATH; {script}", folder.display());
    end_of(binary, |log| Program::new(binary, "/bin/sh", log).args(["-c", &script]), &Env::new())
        .await
}

async fn end_of(binary: &str, program: impl FnOnce(&Path) -> Program, env: &Env) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("output");
    let program = env.iter().fold(program(&log), |program, (name, value)| program.env(name, value));
    let mut process = program.start().unwrap();
    let status = eventually(Duration::from_secs(30), &format!("{binary} ends"), async || {
        process.exit_status().unwrap()
    })
    .await;
    Ended { code: status.code(), output: std::fs::read_to_string(log).unwrap() }
}
