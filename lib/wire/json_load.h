/*
 * json_load - an answer's body as jansson's values, within bounds.
 */
#ifndef PHOS_WIRE_JSON_LOAD_H
#define PHOS_WIRE_JSON_LOAD_H

#include <jansson.h>

#include "phos/base.h"

/* NULL when the body is not one JSON object or array, is more than 32 deep, or
 * no memory is left. The caller's to json_decref(). */
json_t *phos__json_load(phos_str body);

#endif
