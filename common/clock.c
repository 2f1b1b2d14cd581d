/*
 * The clock of common/clock.h: asked by every room, moved only by tests. Dates are computed here, not by
 * timegm and strftime, so that no locale and no time zone of the machine can change them.
 */
#include "common/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define DAY_SECONDS INT64_C(86400)

static int64_t wall_shift;

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    RB_INVARIANT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * RB_SECOND + now.tv_nsec / 1000;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. Years start in March here, so that the leap day
 * is the last of its year, and are counted in blocks of 400. */
static int64_t days_from_date(int64_t year, int month, int day)
{
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (int)((5 * day_of_year + 2) / 153);
    *day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* --- reading: each takes what it wants from *at and says whether it was there --- */

struct text {
    const char *at;
    const char *end;
};

static bool take_char(struct text *text, const char *any_of)
{
    if (text->at == text->end)
        return false;
    for (; *any_of; any_of++) {
        if (*text->at == *any_of) {
            text->at++;
            return true;
        }
    }
    return false;
}

static bool take_digits(struct text *text, int count, int max, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (text->at == text->end || *text->at < '0' || *text->at > '9')
            return false;
        value = value * 10 + (*text->at++ - '0');
    }
    *out = value;
    return value <= max;
}

static bool take_fraction(struct text *text, int64_t *us)
{
    int64_t place = RB_SECOND / 10;
    int digits = 0;
    *us = 0;
    if (!take_char(text, "."))
        return true;
    for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++, digits++) {
        *us += place * (*text->at - '0');
        place /= 10;
    }
    return digits > 0;
}

static bool take_offset(struct text *text, int64_t *seconds)
{
    int hours, minutes;
    *seconds = 0;
    if (take_char(text, "Zz"))
        return true;
    int sign = take_char(text, "-") ? -1 : 1;
    if (sign == 1 && !take_char(text, "+"))
        return false;
    if (!take_digits(text, 2, 23, &hours) || !take_char(text, ":") || !take_digits(text, 2, 59, &minutes))
        return false;
    *seconds = sign * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return true;
}

int64_t rb_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME) + wall_shift;
}

int64_t rb_clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void rb_clock_shift_wall(int64_t us)
{
    wall_shift += us;
}

enum rb_err rb_time_parse(const char *text, size_t len, int64_t *wall_us)
{
    struct text in = {text, text + len};
    int year, month, day, hour, minute, second;
    int64_t us, offset;
    if (!take_digits(&in, 4, 9999, &year) || !take_char(&in, "-") || !take_digits(&in, 2, 12, &month) ||
        !take_char(&in, "-") || !take_digits(&in, 2, 31, &day) || !take_char(&in, "Tt") ||
        !take_digits(&in, 2, 23, &hour) || !take_char(&in, ":") || !take_digits(&in, 2, 59, &minute) ||
        !take_char(&in, ":") || !take_digits(&in, 2, 60, &second) || !take_fraction(&in, &us) ||
        !take_offset(&in, &offset) || in.at != in.end)
        return RB_ERR_INVALID;
    if (year == 0 || month == 0 || day == 0 || day > days_in_month(year, month))
        return RB_ERR_INVALID;
    if (second == 60)
        second = 59;
    int64_t seconds = days_from_date(year, month, day) * DAY_SECONDS + hour * INT64_C(3600) +
                      minute * INT64_C(60) + second - offset;
    *wall_us = seconds * RB_SECOND + us;
    return RB_OK;
}

void rb_time_format(int64_t wall_us, char out[RB_TIME_SIZE])
{
    int64_t us = wall_us % RB_SECOND;
    int64_t seconds = wall_us / RB_SECOND;
    if (us < 0) {
        us += RB_SECOND;
        seconds--;
    }
    int64_t of_day = seconds % DAY_SECONDS;
    int64_t days = seconds / DAY_SECONDS;
    if (of_day < 0) {
        of_day += DAY_SECONDS;
        days--;
    }
    int64_t year;
    int month, day;
    date_from_days(days, &year, &month, &day);
    char fraction[8] = "";
    if (us)
        snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)us % 1000000U);
    snprintf(out, RB_TIME_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d%sZ", (long long)year, month, day,
             (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60), fraction);
}
