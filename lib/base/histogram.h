/*
 * histogram - counts by magnitude, two buckets for each power of two:
 * 0, 1, 2, 3, 4-5, 6-7, 8-11, 12-15 … The last bucket takes all the rest.
 */
#ifndef PHOS_BASE_HISTOGRAM_H
#define PHOS_BASE_HISTOGRAM_H

#include "phos/client.h"

void phos__histogram_add(phos_histogram *histogram, uint64_t value);

#endif
