/*
 * words - puts what core/watch.h found into one line, with what is to be done
 * about it. The only place where such lines are made; docs/troubleshooting.md
 * explains each by its code.
 */
#ifndef PHOS_CLIENT_WORDS_H
#define PHOS_CLIENT_WORDS_H

#include "core/watch.h"

/* `cause`: the error of the exchange that failed last, foreign text included;
 * it is cut before anything else is. */
void phos__words(const struct phos__watch_line *line, const phos_error *cause,
                 uint64_t ring_bytes, phos_diagnostic *ret_diagnostic);

/* `state`: what feedback has entered, because of `cause`. */
void phos__words_of_feedback(phos_state state, const phos_error *cause,
                             phos_diagnostic *ret_diagnostic);

#endif
