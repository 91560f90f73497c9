//! Throughput against callers: a line for what is called and a dashed one for its limit, callers in powers of two.

use std::collections::{BTreeMap, BTreeSet};

use queue::bench::Figure;

use super::svg::{Anchor, GREY, LINES, Picture, Point};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 460.0;
/// The drawing's edges.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 410.0;
/// Height of a line of text.
const TEXT: f64 = 18.0;
/// Marks on the axis of throughput.
const MARKS: u32 = 4;

/// What a point shows: callers, ours, and the limit where there is one.
type Measured = (usize, f64, Option<f64>);

/// The plot; `None` where no figure has a place in it.
pub(super) fn plot(title: &str, figures: &[Figure]) -> Option<String> {
    let mut series: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    for figure in figures {
        if let (Some(place), Some(ours)) = (figure.series, &figure.ours) {
            let limit = figure.limit.as_ref().map(|limit| limit.median);
            let measured = (place.callers, ours.median, limit);
            series.entry(place.name).or_default().push(measured);
        }
    }
    let all = || series.values().flatten();
    let most = all()
        .map(|&(_, ours, limit)| ours.max(limit.unwrap_or(0.0)))
        .fold(0.0, f64::max);
    let callers = all().map(|(callers, ..)| *callers).max()?;
    if most <= 0.0 {
        return None;
    }
    let axes = Axes {
        most,
        doublings: doublings(callers).max(1.0),
    };
    let mut picture = Picture::new(title, WIDTH, HEIGHT);
    axes.draw(&mut picture);
    let marks: BTreeSet<usize> = all().map(|(callers, ..)| *callers).collect();
    for callers in marks {
        axes.mark(&mut picture, callers);
    }
    let mut key = TOP + TEXT;
    for ((name, points), colour) in series.iter().zip(LINES.iter().cycle()) {
        let ours: Vec<Point> = points
            .iter()
            .map(|(callers, ours, _)| axes.point(*callers, *ours))
            .collect();
        let limit: Vec<Point> = points
            .iter()
            .filter_map(|(callers, _, limit)| Some(axes.point(*callers, (*limit)?)))
            .collect();
        for (line, is_dashed) in [(ours, false), (limit, true)] {
            picture.line(&line, colour, is_dashed);
            for point in line {
                dot(&mut picture, point, colour);
            }
        }
        let at = Point {
            x: RIGHT + TEXT,
            y: key,
        };
        picture.text(at, Anchor::Start, colour, name);
        key += TEXT;
    }
    let at = Point {
        x: RIGHT + TEXT,
        y: key,
    };
    picture.text(at, Anchor::Start, GREY, "dashed: the limit of each");
    Some(picture.finish())
}

/// How values become places.
struct Axes {
    /// The largest throughput.
    most: f64,
    /// How often one caller is doubled to make the most callers.
    doublings: f64,
}

impl Axes {
    fn point(&self, callers: usize, per_second: f64) -> Point {
        Point {
            x: LEFT + (RIGHT - LEFT) * doublings(callers) / self.doublings,
            y: BOTTOM - (BOTTOM - TOP) * per_second / self.most,
        }
    }

    fn draw(&self, picture: &mut Picture) {
        for mark in 0..=MARKS {
            let value = self.most * f64::from(mark) / f64::from(MARKS);
            let left = self.point(1, value);
            let right = Point { x: RIGHT, ..left };
            picture.line(&[left, right], "#d1d5db", false);
            let label = Point {
                x: LEFT - 8.0,
                y: left.y + 4.0,
            };
            picture.text(label, Anchor::End, GREY, &format!("{value:.0}/s"));
        }
    }

    fn mark(&self, picture: &mut Picture, callers: usize) {
        let at = Point {
            y: BOTTOM + TEXT,
            ..self.point(callers, 0.0)
        };
        picture.text(at, Anchor::Middle, GREY, &callers.to_string());
    }
}

/// The logarithm to base two, for which a power of two is near enough.
fn doublings(callers: usize) -> f64 {
    callers.checked_ilog2().map_or(0.0, f64::from)
}

fn dot(picture: &mut Picture, at: Point, colour: &str) {
    let corner = Point {
        x: at.x - 3.0,
        y: at.y - 3.0,
    };
    picture.rectangle(corner, 6.0, 6.0, colour);
}
