//! Throughput against callers: a line for what is called and a dashed one for its limit, callers in powers of two.

use std::collections::{BTreeMap, BTreeSet};

use queue::bench::Figure;

use super::{
    scale::{Scale, largest},
    svg::{Anchor, FAINT, GREY, LINES, Picture, Point, TOP, at},
};

/// The drawing's other edges, and the picture's height.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 640.0;
const BOTTOM: f64 = 410.0;
const HEIGHT: f64 = 460.0;
/// From one line of text to the next, and from the drawing to its text.
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
    let axes = Axes::of(series.values().flatten())?;
    let mut picture = Picture::new(title, HEIGHT);
    axes.draw(&mut picture);
    let mut key = TOP + TEXT;
    for ((name, points), colour) in series.iter().zip(LINES.iter().cycle()) {
        let ours = points.iter().map(|(callers, ours, _)| (*callers, *ours));
        axes.line(&mut picture, ours, colour, false);
        let limit = points
            .iter()
            .filter_map(|(callers, _, limit)| Some((*callers, (*limit)?)));
        axes.line(&mut picture, limit, colour, true);
        picture.text(at(RIGHT + TEXT, key), Anchor::Start, colour, name);
        key += TEXT;
    }
    let legend = "dashed: the limit of each";
    picture.text(at(RIGHT + TEXT, key), Anchor::Start, GREY, legend);
    Some(picture.finish())
}

/// Where callers and throughput stand.
struct Axes {
    /// Callers that have a mark.
    callers: BTreeSet<usize>,
    /// Of how often one caller is doubled to make so many.
    doublings: Scale,
    per_second: Scale,
}

impl Axes {
    fn of<'a>(points: impl Iterator<Item = &'a Measured> + Clone) -> Option<Self> {
        let callers: BTreeSet<usize> = points.clone().map(|(callers, ..)| *callers).collect();
        let values = points.flat_map(|(_, ours, limit)| [Some(*ours), *limit]);
        Some(Self {
            doublings: Scale {
                zero: LEFT,
                end: RIGHT,
                // One caller alone is doubled never, and has a place all the same.
                largest: doublings(*callers.last()?).max(1.0),
            },
            per_second: Scale {
                zero: BOTTOM,
                end: TOP,
                largest: largest(values.flatten())?,
            },
            callers,
        })
    }

    fn point(&self, callers: usize, per_second: f64) -> Point {
        at(
            self.doublings.at(doublings(callers)),
            self.per_second.at(per_second),
        )
    }

    fn draw(&self, picture: &mut Picture) {
        for mark in 0..=MARKS {
            let value = self.per_second.largest * f64::from(mark) / f64::from(MARKS);
            let y = self.per_second.at(value);
            picture.line(&[at(LEFT, y), at(RIGHT, y)], FAINT, false);
            let label = format!("{value:.0}/s");
            picture.text(at(LEFT - TEXT / 2.0, y), Anchor::End, GREY, &label);
        }
        for callers in &self.callers {
            let below = at(self.point(*callers, 0.0).x, BOTTOM + TEXT);
            picture.text(below, Anchor::Middle, GREY, &callers.to_string());
        }
    }

    /// A line with a dot at each point.
    fn line(
        &self,
        picture: &mut Picture,
        points: impl Iterator<Item = (usize, f64)>,
        colour: &str,
        is_dashed: bool,
    ) {
        let points: Vec<Point> = points
            .map(|(callers, per_second)| self.point(callers, per_second))
            .collect();
        picture.line(&points, colour, is_dashed);
        for point in points {
            picture.dot(point, colour);
        }
    }
}

/// The logarithm to base two, for which a power of two is near enough.
fn doublings(callers: usize) -> f64 {
    callers.checked_ilog2().map_or(0.0, f64::from)
}
