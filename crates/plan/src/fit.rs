//! Least squares with coefficients that are not negative: nothing costs less than nothing.

/// A measurement: what each feature was, and what came of them.
pub type Sample = (Vec<f64>, f64);

/// The coefficients for which the relative errors are least, none of them negative. All subsets of the features are
/// tried, for there are few. None where no subset can be solved, as without samples.
pub fn non_negative(samples: &[Sample]) -> Option<Vec<f64>> {
    let features = samples.first()?.0.len();
    let scaled: Vec<Sample> = samples.iter().map(|(x, y)| (x.iter().map(|value| value / y).collect(), 1.0)).collect();
    let mut best: Option<(f64, Vec<f64>)> = None;
    for subset in 1..(1_u32 << features) {
        let chosen: Vec<usize> = (0..features).filter(|feature| subset >> feature & 1 == 1).collect();
        let Some(solved) = solve(&scaled, &chosen) else { continue };
        if solved.iter().any(|coefficient| *coefficient < 0.0) {
            continue;
        }
        let mut whole = vec![0.0; features];
        chosen.iter().zip(&solved).for_each(|(&feature, &coefficient)| whole[feature] = coefficient);
        let error: f64 = scaled.iter().map(|(x, y)| (dot(x, &whole) - y).powi(2)).sum();
        // A further feature must explain something; of equal fits the first, which is the smaller, stays.
        if best.as_ref().is_none_or(|(least, _)| error < least - 1e-12) {
            best = Some((error, whole));
        }
    }
    best.map(|(_, coefficients)| coefficients)
}

/// The sum of the products.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The normal equations of some features, by Gauss and Jordan. None where they are not independent.
fn solve(samples: &[Sample], chosen: &[usize]) -> Option<Vec<f64>> {
    let count = chosen.len();
    let mut rows: Vec<Vec<f64>> = chosen
        .iter()
        .map(|&i| {
            let sum = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>();
            let mut row: Vec<f64> = chosen.iter().map(|&j| sum(&|(x, _)| x[i] * x[j])).collect();
            row.push(sum(&|(x, y)| x[i] * y));
            row
        })
        .collect();
    let scales: Vec<f64> = (0..count).map(|at| rows[at][at].abs()).collect();
    for column in 0..count {
        let pivot = (column..count).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        let divisor = rows[column][column];
        if divisor.abs() <= scales[column] * 1e-9 {
            return None;
        }
        rows[column].iter_mut().for_each(|value| *value /= divisor);
        let reduced = rows[column].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if at != column {
                row.iter_mut().zip(&reduced).for_each(|(value, by)| *value -= factor * by);
            }
        }
    }
    Some(rows.iter().map(|row| row[count]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_samples_were_made_of_is_found() {
        let samples: Vec<Sample> =
            [1.0, 2.0, 5.0].iter().map(|&x: &f64| (vec![1.0, x, x * x], 3.0 + 2.0 * x)).collect();
        let found = non_negative(&samples).unwrap();
        for (found, made) in found.iter().zip([3.0, 2.0, 0.0]) {
            assert!((found - made).abs() < 1e-6, "{found} is not {made}");
        }
    }

    #[test]
    fn of_features_that_are_the_same_one_is_enough() {
        let samples: Vec<Sample> = [1.0, 2.0, 5.0].iter().map(|&x: &f64| (vec![x, x], 4.0 * x)).collect();
        let found = non_negative(&samples).unwrap();
        assert!((found[0] + found[1] - 4.0).abs() < 1e-6, "{found:?}");
        assert!(found.contains(&0.0), "{found:?}");
    }

    #[test]
    fn no_coefficient_is_negative() {
        let samples: Vec<Sample> = [1.0, 2.0, 3.0].iter().map(|&x: &f64| (vec![1.0, x], 10.0 - x)).collect();
        let found = non_negative(&samples).unwrap();
        assert!(found.iter().all(|coefficient| *coefficient >= 0.0), "{found:?}");
        assert!(found[0] > 7.0, "{found:?}");
        assert_eq!(non_negative(&[]), None);
    }
}
