//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// A directed graph whose nodes go by name.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Everything that can be reached from a node in at least one step.
pub fn reachable<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(graph.get(node).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

/// The circles: each set of nodes that can all reach each other.
pub fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|node| (node.as_str(), reachable(graph, node))).collect();
    let mut found = BTreeSet::new();
    for (&node, from_here) in &reached {
        if from_here.contains(node) {
            let returns = |other: &&&str| reached.get(**other).is_some_and(|from_there| from_there.contains(node));
            found.insert(from_here.iter().filter(returns).map(|&other| other.to_owned()).collect());
        }
    }
    found
}

#[test]
fn a_circle_is_found_and_its_surroundings_are_not_part_of_it() {
    let graph: Graph =
        [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")].iter().fold(Graph::new(), |mut graph, (from, to)| {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            graph
        });
    assert_eq!(circles(&graph), BTreeSet::from([BTreeSet::from(["b".to_owned(), "c".to_owned()])]));
    assert_eq!(reachable(&graph, "a"), BTreeSet::from(["b", "c", "d"]));
}
