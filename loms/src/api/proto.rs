//! What the build makes of `proto/loms.proto`: messages, server and client. Nothing is written by hand here.

#![allow(clippy::pedantic)]

tonic::include_proto!("_");
