//! Pictures of the results.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::report::Row;

const WIDTH: u32 = 900;
const ROW_HEIGHT: u32 = 28;

/// Draws the ratio of each row to its limit as a bar, and the limit as a line.
pub fn ratios(rows: &[Row], file: &Path) -> Result<()> {
    let bars: Vec<(&str, f64)> =
        rows.iter().filter_map(|row| Some((row.name.as_str(), row.ratio?.median))).collect();
    let Ok(count) = u32::try_from(bars.len()) else { return Ok(()) };
    let longest = bars.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    let area = SVGBackend::new(file, (WIDTH, ROW_HEIGHT * count + 90)).into_drawing_area();
    area.fill(&WHITE)?;
    let name = |row: &SegmentValue<u32>| match row {
        SegmentValue::CenterOf(row) => {
            bars.get(*row as usize).map_or_else(String::new, |(name, _)| (*name).to_owned())
        }
        _ => String::new(),
    };
    let mut chart = ChartBuilder::on(&area)
        .caption("ratio to the limit of the same run", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(190)
        .build_cartesian_2d(0.0..longest * 1.05, (0..count).into_segmented())?;
    chart.configure_mesh().disable_y_mesh().y_labels(bars.len()).y_label_formatter(&name).draw()?;
    chart.draw_series((0..count).zip(&bars).map(|(row, (_, ratio))| {
        let corners = [(0.0, SegmentValue::Exact(row)), (*ratio, SegmentValue::Exact(row + 1))];
        let mut bar = Rectangle::new(corners, BLUE.mix(0.6).filled());
        bar.set_margin(4, 4, 0, 0);
        bar
    }))?;
    let ends = [(1.0, SegmentValue::Exact(0)), (1.0, SegmentValue::Exact(count))];
    chart.draw_series(LineSeries::new(ends, RED))?;
    area.present()?;
    Ok(())
}
