//! The modules of a crate: none depends on another in a circle.
//!
//! A module and those within it are one thing: that a child uses what its parent declares is no circle. What is
//! compared are modules with the same parent, each with everything below it.

use std::collections::{BTreeMap, BTreeSet};

use crate::circles::{Graph, circles};
use crate::metadata::Metadata;
use crate::source::{self, Module};

/// A module's place, from the root of the crate.
type Place = Vec<String>;

/// Re-exports that lead to re-exports are followed so often.
const HOPS_MAX: usize = 16;

fn module<'a>(root: &'a Module, place: &[String]) -> &'a Module {
    place.iter().fold(root, |module, name| &module.children[name])
}

/// The module that holds what a path names, if that is in this crate.
fn resolve(root: &Module, from: &[String], path: &[String], hops: usize) -> Option<Place> {
    let mut place: Place = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (place, rest) = (Place::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while let [first, others @ ..] = rest
                && first == "super"
            {
                place.pop()?;
                rest = others;
            }
        }
        first if module(root, from).children.contains_key(first) => {}
        first => {
            // A name that an import has brought here, or one of another crate.
            module(root, from).imports.get(first)?;
        }
    }
    while let [name, others @ ..] = rest {
        let here = module(root, &place);
        if here.children.contains_key(name) {
            place.push(name.clone());
            rest = others;
        } else if let Some(import) = here.imports.get(name) {
            if hops == 0 || import.first() == Some(name) && place == from && rest.len() == path.len() {
                return None;
            }
            let path: Vec<_> = import.iter().chain(others).cloned().collect();
            return resolve(root, &place, &path, hops - 1).or(Some(place));
        } else {
            break;
        }
    }
    Some(place)
}

/// For each module with children, by its path: which of its children depends on which.
fn graphs(root: &Module) -> BTreeMap<String, Graph> {
    let mut graphs = BTreeMap::new();
    let mut open = vec![Place::new()];
    while let Some(from) = open.pop() {
        let here = module(root, &from);
        open.extend(here.children.keys().map(|name| from.iter().cloned().chain([name.clone()]).collect()));
        for to in here.paths.iter().filter_map(|path| resolve(root, &from, path, HOPS_MAX)) {
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (from.get(common), to.get(common)) {
                let parent = ["crate"].into_iter().chain(from[..common].iter().map(String::as_str));
                let graph: &mut Graph = graphs.entry(parent.collect::<Vec<_>>().join("::")).or_default();
                graph.entry(user.clone()).or_default().insert(used.clone());
            }
        }
    }
    graphs
}

/// Who depends on whom within a circle.
fn within<'a>(graph: &'a Graph, circle: &'a BTreeSet<String>) -> impl Iterator<Item = String> + 'a {
    let users = graph.iter().filter(|(user, _)| circle.contains(*user));
    users.flat_map(|(user, used)| used.intersection(circle).map(move |used| format!("{user} -> {used}")))
}

#[test]
fn modules_do_not_depend_on_each_other_in_a_circle() {
    let mut found = String::new();
    for package in Metadata::read().members() {
        for root in package.roots() {
            for (parent, graph) in graphs(&source::read(root)) {
                for circle in circles(&graph) {
                    let arrows: Vec<_> = within(&graph, &circle).collect();
                    found += &format!("\n{} {parent} {circle:?}: {}", package.name, arrows.join(", "));
                }
            }
        }
    }
    assert!(found.is_empty(), "modules depend on each other in a circle:{found}");
}

#[test]
fn a_circle_through_a_re_export_is_found() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let leaf = |paths: &[&str]| Module { paths: paths.iter().map(|text| path(text)).collect(), ..Module::default() };
    let mut root = Module::default();
    root.imports.insert("Thing".to_owned(), path("b::Thing"));
    root.children.insert("a".to_owned(), leaf(&["crate::Thing", "crate::declared_at_the_root"]));
    root.children.insert("b".to_owned(), leaf(&["super::c::inner"]));
    root.children.insert("c".to_owned(), leaf(&["crate::a", "std::fmt"]));
    let circle = ["a", "b", "c"].map(str::to_owned).into_iter().collect();
    assert_eq!(circles(&graphs(&root)["crate"]), BTreeSet::from([circle]));
    root.children.insert("c".to_owned(), leaf(&["std::fmt", "self::below"]));
    assert_eq!(circles(&graphs(&root)["crate"]), BTreeSet::new());
}
