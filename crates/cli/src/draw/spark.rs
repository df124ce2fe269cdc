//! Lines and bars of a single line of text.

/// A line over time in so many columns, from nothing to its largest value; a blank is a gap, and no zero.
pub(crate) fn spark(values: &[Option<f64>], room: usize) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = sampled(values, room);
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    let step = |value: f64| {
        let part = if largest > 0.0 { (value / largest).clamp(0.0, 1.0) } else { 0.0 };
        STEPS[STEPS.len().saturating_sub(1).min(whole(part * 7.0))]
    };
    values.iter().map(|value| value.map_or(' ', step)).collect()
}

/// A bar as long as the share of the room that is large, in eighths of a column.
pub(crate) fn bar(share: f64, room: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let eighths = whole(share.clamp(0.0, 1.0) * f64::from(room) * 8.0);
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// The means of as many stretches of equal length; fewer values stay as they are.
#[expect(clippy::cast_precision_loss, reason = "a stretch has few values")]
fn sampled(values: &[Option<f64>], room: usize) -> Vec<Option<f64>> {
    if values.len() <= room || room == 0 {
        return values.to_vec();
    }
    let stretch = |at: usize| {
        let known: Vec<f64> = values[at * values.len() / room..(at + 1) * values.len() / room]
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..room).map(stretch).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of columns or steps"
)]
fn whole(value: f64) -> usize {
    value.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_no_zero() {
        assert_eq!(spark(&[Some(0.0), None, Some(7.0), Some(3.5)], 10), "▁ █▅");
        assert_eq!(spark(&[Some(0.0), Some(0.0)], 10), "▁▁");
        assert_eq!(spark(&[], 10), "");
        assert_eq!(spark(&[Some(1.0); 100], 10).chars().count(), 10);
        assert_eq!(spark(&[Some(1.0), Some(f64::NAN), None], 1), "█");
    }

    #[test]
    fn a_bar_grows_by_eighths() {
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!((bar(2.0, 2), bar(f64::NAN, 2)), ("██".to_owned(), String::new()));
    }
}
