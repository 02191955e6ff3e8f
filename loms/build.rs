//! Compiles `proto/loms.proto` without `protoc`: the messages, the service, and the descriptors (imports included) that
//! reflection and the gateway's JSON are made from.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let folder = manifest.join("../proto");
    println!("cargo:rerun-if-changed={}", folder.display());

    let descriptors = protox::compile(["loms.proto"], [&folder])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("loms.bin"), descriptors.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .codec_path("crate::api::codec::RequestCodec")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
