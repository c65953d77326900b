/* SPDX-License-Identifier: MIT */
#include "json/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

#define EXACT (UINT64_C(1) << 53) /* a double holds every whole number up to this one exactly */
#define EXACT_POWER 22            /* a double holds the powers of ten up to this one exactly */
#define U64_DIGITS 19             /* every number of so many digits fits into 64 bits */

static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t whole_powers[U64_DIGITS + 1] = {
  UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
  UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
  UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000), UINT64_C(1000000000000000),
  UINT64_C(10000000000000000), UINT64_C(100000000000000000), UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};

/* The "C" locale, made once and never freed: strtod and snprintf follow a script's os.setlocale, which JSON must not. */
static locale_t c_locale;

static void find_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static locale_t neutral(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_c_locale);
  return c_locale;
}

/* ---- reading ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Returns the double nearest to q * 2^exponent, or to a little more than that if `more`. The callers' values are neither too large nor
 * too small for a double. */
static double nearest(wide q, bool more, int exponent) {
  uint64_t high = (uint64_t)(q >> 64);
  int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)q);
  q <<= shift;
  uint64_t mantissa = (uint64_t)(q >> 75);
  wide rest = q & (((wide)1 << 75) - 1), half = (wide)1 << 74;
  if (rest > half || (rest == half && (more || (mantissa & 1)))) mantissa++;
  return ldexp((double)mantissa, exponent - shift + 75);
}

/* Returns the double nearest to mantissa * 10^power; |power| <= U64_DIGITS, so that 128 bits hold every step. */
static double scaled(uint64_t mantissa, int power) {
  if (power >= 0) return nearest((wide)mantissa * whole_powers[power], false, 0);
  int shift = __builtin_clzll(mantissa);
  wide dividend = (wide)(mantissa << shift) << 64;
  uint64_t divisor = whole_powers[-power];
  return nearest(dividend / divisor, dividend % divisor != 0, -64 - shift);
}

static double slow(const char *token) { return strtod_l(token, NULL, neutral()); }

/* Returns the double nearest to mantissa * 10^power. `token` has `count` digits; when these are too many for `mantissa`, the token is
 * read instead. */
static double real_of(const char *token, uint64_t mantissa, int64_t count, int64_t power) {
  if (count > U64_DIGITS) {
    for (const char *p = token; *p == '0' || *p == '.'; p++) count -= *p == '0';
    if (count > U64_DIGITS) return slow(token);
  }
  if (mantissa == 0) return 0;
  if (FLT_EVAL_METHOD == 0 && mantissa <= EXACT && power >= -EXACT_POWER && power <= EXACT_POWER)
    return power < 0 ? (double)mantissa / powers[-power] : (double)mantissa * powers[power];
  if (power >= -U64_DIGITS && power <= U64_DIGITS) return scaled(mantissa, (int)power);
  return slow(token);
}

static void wrong(gl_number *number, const char *at, const char *fault) {
  number->kind = GL_NUMBER_WRONG;
  number->end = at;
  number->fault = fault;
}

static void settle_real(gl_number *number, double real, bool negative) {
  number->kind = isinf(real) ? GL_NUMBER_TOO_LARGE : GL_NUMBER_FLOAT;
  number->real = negative ? -real : real;
}

static void settle_whole(gl_number *number, const char *token, uint64_t n, int64_t count, bool negative) {
  uint64_t most = (uint64_t)INT64_MAX + negative;
  if (count > U64_DIGITS || n > most || (n == 0 && negative)) {
    settle_real(number, real_of(token, n, count, 0), negative);
    return;
  }
  number->kind = GL_NUMBER_INTEGER;
  number->integer = negative ? (int64_t)(0 - n) : (int64_t)n;
}

/* Adds the exponent at `p` to *power and returns the byte behind it. NULL: there is no digit. An exponent of any length is bounded
 * here: beyond a billion the result is 0 or too large in any case. */
static const char *read_exponent(const char *p, int64_t *power) {
  bool negative = *p == '-';
  int64_t n = 0;
  if (*p == '-' || *p == '+') p++;
  if (!is_digit(*p)) return NULL;
  for (; is_digit(*p); p++)
    if (n < 1000000000) n = n * 10 + (*p - '0');
  *power += negative ? -n : n;
  return p;
}

void gl_number_read(const char *at, gl_number *number) {
  bool negative = *at == '-';
  const char *token = at + negative, *p = token;
  uint64_t mantissa = 0; /* wraps when there are too many digits; real_of and settle_whole see that by `count` */
  if (!is_digit(*p)) return wrong(number, p, "a digit must follow the minus");
  for (; is_digit(*p); p++) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
  int64_t count = p - token, power = 0;
  if (*token == '0' && count > 1) return wrong(number, token, "a number must not begin with 0");
  if (*p != '.' && *p != 'e' && *p != 'E') {
    number->end = p;
    return settle_whole(number, token, mantissa, count, negative);
  }
  if (*p == '.') {
    const char *fraction = ++p;
    if (!is_digit(*p)) return wrong(number, p, "a digit must follow the decimal point");
    for (; is_digit(*p); p++) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    power = fraction - p;
    count -= power;
  }
  if (*p == 'e' || *p == 'E') {
    const char *exponent = p + 1;
    p = read_exponent(exponent, &power);
    if (!p) return wrong(number, exponent + (*exponent == '-' || *exponent == '+'), "a digit must follow in the exponent");
  }
  number->end = p;
  settle_real(number, real_of(token, mantissa, count, power), negative);
}

