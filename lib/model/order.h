#ifndef GE_ORDER_H
#define GE_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Numbers with the places that they come from, to be sorted. */
struct ge_order {
	double x;
	uint32_t i;
};

/* ge_order_rising, ge_order_falling: for qsort; of equals the smaller place first. */
static inline int
ge_order_rising(const void *a, const void *b)
{
	const struct ge_order *p = a, *q = b;

	return (p->x != q->x ? (p->x > q->x) - (p->x < q->x) :
	    (p->i > q->i) - (p->i < q->i));
}

/* ge_order_numbers: of numbers alone, rising. */
static inline int
ge_order_numbers(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return ((*x > *y) - (*x < *y));
}

static inline int
ge_order_falling(const void *a, const void *b)
{
	const struct ge_order *p = a, *q = b;

	return (p->x != q->x ? (p->x < q->x) - (p->x > q->x) :
	    (p->i > q->i) - (p->i < q->i));
}

#endif
