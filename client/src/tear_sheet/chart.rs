//! The charts, as SVG without a script. The only floats of this crate: they become pixels.

use std::ops::Range;

use jiff::civil::Date;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};
use plotters::prelude::*;
use protocol::report_payload::SeriesDay;

/// Drawn on a grid this much finer than a CSS pixel: the library rounds to whole units.
const SCALE: u32 = 4;
const LINE: RGBColor = RGBColor(0x1F, 0x5F, 0xAE);
const DOWN: RGBColor = RGBColor(0xB3, 0x40, 0x2F);
const GRID: RGBColor = RGBColor(0xDF, 0xE4, 0xEA);
const BASE: RGBColor = RGBColor(0x9A, 0xA7, 0xB4);
const TEXT: RGBColor = RGBColor(0x5B, 0x68, 0x76);

/// For which width a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Wide,
    Narrow,
}

impl Width {
    const fn pixels(self) -> u32 {
        match self {
            Self::Wide => 912,
            Self::Narrow => 358,
        }
    }

    const fn labels(self) -> usize {
        match self {
            Self::Wide => 8,
            Self::Narrow => 3,
        }
    }
}

/// What a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The index; its base is 1.
    Index,
    /// How far below its highest, as a negative share.
    Drawdown,
}

/// Draws one chart; `None` if no day has a value.
pub(super) fn svg(days: &[SeriesDay], subject: Subject, width: Width) -> Option<String> {
    let points: Vec<Option<f64>> = days.iter().map(|day| value(day, subject)).collect();
    let known = || points.iter().flatten().copied();
    known().next()?;
    let base = match subject {
        Subject::Index => 1.0,
        Subject::Drawdown => 0.0,
    };
    let (low, high) =
        known().fold((base, base), |(low, high): (f64, f64), y| (low.min(y), high.max(y)));
    let spread = (high - low).max(0.001);
    let room = spread * 0.06;
    let top = if subject == Subject::Drawdown { 0.0 } else { high + room };
    let days_axis = Days::new(days, width.labels())?;
    let mut out = String::new();
    draw(&mut out, &points, days_axis, low - room..top, spread, subject, width).ok()?;
    Some(out)
}

fn value(day: &SeriesDay, subject: Subject) -> Option<f64> {
    match subject {
        Subject::Index => day.index.as_ref()?.parse().ok(),
        Subject::Drawdown => day.drawdown.as_ref()?.parse().ok().map(|share: f64| -share),
    }
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(
    out: &'a mut String,
    points: &[Option<f64>],
    axis: Days,
    range: Range<f64>,
    spread: f64,
    subject: Subject,
    width: Width,
) -> Drawn<'a> {
    let (color, height, base) = match subject {
        Subject::Index => (LINE, 260, 1.0),
        Subject::Drawdown => (DOWN, 150, 0.0),
    };
    let places = (1..6).find(|places| spread * 10_f64.powi(*places) >= 20.0).unwrap_or(6);
    let label = |y: &f64| match subject {
        Subject::Index => format!("{y:.*}", usize::try_from(places).unwrap_or(2)),
        Subject::Drawdown => {
            let share = format!("{:.*}", usize::try_from(places - 2).unwrap_or(0), y * 100.0);
            format!("{} %", share.replace('-', "\u{2212}"))
        }
    };
    let area =
        SVGBackend::with_string(out, (width.pixels() * SCALE, height * SCALE)).into_drawing_area();
    let dates = axis.clone();
    let mut chart = ChartBuilder::on(&area)
        .margin_top(8 * SCALE)
        .margin_right(14 * SCALE)
        .set_label_area_size(LabelAreaPosition::Left, 56 * SCALE)
        .set_label_area_size(LabelAreaPosition::Bottom, 26 * SCALE)
        .build_cartesian_2d(axis, range)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .y_max_light_lines(1)
        .bold_line_style(GRID.stroke_width(SCALE))
        .light_line_style(TRANSPARENT)
        .axis_style(TRANSPARENT)
        .x_labels(width.labels())
        .y_labels(5)
        .x_label_formatter(&|day| dates.label(*day))
        .y_label_formatter(&label)
        .label_style(("sans-serif", 15 * SCALE).into_font().color(&TEXT))
        .draw()?;
    let last = i32::try_from(points.len().saturating_sub(1)).unwrap_or(i32::MAX);
    chart.draw_series(LineSeries::new([(0, base), (last, base)], BASE.stroke_width(SCALE)))?;
    for run in runs(points) {
        chart.draw_series(AreaSeries::new(run.clone(), base, color.mix(0.12)))?;
        if let [only] = run.as_slice() {
            chart.draw_series([Circle::new(*only, 3 * SCALE, color.filled())])?;
        }
        chart.draw_series(LineSeries::new(run, color.stroke_width(2 * SCALE)))?;
    }
    area.present()
}

/// Days that follow one another and have a value: a gap is not drawn over.
fn runs(points: &[Option<f64>]) -> Vec<Vec<(i32, f64)>> {
    let mut runs: Vec<Vec<(i32, f64)>> = vec![Vec::new()];
    for (x, point) in (0_i32..).zip(points) {
        match (point, runs.last_mut()) {
            (Some(y), Some(run)) => run.push((x, *y)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The days, labelled where a calendar would: at firsts of months, or of so many days.
#[derive(Clone, Debug)]
struct Days {
    dates: Vec<Date>,
    marks: Vec<i32>,
    months: bool,
}

impl Days {
    fn new(days: &[SeriesDay], labels: usize) -> Option<Self> {
        let dates: Vec<Date> =
            days.iter().map(|day| day.day.parse().ok()).collect::<Option<_>>()?;
        let firsts: Vec<i32> =
            (0_i32..).zip(&dates).filter(|(_, date)| date.day() == 1).map(|(x, _)| x).collect();
        let months = firsts.len() > 3;
        let all: Vec<i32> =
            if months { firsts } else { (0_i32..).zip(&dates).map(|(x, _)| x).collect() };
        let step = all.len().div_ceil(labels).max(1);
        Some(Self { dates, marks: all.into_iter().step_by(step).collect(), months })
    }

    fn label(&self, day: i32) -> String {
        let date = usize::try_from(day).ok().and_then(|day| self.dates.get(day));
        let pattern = if self.months { "%b %Y" } else { "%-d %b" };
        date.map(|date| date.strftime(pattern).to_string()).unwrap_or_default()
    }
}

impl Ranged for Days {
    type FormatOption = NoDefaultFormatting;
    type ValueType = i32;

    fn map(&self, value: &i32, limit: (i32, i32)) -> i32 {
        let last = i64::try_from(self.dates.len().saturating_sub(1)).unwrap_or(1).max(1);
        let length = i64::from(limit.1) - i64::from(limit.0);
        let offset = i64::from(*value) * length / last;
        limit.0.saturating_add(i32::try_from(offset).unwrap_or(0))
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<i32> {
        self.marks.clone()
    }

    fn range(&self) -> Range<i32> {
        0..i32::try_from(self.dates.len()).unwrap_or(i32::MAX)
    }
}

impl plotters::coord::ranged1d::ValueFormatter<i32> for Days {
    fn format_ext(&self, value: &i32) -> String {
        self.label(*value)
    }
}