/* ---- writing ---- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                            "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
                            "9899";

/* Writes the digits of `n` so that the last one is before `end`; returns the first digit. */
static char *digits_before(char *end, uint64_t n) {
  while (n >= 100) {
    memcpy(end -= 2, pairs + n % 100 * 2, 2);
    n /= 100;
  }
  if (n >= 10) memcpy(end -= 2, pairs + n * 2, 2);
  else *--end = (char)('0' + n);
  return end;
}

static char *put_whole(char *to, uint64_t n) {
  char digits[20], *end = digits + sizeof digits, *first = digits_before(end, n);
  memcpy(to, first, (size_t)(end - first));
  return to + (end - first);
}

char *gl_number_put_integer(char *to, int64_t n) {
  if (n >= 0) return put_whole(to, (uint64_t)n);
  *to = '-';
  return put_whole(to + 1, 0 - (uint64_t)n);
}

/* Writes digits * 10^-places with a point. */
static char *put_decimal(char *to, uint64_t digits, int places) {
  uint64_t whole = places <= U64_DIGITS ? digits / whole_powers[places] : 0;
  uint64_t rest = places <= U64_DIGITS ? digits % whole_powers[places] : digits;
  to = put_whole(to, whole);
  *to++ = '.';
  char *first = digits_before(to + places, rest);
  memset(to, '0', (size_t)(first - to));
  return to + places;
}

static char *put_whole_float(char *to, uint64_t n) {
  to = put_whole(to, n);
  memcpy(to, ".0", 2);
  return to + 2;
}

/* Writes a number of at most four places, as prices and measured values have. NULL: `n` is none, or too large. The digits are right if
 * they divide back to `n`, since real_of divides in the same way. */
static char *put_short(char *to, double n) {
  for (int places = 1; places <= 4; places++) {
    double product = n * powers[places];
    if (product >= 1e15) break;
    double digits = (double)(int64_t)(product + 0.5), off = product - digits, close = product * 1e-15;
    if (off > close || off < -close) continue;
    if (digits / powers[places] == n) return put_decimal(to, (uint64_t)digits, places);
  }
  return NULL;
}

/* A double n = mantissa * 2^-shift in units of 2^-shift * 10^-places, in which all numbers here are whole: `value` = mantissa *
 * 10^places is n, and `unit` = 10^places is the distance to n's neighbours, so that unit / 2 from n is the middle to either. */
typedef struct expansion {
  uint64_t mantissa;
  int shift, places;
  wide unit, value;
} expansion;

static void expand(expansion *x, int places) {
  x->places = places;
  x->unit = places <= U64_DIGITS ? whole_powers[places] : (wide)whole_powers[U64_DIGITS] * whole_powers[places - U64_DIGITS];
  x->value = x->unit * x->mantissa;
}

/* Is the decimal, given in the units of `x`, read as n? */
static bool is_read_back(const expansion *x, wide decimal) {
  bool below = decimal < x->value, even = (x->mantissa & 1) == 0;
  wide off = below ? x->value - decimal : decimal - x->value;
  wide reach = below && x->mantissa == EXACT / 2 ? x->unit / 2 : x->unit; /* below a power of two the neighbour is half as far away */
  return 2 * off < reach || (even && 2 * off == reach);
}

/* Writes an `n` from 1e-5 to 2^53 that is not whole, with the fewest of 15, 16 and 17 digits that are read as `n`. */
static char *put_exact(char *to, double n) {
  uint64_t bits;
  memcpy(&bits, &n, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023; /* n is 2^exponent and up */
  expansion x = {.mantissa = (bits & (EXACT / 2 - 1)) | EXACT / 2, .shift = 52 - exponent};
  expand(&x, 16 - ((exponent * 1233) >> 12)); /* exponent * 1233 / 4096 is the decimal logarithm, or one less */
  uint64_t whole = (uint64_t)(x.value >> x.shift);
  if (whole >= whole_powers[17]) {
    expand(&x, x.places - 1);
    whole = (uint64_t)(x.value >> x.shift);
  }
  for (int less = 2; less > 0; less--) {
    uint64_t step = whole_powers[less], digits = (whole + step / 2) / step;
    if (!is_read_back(&x, (wide)(digits * step) << x.shift)) continue;
    int places = x.places - less;
    for (; digits % 10 == 0; places--) digits /= 10;
    return put_decimal(to, digits, places);
  }
  wide rest = x.value - ((wide)whole << x.shift);
  return put_decimal(to, whole + (rest >= (wide)1 << (x.shift - 1)), x.places);
}

static char *put_slow(char *to, double n) {
  locale_t before = uselocale(neutral());
  int len = 0;
  for (int digits = n < DBL_MIN ? 1 : 15; digits <= 17; digits++) { /* a denormal number has fewer bits, so that fewer digits may do */
    len = snprintf(to, GL_NUMBER_MAX, "%.*g", digits, n);
    if (digits == 17 || slow(to) == n) break;
  }
  uselocale(before);
  to[len] = '\0';
  if (strpbrk(to, ".e")) return to + len;
  memcpy(to + len, ".0", 2);
  return to + len + 2;
}

char *gl_number_put_float(char *to, double n) {
  if (signbit(n)) {
    *to++ = '-';
    n = -n;
  }
  bool plain = n < (double)EXACT;
  if (plain && n == (double)(int64_t)n) return put_whole_float(to, (uint64_t)n);
  if (!plain || n < 1e-5 || FLT_EVAL_METHOD != 0) return put_slow(to, n);
  char *end = put_short(to, n);
  return end ? end : put_exact(to, n);
}
