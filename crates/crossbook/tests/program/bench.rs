//! `crossbook bench`, in short: every measurement runs, its checks pass, and its figures are in the file for programs
//! and on the page, which needs nothing from elsewhere. No test checks how large the figures are.

use std::process::{Command, Output};

use crossbook_oracle::workload::{Op, mix_a, mix_b};
use serde_json::Value;
use tempfile::TempDir;

/// What a measurement left behind.
struct Measured {
    json: Value,
    page: String,
    text: String,
    folder: TempDir,
}

fn crossbook(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbook"));
    command.arg("bench").args(arguments.split(' '));
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs `crossbook bench` with these arguments, and reads what it has written.
fn measure(arguments: &str) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let [json, html] = ["figures.json", "page.html"].map(|name| folder.path().join(name));
    let output = crossbook(arguments).arg("--json").arg(&json).arg("--html").arg(&html).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", said(&output));
    let page = std::fs::read_to_string(html).unwrap();
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{arguments}: the page has {outside}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(page.contains(json["machine"]["kernel"].as_str().unwrap()), "the page tells the machine");
    assert!(json["commandLine"].as_str().unwrap().starts_with("crossbook bench "), "{json}");
    Measured { json, page, text: String::from_utf8(output.stdout).unwrap(), folder }
}

/// As the program shows whole numbers.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let from_the_end = |at: usize| digits.len() - at;
    digits
        .char_indices()
        .flat_map(|(at, digit)| {
            let comma = at > 0 && from_the_end(at).is_multiple_of(3);
            comma.then_some(',').into_iter().chain([digit])
        })
        .collect()
}

#[test]
fn the_book_and_the_engine_make_the_trades_of_the_reference_book() {
    for what in ["book", "engine"] {
        let measured =
            measure(&format!("{what} --seed 7 --count 3000 --warmup 500 --live 300 --runs 2 --resting 1000"));
        let expected = [mix_a(7, 500, 3_000), mix_b(7, 300, 3_000)].map(|workload| workload.reference_tally());
        let workloads = measured.json["workloads"].as_array().unwrap();
        assert_eq!(workloads.len(), 2);
        for (workload, tally) in workloads.iter().zip(expected) {
            assert!(tally.trades > 50, "{tally:?}");
            assert_eq!(workload["commands"], 3_000);
            assert_eq!(workload["trades"], tally.trades);
            assert_eq!(workload["volume"], tally.volume);
            assert_eq!(workload["notional"], tally.notional);
            assert_eq!(workload["tradeHash"], format!("{:016x}", tally.hash));
            assert_eq!(workload["verified"], true);
            let latency = |name: &str| workload["latencyNs"][name].as_u64().unwrap();
            let percentiles = ["p50", "p99", "p999", "p9999", "max"].map(latency);
            assert!(percentiles[0] > 0 && percentiles.is_sorted(), "{percentiles:?}");
            assert!(workload["commandsPerSecond"].as_f64().unwrap() > 0.0);
            for shown in [grouped(tally.trades), grouped(tally.notional), format!("{:016x}", tally.hash)] {
                assert!(measured.page.contains(&format!(">{shown}</td>")), "the page has {shown}");
                assert!(measured.text.contains(&shown), "the terminal has {shown}");
            }
        }
        assert_eq!(measured.json["tradeHash"], workloads[0]["tradeHash"], "the first stands by itself too");
        let bytes = measured.json["bytesPerRestingOrder"].as_f64().unwrap();
        let least = if what == "book" { 32.0 } else { 100.0 };
        assert!((least..5_000.0).contains(&bytes), "{what}: {bytes} bytes an order");
    }
}

