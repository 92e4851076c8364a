//! The table, and each goal with what was reached.

use std::io::{self, Write as _};

use crate::load::{BulkFigure, Figures, median, median_of};
use crate::paths::Path;

/// A line of the table for each path.
pub(crate) fn table(paths: &[Path], figures: &[Figures]) {
    say(&format!(
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "path",
        "RTT apart",
        "together",
        "up MiB/s",
        "s/GiB",
        "down",
        "s/GiB",
        "conn/s",
        "CPU µs",
        "TLS/s",
        "CPU µs",
        "KiB/conn"
    ));
    for (path, figures) in paths.iter().zip(figures) {
        let bulk = |of: &[BulkFigure]| {
            (median_of(of, |bulk| bulk.mib_per_s), median_of(of, |bulk| bulk.cpu_s_per_gib))
        };
        let ((up, up_cpu), (down, down_cpu)) = (bulk(&figures.up), bulk(&figures.down));
        say(&format!(
            "{:<16} {:>9.1} {:>9.1} {up:>9.0} {up_cpu:>9.3} {down:>9.0} {down_cpu:>9.3} {:>9.0} \
             {:>9.1} {:>9.0} {:>9.1} {:>9.1}",
            path.name,
            median(&figures.apart_us),
            median(&figures.together_us),
            median_of(&figures.connect, |connect| connect.per_s),
            median_of(&figures.connect, |connect| connect.cpu_us),
            median_of(&figures.handshake, |connect| connect.per_s),
            median_of(&figures.handshake, |connect| connect.cpu_us),
            median(&figures.memory),
        ));
    }
}

/// One figure of a path.
type Pick = fn(&Figures) -> f64;

/// What a goal compares with.
enum Against {
    Direct,
    Socat,
    /// The least that a process in between can do; measured for ingress.
    Bare,
    Nothing,
}

struct Goal {
    what: &'static str,
    pick: Pick,
    against: Against,
    at_most: bool,
    bound: f64,
}

const GOALS: [Goal; 10] = [
    Goal {
        what: "round trip, of the direct one",
        pick: |figures| median(&figures.apart_us),
        against: Against::Direct,
        at_most: true,
        bound: 1.9,
    },
    Goal {
        what: "throughput up, of socat's",
        pick: |figures| median_of(&figures.up, |bulk| bulk.mib_per_s),
        against: Against::Socat,
        at_most: false,
        bound: 1.2,
    },
    Goal {
        what: "throughput down, of socat's",
        pick: |figures| median_of(&figures.down, |bulk| bulk.mib_per_s),
        against: Against::Socat,
        at_most: false,
        bound: 1.2,
    },
    Goal {
        what: "CPU a GiB up, of socat's",
        pick: |figures| median_of(&figures.up, |bulk| bulk.cpu_s_per_gib),
        against: Against::Socat,
        at_most: true,
        bound: 1.0,
    },
    Goal {
        what: "CPU a GiB down, of socat's",
        pick: |figures| median_of(&figures.down, |bulk| bulk.cpu_s_per_gib),
        against: Against::Socat,
        at_most: true,
        bound: 1.0,
    },
    Goal {
        what: "new connections with TLS, of the direct rate",
        pick: |figures| median_of(&figures.handshake, |connect| connect.per_s),
        against: Against::Direct,
        at_most: false,
        bound: 0.85,
    },
    Goal {
        what: "new connections without TLS, of the direct rate",
        pick: |figures| median_of(&figures.connect, |connect| connect.per_s),
        against: Against::Direct,
        at_most: false,
        bound: 0.85,
    },
    Goal {
        what: "round trip together, of the bare relay's",
        pick: |figures| median(&figures.together_us),
        against: Against::Bare,
        at_most: true,
        bound: 1.2,
    },
    Goal {
        what: "new connections without TLS, of the bare relay's rate",
        pick: |figures| median_of(&figures.connect, |connect| connect.per_s),
        against: Against::Bare,
        at_most: false,
        bound: 0.85,
    },
    Goal {
        what: "KiB resident a connection",
        pick: |figures| median(&figures.memory),
        against: Against::Nothing,
        at_most: true,
        bound: 12.0,
    },
];

/// Prints each goal that was measured, with what was reached.
pub(crate) fn goals(paths: &[Path], figures: &[Figures]) {
    let find = |name: &str| {
        paths.iter().zip(figures).find_map(|(path, figures)| (path.name == name).then_some(figures))
    };
    for road in ["ingress", "egress"] {
        let (Some(direct), Some(ours), Some(socat)) =
            (find("direct"), find(&format!("{road} ours")), find(&format!("{road} socat")))
        else {
            continue;
        };
        for goal in &GOALS {
            let reached = (goal.pick)(ours)
                / match goal.against {
                    Against::Direct => (goal.pick)(direct),
                    Against::Socat => (goal.pick)(socat),
                    Against::Bare if road == "ingress" => find("bare").map_or(f64::NAN, goal.pick),
                    Against::Bare => f64::NAN,
                    Against::Nothing => 1.0,
                };
            if reached.is_nan() {
                continue;
            }
            let met = if goal.at_most { reached <= goal.bound } else { reached >= goal.bound };
            let (sign, word) =
                (if goal.at_most { "≤" } else { "≥" }, if met { "met" } else { "MISSED" });
            say(&format!("{word:<6} {road} {}: {reached:.2} {sign} {}", goal.what, goal.bound));
        }
    }
}

pub(crate) fn say(line: &str) {
    // Nobody reads any more: the figures are for nobody.
    drop(writeln!(io::stdout(), "{line}"));
}
