//! `DATABASE_MASTER_*_k` and `DATABASE_REPLICA_*_k`: the list of shards, with k = 0, 1, … without
//! gaps. The names may have a prefix.

use std::collections::BTreeSet;

use super::{HostPort, Reader, Secret};
use crate::shard::ShardRouter;
use crate::tls::PemFile;

const POSTGRES_PORT: u16 = 5432;
const PRIMARY: &str = "DATABASE_MASTER";
const REPLICA: &str = "DATABASE_REPLICA";
const PARTS: [&str; 4] = ["HOST_PORT", "USER", "PASSWORD", "NAME"];

/// One database, and the role to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// The server.
    pub address: HostPort,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Secret,
    /// The database's name.
    pub name: String,
    /// `None` if the connection is not encrypted.
    pub tls: Option<DatabaseTls>,
}

/// How the server of a database proves itself. Its certificate must be valid and name its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseTls {
    /// Certificate authorities to trust besides those that browsers trust.
    pub ca: Option<PemFile>,
}

impl DatabaseTls {
    /// Reads `<prefix>DATABASE_TLS` and `<prefix>DATABASE_CA_FILE`.
    fn read(reader: &mut Reader, prefix: &str) -> Option<Self> {
        let (tls, ca_file) = (format!("{prefix}DATABASE_TLS"), format!("{prefix}DATABASE_CA_FILE"));
        let is_wanted = reader.flag(&tls, false);
        let ca = PemFile::certificates(reader, &ca_file);
        if !is_wanted && reader.is_set(&ca_file) {
            reader.reject(&tls, format!("true, because {ca_file} is set"));
        }
        is_wanted.then_some(Self { ca })
    }
}

/// One shard: a primary and, optionally, a streaming replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSettings {
    /// The database that takes all writes and decisions.
    pub primary: DatabaseSettings,
    /// The database from which lists may be read.
    pub replica: Option<DatabaseSettings>,
}

/// The values if no host is set: the local stack.
#[derive(Clone, Copy, Debug)]
pub struct ShardDefaults {
    /// `host:port` of each primary.
    pub primaries: &'static [&'static str],
    /// `host:port` of each replica, in the same order. The list may be shorter than that of the
    /// primaries.
    pub replicas: &'static [Option<&'static str>],
    /// The name of the databases. It is also the default if hosts are set.
    pub name: &'static str,
    /// What the names of all settings begin with, for the databases of another service. Usually
    /// empty.
    pub prefix: &'static str,
}

impl ShardSettings {
    /// Reads all shards. If the host of any primary is set, no host comes from `defaults`.
    ///
    /// Three mistakes are problems of the reader: a gap in the numbering, a setting of a shard
    /// without a host, and a number above the last possible shard. Each would silently lose a
    /// shard.
    pub fn read(reader: &mut Reader, defaults: &ShardDefaults) -> Vec<Self> {
        let (primary, prefix) = (format!("{}{PRIMARY}", defaults.prefix), defaults.prefix);
        let hosts = indices(reader, &primary, "HOST_PORT");
        let defaults = if hosts.is_empty() {
            *defaults
        } else {
            ShardDefaults { primaries: &[], replicas: &[], ..*defaults }
        };
        let count = if hosts.is_empty() {
            defaults.primaries.len()
        } else {
            hosts.last().map_or(0, |last| last + 1)
        };
        for missing in (0..count).filter(|k| !hosts.is_empty() && !hosts.contains(k)) {
            let name = format!("{primary}_HOST_PORT_{missing}");
            reader.reject(&name, format!("host:port, because shard {} has one", count - 1));
        }
        reject_strays(reader, prefix, count);
        let tls = DatabaseTls::read(reader, prefix);
        (0..count).map(|k| read_shard(reader, k, &defaults, tls.as_ref())).collect()
    }
}

fn read_shard(
    reader: &mut Reader,
    k: usize,
    defaults: &ShardDefaults,
    tls: Option<&DatabaseTls>,
) -> ShardSettings {
    let host = defaults.primaries.get(k).copied();
    let name = defaults.name;
    let role = format!("{}{PRIMARY}", defaults.prefix);
    let primary = DatabaseSettings {
        address: address(reader, &format!("{role}_HOST_PORT_{k}"), host).unwrap_or_else(unset),
        user: reader.text(&format!("{role}_USER_{k}"), "postgres"),
        password: reader.secret(&format!("{role}_PASSWORD_{k}"), "postgres"),
        name: reader.text(&format!("{role}_NAME_{k}"), name),
        tls: tls.cloned(),
    };
    let role = format!("{}{REPLICA}", defaults.prefix);
    let host = defaults.replicas.get(k).copied().flatten();
    let replica =
        address(reader, &format!("{role}_HOST_PORT_{k}"), host).map(|address| DatabaseSettings {
            address,
            user: reader.text(&format!("{role}_USER_{k}"), &primary.user),
            password: reader.secret(&format!("{role}_PASSWORD_{k}"), primary.password.expose()),
            name: reader.text(&format!("{role}_NAME_{k}"), &primary.name),
            tls: tls.cloned(),
        });
    ShardSettings { primary, replica }
}