#[test]
fn a_file_of_records_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.bin");
    let mut workload = mix_b(3, 200, 2_000);
    std::fs::write(&file, workload.encode()).unwrap();
    for what in ["book", "engine"] {
        let measured = measure(&format!("{what} --warmup 200 --runs 1 --resting 0 --commands {}", file.display()));
        assert_eq!(measured.json["tradeHash"], format!("{:016x}", workload.reference_tally().hash));
        assert_eq!(measured.json["commands"], 2_000);
    }
    // A new order with an id that is taken.
    let second = workload.commands.iter().rposition(|command| command.op == Op::Limit).unwrap();
    workload.commands[second].id = 1;
    std::fs::write(&file, workload.encode()).unwrap();
    let output = crossbook("book --commands").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("record {second}")), "{}", said(&output));
}

#[test]
fn structures_agree_and_are_told_apart() {
    let measured = measure("structures --orders 50,400");
    let rows = measured.json["structures"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    for row in rows {
        assert!(row["insertsPerSecond"].as_f64().unwrap() > 0.0 && row["matchesPerSecond"].as_f64().unwrap() > 0.0);
        let same_size = rows.iter().find(|other| other["orders"] == row["orders"]).unwrap();
        assert_eq!(row["tradeHash"], same_size["tradeHash"]);
        assert!(measured.page.contains(row["structure"].as_str().unwrap()));
    }
}

#[test]
fn the_log_is_measured_against_the_disk_and_push_against_poll() {
    let measured = measure("log --seconds 1 --batches 1,10 --appenders 3");
    let runs = |what: &str| measured.json[what].as_array().unwrap();
    assert_eq!(runs("batches").len(), 2 * 4, "files, twice the bare disk, Redis");
    for run in runs("batches").iter().chain(runs("appenders")) {
        assert!(run["records"].as_u64().unwrap() > 0 && run["latencyNs"]["p50_ns"].as_u64().unwrap() > 0, "{run}");
        assert!(measured.page.contains(run["who"].as_str().unwrap()));
    }
    assert_eq!(runs("hearing").len(), 3);
    for way in runs("hearing") {
        assert!(way["latencyNs"]["count"].as_u64().unwrap() > 10, "{way}");
    }
}

#[test]
fn a_scratch_venue_is_loaded_over_every_way_in() {
    let measured =
        measure("api --seconds 1 --rounds 1 --connections 4 --sockets 2 --pipeline 8 --rate 200 --subscribers 0,3");
    let json = &measured.json;
    for run in [&json["ping"][0], &json["orders"][0], &json["webSocket"]["orders"][0]] {
        assert!(run["succeeded"].as_u64().unwrap() > 10, "{run}");
        assert_eq!(run["errors"], Value::Array(Vec::new()), "{run}");
    }
    for run in [&json["open"]["result"], &json["webSocket"]["open"]["result"]] {
        assert_eq!(
            (run["succeeded"].as_u64(), run["unsent"].as_u64()),
            (Some(201), Some(0)),
            "due from 0 to 1 s, both included: {run}"
        );
    }
    assert!(json["ordersToPing"]["median"].as_f64().unwrap() > 0.0);
    let [alone, heard] = [&json["fanOut"][0], &json["fanOut"][1]];
    assert_eq!(alone["messages"], 0);
    assert_eq!((heard["subscribers"].as_u64(), heard["cutOff"].as_u64()), (Some(3), Some(0)));
    assert_eq!(heard["leastHeard"], heard["mostHeard"], "all hear the same");
    // Every second order trades.
    assert!(heard["leastHeard"].as_u64().unwrap() >= heard["orders"]["succeeded"].as_u64().unwrap() / 2, "{heard}");
    let paced = &json["fanOut"][3];
    assert_eq!((paced["due"].as_u64(), paced["orders"]["succeeded"].as_u64()), (Some(200), Some(201)), "{paced}");
    assert_eq!(paced["leastHeard"], paced["mostHeard"], "all hear the same");
    assert_eq!(json["audit"]["ok"], true);
    assert!(measured.page.contains("Latency at a fixed rate") && measured.folder.path().is_dir());
}

#[test]
fn the_history_has_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    for more in ["--rows 600 --single-rows 50", "--follow --rate 500 --seconds 1"] {
        let html = folder.path().join("page.html");
        let output = crossbook(&format!("store --database sqlite {more} --html")).arg(&html).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let page = std::fs::read_to_string(&html).unwrap();
        assert!(page.contains("SQLite") && page.contains("</svg>") && !page.contains("http://"));
    }
}

