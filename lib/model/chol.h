#ifndef GE_CHOL_H
#define GE_CHOL_H

#include <stddef.h>

/*
 * Symmetric positive definite systems, in double, row after row; small ones.
 *
 * ge_chol(a, n): a [n][n] becomes L of a = L L', its upper half unspecified.  Return
 * 0, or -1 when a is not positive definite (NaN included).
 *
 * ge_chol_solve(l, n, b): b [n] becomes x of L L' x = b.
 *
 * ge_chol_inverse(l, n, inv, row): inv [n][n] becomes the inverse of L L', whole; row
 * [n] is scratch.
 *
 * ge_chol_form(a, n, x, k, out): out [k] becomes x' A x of each row x of x [k][n], of a
 * symmetric a, of which the lower half is read.
 */
int ge_chol(double *a, size_t n);
void ge_chol_solve(const double *l, size_t n, double *b);
void ge_chol_inverse(const double *l, size_t n, double *inv, double *row);
void ge_chol_form(const double *a, size_t n, const double *x, size_t k,
    double *out);

#endif
