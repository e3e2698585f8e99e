//! Snapshots in memory, in a shared folder, and on a test server.

use std::net::TcpListener;
use std::time::Instant;

use object_store::memory::InMemory;

use super::*;
use crossbook_node::snapshot::KEPT;

fn in_memory(store: &Arc<InMemory>, partition: u16) -> Objects {
    let store = Arc::clone(store) as Arc<dyn ObjectStore>;
    Objects::within(store, &Path::from("prefix"), &Options::default(), "venue", PartitionId(partition)).unwrap()
}

fn in_folder(folder: &FilePath, partition: u16) -> Objects {
    let address = Address::new(Url::from_directory_path(folder).unwrap().as_str());
    Objects::open(&Options { address, ..Options::default() }, "venue", PartitionId(partition)).unwrap()
}

fn sequences<const N: usize>(numbers: [u64; N]) -> Vec<Sequence> {
    numbers.map(Sequence).into()
}

/// What every store must do.
fn keeps_snapshots(mut objects: Objects, mut other: Objects) {
    assert_eq!(objects.list().unwrap(), []);
    assert!(objects.load(Sequence(1)).unwrap_err().is_gone(), "what is not there cannot be read");
    for at in [1, 20, 300] {
        objects.save(Sequence(at), format!("image {at}").as_bytes()).unwrap();
    }
    assert_eq!(objects.list().unwrap(), sequences([300, 20]), "the last ones are kept, the newest first");
    assert_eq!(objects.load(Sequence(20)).unwrap().as_deref(), Some(&b"image 20"[..]));
    assert_eq!(other.list().unwrap(), [], "another partition has its own");
    other.save(Sequence(7), b"other").unwrap();
    assert_eq!(objects.list().unwrap(), sequences([300, 20]));

    objects.keep_for(Some(Sequence(250)));
    objects.save(Sequence(400), b"x").unwrap();
    objects.save(Sequence(500), b"x").unwrap();
    assert_eq!(objects.list().unwrap(), sequences([500, 400, 20]), "what something else starts from stays");
    objects.keep_for(None);
    objects.save(Sequence(550), b"x").unwrap();
    assert_eq!(objects.list().unwrap(), sequences([550, 500, 400, 20]), "where it stands is not known");

    // A second writer of the same snapshots, one that lags.
    let mut second = objects.clone();
    second.keep_for(Some(Sequence(540)));
    second.save(Sequence(550), b"x").unwrap();
    assert_eq!(objects.list().unwrap().len(), KEPT);
    second.save(Sequence(30), b"late").unwrap();
    assert_eq!(objects.list().unwrap(), sequences([550, 500]), "one that is old already does not push out the newest");

    // Larger than a request.
    let large: Vec<u8> = (0..PART_BYTES_MIN as u64 * 2 + 12_345).map(|at| (at % 251) as u8).collect();
    objects.part_bytes = PART_BYTES_MIN;
    objects.keep_for(Some(Sequence(0)));
    objects.save(Sequence(600), &large).unwrap();
    assert!(objects.load(Sequence(600)).unwrap().unwrap() == large);
    assert_eq!(objects.list().unwrap(), sequences([600, 550]));
}

#[test]
fn objects_in_memory() {
    let store = Arc::new(InMemory::new());
    keeps_snapshots(in_memory(&store, 0), in_memory(&store, 1));
    let all =
        in_memory(&store, 0).runtime.run(store.list_with_delimiter(Some(&Path::from("prefix/venue/p1")))).unwrap();
    assert_eq!(all.objects[0].location.as_ref(), "prefix/venue/p1/snapshot-00000000000000000007.bin");
}

#[test]
fn objects_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("made/if it is not there");
    keeps_snapshots(in_folder(&folder, 0), in_folder(&folder, 12));
    assert!(folder.join("venue/p12/snapshot-00000000000000000007.bin").is_file());
}

/// Runs where a server is named, with the bucket `crossbook`: `AWS_ENDPOINT=http://127.0.0.1:5000 AWS_ALLOW_HTTP=true
/// AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=.. AWS_SECRET_ACCESS_KEY=..`
#[test]
#[ignore = "needs a server that speaks S3, see above"]
fn objects_of_a_server() {
    let address = Address::new("s3://crossbook/some/prefix");
    let options = Options { address, ..Options::default() };
    let open = |partition| Objects::open(&options, "venue", PartitionId(partition)).unwrap();
    keeps_snapshots(open(0), open(1));
}

#[test]
fn a_damaged_object_is_known() {
    let store = Arc::new(InMemory::new());
    let mut objects = in_memory(&store, 0);
    objects.save(Sequence(5), b"some image").unwrap();
    let target = objects.object(Sequence(5));
    let good = objects.runtime.run(objects.get(&target)).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        objects.runtime.run(store.put(&target, bad.into())).unwrap();
        assert_eq!(objects.load(Sequence(5)).unwrap(), None, "byte {at}");
    }
    objects.runtime.run(store.put(&target, PutPayload::new())).unwrap();
    assert_eq!(objects.load(Sequence(5)).unwrap(), None, "nothing in it");
}

#[test]
fn pieces_are_cut_anywhere() {
    let pieces: [&[u8]; 3] = [b"ab", b"cdef", b"g"];
    for from in 0..7 {
        for to in from..=7 {
            assert_eq!(cut(pieces, from, to), &b"abcdefg"[from..to]);
        }
    }
}

#[test]
fn what_is_no_address_is_refused_with_what_to_give() {
    for address in [
        "",
        "/some/path",
        "file://host/path",
        "http://host/path",
        "s3://",
        "s3://user:secret@bucket/prefix",
        "s3:///prefix",
    ] {
        let options = Options { address: Address::new(address), ..Options::default() };
        let refused = Objects::open(&options, "venue", PartitionId(0)).unwrap_err().to_string();
        assert!(refused.contains("file:///PATH"), "{address}: {refused}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_only_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options { retries_max: 2, retry_pause_max_ms: 20, request_timeout_ms: 50, ..Options::default() };
    let server = AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_region("somewhere")
        .with_access_key_id("id")
        .with_secret_access_key("key")
        .with_endpoint(format!("http://{}", listener.local_addr().unwrap()))
        .with_allow_http(true);
    let store = limited(server, &options).build().unwrap();
    let objects = Objects::within(Arc::new(store), &Path::default(), &options, "venue", PartitionId(0)).unwrap();
    let asked = Instant::now();
    let failed = objects.list().unwrap_err().to_string();
    assert!(failed.starts_with("cannot list"), "{failed}");
    assert!(asked.elapsed() < Duration::from_secs(20));
}
