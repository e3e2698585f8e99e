//! Both databases, an empty one for each test, and a venue's events to fill it with.

pub mod running;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crossbook_projection::Projection;
use crossbook_protocol::{Cause, Event};
use crossbook_servers::mysql::MySql;
use crossbook_store::{Address, Database, Dialect, Options, Position, Source, SourceError, Writer};
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;
use tempfile::TempDir;

pub const PARTITION: PartitionId = PartitionId(0);

/// Names a database of the shared server to each test.
static SERVER: OnceLock<Mutex<(MySql, u32)>> = OnceLock::new();

/// A folder for the shared server, which lives as long as the process: nobody is left to remove it. So each process
/// first removes those of processes that have ended.
fn folder_of_the_process() -> PathBuf {
    const PREFIX: &str = "crossbook-tests-mariadb-";
    let temporary = std::env::temp_dir();
    for entry in std::fs::read_dir(&temporary).unwrap().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another process may be at the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    temporary.join(format!("{PREFIX}{}", std::process::id()))
}

/// An empty database.
pub struct Empty {
    pub database: Database,
    pub dialect: Dialect,
    address: String,
    _folder: TempDir,
}

impl Empty {
    /// Where it is, for a connection that the history knows nothing of.
    pub fn address(&self) -> String {
        self.address.clone()
    }
}

/// An empty database of each kind, with small batches.
pub fn databases() -> Vec<Empty> {
    [Dialect::Sqlite, Dialect::MySql].map(|dialect| empty(dialect, options())).into()
}

/// Options under which tests write: statements of every length.
pub fn options() -> Options {
    Options { batch_rows_max: 37, batch_delay_ms: 5, retry_delay_max_ms: 200, ..Options::default() }
}

pub fn empty(dialect: Dialect, options: Options) -> Empty {
    let folder = tempfile::tempdir().unwrap();
    let address = match dialect {
        Dialect::Sqlite => format!("sqlite://{}", folder.path().join("history.sqlite").display()),
        Dialect::MySql => {
            let server = SERVER.get_or_init(|| {
                let server = MySql::start(&folder_of_the_process()).expect("the suite runs on MariaDB too");
                Mutex::new((server, 0))
            });
            let mut server = server.lock().unwrap();
            server.1 += 1;
            let name = format!("history_{}", server.1);
            server.0.create(&name).unwrap()
        }
    };
    let database =
        Database::new(&Options { database: Address::new(&address), ..options }, folder.path()).unwrap().unwrap();
    Empty { database, dialect, address, _folder: folder }
}

/// Everything that a partition said, as its log would tell it again.
pub type Published = Arc<Vec<(Cause, Vec<Event>)>>;

/// A projection of nothing.
pub fn fresh() -> Projection {
    Projection::resume(PARTITION, Views::new(Projection::limits()), Sequence(0))
}

/// Writes all that was published, in batches of so many commands.
pub async fn fill(database: &Database, published: &[(Cause, Vec<Event>)], commands: usize) {
    fill_part(database, PARTITION, published, commands).await;
}

/// The same of a partition among others.
pub async fn fill_part(
    database: &Database,
    partition: PartitionId,
    published: &[(Cause, Vec<Event>)],
    commands: usize,
) {
    let mut writer = Writer::open(database, partition).await.unwrap();
    assert_eq!(writer.position().await.unwrap(), Position::default());
    let mut projection = Projection::resume(partition, Views::new(Projection::limits()), Sequence(0));
    for some in published.chunks(commands) {
        for (cause, events) in some {
            projection.follow(*cause, events);
        }
        writer.write(&projection.take()).await.unwrap();
    }
    writer.close().await;
}

/// A source that tells again what was published.
pub struct Retelling {
    pub partition: PartitionId,
    pub published: Published,
    pub seeks: Arc<Mutex<Vec<u64>>>,
}

impl Source for Retelling {
    fn seek(&mut self, position: Position, _: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        self.seeks.lock().unwrap().push(position.sequence.0);
        let mut views = Views::new(Projection::limits());
        for (cause, events) in self.published.iter().take_while(|(cause, _)| cause.sequence <= position.sequence) {
            views.apply_all(*cause, events);
        }
        Ok(Projection::resume(self.partition, views, position.complete_from))
    }

    fn pull(&mut self, projection: &mut Projection, until: Sequence, rows_max: usize) -> Result<(), SourceError> {
        while projection.position() < until && !projection.is_full(rows_max) {
            let (cause, events) = &self.published[usize::try_from(projection.position().0).unwrap()];
            projection.follow(*cause, events);
        }
        Ok(())
    }
}
