#include "text.h"

#include <wctype.h>

/* More would not narrow a search that is compared word by word anyway. */
enum { TRIGRAMS_MAX = 32 };

/* The next character, any broken byte standing for itself. */
static uint32_t next_character(phos_str text, size_t *at)
{
    const unsigned char *byte = (const unsigned char *)text.data + *at;
    size_t more = byte[0] < 0xC2   ? 0
                  : byte[0] < 0xE0 ? 1
                  : byte[0] < 0xF0 ? 2
                  : byte[0] < 0xF5 ? 3
                                   : 0;
    uint32_t character = byte[0];

    if (more > 0 && *at + more < text.length) {
        character &= 0x3Fu >> more;
        for (size_t i = 1; i <= more; i++)
            character = character << 6 | (byte[i] & 0x3F);
        *at += more;
    }
    *at += 1;
    return character;
}

static uint32_t fold(uint32_t character)
{
    if (character < 0x80)
        return character >= 'A' && character <= 'Z' ? character + 32
                                                    : character;
    return (uint32_t)towlower((wint_t)character);
}

static bool starts_with(phos_str text, size_t at, phos_str word)
{
    size_t word_at = 0;

    while (word_at < word.length) {
        if (at >= text.length || fold(next_character(text, &at)) !=
                                     fold(next_character(word, &word_at)))
            return false;
    }
    return true;
}

bool phosd_text_contains(phos_str text, phos_str word)
{
    size_t at = 0, word_at = 0;
    uint32_t first;

    if (word.length == 0)
        return true;
    first = fold(next_character(word, &word_at));
    while (at < text.length) {
        size_t here = at;

        if (fold(next_character(text, &at)) == first &&
            starts_with(text, here, word))
            return true;
    }
    return false;
}

static void append_quoted(struct phos__buffer *buffer, phos_str text)
{
    phos__buffer_append_str(buffer, PHOS_STR("\""));
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"')
            phos__buffer_append_str(buffer, PHOS_STR("\""));
        phos__buffer_append(buffer, text.data + i, 1);
    }
    phos__buffer_append_str(buffer, PHOS_STR("\""));
}

bool phosd_text_trigrams(struct phos__buffer *buffer, phos_str word)
{
    size_t begin = 0, second, third, end;
    bool found = false;

    for (unsigned count = 0; count < TRIGRAMS_MAX; count++) {
        second = begin;
        if (second >= word.length)
            break;
        next_character(word, &second);
        third = second;
        if (third >= word.length)
            break;
        next_character(word, &third);
        end = third;
        if (end >= word.length)
            break;
        next_character(word, &end);
        if (buffer->bytes > 0)
            phos__buffer_append_str(buffer, PHOS_STR(" AND "));
        append_quoted(buffer, phos_str_make(word.data + begin, end - begin));
        found = true;
        begin = second;
    }
    return found;
}
