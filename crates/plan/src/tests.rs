//! The model: it grows with the rate, adds up, survives the loss of a zone, and refuses what cannot be.

use crate::costs::{Costs, Role, Run};
use crate::demand::{Buy, Demand, Store};
use crate::error::Error;
use crate::layout::placed;
use crate::model::{Outcome, plan};
use crate::nodes::{allocatable_bytes, allocatable_processors};
use crate::prices::Prices;
use crate::size::{Sized, size};
use crate::{check, render, values};

fn costs() -> Costs {
    Costs::shipped().unwrap()
}

fn prices() -> Prices {
    Prices::shipped().unwrap()
}

fn sized(demand: &Demand) -> Sized {
    size(demand, &costs(), &prices()).unwrap()
}

fn outcome(demand: &Demand) -> Outcome {
    plan(demand, &costs(), &prices()).unwrap()
}

fn why_not(demand: &Demand) -> String {
    size(demand, &costs(), &prices()).unwrap_err().to_string()
}

/// Demands of all kinds.
fn demands() -> Vec<Demand> {
    let mut found = Vec::new();
    for tps in [50.0, 200.0, 1_000.0, 5_000.0, 10_000.0] {
        for zones in [1, 2, 3] {
            for store in [Store::MemoryDb, Store::Valkey] {
                if store == Store::MemoryDb || zones == 3 {
                    found.push(Demand { tps, zones, store, ..Demand::default() });
                }
            }
        }
    }
    found
}

#[test]
fn more_orders_never_need_or_cost_less() {
    for zones in [1, 2, 3] {
        let mut before: Option<Sized> = None;
        for step in 1..=30 {
            let now = sized(&Demand { tps: f64::from(step) * 300.0, zones, ..Demand::default() });
            if let Some(before) = before {
                assert!(now.layout.gateways >= before.layout.gateways && now.layout.shards >= before.layout.shards);
                assert!(now.layout.gateway_processors >= before.layout.gateway_processors);
                assert!(now.layout.master_processors * f64::from(now.layout.shards) > 0.0);
                assert!(now.bytes.rows_per_second > before.bytes.rows_per_second);
                assert!(now.bill.usd >= before.bill.usd - 1e-6, "{} after {}", now.bill.usd, before.bill.usd);
            }
            before = Some(now);
        }
    }
}

#[test]
fn an_order_costs_less_the_more_there_are() {
    let (costs, run) = (costs(), costs().runs[4].clone());
    let shape = run.shape(0.004);
    for role in [Role::Store, Role::Gateways, Role::Workers] {
        let each = |rate: f64| costs.processors(role, &shape, rate) / rate;
        assert!(each(1_000.0) > 1.5 * each(5_000.0), "{role:?}");
        assert!(costs.processors(role, &shape, 5_000.0) > costs.processors(role, &shape, 1_000.0), "{role:?}");
    }
}

#[test]
fn the_lines_add_up_to_the_sum_and_to_the_groups() {
    for demand in demands() {
        for buy in [Buy::OnDemand, Buy::Spot, Buy::Reserved] {
            let bill = sized(&Demand { buy, ..demand.clone() }).bill;
            let lines: f64 = bill.lines.iter().map(|line| line.usd).sum();
            assert!((lines - bill.usd).abs() < 1e-6);
            for line in &bill.lines {
                assert!((line.quantity * line.usd_each - line.usd).abs() < 1e-6, "{line:?}");
                assert!(line.quantity >= 0.0 && line.source.starts_with("https://"), "{line:?}");
            }
            let orders = demand.average() * 730.0 * 3_600.0;
            assert!((bill.usd_per_million_orders * orders / 1e6 - bill.usd).abs() < 1e-6);
        }
        let compared = outcome(&demand).comparison;
        let ours: f64 = compared.lines.iter().map(|line| line.ours).sum();
        assert!((ours - compared.ours).abs() < 1e-6, "every group is compared");
        assert!((compared.theirs - 1_872.0).abs() < 1e-6, "the sum of the infrastructure plan");
    }
}

#[test]
fn other_ways_of_buying_are_cheaper_and_spot_is_one_zone() {
    let with = |buy| sized(&Demand { buy, ..Demand::default() });
    let (by_the_hour, spot, reserved) = (with(Buy::OnDemand), with(Buy::Spot), with(Buy::Reserved));
    assert!(spot.bill.usd < by_the_hour.bill.usd && reserved.bill.usd < spot.bill.usd);
    let lines: Vec<_> = spot.bill.lines.iter().filter(|line| line.what.ends_with("spot")).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].quantity, f64::from(spot.nodes.per_zone) * 730.0);
}

