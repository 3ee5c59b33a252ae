#ifndef GE_EIGEN_H
#define GE_EIGEN_H

#include <stddef.h>

/*
 * ge_eigen(a, n, value, z, off):
 * Eigenvalues and eigenvectors of a symmetric matrix, in double, row after row.
 *
 *	a      [n][n]  in; unspecified then
 *	value  [n]     out  largest first
 *	z      [n][n]  out  row i is the vector of value[i], of length 1
 *	off    [n]     scratch
 *
 * n > 0.  0, or -1 when it does not converge (NaN included).  O(n^3).  By tridiagonal form and
 * implicit QR steps with Wilkinson's shift: Golub and Van Loan, Matrix
 * Computations, 8.3.
 */
int ge_eigen(double *a, size_t n, double *value, double *z, double *off);

#endif
