//! Medians and ratios of repeated runs. No I/O, no clock.
//!
//! A figure is never quoted alone: machines differ and drift, so what survives is the ratio of two
//! servers measured in the same round. A round runs every server once, minutes apart at most.

/// The middle value, or the mean of the two middle ones. `None` when there is nothing finite.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The first and third quartile, rounded outwards to a real run, which say how far runs lie apart without letting one
/// disturbed run decide, as the minimum and maximum would.
pub fn quartiles(values: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(values);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[last / 4], sorted[last - last / 4]))
}

/// For every round both servers finished: ours divided by the baseline's. Rounds that only one of
/// them finished say nothing about the other and are left out.
pub fn pair_ratios(ours: &[(usize, f64)], baseline: &[(usize, f64)]) -> Vec<f64> {
    ours.iter()
        .filter_map(|(round, value)| {
            let (_, base) = baseline.iter().find(|(other, _)| other == round)?;
            (*base > 0.0).then(|| value / base)
        })
        .collect()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN, 5.0]), Some(5.0));
    }

    #[test]
    fn one_wild_run_does_not_move_the_quartiles() {
        let runs = [1.0, 1.1, 1.0, 0.9, 1.0, 1.1, 50.0];
        let (low, high) = quartiles(&runs).expect("seven runs");
        assert!(low >= 0.9 && high <= 1.1, "{low} {high}");
        assert_eq!(quartiles(&[]), None);
    }

    #[test]
    fn ratios_pair_runs_of_the_same_round_only() {
        let ours = [(0, 5.0), (1, 9.0), (3, 4.0)];
        let baseline = [(1, 10.0), (0, 10.0), (2, 10.0)];
        assert_eq!(pair_ratios(&ours, &baseline), vec![0.5, 0.9]);
        assert!(pair_ratios(&[(0, 1.0)], &[(0, 0.0)]).is_empty());
    }
}
