//! Compiles `loms.proto` without `protoc`: the messages, the client, the server, and the descriptors
//! with their imports.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message;
use tonic_prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=loms.proto");
    let descriptors = protox::compile(["loms.proto"], ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("loms.bin"), descriptors.encode_to_vec())?;

    let mut config = Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds_with_config(descriptors.clone(), config)?;

    // The server is compiled separately, because only it has its own codec. Its messages are those
    // that the client uses.
    let server = out.join("server");
    fs::create_dir_all(&server)?;
    let mut config = Config::new();
    let own = descriptors.file.iter().filter(|file| file.package().is_empty());
    for message in own.flat_map(|file| &file.message_type) {
        let name = message.name();
        config.extern_path(format!(".{name}"), format!("crate::{name}"));
    }
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::RequestCodec")
        .out_dir(server)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
