//! What docs/deploy.md tells a stranger to paste, pasted: from nothing to a cluster that trades.
//!
//! The blocks for a shell are run in their order, in one shell, as they are, but for their ports, which are free ones
//! here. A block that needs what not every machine has is marked in the document, `<!-- not pasted: WHAT -->`, and left
//! out; the test says which.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::venue::{binary, free_address};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The ports in the document.
const PORTS: [&str; 7] = ["6390", "8080", "8081", "8083", "8084", "8090", "8091"];

/// A block for a shell.
struct Block {
    text: String,
    /// What it needs that is not here.
    needs: Option<String>,
}

fn blocks(document: &str) -> Vec<Block> {
    let parts: Vec<&str> = document.split("```").collect();
    let code = parts.iter().enumerate().skip(1).step_by(2);
    let shell = code.filter_map(|(at, part)| Some((at, part.strip_prefix("sh\n")?)));
    shell
        .map(|(at, text)| {
            let before = parts[at - 1].trim_end().lines().last().unwrap_or_default();
            let mark = before.strip_prefix("<!-- not pasted: ").and_then(|mark| mark.strip_suffix(" -->"));
            Block { text: text.to_owned(), needs: mark.map(str::to_owned) }
        })
        .collect()
}

/// A shell and what it has started. Both are gone when this is dropped.
struct Shell {
    child: Child,
    folder: PathBuf,
}

impl Shell {
    fn start(script: &str, folder: &Path) -> Self {
        std::fs::write(folder.join("pasted.sh"), script).unwrap();
        let program = PathBuf::from(binary().get_program());
        let programs = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{programs}", program.parent().unwrap().display());
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eu", "-o", "pipefail", "pasted.sh"]).current_dir(folder);
        command.env_clear().env("PATH", path).env("HOME", folder).env("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "0");
        let output = |name: &str| std::fs::File::create(folder.join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr")).process_group(0);
        Self { child: command.spawn().unwrap(), folder: folder.to_owned() }
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// Waits until it has read all.
    fn ends(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}:\n{}", self.said("stderr"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        // The store has left the group; it deletes this file when it ends.
        let store = std::fs::read_to_string(self.folder.join("trial/store.pid")).unwrap_or_default();
        if let Some(store) = store.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(store, Signal::KILL);
        }
    }
}

#[test]
fn a_stranger_who_pastes_the_document_has_a_cluster_that_trades() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy.md");
    let blocks = blocks(&std::fs::read_to_string(document).unwrap());
    let (mut script, mut pasted) = (String::new(), 0);
    for Block { text, needs } in &blocks {
        match needs {
            Some(needs) => println!("not pasted, needs {needs}:\n{text}"),
            None => {
                pasted += 1;
                script.push_str(text);
            }
        }
    }
    assert!(pasted >= 7 && blocks.len() > pasted, "{pasted} of {} blocks", blocks.len());
    // In two steps: a free port may have one of the others in its digits.
    let name = |port: &str| format!("<port {}>", port.replace("", "_"));
    for port in PORTS {
        assert!(script.contains(port), "{port} is not in the document any more");
        script = script.replace(port, &name(port));
    }
    for port in PORTS {
        script = script.replace(&name(port), free_address().rsplit(':').next().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&script, folder.path());
    let succeeded = shell.ends();
    let (said, errors) = (shell.said("stdout"), shell.said("stderr"));
    let logs = ["gateway-1", "worker-1"].map(|name| shell.said(&format!("trial/{name}.log")));
    assert!(succeeded, "{said}\n{errors}\n{}", logs.join("\n"));
    let answers: Vec<serde_json::Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let orders: Vec<&serde_json::Value> = answers.iter().filter(|answer| answer["orderId"].is_u64()).collect();
    let [sold, bought] = orders.as_slice() else { panic!("{said}\n{errors}") };
    assert_eq!((&sold["status"], &bought["status"]), (&"NEW".into(), &"FILLED".into()), "{said}");
    assert_eq!(
        (&bought["executedQty"], &bought["fills"][0]["price"]),
        (&"0.40000000".into(), &"50000.00000000".into())
    );
    assert!(!folder.path().join("trial/store.pid").exists(), "the store has been stopped:\n{errors}");
}

#[test]
fn blocks_and_their_marks_are_read() {
    let document = "a\n```sh\none\n```\n<!-- not pasted: a cloud -->\n```sh\ntwo\n```\n```toml\nx = 1\n```\n";
    let read: Vec<(String, Option<String>)> =
        blocks(document).into_iter().map(|block| (block.text, block.needs)).collect();
    assert_eq!(read, [("one\n".to_owned(), None), ("two\n".to_owned(), Some("a cloud".to_owned()))]);
}
