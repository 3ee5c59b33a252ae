#include <math.h>
#include <stdio.h>

#include "data/decimal.h"
#include "model/digits.h"

double
ge_digits(double x)
{
	char s[32];
	double y;

	snprintf(s, sizeof(s), "%.7g", x);
	return (ge_decimal(s, &y) != NULL ? y : x);
}

double
ge_digits_down(double x)
{
	double y = ge_digits(x);

	return (y > x ? ge_digits(x - fabs(x) * 1e-6) : y);
}

double
ge_digits_up(double x)
{

	return (-ge_digits_down(-x));
}

int
ge_digits_json(const json_t *j, double min, double max, double *out)
{

	if (!json_is_number(j))
		return (-1);
	*out = json_number_value(j);
	return (*out >= min && *out <= max ? 0 : -1);
}
