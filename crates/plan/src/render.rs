//! The plan as a report: for a terminal, as a page, or as Markdown.

use crossbook_report::{Axis, Chart, Report, Section, Table, Unit};

use crate::amounts::{number, usd};
use crate::compare::{PER_MILLION_USD, SPOT_USD};
use crate::demand::{Buy, Store};
use crate::model::Outcome;

/// Lines of sensitivity that are shown.
const CHANGES_SHOWN: usize = 8;

/// The whole plan.
pub(crate) fn report(outcome: &Outcome) -> Report {
    let demand = &outcome.demand;
    let [prices, region, made] = &outcome.prices;
    let title = format!("A cluster for {} orders a second", number(demand.tps, ""));
    let mut report = Report::computed(
        title,
        summary(outcome),
        vec![
            ("Costs", outcome.costs.clone()),
            ("Prices", format!("{prices}, {region}, made {made}")),
            (
                "Bought",
                match demand.buy {
                    Buy::OnDemand => "on demand",
                    Buy::Spot => "on demand, nodes of one zone as spot instances",
                    Buy::Reserved => "reserved for a year",
                }
                .to_owned(),
            ),
        ],
    );
    report.push(processes(outcome));
    report.push(nodes(outcome));
    report.push(bill(outcome));
    report.push(comparison(outcome));
    report.push(sensitivity(outcome));
    for (heading, figures) in &outcome.figures {
        let mut table = Table::new(["", "value", "origin", "how"]);
        for figure in figures {
            let value = number(figure.value, figure.unit);
            table.row([&figure.what, &value, figure.origin.word(), &figure.how]);
        }
        report.push(Section::new(*heading).table(table));
    }
    let list: Vec<String> = outcome.never_measured.iter().map(|line| format!("- {line}")).collect();
    report.push(Section::new("Never measured").text(list.join("\n")));
    report
}

fn summary(outcome: &Outcome) -> String {
    let (demand, sized) = (&outcome.demand, &outcome.sized);
    let survives = match demand.zones {
        1 => "in one zone, whose loss it does not survive".to_owned(),
        zones => format!("in {zones} zones, of which any one can be lost at the peak"),
    };
    format!(
        "{} a month at {} orders a second on average, which is {} for a million orders: {} nodes, {survives}. {} of \
         it is at prices that were not verified.",
        usd(sized.bill.usd),
        number(demand.average(), ""),
        usd(sized.bill.usd_per_million_orders),
        sized.nodes.count,
        usd(sized.bill.usd_unverified),
    )
}

fn processes(outcome: &Outcome) -> Section {
    let layout = &outcome.sized.layout;
    let mut table = Table::new(["process", "pods", "in a zone", "processors each", "memory each", "why as many"]);
    for pod in &outcome.sized.pods {
        let why = match pod.role {
            "gateway" => format!("{} carry the peak when a zone is lost", layout.gateways_needed),
            "worker" => {
                format!("groups of two that follow the same partitions, in two zones: {}", layout.worker_groups)
            }
            "writer" => "one writes, one waits".to_owned(),
            "valkey" => "a master and two replicas of each shard, in three zones".to_owned(),
            _ => "Prometheus, DNS, controllers; every zone has room for them".to_owned(),
        };
        table.row([
            pod.role.to_owned(),
            pod.count.to_string(),
            pod.per_zone.to_string(),
            number(pod.processors, ""),
            Unit::Bytes.show(pod.bytes),
            why,
        ]);
    }
    let store = match outcome.demand.store {
        Store::MemoryDb => "MemoryDB",
        Store::Valkey => "Valkey on the nodes",
    };
    Section::new("Processes")
        .text(format!(
            "{} on {} of {store}, with {} of each.",
            counted(layout.partitions, "partition"),
            counted(layout.shards, "shard"),
            counted(layout.replicas, "replica")
        ))
        .table(table)
}

/// A number of things, by the name of one.
fn counted(number: u32, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn nodes(outcome: &Outcome) -> Section {
    let nodes = &outcome.sized.nodes;
    let mut table = Table::new(["node of each zone", "pods on it"]);
    for (at, roles) in nodes.placement.iter().enumerate() {
        table.row([(at + 1).to_string(), roles.join(", ")]);
    }
    Section::new("Nodes")
        .text(format!(
            "{} {}, {} in each zone; pods can have {} processors and {} of one.",
            nodes.count,
            nodes.instance,
            nodes.per_zone,
            number(nodes.allocatable_processors, ""),
            Unit::Bytes.show(nodes.allocatable_bytes)
        ))
        .table(table)
}

fn bill(outcome: &Outcome) -> Section {
    let bill = &outcome.sized.bill;
    let mut table = Table::new(["bought", "quantity", "each", "a month", "price of", "verified"]);
    for line in bill.lines.iter().filter(|line| line.quantity > 0.0) {
        table.row([
            line.what.clone(),
            number(line.quantity, &line.unit),
            format!("${}", line.usd_each),
            usd(line.usd),
            line.date.clone(),
            if line.verified { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.row(["together", "", "", &usd(bill.usd), "", ""]);
    let compared = &outcome.comparison.lines;
    let groups = compared.iter().map(|line| line.what.to_owned()).collect();
    let series = vec![
        ("this plan".to_owned(), compared.iter().map(|line| line.ours).collect()),
        ("infrastructure plan".to_owned(), compared.iter().map(|line| line.theirs).collect()),
    ];
    let chart = Chart::bars("US dollars a month", groups, Axis::linear("US dollars", Unit::Count), series);
    Section::new("Cost of a month").table(table).chart(chart)
}

fn comparison(outcome: &Outcome) -> Section {
    let compared = &outcome.comparison;
    let mut table = Table::new(["", "infrastructure plan", "this plan", "difference", "because"]);
    let difference = |ours: f64, theirs: f64| usd(ours - theirs);
    for line in &compared.lines {
        table.row([line.what, &usd(line.theirs), &usd(line.ours), &difference(line.ours, line.theirs), line.why]);
    }
    table.row([
        "together, on demand",
        &usd(compared.theirs),
        &usd(compared.ours),
        &difference(compared.ours, compared.theirs),
        "",
    ]);
    table.row([
        "with spot instances",
        &usd(SPOT_USD),
        &usd(compared.ours_spot),
        &difference(compared.ours_spot, SPOT_USD),
        "there all nodes; all may be taken back within two minutes, so --buy spot takes those of one zone",
    ]);
    if let Some([month, million]) = compared.ours_at_the_peak {
        let why = format!(
            "there at the peak's rate all month, by the sum with spot instances; ours at that rate is {} a month",
            usd(month)
        );
        let [theirs, ours] = [PER_MILLION_USD, million].map(usd);
        table.row(["a million orders", &theirs, &ours, &difference(million, PER_MILLION_USD), &why]);
    }
    Section::new("Beside the infrastructure plan")
        .text("Its figures are for 5,000 orders a second; they stay as they are at other rates.")
        .table(table)
}

fn sensitivity(outcome: &Outcome) -> Section {
    let mut table = Table::new(["input", "half of it", "twice as much"]);
    let shown = |change: Option<f64>| match change {
        None => "impossible".to_owned(),
        Some(change) if change.abs() < 0.5 => "0".to_owned(),
        Some(change) if change > 0.0 => format!("+{}", usd(change)),
        Some(change) => usd(change),
    };
    for change in outcome.sensitivity.iter().take(CHANGES_SHOWN) {
        table.row([change.input.to_owned(), shown(change.half), shown(change.twice)]);
    }
    Section::new("What moves the cost").text("US dollars a month more or less.").table(table)
}
