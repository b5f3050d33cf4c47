//! One SVG: a group of bars for every row of a table, a bar for every server, a line at 1.0.

use std::io;
use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (1000, 460);
/// A hopeless outlier must not flatten everybody else.
const RATIO_MAX: f64 = 3.0;

/// `bars[cell][rival]` is a ratio to the baseline, or nothing where it was not measured.
pub fn bars(
    path: &Path,
    title: &str,
    cells: &[String],
    rivals: &[String],
    bars: &[Vec<Option<f64>>],
) -> io::Result<()> {
    draw(path, title, cells, rivals, bars).map_err(|error| io::Error::other(error.to_string()))
}

fn draw(
    path: &Path,
    title: &str,
    cells: &[String],
    rivals: &[String],
    bars: &[Vec<Option<f64>>],
) -> Result<(), Box<dyn std::error::Error>> {
    let highest = bars.iter().flatten().flatten().copied().fold(1.0, f64::max);
    let top = (highest * 1.15).min(RATIO_MAX);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(100)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..cells.len() as f64, 0.0..top)?;
    chart.configure_mesh().disable_x_mesh().disable_x_axis().y_desc("ratio").draw()?;

    let width = 0.8 / rivals.len().max(1) as f64;
    for (rival_index, rival) in rivals.iter().enumerate() {
        let color = Palette99::pick(rival_index).to_rgba();
        let rectangles = bars.iter().enumerate().filter_map(|(cell_index, cell)| {
            let ratio = cell[rival_index]?.min(top);
            let left = cell_index as f64 + 0.1 + width * rival_index as f64;
            Some(Rectangle::new([(left, 0.0), (left + width * 0.92, ratio)], color.filled()))
        });
        chart
            .draw_series(rectangles)?
            .label(rival)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    chart.draw_series([PathElement::new(vec![(0.0, 1.0), (cells.len() as f64, 1.0)], BLACK)])?;
    for (index, cell) in cells.iter().enumerate() {
        let at = chart.backend_coord(&(index as f64 + 0.12, 0.0));
        let style = ("sans-serif", 11).into_font().transform(FontTransform::None);
        for (row, line) in cell.split(", ").enumerate() {
            root.draw(&Text::new(line.to_owned(), (at.0, at.1 + 6 + 13 * row as i32), style.clone()))?;
        }
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    root.present()?;
    Ok(())
}
