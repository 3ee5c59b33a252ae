#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/decimal.h"

__extension__ typedef unsigned __int128 wide;

enum {
	DIGITS = 19,			/* that 64 bits hold */
	FIVES = 27,			/* powers of 5 that they hold */
	EXACT = 22			/* powers of 10 that a double holds */
};

static const double ten[EXACT + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

static const uint64_t five[FIVES + 1] = {
	1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u,
	9765625u, 48828125u, 244140625u, 1220703125u, 6103515625u,
	30517578125u, 152587890625u, 762939453125u, 3814697265625u,
	19073486328125u, 95367431640625u, 476837158203125u,
	2384185791015625u, 11920928955078125u, 59604644775390625u,
	298023223876953125u, 1490116119384765625u, 7450580596923828125u
};

/* v 2^e and a little more if sticky, v of at least 64 bits; to nearest, ties to even. */
static double
rounded(wide v, int e, int sticky)
{
	union { uint64_t u; double d; } x;
	uint64_t top = (uint64_t)(v >> 64), keep;
	int bits = top != 0 ? 128 - __builtin_clzll(top) :
	    64 - __builtin_clzll((uint64_t)v);
	int shift = bits - 53;
	wide rest, half;

	half = (wide)1 << (shift - 1);
	rest = v & ((half << 1) - 1);
	keep = (uint64_t)(v >> shift);
	if (rest > half || (rest == half && (sticky || (keep & 1) != 0)))
		keep++;
	e += shift;
	if (keep >> 53 != 0) {
		keep >>= 1;
		e++;
	}
	x.u = (uint64_t)(e + 52 + 1023) << 52 | (keep & ((1ull << 52) - 1));
	return (x.d);
}

/* w 10^e, 0 < w and -27 <= e <= 27, by whole numbers. */
static double
product(uint64_t w, int e)
{
	wide v, d;
	int shift = __builtin_clzll(w);

	if (e >= 0) {
		v = (wide)(w << shift) * five[e];
		return (rounded(v, e - shift, 0));
	}
	v = (wide)w << (64 + shift);
	d = five[-e];
	return (rounded(v / d, e - 64 - shift, v % d != 0));
}

/* Digits before the first that counts. */
static ptrdiff_t
zeros(const char *s)
{
	ptrdiff_t n = 0;

	for (s += *s == '-' || *s == '+'; *s == '0' || *s == '.'; s++)
		n += *s == '0';
	return (n);
}

const char *
ge_decimal(const char *s, double *out)
{
	const char *p = s, *from, *q;
	uint64_t w = 0;
	unsigned int d;
	ptrdiff_t n;
	double x;
	int e = 0, ex = 0, minus = *p == '-', less;

	if (*p == '-' || *p == '+')
		p++;
	for (from = p; (d = (unsigned int)*p - '0') < 10; p++)
		w = w * 10 + d;
	n = p - from;
	if (*p == '.') {
		for (from = ++p; (d = (unsigned int)*p - '0') < 10; p++)
			w = w * 10 + d;
		n += p - from;
		e = p - from < 100000 ? -(int)(p - from) : -100000;
	}
	if (n == 0)
		return (NULL);
	if (*p == 'e' || *p == 'E') {
		q = p + 1;
		less = *q == '-';
		if (*q == '-' || *q == '+')
			q++;
		for (from = q; (d = (unsigned int)*q - '0') < 10; q++)
			ex = ex < 100000 ? ex * 10 + (int)d : ex;
		if (q > from) {
			e += less ? -ex : ex;
			p = q;
		}
	}
	if (n > DIGITS && n - zeros(s) > DIGITS)
		x = strtod(*s == '-' || *s == '+' ? s + 1 : s, NULL);
	else if (w == 0)
		x = 0;
	else if (w <= 1ull << 53 && e >= 0 && e <= EXACT)
		x = (double)w * ten[e];
	else if (w <= 1ull << 53 && e < 0 && e >= -EXACT)
		x = (double)w / ten[-e];
	else if (e >= -FIVES && e <= FIVES)
		x = product(w, e);
	else
		x = strtod(*s == '-' || *s == '+' ? s + 1 : s, NULL);
	*out = minus ? -x : x;
	return (p);
}

char *
ge_decimal_print(char s[32], double x)
{
	double y;
	int n = 0;

	do
		snprintf(s, 32, "%.*g", ++n, x);
	while (n < 17 && (ge_decimal(s, &y) == NULL || y < x || y > x));
	return (s);
}

/* Exactly n digits at *s, which moves behind them; -1 if they are not there. */
static int
digits(const char **s, const char *end, int n)
{
	int x = 0;

	for (; n > 0; n--, ++*s) {
		if (*s == end || (unsigned int)**s - '0' >= 10)
			return (-1);
		x = x * 10 + (**s - '0');
	}
	return (x);
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar, after Hinnant. */
static int64_t
days(int y, int month, int d)
{
	int era, yoe, doy;

	y -= month <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return ((int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy -
	    719468);
}

static int
month_days(int y, int month)
{
	static const int len[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };

	if (month == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return (29);
	return (len[month - 1]);
}

/* The offset from UTC in seconds; the rest of the text. */
static int
zone(const char *s, const char *end, int *off)
{
	int sign, h, mi = 0;

	*off = 0;
	if (s == end || (*s == 'Z' && s + 1 == end))
		return (0);
	if (*s != '+' && *s != '-')
		return (-1);
	sign = *s++ == '-' ? -1 : 1;
	if ((h = digits(&s, end, 2)) == -1 || h > 23)
		return (-1);
	if (s < end && *s == ':')
		s++;
	if (s < end && ((mi = digits(&s, end, 2)) == -1 || mi > 59))
		return (-1);
	*off = sign * (h * 3600 + mi * 60);
	return (s == end ? 0 : -1);
}

int
ge_instant(const char *s, size_t len, double *out)
{
	const char *end = s + len;
	int y, mo, d, h = 0, mi = 0, sec = 0, off = 0;
	double frac = 0, unit = 1;

	if ((y = digits(&s, end, 4)) == -1 || s == end || *s++ != '-' ||
	    (mo = digits(&s, end, 2)) < 1 || mo > 12 || s == end ||
	    *s++ != '-' || (d = digits(&s, end, 2)) < 1 ||
	    d > month_days(y, mo))
		return (-1);
	if (s < end) {
		if ((*s != 'T' && *s != ' ' && *s != 't') || (s++,
		    (h = digits(&s, end, 2)) == -1) || h > 23 || s == end ||
		    *s++ != ':' || (mi = digits(&s, end, 2)) == -1 || mi > 59)
			return (-1);
		if (s < end && *s == ':') {
			s++;
			if ((sec = digits(&s, end, 2)) == -1 || sec > 60)
				return (-1);
			if (s < end && (*s == '.' || *s == ',')) {
				if (++s == end || (unsigned int)*s - '0' >= 10)
					return (-1);
				for (; s < end && (unsigned int)*s - '0' < 10;
				    s++) {
					if (unit > 1e15)
						continue;
					frac = frac * 10 + (*s - '0');
					unit *= 10;
				}
			}
		}
		if (zone(s, end, &off) == -1)
			return (-1);
	}
	*out = (double)(days(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec -
	    off) + frac / unit;
	return (0);
}
