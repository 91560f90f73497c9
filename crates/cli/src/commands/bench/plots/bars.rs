//! Ratios as bars: one a figure, as long as its median, with a whisker from the least to the most and the goal's mark.

use queue::bench::{Figure, Goal, Rounds, Verdict};

use super::svg::{Anchor, BLUE, GREY, Picture, Point, RED};

const WIDTH: f64 = 900.0;
/// Where bars begin, and how far the longest may reach.
const LEFT: f64 = 400.0;
const LONGEST: f64 = 420.0;
/// Above the first bar, from one to the next, and their height.
const TOP: f64 = 50.0;
const STEP: f64 = 34.0;
const HEIGHT: f64 = 18.0;
/// Room for what is written below.
const FOOT: f64 = 30.0;
/// Between a shape and its text.
const GAP: f64 = 8.0;

/// A figure that has a ratio, and that ratio.
type Bar<'a> = (&'a Figure, &'a Rounds);

/// The plot; `None` where no figure has a ratio.
pub(super) fn plot(title: &str, figures: &[&Figure]) -> Option<String> {
    let bars: Vec<Bar<'_>> = figures
        .iter()
        .filter_map(|figure| Some((*figure, figure.ratio.as_ref()?)))
        .filter(|(_, ratio)| ratio.max.is_finite())
        .collect();
    if bars.is_empty() {
        return None;
    }
    let largest = bars
        .iter()
        .map(|(figure, ratio)| ratio.max.max(goal(figure).unwrap_or(0.0)))
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = LONGEST / largest;
    let bottom = bars.iter().fold(TOP, |y, _| y + STEP);
    let mut picture = Picture::new(title, WIDTH, bottom + FOOT);
    let mut y = TOP;
    for bar in bars {
        draw(&mut picture, bar, y, scale);
        y += STEP;
    }
    let note = Point {
        x: LEFT,
        y: bottom + GAP,
    };
    let legend = "bar: median; thin line: least to most; dashed: goal; red: missed";
    picture.text(note, Anchor::Start, GREY, legend);
    Some(picture.finish())
}

fn draw(picture: &mut Picture, (figure, ratio): Bar<'_>, y: f64, scale: f64) {
    let middle = y + HEIGHT / 2.0;
    let baseline = middle + 4.0;
    let colour = match figure.verdict {
        Verdict::Missed => RED,
        Verdict::Reached | Verdict::NotJudged => BLUE,
    };
    let at = |x: f64, y: f64| Point { x, y };
    let name = format!("{} {}", figure.id, figure.what);
    picture.text(at(LEFT - GAP, baseline), Anchor::End, "black", &name);
    picture.rectangle(at(LEFT, y), ratio.median * scale, HEIGHT, colour);
    let whisker = [
        at(LEFT + ratio.min * scale, middle),
        at(LEFT + ratio.max * scale, middle),
    ];
    picture.line(&whisker, "black", false);
    if let Some(goal) = goal(figure) {
        let x = LEFT + goal * scale;
        picture.line(&[at(x, y - 4.0), at(x, y + HEIGHT + 4.0)], GREY, true);
    }
    let value = format!("{:.2}", ratio.median);
    let right = at(LEFT + LONGEST + GAP, baseline);
    picture.text(right, Anchor::Start, colour, &value);
}

fn goal(figure: &Figure) -> Option<f64> {
    figure.goal.map(|goal| match goal {
        Goal::AtLeast(value) | Goal::AtMost(value) => value,
    })
}
