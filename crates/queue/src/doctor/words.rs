//! Figures as people read them.

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// A time in its largest unit.
pub(super) fn lasting(seconds: f64) -> String {
    match seconds {
        s if s < 2.0 * MINUTE => format!("{s:.0} s"),
        s if s < 2.0 * HOUR => format!("{:.0} min", s / MINUTE),
        s if s < 2.0 * DAY => format!("{:.0} h", s / HOUR),
        s => format!("{:.0} days", s / DAY),
    }
}

/// A size in its largest unit.
pub(super) fn size(bytes: i64) -> String {
    const KIB: i64 = 1 << 10;
    const MIB: i64 = 1 << 20;
    const GIB: i64 = 1 << 30;
    match bytes {
        b if b < 2 * MIB => format!("{} KiB", b / KIB),
        b if b < 2 * GIB => format!("{} MiB", b / MIB),
        b => format!("{} GiB", b / GIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_fits() {
        let times = [0.4, 119.0, 120.0, 7_300.0, 400_000.0].map(lasting);
        let sizes = [0, 5 << 20, 3 << 30].map(size);

        assert_eq!(times, ["0 s", "119 s", "2 min", "2 h", "5 days"]);
        assert_eq!(sizes, ["0 KiB", "5 MiB", "3 GiB"]);
    }
}
