#ifndef GE_HOLDOUT_H
#define GE_HOLDOUT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Rows in five parts, to judge by each what the others teach: by their folds, or, where
 * there are none or only one, every fifth row.
 *
 * ge_holdout(fold, n, part, row): row [n], those of the part first; how many they are.
 * Each in rising order.
 */
enum {
	GE_HOLDOUT_PARTS = 5
};

size_t ge_holdout(const uint32_t *fold, size_t n, size_t part, uint32_t *row);

#endif
