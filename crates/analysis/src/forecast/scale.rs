//! The scale on which a series scatters evenly: ratios, roots or differences.

use crate::statistics::finite;

/// How values are looked at before anything is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By their logarithm: all are above zero.
    Ratio,
    /// By their square root: none is below zero and some are zero.
    Root,
    /// As they are.
    Plain,
}

/// A shape, and the power of two that all values are divided by first, so that none of their squares overflows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) shape: Shape,
    exponent: i32,
    not_negative: bool,
}

impl Scale {
    /// The scale for these values. Whether ratios suit values above zero better than differences, the caller says.
    pub(crate) fn of(values: &[Option<f64>], ratios: bool) -> Self {
        let largest = values.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        let exponent = if largest > 0.0 { libm::ilogb(largest) } else { 0 };
        let least = values
            .iter()
            .flatten()
            .map(|value| down(*value, exponent))
            .fold(f64::INFINITY, f64::min);
        let shape = match least {
            least if least > 0.0 && ratios => Shape::Ratio,
            0.0 => Shape::Root,
            _ => Shape::Plain,
        };
        Self { shape, exponent, not_negative: least >= 0.0 }
    }

    pub(crate) fn there(self, value: f64) -> f64 {
        let value = down(value, self.exponent);
        match self.shape {
            Shape::Ratio => value.max(f64::MIN_POSITIVE).ln(),
            Shape::Root => value.max(0.0).sqrt(),
            Shape::Plain => value,
        }
    }

    /// The value that stands there. It is finite, and not below zero where no value was.
    pub(crate) fn back(self, point: f64) -> f64 {
        let value = match self.shape {
            Shape::Ratio => point.min(700.0).exp(),
            Shape::Root => point.max(0.0) * point.max(0.0),
            Shape::Plain => point,
        };
        let value = finite(libm::scalbn(finite(value), self.exponent));
        if self.not_negative { value.max(0.0) } else { value }
    }
}

fn down(value: f64, exponent: i32) -> f64 {
    libm::scalbn(value, -exponent)
}
