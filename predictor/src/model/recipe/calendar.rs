//! Calendar fields of times: minute, hour, weekday from Monday, day of the month and month, all from 0.

const MICROS_PER_MINUTE: i64 = 60_000_000;
const MICROS_PER_DAY: i64 = 24 * 60 * MICROS_PER_MINUTE;

/// The five fields of a time in microseconds since 1970.
pub(super) fn fields(time: i64) -> [f32; 5] {
    let (days, rest) = (time.div_euclid(MICROS_PER_DAY), time.rem_euclid(MICROS_PER_DAY));
    let minutes = rest / MICROS_PER_MINUTE;
    let (month, day) = month_and_day(days);
    let fields = [minutes % 60, minutes / 60, (days + 3).rem_euclid(7), day - 1, month - 1];
    fields.map(|field| f32::from(u8::try_from(field).expect("a calendar field is small")))
}

/// The proleptic Gregorian calendar, counted in years that begin with March.
fn month_and_day(days: i64) -> (i64, i64) {
    let day_of_era = (days + 719_468).rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_in_the_calendar() {
        let whole = |time| fields(time).map(|field| format!("{field}")).join(" ");
        assert_eq!(whole(0), "0 0 3 0 0", "1970-01-01 was a Thursday");
        let leap = 951_782_400_000_000 + 90 * MICROS_PER_MINUTE;
        assert_eq!(whole(leap), "30 1 1 28 1", "2000-02-29 01:30 was a Tuesday");
        assert_eq!(whole(-1), "59 23 2 30 11", "1969-12-31 23:59 was a Wednesday");
    }
}
