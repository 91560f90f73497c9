//! Fields of figures: those that can be added up, the ratios of them, and what they can be told apart by.

use super::{Cell, Field, FieldType, Scene};
use crate::world::{Figures, MICROS};

use FieldType::{Day, Float, Int, Name, Small};

/// Figures that can be added up.
pub(super) const METRICS: &[Field] = &[
    Field::new("metrics.impressions", Int, |scene| {
        Cell::Int(scene.figures.impressions)
    }),
    Field::new("metrics.clicks", Int, |scene| {
        Cell::Int(scene.figures.clicks)
    }),
    Field::new("metrics.interactions", Int, |scene| {
        Cell::Int(scene.figures.clicks)
    }),
    Field::new("metrics.cost_micros", Int, |scene| {
        Cell::Int(scene.figures.spend_micros)
    }),
    Field::new("metrics.conversions", Float, conversions),
    Field::new("metrics.conversions_value", Float, conversions_value),
    Field::new("metrics.all_conversions", Float, conversions),
    Field::new("metrics.all_conversions_value", Float, conversions_value),
    Field::new("metrics.view_through_conversions", Int, |scene| {
        Cell::Int(scene.figures.view_conversion_millis / 1_000)
    }),
    Field::new("metrics.video_trueview_views", Int, |scene| {
        Cell::Int(scene.figures.video_views)
    }),
    Field::new("metrics.engagements", Int, |scene| {
        let Figures {
            likes,
            comments,
            shares,
            ..
        } = scene.figures;
        Cell::Int(likes + comments + shares)
    }),
];

/// Ratios: `ctr` is a fraction, averages of money are micros.
pub(super) const RATIOS: &[Field] = &[
    Field::new("metrics.ctr", Float, |scene| {
        ratio(scene.figures.clicks, scene.figures.impressions)
    }),
    Field::new("metrics.average_cpc", Float, |scene| {
        ratio(scene.figures.spend_micros, scene.figures.clicks)
    }),
    Field::new("metrics.average_cost", Float, |scene| {
        ratio(scene.figures.spend_micros, scene.figures.clicks)
    }),
    Field::new("metrics.average_cpm", Float, |scene| {
        ratio(
            scene.figures.spend_micros * 1_000,
            scene.figures.impressions,
        )
    }),
    Field::new("metrics.cost_per_conversion", Float, |scene| {
        ratio(
            scene.figures.spend_micros * 1_000,
            scene.figures.conversion_millis,
        )
    }),
];

/// What figures can be told apart by.
pub(super) const SEGMENTS: &[Field] = &[
    Field::new(super::DATE, Day, |scene| day(scene, "%Y-%m-%d")),
    Field::new("segments.month", Day, |scene| day(scene, "%Y-%m-01")),
    Field::new("segments.hour", Small, |scene| {
        let hour = scene.bucket.as_ref().and_then(|bucket| bucket.hour);
        hour.map_or(Cell::Nothing, |hour| Cell::Int(i64::from(hour)))
    }),
    Field::new("segments.conversion_action", Name, |scene| {
        let customer = &scene.customer;
        Cell::Text(format!(
            "customers/{}/conversionActions/{}",
            customer.id, customer.conversion_action
        ))
    }),
];

fn conversions(scene: &Scene) -> Cell {
    Cell::Float(scene.figures.conversion_millis as f64 / 1_000.0)
}

fn conversions_value(scene: &Scene) -> Cell {
    Cell::Float(scene.figures.revenue_micros as f64 / MICROS as f64)
}

fn ratio(part: i64, whole: i64) -> Cell {
    if whole == 0 {
        return Cell::Nothing;
    }
    Cell::Float(part as f64 / whole as f64)
}

/// The first day of a row's time.
fn day(scene: &Scene, format: &str) -> Cell {
    let bucket = scene.bucket.as_ref();
    bucket.map_or(Cell::Nothing, |bucket| {
        Cell::Text(bucket.from.format(format).to_string())
    })
}
