//! Two instances of loms on the same databases. Either one is killed and restarted repeatedly.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use dev::testing::{ServiceProcess, Signal, eventually, free_port, http_client};

use super::plan::{Operation, Scene, Step};
use crate::shop::Backend;

/// How long a start may take on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);

pub struct Crew<'a> {
    backend: &'a Backend,
    addresses: [String; 2],
    instances: [ServiceProcess; 2],
    settings: Vec<(&'static str, &'static str)>,
}

impl<'a> Crew<'a> {
    pub async fn start(backend: &'a Backend, operation: Operation) -> Self {
        let payment_ttl = if operation == Operation::Timeout { "500ms" } else { "1h" };
        let settings = vec![
            ("SWEEP_INTERVAL", "100ms"),
            ("RESERVATION_GRACE", "3s"),
            ("REQUEST_TIMEOUT", "2500ms"),
            ("ORDER_PAYMENT_TTL", payment_ttl),
            ("RUST_LOG", "error"),
        ];
        let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let [first, second] = &addresses;
        let instances =
            [launch(backend, first, &settings, &[]), launch(backend, second, &settings, &[])];
        let mut crew = Self { backend, addresses, instances, settings };
        for instance in &mut crew.instances {
            instance.ready().await;
        }
        crew
    }

    /// The addresses where both instances serve HTTP.
    pub fn base_urls(&self) -> [String; 2] {
        [0, 1].map(|instance: usize| self.instances[instance].base_url())
    }

    /// Kills an instance and restarts it so that it dies the n-th time it reaches the point. Waits
    /// until it is ready or already dead.
    pub async fn arm(&mut self, victim: usize, step: &Step, times: u32) {
        let at = format!("{}#{times}", step.point);
        let mut extra = vec![("CRASH_AT", at.as_str())];
        if matches!(step.scene, Scene::Twins) {
            // Long enough for the other instance to create the order and for the client to pay it.
            extra.push(("FAILPOINTS", "create::looked_up=sleep(200)"));
        }
        self.kill(victim);
        self.instances[victim] =
            launch(self.backend, &self.addresses[victim], &self.settings, &extra);
        let url = format!("{}/readyz", self.instances[victim].base_url());
        let client = http_client();
        eventually(READY_WITHIN, "the armed instance works or is dead", async || {
            let answer = client.get(&url).send().await;
            self.is_dead(victim) || answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    pub fn kill(&mut self, instance: usize) {
        self.instances[instance].kill9();
    }

    /// Whether the instance was killed. If it ended in any other way, the test fails.
    pub fn is_dead(&mut self, instance: usize) -> bool {
        let Some(status) = self.instances[instance].exited() else { return false };
        let killed = status.signal() == Some(Signal::SIGKILL as i32);
        assert!(killed, "loms ended by itself, {status}:\n{}", self.instances[instance].log());
        true
    }

    /// Starts every instance that has died, without a crash point, and waits until it is ready.
    pub async fn recover(&mut self) {
        for instance in [0, 1] {
            if self.is_dead(instance) {
                self.instances[instance] =
                    launch(self.backend, &self.addresses[instance], &self.settings, &[]);
            }
        }
        for instance in &mut self.instances {
            instance.ready().await;
        }
    }
}

fn launch(
    backend: &Backend,
    address: &str,
    settings: &[(&str, &str)],
    extra: &[(&str, &str)],
) -> ServiceProcess {
    let all: Vec<(&str, &str)> = settings.iter().chain(extra).copied().collect();
    ServiceProcess::launch("loms", &backend.environment(address, &all))
}
