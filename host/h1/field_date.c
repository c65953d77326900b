/* SPDX-License-Identifier: MIT
 *
 * Dates of header fields in the three forms of RFC 9110, 5.6.7, read without the C library's locale.
 */
#include <time.h>

#include "h1/fields.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool take_digits(gl_text *s, int n, int *number) {
  *number = 0;
  if (gl_text_len(*s) < (size_t)n) return false;
  for (; n; n--, s->at++) {
    if (!is_digit(*s->at)) return false;
    *number = *number * 10 + *s->at - '0';
  }
  return true;
}

/* Takes one of the names and returns its place in the list, from 1 on. 0: there is none of them. */
static int take_name(gl_text *s, const char *const *names) {
  for (int i = 0; names[i]; i++)
    if (gl_take_word(s, names[i])) return i + 1;
  return 0;
}

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", NULL};
static const char *const rest_of_days[] = {"day", "sday", "nesday", "rsday", "urday", NULL};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", NULL};

typedef struct date {
  int year, month, day, hour, minute, second;
} date;

static bool take_time(gl_text *s, date *d) {
  return take_digits(s, 2, &d->hour) && gl_take_char(s, ':') && take_digits(s, 2, &d->minute) && gl_take_char(s, ':') && take_digits(s, 2, &d->second);
}

/* Returns the year that ends with two digits and is 50 years ahead at most (RFC 9110, 5.6.7). */
static int full_year(int digits) {
  time_t now = time(NULL);
  struct tm tm;
  int current = gmtime_r(&now, &tm) ? tm.tm_year + 1900 : 1970, year = current - current % 100 + digits;
  return year > current + 50 ? year - 100 : year;
}

/* Takes "06 Nov 1994 08:49:37 GMT", or "06-Nov-94 08:49:37 GMT" with other marks and digits of the year. */
static bool take_day_first(gl_text *s, date *d, char mark, int digits) {
  bool is = take_digits(s, 2, &d->day) && gl_take_char(s, mark) && (d->month = take_name(s, months)) != 0 && gl_take_char(s, mark) &&
            take_digits(s, digits, &d->year) && gl_take_char(s, ' ') && take_time(s, d) && gl_take_word(s, " GMT");
  if (is && digits == 2) d->year = full_year(d->year);
  return is;
}

/* Takes "Nov  6 08:49:37 1994". */
static bool take_month_first(gl_text *s, date *d) {
  d->month = take_name(s, months);
  if (!d->month || !gl_take_char(s, ' ')) return false;
  if (!take_digits(s, gl_take_char(s, ' ') ? 1 : 2, &d->day)) return false;
  return gl_take_char(s, ' ') && take_time(s, d) && gl_take_char(s, ' ') && take_digits(s, 4, &d->year);
}

static bool is_date(const date *d) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = d->month == 2 && d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
  return d->day >= 1 && d->day <= lengths[d->month - 1] + leap && d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

/* Returns the days since 1970-01-01 of a date in the Gregorian calendar. Inside, a year begins in March, so that its leap day is last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d) {
  if (m <= 2) {
    y--;
    m += 12;
  }
  return 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + d - 719469;
}

bool gl_field_date(gl_text s, int64_t *seconds) {
  date d = {0};
  bool is;
  if (!take_name(&s, days)) return false;
  if (gl_take_char(&s, ' ')) is = take_month_first(&s, &d);
  else if (gl_take_word(&s, ", ")) is = take_day_first(&s, &d, ' ', 4);
  else is = take_name(&s, rest_of_days) && gl_take_word(&s, ", ") && take_day_first(&s, &d, '-', 2);
  if (!is || s.at != s.end || !is_date(&d)) return false;
  *seconds = days_of(d.year, d.month, d.day) * 86400 + d.hour * 3600 + d.minute * 60 + d.second;
  return true;
}