/// Runs a measurement whose verdict is no test's matter, and reads what it has written.
fn judge(arguments: &str) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let [json, html] = ["figures.json", "page.html"].map(|name| folder.path().join(name));
    let output = crossbook(arguments).arg("--json").arg(&json).arg("--html").arg(&html).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{arguments}: {}", said(&output));
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("Verdict") && page.contains("</svg>"), "{arguments}");
    (serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap(), page)
}

#[test]
fn growth_is_measured_in_every_direction_and_the_venues_add_up() {
    let measured =
        measure("growth --open-orders 200,1000 --levels 5 --accounts 3,40 --markets 1,7 --commands 1000 --runs 2");
    let costs = measured.json["costs"].as_array().unwrap();
    let directions: Vec<&str> = costs.iter().map(|cost| cost["direction"].as_str().unwrap()).collect();
    assert_eq!(directions.len(), 7);
    assert_eq!(directions[2], "prices of each side of a book");
    for cost in costs {
        assert!(cost["trades"].as_u64().unwrap() > 50, "{cost}");
        assert!(cost["partitionNs"].as_f64().unwrap() > 0.0 && cost["viewsNs"].as_f64().unwrap() > 0.0, "{cost}");
    }
    assert_eq!(measured.text.matches("PASS").count(), 7);
    let nothing = measure("growth --open-orders 100 --levels= --accounts= --markets= --commands 200 --runs 1");
    assert_eq!(nothing.json["costs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_venue_is_back_from_its_log_and_takes_snapshots_beside_orders() {
    let (json, page) = judge("recovery --commands 20000 --resting 2000 --rate 100 --warm-up-seconds 1 --seconds 1");
    assert_eq!(json["commands"], 20_000);
    for (from, least) in [("partition", 20_000), ("whole", 20_000), ("fromOldSnapshot", 1), ("fromLastSnapshot", 0)] {
        assert!(json[from]["commands"].as_u64().unwrap() >= least, "{from}: {json}");
        assert!(json[from]["seconds"].as_f64().unwrap() > 0.0, "{from}: {json}");
    }
    let stall = &json["stall"];
    for run in ["with", "without"] {
        assert_eq!(
            (stall[run]["orders"].as_u64().unwrap() >= 300, stall[run]["errors"].as_u64()),
            (true, Some(0)),
            "{stall}"
        );
    }
    assert!(!stall["snapshotSeconds"].as_array().unwrap().is_empty(), "{stall}");
    assert!(page.contains("Latency of an order"));
}

#[test]
fn a_venue_that_is_asked_for_too_much_refuses_with_the_codes_that_say_so() {
    for way in ["websocket --connections 8 --queue-wait-ms 1", "rest --connections 64 --queue-wait-ms 1"] {
        overload(&format!("overload --over {way} --seconds 1 --overload-seconds 2"));
    }
}

#[test]
fn a_cluster_that_is_asked_for_too_much_refuses_too() {
    overload("overload --cluster --connections 12 --seconds 1 --overload-seconds 2");
}

fn overload(arguments: &str) {
    let (json, page) = judge(arguments);
    let phases = json["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 3);
    for phase in phases {
        assert!(phase["admittedPerSecond"].as_f64().unwrap() > 0.0, "{phase}");
        assert!(phase["admittedP99Ms"].as_f64().unwrap() >= phase["admittedP50Ms"].as_f64().unwrap(), "{phase}");
        for code in phase["errors"].as_object().unwrap().keys() {
            assert!(["-1003", "-1008", "-1015"].contains(&code.as_str()), "{phase}");
        }
    }
    assert!(phases[1]["refusedPerSecond"].as_f64().unwrap() > 0.0, "{json}");
    assert!(page.contains("Latency of admitted orders"));
}
