//! A log in streams on real Redis servers that accept only TLS.

use std::path::PathBuf;
use std::time::Duration;

use crossbook_cluster::store::{Confirm, Connect as _, PartitionTurn, Subscription as _};
use crossbook_redis_store::{Error, Link, Options, Servers};
use crossbook_servers::certificates::Certificates;
use crossbook_servers::redis::{self, RedisCluster};
use crossbook_types::{PartitionId, Sequence};

const P0: PartitionId = PartitionId(0);

fn options(servers: Vec<String>, tls: &Certificates) -> Options {
    let Certificates { ca, certificate, key } = tls.clone();
    Options { servers, ca_file: ca, client_certificate_file: certificate, client_key_file: key, ..Options::default() }
}

#[test]
fn a_log_is_kept_by_servers_that_speak_only_tls() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Certificates::make(&folder.path().join("theirs")).unwrap();
    let started = RedisCluster::start_secured(&folder.path().join("servers"), 2, 1, &tls);
    let cluster = match started {
        Err(error @ redis::Error::NoTls(_)) => return eprintln!("not tested: {error}"),
        started => started.unwrap(),
    };
    // Only one is named; the others are found through it, and reached in the same way.
    let servers = Servers::new(options(cluster.urls()[..1].to_vec(), &tls)).unwrap();
    let partitions: Vec<_> = (0..8).map(PartitionId).collect();
    for &partition in &partitions {
        let mut link = Link::connect(&servers, partition).unwrap();
        link.append(&[b"first".as_slice(), b"second"]).unwrap();
        link.make_durable().unwrap();
        let read = link.read(Sequence(1), 10).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].payload, b"second");
    }
    let masters: std::collections::BTreeSet<_> =
        partitions.iter().map(|&partition| servers.master(partition).unwrap()).collect();
    assert_eq!(masters.len(), 2, "both masters were spoken with");

    // Notifications have a connection of their own.
    let other = Servers::new(options(cluster.urls()[1..].to_vec(), &tls)).unwrap();
    let mut subscription = other.subscribe(&[P0], Duration::ZERO).unwrap();
    let mut link = Link::connect(&servers, P0).unwrap();
    let payloads = [b"third".as_slice()];
    link.turn(PartitionTurn { append: Some(&payloads), ..PartitionTurn::default() }, Confirm::Wait).unwrap();
    assert!(subscription.wait(Duration::from_secs(20)).unwrap());

    // Whoever does not know the authority believes nobody, and says why.
    let stranger = Certificates::make(&folder.path().join("others")).unwrap();
    let mut distrustful = options(cluster.urls(), &tls);
    distrustful.ca_file = stranger.ca;
    let refused = Link::connect(&Servers::new(distrustful).unwrap(), P0).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    assert!(refused.to_string().contains("invalid peer certificate"), "{refused}");
    // These servers let nobody in who shows nothing.
    let mut anonymous = options(cluster.urls(), &tls);
    (anonymous.client_certificate_file, anonymous.client_key_file) = (PathBuf::new(), PathBuf::new());
    assert!(Link::connect(&Servers::new(anonymous).unwrap(), P0).is_err());
    // Nor is anything said in the clear.
    let clear = cluster.urls().iter().map(|url| url.replace("rediss", "redis")).collect();
    assert!(Link::connect(&Servers::new(Options { servers: clear, ..Options::default() }).unwrap(), P0).is_err());
}

#[test]
fn files_that_are_none_are_named_before_anything_is_connected() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Certificates::make(&folder.path().join("theirs")).unwrap();
    let other = Certificates::make(&folder.path().join("others")).unwrap();
    let good = || options(vec!["rediss://127.0.0.1:1".to_owned()], &tls);
    assert!(Servers::new(good()).is_ok());
    let missing = folder.path().join("missing.pem");
    let wrong = [
        (Options { ca_file: missing.clone(), ..good() }, "ca_file"),
        (Options { ca_file: tls.key.clone(), ..good() }, "holds no certificate"),
        (Options { client_key_file: missing, ..good() }, "client_key_file"),
        (Options { client_key_file: other.key, ..good() }, "is not the key of the certificate"),
        (Options { client_key_file: tls.certificate.clone(), ..good() }, "is not the key of the certificate"),
    ];
    for (options, said) in wrong {
        let error = Servers::new(options).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
