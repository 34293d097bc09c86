/*
 * number - numbers as JSON text, whatever the locale says.
 */
#ifndef PHOS_WIRE_NUMBER_H
#define PHOS_WIRE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* No number's text is longer. */
enum { PHOS__NUMBER_TEXT_MAX = 32 };

/* Both return the bytes written, at most PHOS__NUMBER_TEXT_MAX; no NUL. */
size_t phos__number_write_i64(int64_t value, char *text);

/*
 * The shortest decimal that reads back as the same double, and of those the
 * nearest; finite only. Whole numbers below 2^53 have neither point nor
 * exponent ("3"); from 2^53 on and below a millionth there is an exponent
 * ("1e22", "2.5e-7"), so that no reader takes them for an integer that it
 * cannot hold. Negative zero is "-0.0".
 */
size_t phos__number_write_double(double value, char *text);

#endif
