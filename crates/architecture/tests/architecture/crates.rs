//! The direction of dependencies between crates.

use std::collections::{BTreeMap, BTreeSet};

use crate::circles::{circles, reachable};
use crate::metadata::{self, Metadata, Purpose};

/// The layers of the venue, the lowest first. A crate depends on crates of its own layer and of those below.
const LAYERS: [&str; 4] = ["core", "runtime", "edge", "app"];
/// The layer of crates that test, measure or demonstrate. They depend on anything but programs; only programs, other
/// tools, and the tests of any crate depend on them.
const TOOLS: &str = "tools";
/// The program, which alone of the venue may call tools.
const PROGRAM: &str = "crossbook";

/// Crates outside the core that may not reach a [`SERVICE`](SERVICES) either.
const WITHOUT_SERVICES: [&str; 4] = ["crossbook-log", "crossbook-node", "crossbook-cluster", "crossbook-gateway"];
/// Clients of services outside the venue: a provider of the log, a database, an object store, an HTTP server, a
/// collector of traces.
const SERVICES: [&str; 6] = ["redis", "sqlx", "object_store", "reqwest", "opentelemetry", "opentelemetry-proto"];
/// Networking that the core and what it is tested with do not compile.
const NETWORK: [&str; 5] = ["tokio", "rustls", "redis", "hyper", "socket2"];
/// The crates that a test of the matching loop may compile, itself included.
const ENGINE_TEST_CRATES_MAX: usize = 48;

/// Dependencies that are to go, as (from, to). A dependency that has gone must leave this list.
const ARROWS_LEFT: &[(&str, &str)] = &[];
/// Services that are to become unreachable, as (crate, service).
const SERVICES_LEFT: &[(&str, &str)] = &[];
/// Circles of crates, tests included, that are to go.
const CIRCLES_LEFT: &[&[&str]] = &[];

/// The layer of every crate of the workspace.
fn layers(metadata: &Metadata) -> BTreeMap<&str, &str> {
    let layer = |name: &str, layer: Option<&str>| {
        let known = layer.filter(|layer| LAYERS.contains(layer) || *layer == TOOLS).is_some();
        assert!(
            known,
            "{name} has the layer {layer:?}: declare `layer` under [package.metadata.crossbook] in its Cargo.toml, \
             one of {LAYERS:?} or {TOOLS:?}"
        );
    };
    metadata
        .members()
        .map(|package| {
            layer(&package.name, package.layer());
            (package.name.as_str(), package.layer().unwrap_or_default())
        })
        .collect()
}

/// Whether a crate may depend on another.
fn allowed(layers: &BTreeMap<&str, &str>, from: &str, to: &str, purpose: Purpose) -> bool {
    let height = |name: &str| LAYERS.iter().position(|layer| *layer == layers[name]);
    match (height(from), height(to)) {
        (_, None) => purpose == Purpose::Test || from == PROGRAM || layers[from] == TOOLS,
        (None, Some(_)) => to != PROGRAM,
        (Some(from), Some(to)) => to <= from,
    }
}

/// Compares what is wrong with what is known to be wrong for now.
fn only_known(what: &str, found: &BTreeSet<(String, String)>, known: &[(&str, &str)]) {
    let known = known.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect::<BTreeSet<_>>();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "{what}: {new:?}");
    let gone: Vec<_> = known.difference(found).collect();
    assert!(gone.is_empty(), "{what}: no longer true, delete it from the list in this test: {gone:?}");
}

#[test]
fn dependencies_point_to_the_same_layer_or_down() {
    let metadata = Metadata::read();
    let layers = layers(&metadata);
    let mut wrong = BTreeSet::new();
    for purpose in [Purpose::Build, Purpose::Test] {
        for (from, dependencies) in metadata.graph(&[purpose]) {
            for to in dependencies {
                let ours = layers.contains_key(from.as_str()) && layers.contains_key(to.as_str());
                if ours && !allowed(&layers, &from, &to, purpose) {
                    wrong.insert((from.clone(), to));
                }
            }
        }
    }
    only_known("dependencies up, or on tools", &wrong, ARROWS_LEFT);
}

/// Cargo refuses a circle of dependencies, but not one through the tests of a crate.
#[test]
fn crates_do_not_depend_on_each_other_in_a_circle() {
    let metadata = Metadata::read();
    let layers = layers(&metadata);
    let of_the_venue = |name: &str| layers.get(name).is_some_and(|layer| *layer != TOOLS);
    let mut graph = metadata.graph(&[Purpose::Build, Purpose::Test]);
    graph.retain(|name, _| of_the_venue(name));
    for dependencies in graph.values_mut() {
        dependencies.retain(|name| of_the_venue(name));
    }
    let known = CIRCLES_LEFT.iter().map(|circle| circle.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(circles(&graph), known.collect(), "circles, dependencies of tests included");
}

#[test]
fn the_core_and_the_runtime_reach_no_service() {
    let metadata = Metadata::read();
    let graph = metadata.graph(&[Purpose::Build]);
    let mut found = BTreeSet::new();
    for (name, layer) in layers(&metadata) {
        if layer == "core" || WITHOUT_SERVICES.contains(&name) {
            let reached = reachable(&graph, name);
            let services = SERVICES.iter().filter(|service| reached.contains(**service));
            found.extend(services.map(|service| (name.to_owned(), (*service).to_owned())));
        }
    }
    only_known("services that are reached", &found, SERVICES_LEFT);
}

#[test]
fn the_core_and_the_oracle_have_no_network() {
    let metadata = Metadata::read();
    let graph = metadata.graph(&[Purpose::Build]);
    let core = layers(&metadata).into_iter().filter(|(_, layer)| *layer == "core").map(|(name, _)| name);
    for name in core.chain(["crossbook-oracle"]) {
        let reached = reachable(&graph, name);
        let network: Vec<_> = NETWORK.iter().filter(|network| reached.contains(**network)).collect();
        assert!(network.is_empty(), "{name} reaches {network:?}");
    }
}

#[test]
fn testing_the_matching_loop_compiles_few_crates() {
    let compiled = metadata::compiled_for_tests_of("crossbook-engine");
    assert!(compiled.len() <= ENGINE_TEST_CRATES_MAX, "{} crates: {compiled:?}", compiled.len());
}
