//! One SVG for a table: a group of bars for every row, a bar for every server, a line at 1.0.
//!
//! Bars lie down, because rows have long names.

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

/// What is drawn. `ratios[cell][rival]` is relative to the baseline, or nothing where not measured.
pub struct Bars<'a> {
    pub title: &'a str,
    pub cells: &'a [String],
    pub rivals: &'a [String],
    pub ratios: &'a [Vec<Option<f64>>],
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: i32 = 960;
const NAMES_WIDTH: i32 = 380;
const HEAD_HEIGHT: i32 = 64;
const FOOT_HEIGHT: i32 = 28;
const BAR_HEIGHT: i32 = 14;
const GAP: i32 = 10;
/// Room for the figure at the end of the longest bar.
const FIGURE_WIDTH: i32 = 48;
/// A hopeless outlier must not flatten everybody else; its figure still tells the truth.
const RATIO_MAX: f64 = 3.0;
const GRID_STEP: f64 = 0.25;

const COLORS: [RGBColor; 7] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
];

impl Bars<'_> {
    pub fn save(&self, path: &Path) -> io::Result<()> {
        self.draw(path).map_err(|error| io::Error::other(error.to_string()))
    }

    fn draw(&self, path: &Path) -> Drawn {
        let bottom = HEAD_HEIGHT + self.group_height() * self.cells.len() as i32;
        let size = (WIDTH as u32, (bottom + FOOT_HEIGHT) as u32);
        let root = SVGBackend::new(path, size).into_drawing_area();
        root.fill(&WHITE)?;
        write(&root, self.title, (12, 10), 17)?;
        self.legend(&root)?;
        self.grid(&root, bottom)?;
        for (index, cell) in self.cells.iter().enumerate() {
            let top = HEAD_HEIGHT + self.group_height() * index as i32;
            write(&root, cell, (12, top + (self.group_height() - GAP) / 2 - 6), 12)?;
            for (rival, ratio) in self.ratios[index].iter().enumerate() {
                if let Some(ratio) = ratio {
                    self.bar(&root, top + BAR_HEIGHT * rival as i32, *ratio, COLORS[rival % COLORS.len()])?;
                }
            }
        }
        root.present()?;
        Ok(())
    }

    fn group_height(&self) -> i32 {
        BAR_HEIGHT * self.rivals.len().max(1) as i32 + GAP
    }

    /// The ratio at the right edge.
    fn highest(&self) -> f64 {
        let highest = self.ratios.iter().flatten().flatten().copied().fold(1.0, f64::max);
        (highest * 1.05).min(RATIO_MAX)
    }

    fn x(&self, ratio: f64) -> i32 {
        let width = f64::from(WIDTH - NAMES_WIDTH - FIGURE_WIDTH);
        NAMES_WIDTH + (ratio.min(self.highest()) / self.highest() * width) as i32
    }

    fn bar(&self, root: &Area<'_>, top: i32, ratio: f64, color: RGBColor) -> Drawn {
        let end = self.x(ratio);
        root.draw(&Rectangle::new([(NAMES_WIDTH, top), (end, top + BAR_HEIGHT - 2)], color.filled()))?;
        write(root, &format!("{ratio:.2}"), (end + 4, top), 11)
    }

    fn legend(&self, root: &Area<'_>) -> Drawn {
        let mut left = 12;
        for (rival, color) in self.rivals.iter().zip(COLORS.iter().cycle()) {
            root.draw(&Rectangle::new([(left, 38), (left + 11, 49)], color.filled()))?;
            write(root, rival, (left + 16, 37), 12)?;
            left += 40 + 8 * rival.len() as i32;
        }
        Ok(())
    }

    fn grid(&self, root: &Area<'_>, bottom: i32) -> Drawn {
        let lines = (self.highest() / GRID_STEP) as usize;
        for line in 0..=lines {
            let ratio = line as f64 * GRID_STEP;
            let x = self.x(ratio);
            let style = if ratio == 1.0 { BLACK.mix(0.9) } else { BLACK.mix(0.15) };
            root.draw(&PathElement::new([(x, HEAD_HEIGHT - 4), (x, bottom)], style))?;
            write(root, &format!("{ratio:.2}"), (x - 11, bottom + 6), 11)?;
        }
        Ok(())
    }
}

fn write(root: &Area<'_>, text: &str, at: (i32, i32), size: i32) -> Drawn {
    root.draw(&Text::new(text.to_owned(), at, ("sans-serif", size).into_font()))?;
    Ok(())
}
