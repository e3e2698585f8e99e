//! What `cargo metadata` says about this workspace, for the platform that the tests run on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::circles::Graph;

/// The packages of the workspace and of everything below it.
#[derive(Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

/// One package.
#[derive(Deserialize)]
pub struct Package {
    id: String,
    /// Its name.
    pub name: String,
    /// Its libraries, programs and tests.
    pub targets: Vec<Target>,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
}

/// What a package compiles to.
#[derive(Deserialize)]
pub struct Target {
    /// Such as `lib` or `bin`.
    pub kind: Vec<String>,
    /// The root of its sources.
    pub src_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The package itself, or its build script.
    Build,
    /// The tests of the package.
    Test,
}

impl Metadata {
    /// Asks cargo.
    pub fn read() -> Self {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let version = output(Command::new(rustc).arg("-vV"));
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        let json = cargo(&["metadata", "--format-version", "1", "--filter-platform", host]);
        serde_json::from_str(&json).unwrap()
    }

    /// The packages of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Which package depends directly on which, by name, for one of these purposes.
    pub fn graph(&self, purposes: &[Purpose]) -> Graph {
        let names: BTreeMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let mut graph = Graph::new();
        for node in &self.resolve.nodes {
            let dependencies = graph.entry(names[node.id.as_str()].to_owned()).or_default();
            for dependency in &node.deps {
                let wanted = |kind: &Kind| {
                    let purpose = if kind.kind.as_deref() == Some("dev") { Purpose::Test } else { Purpose::Build };
                    purposes.contains(&purpose)
                };
                if dependency.dep_kinds.iter().any(wanted) && dependency.pkg != node.id {
                    dependencies.insert(names[dependency.pkg.as_str()].to_owned());
                }
            }
        }
        graph
    }
}

impl Package {
    /// The layer that its `Cargo.toml` declares.
    pub fn layer(&self) -> Option<&str> {
        self.metadata.as_ref()?.get("crossbook")?.get("layer")?.as_str()
    }

    /// The roots of the sources of its library and its programs.
    pub fn roots(&self) -> impl Iterator<Item = &PathBuf> {
        let product = |target: &&Target| target.kind.iter().any(|kind| matches!(kind.as_str(), "lib" | "bin"));
        self.targets.iter().filter(product).map(|target| &target.src_path)
    }
}

/// The packages, each with its version, that are compiled in order to test a package alone.
pub fn compiled_for_tests_of(package: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", package, "--edges", "normal,build,dev", "--prefix", "none"]);
    tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

/// What a cargo command prints. It uses no other versions than those that are locked, and downloads those that no build
/// on this machine has needed yet.
fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    // The features of a package alone, whatever the build of these tests unites.
    command.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    output(command.args(arguments).arg("--locked").current_dir(env!("CARGO_MANIFEST_DIR")))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
