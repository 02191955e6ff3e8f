//! A binary that is expected to end by itself.

use std::path::Path;
use std::time::Duration;

use dev::stack::program::Program;
use dev::testing::Servers;

use super::{Env, eventually};

/// How a binary ended and what it wrote.
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

/// The same for a process that may open so many files.
pub async fn run_with_files(binary: &str, files: u32, env: &Env) -> Ended {
    let path = Servers::from_env().bin_dir.join(binary);
    let limited = format!("ulimit -n {files} && exec {}", path.display());
    end_of(binary, |log| Program::new(binary, "/bin/sh", log).args(&["-c", &limited]), env).await
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
