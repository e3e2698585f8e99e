//! `crossbook plan`: what it prints and writes, and how it refuses.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

fn plan(folder: &Path, arguments: &str) -> Output {
    crate::venue::binary().arg("plan").args(arguments.split(' ')).current_dir(folder).output().unwrap()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_plan_is_printed_and_written_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let output = plan(folder.path(), "--tps 5000 --html p.html --json p.json --values v.yaml --cdk c.json");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&read(folder.path(), "p.json")).unwrap();
    let bill = &json["bill"];
    let lines: f64 = bill["lines"].as_array().unwrap().iter().map(|line| line["usd"].as_f64().unwrap()).sum();
    assert!((lines - bill["usd"].as_f64().unwrap()).abs() < 1e-6);
    let page = read(folder.path(), "p.html");
    for part in ["Cost of a month", "Beside the infrastructure plan", "What moves the cost", "Never measured"] {
        assert!(text.contains(part) && page.contains(part), "{part}");
    }
    for outside in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    assert!(text.contains("measured") && text.contains("assumed") && text.contains("$1,872"), "{text}");
    let gateways = json["layout"]["gateways"].as_u64().unwrap();
    assert!(read(folder.path(), "v.yaml").contains(&format!("gateway:\n  replicas: {gateways}\n")));
    let context: Value = serde_json::from_str(&read(folder.path(), "c.json")).unwrap();
    assert_eq!(context["crossbook"]["shards"], json["layout"]["shards"]);
    assert_eq!(context["crossbook"]["nodeType"], json["nodes"]["instance"]);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        ("--tps 100000 --average 1000", "a market is matched by one thread"),
        ("--tps 5000 --average 6000", "--average is 6000, and must be at most --tps"),
        ("--tps 5000 --costs missing.json", "cannot read missing.json"),
        ("--tps 5000 --html /", "cannot write /"),
    ] {
        let output = plan(folder.path(), arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
        assert!(error.contains(told), "{arguments}: {error}");
    }
}

#[test]
fn predictions_are_held_to_measurements() {
    let folder = tempfile::tempdir().unwrap();
    let run = |rate: u32, micros: f64| {
        format!(
            "{{\"shards\":1,\"partitions\":1,\"gateways\":2,\"workers\":2,\"rate\":{rate},\"ordersPerSecond\":{rate},\
             \"cpuMicros\":{{\"Redis\":{micros},\"gateway\":{micros},\"worker\":{micros},\"haproxy\":{micros}}}}}"
        )
    };
    let write = |name: &str, runs: &[String]| {
        std::fs::write(folder.path().join(name), format!("[{}]", runs.join(","))).unwrap();
    };
    // Each order costs 10 µs, at any rate.
    write("fit.json", &[run(500, 10.0), run(1_000, 10.0), run(2_500, 10.0)]);
    write("same.json", &[run(4_000, 10.0)]);
    write("dearer.json", &[run(4_000, 20.0)]);
    for (measured, status, word) in [("same.json", 0, "PASS"), ("dearer.json", 3, "FAIL")] {
        let output = plan(folder.path(), &format!("--costs fit.json --check {measured} --html check.md"));
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(read(folder.path(), "check.md").contains(word));
    }
    write("few.json", &[run(500, 10.0)]);
    let output = plan(folder.path(), "--costs few.json --check same.json");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("measure more rates"), "{error}");
}
