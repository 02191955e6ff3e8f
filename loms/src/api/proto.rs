//! Code generated from `proto/loms.proto`: messages, server and client. Nothing here is written by
//! hand.

#![allow(clippy::pedantic)]

tonic::include_proto!("_");