#[test]
fn a_zone_can_be_lost_at_the_peak() {
    for demand in demands().into_iter().filter(|demand| demand.zones > 1) {
        let Sized { layout, nodes, pods, .. } = sized(&demand);
        let left = demand.zones - 1;
        assert!(layout.gateways / demand.zones * left >= layout.gateways_needed, "{layout:?}");
        assert!(layout.gateways.is_multiple_of(demand.zones), "every zone has as many");
        let needed = layout.gateway_processors / f64::from(layout.gateways_needed);
        assert!(needed <= layout.gateway_request * demand.utilisation + 1e-9, "{layout:?}");
        assert!(layout.worker_processors <= layout.worker_request * demand.utilisation + 1e-9);
        let copies = pods.iter().filter(|pod| ["worker", "writer"].contains(&pod.role));
        assert!(copies.into_iter().all(|pod| pod.count >= 2), "one in each of two zones");
        assert!(layout.replicas >= 1);
        assert_eq!(nodes.count, nodes.per_zone * demand.zones);
    }
    assert_eq!([placed(1, 1), placed(1, 2), placed(1, 3), placed(3, 3), placed(4, 3)], [2, 2, 3, 6, 6]);
}

#[test]
fn pods_fit_on_their_nodes() {
    let prices = prices();
    for demand in demands() {
        let Sized { pods, nodes, .. } = sized(&demand);
        let node = prices.of("ec2", &nodes.instance).unwrap();
        assert_eq!(nodes.placement.len() as u32, nodes.per_zone);
        for roles in &nodes.placement {
            let of = |what: fn(&crate::nodes::Pod) -> f64| -> f64 {
                roles.iter().map(|role| what(pods.iter().find(|pod| pod.role == *role).unwrap())).sum()
            };
            assert!(of(|pod| pod.processors) <= allocatable_processors(node) + 1e-9, "{roles:?}");
            assert!(of(|pod| pod.bytes) <= allocatable_bytes(node) + 1.0, "{roles:?}");
            assert!(roles.len() as f64 <= node.pods_max.unwrap());
        }
        for pod in &pods {
            let placed = nodes.placement.iter().flatten().filter(|role| **role == pod.role).count();
            assert_eq!(placed as u32, pod.per_zone, "{pod:?}");
            assert!(pod.per_zone * demand.zones >= pod.count);
        }
    }
}

#[test]
fn what_was_measured_is_predicted() {
    let costs = costs();
    let found = check::predict(&costs, &costs.runs);
    assert_eq!(found.len(), 6 * 4, "all runs at a fixed rate, and all roles");
    for predicted in &found {
        // The layouts are of several runs beside other work; the roles of one run are nearer.
        assert!(predicted.error().abs() < 0.35, "{:?} at {}: {:.2}", predicted.role, predicted.rate, predicted.error());
    }
}

#[test]
fn costs_of_ones_own_are_read_and_too_few_refused() {
    let run = |rate: u32, redis: f64| {
        format!(
            "{{\"shards\":1,\"partitions\":1,\"gateways\":2,\"workers\":2,\"rate\":{rate},\"ordersPerSecond\":{rate},\
             \"cpuMicros\":{{\"Redis\":{redis},\"gateway\":100,\"worker\":10,\"haproxy\":30,\"load\":9}}}}"
        )
    };
    let two = Costs::parse("own", &format!("[{},{}]", run(500, 400.0), run(2_000, 150.0))).unwrap();
    let cheap = Costs::parse("own", &format!("[{},{}]", run(500, 40.0), run(2_000, 15.0))).unwrap();
    let demand = Demand { tps: 1_000.0, ..Demand::default() };
    let [two, cheap] = [two, cheap].map(|costs| size(&demand, &costs, &prices()).unwrap().layout);
    assert!(two.master_processors > 5.0 * cheap.master_processors, "{two:?} {cheap:?}");
    let one = Costs::parse("own", &format!("[{}]", run(500, 400.0))).unwrap_err();
    assert!(matches!(one, Error::TooFewRuns { runs: 1, .. }), "{one}");
    assert!(matches!(Costs::parse("own", "{}"), Err(Error::Costs { .. })));
    let runs: Vec<Run> = serde_json::from_str(&format!("[{}]", run(500, 400.0))).unwrap();
    assert!(runs[0].rate.is_some());
}

