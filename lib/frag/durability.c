#include <math.h>

#include "frag/frag.h"

/* Chance that `lost` of `alive` independent sites go, each with chance p. */
static double
binomial(int alive, int lost, double p)
{
	double logc = lgamma(alive + 1) - lgamma(lost + 1) -
	    lgamma(alive - lost + 1);

	if (p <= 0)
		return (lost == 0);
	if (p >= 1)
		return (lost == alive);
	return (exp(logc + lost * log(p) + (alive - lost) * log1p(-p)));
}

/* Chance that fewer than k of `alive` fragments outlive one period. */
static double
fatal(int k, int alive, double p)
{
	double sum = 0;
	int lost;

	for (lost = alive - k + 1; lost <= alive; lost++)
		if (lost >= 0)
			sum += binomial(alive, lost, p);
	return (sum < 1 ? sum : 1);
}

/*
 * The chain has n-k+2 states, but every batch that finds the segment alive makes
 * it whole, so after the first period it always starts from n: the year is the
 * first period from `alive`, and the rest from n.
 */
double
ge_durability(int k, int n, int alive, double afr, double days, double common)
{
	static const double floor9 = 1e-9;
	double periods = 365.25 / days, p, survive, lost;

	/* Losses come at a constant rate, so that a year loses afr. */
	p = -expm1(log1p(-afr) / periods);
	survive = log1p(-fatal(k, alive, p));
	if (periods > 1)
		survive += (periods - 1) * log1p(-fatal(k, n, p));
	lost = -expm1(survive + log1p(-common));
	return (lost < floor9 ? floor9 : lost);
}
