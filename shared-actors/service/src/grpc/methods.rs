//! The methods of a server, each with its metrics. A call finds its method by path, without a lock.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prost::{DecodeError, Message};
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::code_name;
use crate::metrics;
use crate::metrics::ApiMetrics;

const CODES: usize = 17;

/// A method, with its metrics per status code.
pub(super) struct Method {
    /// The path that clients call, such as `/Loms/OrderCreate`.
    pub(super) path: String,
    /// Whether it belongs to health or reflection, which are neither gated, counted nor traced.
    pub(super) is_operation: bool,
    metrics: [OnceLock<ApiMetrics>; CODES],
}

impl Method {
    fn new(path: String) -> Self {
        let is_operation = path.starts_with("/grpc.");
        Self { path, is_operation, metrics: Default::default() }
    }

    pub(super) fn observe(&self, code: Code, elapsed: Duration) {
        if !self.is_operation {
            let metrics = &self.metrics[code as usize];
            metrics
                .get_or_init(|| ApiMetrics::resolve("gRPC", &self.path, code_name(code)))
                .observe(elapsed);
        }
    }
}

/// Every method of the server.
pub(super) struct Methods {
    known: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

impl Methods {
    /// Reads the methods and the names of the services from an encoded descriptor set.
    pub(super) fn read(descriptors: &[u8]) -> Result<(Self, Vec<String>), DecodeError> {
        let mut known = HashMap::new();
        let mut services = Vec::new();
        for file in FileDescriptorSet::decode(descriptors)?.file {
            for service in &file.service {
                let name = match file.package() {
                    "" => service.name().to_owned(),
                    package => format!("{package}.{}", service.name()),
                };
                for method in &service.method {
                    let path = format!("/{name}/{}", method.name());
                    known.insert(path.clone(), Arc::new(Method::new(path)));
                }
                services.push(name);
            }
        }
        for operation in
            ["health.v1.Health/Check", "health.v1.Health/List", "health.v1.Health/Watch"]
                .into_iter()
                .chain([
                    "reflection.v1.ServerReflection/ServerReflectionInfo",
                    "reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                ])
        {
            let path = format!("/grpc.{operation}");
            known.insert(path.clone(), Arc::new(Method::new(path)));
        }
        Ok((
            Self { known, unknown: Arc::new(Method::new(metrics::UNMATCHED.to_owned())) },
            services,
        ))
    }

    pub(super) fn find(&self, path: &str) -> &Arc<Method> {
        self.known.get(path).unwrap_or(&self.unknown)
    }
}
