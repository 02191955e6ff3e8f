//! Compiles `proto/loms.proto`, without protoc: the client for the service, the server for the stand-in of its tests.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto");
    println!("cargo::rerun-if-changed=../migrations/cart");
    let files = protox::compile(["loms.proto"], ["../proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files.clone())?;

    let stand_in = PathBuf::from(std::env::var("OUT_DIR")?).join("stand_in");
    fs::create_dir_all(&stand_in)?;
    tonic_prost_build::configure().build_client(false).out_dir(stand_in).compile_fds(files)?;
    Ok(())
}
