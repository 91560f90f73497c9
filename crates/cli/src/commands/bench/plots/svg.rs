//! The few shapes that plots are made of, with one look for all.

use std::fmt::Write;

/// Width of every picture, and where what is drawn begins below the title.
const WIDTH: f64 = 900.0;
pub(super) const TOP: f64 = 50.0;
/// Side of a dot.
const DOT: f64 = 6.0;
/// Names and whiskers.
pub(super) const BLACK: &str = "black";
/// Ours, and what reaches its goal.
pub(super) const BLUE: &str = "#2f6f9f";
/// What misses its goal.
pub(super) const RED: &str = "#b5482f";
/// Limits, axes and marks.
pub(super) const GREY: &str = "#6b7280";
/// What is behind the drawing.
pub(super) const FAINT: &str = "#d1d5db";
/// Lines of a plot with several, in their order.
pub(super) const LINES: [&str; 4] = [BLUE, "#3f8f5f", "#8f5f9f", RED];

/// Where a text stands, seen from its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A point, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// The point there.
pub(super) fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A picture that is being drawn.
pub(super) struct Picture {
    body: String,
    height: f64,
}

impl Picture {
    /// An empty picture of this height, in pixels, with its title.
    pub(super) fn new(title: &str, height: f64) -> Self {
        let mut picture = Self {
            body: String::new(),
            height,
        };
        picture.add(&format!(
            r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#
        ));
        let title = escaped(title);
        picture.add(&format!(
            r#"<text x="16" y="26" font-size="15" font-weight="bold">{title}</text>"#
        ));
        picture
    }

    /// A filled box from its upper left corner.
    pub(super) fn rectangle(&mut self, at: Point, width: f64, height: f64, colour: &str) {
        let Point { x, y } = at;
        self.add(&format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    /// A small box around a point.
    pub(super) fn dot(&mut self, middle: Point, colour: &str) {
        let corner = at(middle.x - DOT / 2.0, middle.y - DOT / 2.0);
        self.rectangle(corner, DOT, DOT, colour);
    }

    /// A line through points, dashed for limits and marks.
    pub(super) fn line(&mut self, points: &[Point], colour: &str, is_dashed: bool) {
        let mut path = String::new();
        for Point { x, y } in points {
            // Writing to a text does not fail.
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let dash = if is_dashed {
            r#" stroke-dasharray="5 4""#
        } else {
            ""
        };
        let path = path.trim_end();
        self.add(&format!(
            r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>"#
        ));
    }

    /// A text on one line, as high above its point as below.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, colour: &str, text: &str) {
        let (Point { x, y }, anchor, text) = (at, anchor.as_str(), escaped(text));
        self.add(&format!(
            r#"<text x="{x:.1}" y="{y:.1}" dy="0.35em" text-anchor="{anchor}" fill="{colour}">{text}</text>"#
        ));
    }

    /// The whole document.
    pub(super) fn finish(self) -> String {
        let Self { body, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