fn address(reader: &mut Reader, name: &str, default: Option<&str>) -> Option<HostPort> {
    let default = default.and_then(|text| HostPort::parse(text, POSTGRES_PORT).ok());
    reader.read(name, default, |text| HostPort::parse(text, POSTGRES_PORT).map(Some))
}

/// Replaces a missing or wrong address, which has already been reported as a problem.
fn unset() -> HostPort {
    HostPort { host: "localhost".to_owned(), port: POSTGRES_PORT }
}

fn indices(reader: &Reader, role: &str, part: &str) -> BTreeSet<usize> {
    let prefix = format!("{role}_{part}_");
    reader.names(&prefix).iter().filter_map(|name| index(name.strip_prefix(&prefix)?)).collect()
}

/// Must be decimal without leading zeros; otherwise two names would mean the same shard.
fn index(text: &str) -> Option<usize> {
    let index =
        text.parse::<usize>().ok().filter(|index| *index < usize::from(ShardRouter::MAX_SHARDS))?;
    (text == index.to_string()).then_some(index)
}

fn reject_strays(reader: &mut Reader, prefix: &str, count: usize) {
    for role in [PRIMARY, REPLICA] {
        for part in PARTS {
            let names = format!("{prefix}{role}_{part}_");
            for name in reader.names(&names) {
                let suffix = &name[names.len()..];
                if index(suffix).is_none_or(|k| k >= count) {
                    let expected = format!(
                        "a shard number k that has a {prefix}{PRIMARY}_HOST_PORT_k, from 0 to 999"
                    );
                    reader.reject_secretly(&name, expected);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: ShardDefaults = ShardDefaults {
        primaries: &["localhost:5432", "localhost:5434"],
        replicas: &[Some("localhost:5433"), None],
        name: "loms",
        prefix: "",
    };

    fn read(pairs: &[(&str, &str)]) -> (Vec<ShardSettings>, Vec<String>) {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let shards = ShardSettings::read(&mut reader, &LOCAL);
        let problems = reader.finish().err().map(|error| error.problems).unwrap_or_default();
        (shards, problems.into_iter().map(|problem| problem.name).collect())
    }

    #[test]
    fn without_settings_the_shards_are_those_of_the_local_stack() {
        let (shards, problems) = read(&[("DATABASE_MASTER_USER_1", "loms")]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(shards.len(), 2);
        assert_eq!(shards[0].replica.as_ref().unwrap().address.to_string(), "localhost:5433");
        assert_eq!((shards[1].primary.user.as_str(), &shards[1].replica), ("loms", &None));
    }

    #[test]
    fn set_hosts_replace_all_default_ones() {
        let (shards, problems) = read(&[
            ("DATABASE_MASTER_HOST_PORT_0", "a"),
            ("DATABASE_MASTER_PASSWORD_0", "hidden"),
            ("DATABASE_REPLICA_HOST_PORT_0", "b:6000"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(shards.len(), 1);
        let replica = shards[0].replica.as_ref().unwrap();
        assert_eq!((replica.address.port, replica.password.expose()), (6000, "hidden"));
        assert!(!format!("{shards:?}").contains("hidden"));
    }

    #[test]
    fn the_shards_of_another_service_have_a_prefix() {
        let defaults = ShardDefaults { prefix: "OTHER_", ..LOCAL };
        let mut reader = Reader::from_pairs([
            ("DATABASE_MASTER_HOST_PORT_0", "own"),
            ("OTHER_DATABASE_MASTER_HOST_PORT_0", "a"),
            ("OTHER_DATABASE_MASTER_HOST_PORT_2", "c"),
            ("OTHER_DATABASE_REPLICA_NAME_0", "b"),
        ]);
        let shards = ShardSettings::read(&mut reader, &defaults);
        assert_eq!(shards[0].primary.address.to_string(), "a:5432");
        let problems = reader.finish().unwrap_err().problems;
        assert!(problems.iter().any(|problem| problem.name == "OTHER_DATABASE_MASTER_HOST_PORT_1"));
    }

    #[test]
    fn a_gap_and_a_stray_number_are_refused() {
        let (_, problems) = read(&[
            ("DATABASE_MASTER_HOST_PORT_0", "a"),
            ("DATABASE_MASTER_HOST_PORT_2", "c"),
            ("DATABASE_MASTER_HOST_PORT_01", "c"),
            ("DATABASE_REPLICA_HOST_PORT_3", "d"),
        ]);
        let expected = [
            "DATABASE_MASTER_HOST_PORT_1",
            "DATABASE_MASTER_HOST_PORT_01",
            "DATABASE_REPLICA_HOST_PORT_3",
        ];
        assert_eq!(problems, expected);
    }
}
