/*
 * text - looking for words in texts, upper and lower case alike, as the text
 * index does. Needs a UTF-8 locale for letters beyond ASCII.
 */
#ifndef PHOSD_TEXT_H
#define PHOSD_TEXT_H

#include "base/buffer.h"

bool phosd_text_contains(phos_str text, phos_str word);

/*
 * Appends what the text index is asked for `word`: its groups of three
 * characters, joined by AND. false: the word is shorter than three characters
 * and the index cannot help.
 */
bool phosd_text_trigrams(struct phos__buffer *buffer, phos_str word);

#endif
