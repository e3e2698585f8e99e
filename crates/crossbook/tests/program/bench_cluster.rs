//! `crossbook bench cluster`, in short: it starts clusters, loads them, and reports the cost of an order by role. And
//! `crossbook bench start`: it imports a venue into a cluster, and starts its gateway.

use std::process::Command;

use serde_json::Value;

#[test]
fn an_order_costs_each_role_something() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_crossbook"))
        .args("bench cluster --shards 1 --partitions 2 --workers 2 --rates 200,max --connections 4".split(' '))
        .args(["--seconds", "1", "--warmup-seconds", "1", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(rows.iter().map(|row| row["rate"].as_u64()).collect::<Vec<_>>(), [Some(200), None]);
    for row in rows {
        assert!(row["orders"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["errors"], 0, "{row}");
        assert_eq!(row["standby"], true, "{row}");
        let roles = row["cpuMicros"].as_object().unwrap();
        let names: Vec<_> = roles.keys().map(String::as_str).collect();
        assert_eq!(names, ["Redis", "gateway", "haproxy", "load", "worker"]);
        let sum: f64 =
            roles.iter().filter(|(role, _)| *role != "load").map(|(_, micros)| micros.as_f64().unwrap()).sum();
        assert!(sum > 0.0 && (sum - row["cpuMicrosVenue"].as_f64().unwrap()).abs() < 0.01, "{row}");
    }
}

#[test]
fn a_gateway_with_open_orders_answers_and_takes_orders() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_crossbook"))
        .args("bench start --orders 2000 --accounts 50 --markets 3 --partitions 2 --shards 1 --starts 2".split(' '))
        .args(["--seconds-max", "60", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    // Depth may take longer than a second where much else runs.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    let starts = figures["starts"].as_array().unwrap();
    assert_eq!(starts.len(), 2);
    for start in starts {
        let [depth, orders] = ["depthSeconds", "ordersSeconds"].map(|name| start[name].as_f64().unwrap());
        // A small venue may be open when its depth is asked for the first time.
        assert!(0.0 < depth && depth <= orders + 5.0 && 0.0 < orders && orders <= 60.0, "{start}");
        assert!(start["memoryBytes"].as_u64().unwrap() > 0, "{start}");
    }
}