#[test]
fn impossible_plans_are_refused_with_the_bound() {
    let refused = [
        (Demand { tps: 100_000.0, average: Some(1_000.0), ..Demand::default() }, "matched by one thread"),
        (Demand { tps: 25_000.0, average: Some(25_000.0), busiest: 0.0, ..Demand::default() }, "one writer"),
        (Demand { retention: 36_500.0, ..Demand::default() }, "shorten --retention"),
        (Demand { store: Store::Valkey, zones: 2, ..Demand::default() }, "--zones 3"),
        (Demand { partitions: Some(2), shards: Some(3), ..Demand::default() }, "more --partitions"),
        (Demand { open_orders: 1e9, retention: 1.0, ..Demand::default() }, "lower --open-orders"),
        (Demand { connections: 1e6, ..Demand::default() }, "gateways are not enough"),
        (Demand { turn_interval: 0.01, shards: Some(1), ..Demand::default() }, "lengthen --turn-interval"),
    ];
    for (demand, reason) in refused {
        let told = why_not(&demand);
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn inputs_that_make_no_sense_name_their_option() {
    let refused = [
        (Demand { tps: 0.0, ..Demand::default() }, "--tps is 0"),
        (Demand { tps: f64::NAN, ..Demand::default() }, "--tps is NaN"),
        (Demand { average: Some(6_000.0), ..Demand::default() }, "--average is 6000, and must be at most --tps"),
        (Demand { busiest: 1.5, ..Demand::default() }, "--busiest"),
        (Demand { two_hops: Some(-0.1), ..Demand::default() }, "--two-hops"),
        (Demand { utilisation: 1.0, ..Demand::default() }, "--utilisation"),
        (Demand { followed: 21.0, ..Demand::default() }, "--followed"),
    ];
    for (demand, told) in refused {
        assert!(why_not(&demand).contains(told), "{}", why_not(&demand));
    }
}

#[test]
fn prices_have_dates_and_sources() {
    let line = |date: &str, source: &str| {
        format!(
            "made = \"2026-11-30\"\nregion = \"r\"\n[[price]]\nservice = \"eks\"\nsku = \"cluster\"\nunit = \"hour\"\n\
             usd = 0.1\ndate = \"{date}\"\nsource = \"{source}\"\nverified = true\n"
        )
    };
    assert!(Prices::parse("own", &line("2026-11-30", "https://example.org")).is_ok());
    for (date, source) in [("yesterday", "https://example.org"), ("2026-11-30", "a friend")] {
        assert!(matches!(Prices::parse("own", &line(date, source)), Err(Error::Prices { .. })));
    }
    let few = Prices::parse("own", &line("2026-11-30", "https://example.org")).unwrap();
    let told = size(&Demand::default(), &costs(), &few).unwrap_err().to_string();
    assert!(told.contains("fits on no node of own"), "{told}");
}

#[test]
fn the_most_sensitive_input_is_first() {
    let outcome = outcome(&Demand::default());
    let extents: Vec<f64> = outcome.sensitivity.iter().map(crate::sensitivity::Change::extent).collect();
    assert!(extents.is_sorted_by(|a, b| a >= b) && extents[0] > 100.0, "{extents:?}");
}

#[test]
fn every_figure_tells_its_origin_and_every_gap_is_told() {
    let outcome = outcome(&Demand::default());
    for (heading, figures) in &outcome.figures {
        assert!(figures.iter().all(|figure| !figure.how.is_empty() && figure.value.is_finite()), "{heading}");
    }
    assert!(outcome.never_measured.iter().any(|line| line.contains("MemoryDB")));
}

/// The name of a plan that is kept, and its demand.
type Kept = (&'static str, fn() -> Demand);

/// The plans that are kept; `CROSSBOOK_RENEW_PLANS=1` writes them anew, for review.
const KEPT: [Kept; 4] = [
    ("5000", Demand::default),
    ("5000-spot", || Demand { buy: Buy::Spot, ..Demand::default() }),
    ("800-valkey", || Demand { tps: 800.0, store: Store::Valkey, ..Demand::default() }),
    ("200-two-zones", || Demand { tps: 200.0, zones: 2, subscribers: 0.0, connections: 100.0, ..Demand::default() }),
];

#[test]
fn the_plans_are_those_that_are_kept() {
    for (name, demand) in KEPT {
        let outcome = outcome(&demand());
        let folder = env!("CARGO_MANIFEST_DIR");
        let cdk = serde_json::to_string_pretty(&values::cdk(&outcome)).unwrap() + "\n";
        let mut kept = vec![
            (format!("{folder}/tests/golden/{name}.txt"), render::report(&outcome).text()),
            (format!("{folder}/tests/golden/{name}.values.yaml"), values::helm(&outcome)),
        ];
        // Those that the checks of the CDK app synthesise.
        let context = format!("{folder}/../../deploy/aws/contexts/{name}.json");
        if std::path::Path::new(&context).exists() {
            kept.push((context, cdk));
        }
        for (path, text) in kept {
            if std::env::var_os("CROSSBOOK_RENEW_PLANS").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == text, "{path} differs; run this with CROSSBOOK_RENEW_PLANS=1 and look at what changes");
        }
    }
}
