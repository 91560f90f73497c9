//! Ratios as bars: one a figure, as long as its median, with a whisker from the least to the most and the goal's mark.

use queue::bench::{Figure, Goal, Rounds, Verdict};

use super::{
    scale::{Scale, largest},
    svg::{Anchor, BLACK, BLUE, GREY, Picture, RED, TOP, at},
};

/// Where bars begin, and how far the longest may reach.
const LEFT: f64 = 400.0;
const RIGHT: f64 = 820.0;
/// From one bar to the next, and their height.
const STEP: f64 = 34.0;
const HEIGHT: f64 = 18.0;
/// Room for what is written below.
const FOOT: f64 = 30.0;
/// Between a shape and its text, and how far a goal's mark stands out.
const GAP: f64 = 8.0;
const OUT: f64 = 4.0;

/// A figure that has a ratio, and that ratio.
type Bar<'a> = (&'a Figure, &'a Rounds);

/// The plot; `None` where no figure has a ratio.
pub(super) fn plot(title: &str, figures: &[&Figure]) -> Option<String> {
    let bars: Vec<Bar<'_>> = figures
        .iter()
        .filter_map(|figure| Some((*figure, figure.ratio.as_ref()?)))
        .filter(|(_, ratio)| ratio.max.is_finite())
        .collect();
    let goals = bars.iter().filter_map(|(figure, _)| goal(figure));
    let scale = Scale {
        zero: LEFT,
        end: RIGHT,
        largest: largest(bars.iter().map(|(_, ratio)| ratio.max).chain(goals))?,
    };
    let bottom = bars.iter().fold(TOP, |y, _| y + STEP);
    let mut picture = Picture::new(title, bottom + FOOT);
    let mut y = TOP;
    for bar in bars {
        draw(&mut picture, bar, y, scale);
        y += STEP;
    }
    let legend = "bar: median; thin line: least to most; dashed: goal; red: missed";
    picture.text(at(LEFT, bottom + GAP), Anchor::Start, GREY, legend);
    Some(picture.finish())
}

fn draw(picture: &mut Picture, (figure, ratio): Bar<'_>, y: f64, scale: Scale) {
    let middle = y + HEIGHT / 2.0;
    let colour = match figure.verdict {
        Verdict::Missed => RED,
        Verdict::Reached | Verdict::NotJudged | Verdict::Failed => BLUE,
    };
    let name = format!("{} {}", figure.id, figure.what);
    picture.text(at(LEFT - GAP, middle), Anchor::End, BLACK, &name);
    let length = scale.at(ratio.median) - LEFT;
    picture.rectangle(at(LEFT, y), length, HEIGHT, colour);
    let whisker = [ratio.min, ratio.max].map(|value| at(scale.at(value), middle));
    picture.line(&whisker, BLACK, false);
    if let Some(goal) = goal(figure) {
        let mark = [y - OUT, y + HEIGHT + OUT].map(|y| at(scale.at(goal), y));
        picture.line(&mark, GREY, true);
    }
    let value = format!("{:.2}", ratio.median);
    picture.text(at(RIGHT + GAP, middle), Anchor::Start, colour, &value);
}

fn goal(figure: &Figure) -> Option<f64> {
    figure.goal.map(|goal| match goal {
        Goal::AtLeast(value) | Goal::AtMost(value) => value,
    })
}
