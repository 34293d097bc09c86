#include "wire/json_text.h"

#include <string.h>

#include "wire/json.h"
#include "base/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Room kept free beside one byte for each byte not read yet: 16 that
 * phos__json_copy_plain() may write too much, one escape, one quote. So only
 * what grows a text (an escape, a replacement) has to look for room.
 */
enum { SLACK = 32 };

struct writer {
    struct phos__buffer *buffer;
    uint8_t *to;
};

static bool writer_open(struct writer *writer, struct phos__buffer *buffer,
                        size_t left)
{
    if (!phos__buffer_reserve(buffer, left + SLACK))
        return false;
    writer->buffer = buffer;
    writer->to = buffer->data + buffer->bytes;
    return true;
}

/* Makes sure of room for `left` bytes and the slack. The buffer is told only at
 * the end what is in use, so that a failure leaves it as it was. */
static bool writer_keep(struct writer *writer, size_t left)
{
    struct phos__buffer *buffer = writer->buffer;
    size_t written = (size_t)(writer->to - (buffer->data + buffer->bytes));

    if (buffer->capacity - buffer->bytes - written >= left + SLACK)
        return true;
    if (!phos__buffer_reserve(buffer, written + left + SLACK))
        return false;
    writer->to = buffer->data + buffer->bytes + written;
    return true;
}

static void writer_close(struct writer *writer)
{
    writer->buffer->bytes = (size_t)(writer->to - writer->buffer->data);
}

/* ---- plain runs ---- */

static inline bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

static inline size_t copy_plain_bytes(const uint8_t *at, size_t left,
                                      uint8_t *to)
{
    size_t count = 0;

    while (count < left && is_plain(at[count])) {
        to[count] = at[count];
        count++;
    }
    return count;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether all 8 bytes are plain. Each term sets the top bit of a byte that is
 * not, and borrows can only add bits above such a byte. */
static inline bool is_plain_word(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');
    uint64_t hit = word | (word + EACH_BYTE(1)) | (word - EACH_BYTE(0x20)) |
                   (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1));

    return (hit & EACH_BYTE(0x80)) == 0;
}

size_t phos__json_copy_plain_portable(const uint8_t *at, size_t left,
                                      uint8_t *to)
{
    size_t count = 0;

    while (left - count >= 8) {
        uint64_t word;

        memcpy(&word, at + count, 8);
        if (!is_plain_word(word))
            break;
        memcpy(to + count, &word, 8);
        count += 8;
    }
    return count + copy_plain_bytes(at + count, left - count, to + count);
}

#ifdef __SSE2__
size_t phos__json_copy_plain(const uint8_t *at, size_t left, uint8_t *to)
{
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7F);
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    size_t count = 0;

    for (; left - count >= 16; count += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(at + count));
        /* Bytes are signed here: 0x80 and more are less than a blank too. */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(bytes, space),
                                                _mm_cmpeq_epi8(bytes, del)),
                                   _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                                _mm_cmpeq_epi8(bytes, slash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);

        _mm_storeu_si128((__m128i *)(to + count), bytes);
        if (mask)
            return count + (size_t)__builtin_ctz(mask);
    }
    return count + copy_plain_bytes(at + count, left - count, to + count);
}
#else
size_t phos__json_copy_plain(const uint8_t *at, size_t left, uint8_t *to)
{
    return phos__json_copy_plain_portable(at, left, to);
}
#endif

/* ---- what is not plain ---- */

static const char hexadecimal[] = "0123456789abcdef";

/* Code points below 0x10000 that are written as an escape. */
static uint8_t *put_escape(uint32_t code_point, uint8_t *to)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
        ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'
    };

    *to++ = '\\';
    if (code_point < sizeof(letters) && letters[code_point]) {
        *to++ = (uint8_t)letters[code_point];
        return to;
    }
    *to++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *to++ = (uint8_t)hexadecimal[code_point >> shift & 15];
    return to;
}

static bool is_line_separator(const uint8_t *at)
{
    return at[0] == 0xE2 && at[1] == 0x80 && (at[2] & 0xFE) == 0xA8;
}

/* Writes the characters of 0x80 and more that stand at `at`; returns where they
 * end, or NULL without memory. */
static const uint8_t *put_characters(struct writer *writer, const uint8_t *at,
                                     const uint8_t *end)
{
    while (at < end && *at >= 0x80) {
        bool is_whole;
        size_t bytes = phos__utf8_sequence(at, (size_t)(end - at), &is_whole);

        if (is_whole && !(bytes == 3 && is_line_separator(at))) {
            for (size_t i = 0; i < bytes; i++)
                *writer->to++ = at[i];
            at += bytes;
            continue;
        }
        if (is_whole)
            writer->to =
                put_escape(at[2] == 0xA8 ? 0x2028 : 0x2029, writer->to);
        else
            writer->to += phos__utf8_write(PHOS__UTF8_REPLACEMENT, writer->to);
        at += bytes;
        if (!writer_keep(writer, (size_t)(end - at)))
            return NULL;
    }
    return at;
}

static bool read_hex4(const uint8_t *at, const uint8_t *end, uint32_t *ret_unit)
{
    uint32_t unit = 0;

    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        uint8_t digit = at[i];

        if (digit >= '0' && digit <= '9')
            unit = unit << 4 | (uint32_t)(digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            unit = unit << 4 | (uint32_t)((digit | 0x20) - 'a' + 10);
        else
            return false;
    }
    *ret_unit = unit;
    return true;
}

/* Reads the escape whose backslash stands in front of `at`; returns its end.
 * What is no escape is read as the replacement character. */
static const uint8_t *read_escape(const uint8_t *at, const uint8_t *end,
                                  uint32_t *ret_code_point)
{
    static const char letters[] = {
        ['b'] = '\b', ['t'] = '\t', ['n'] = '\n',  ['f'] = '\f',
        ['r'] = '\r', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/'
    };
    uint32_t unit, low;

    *ret_code_point = PHOS__UTF8_REPLACEMENT;
    if (at == end)
        return end;
    if (*at != 'u') {
        if (*at < sizeof(letters) && letters[*at])
            *ret_code_point = (uint32_t)letters[*at];
        return at + 1;
    }
    if (!read_hex4(++at, end, &unit))
        return at;
    at += 4;
    if (unit < 0xD800 || unit > 0xDFFF) {
        *ret_code_point = unit;
    } else if (unit < 0xDC00 && end - at >= 2 && at[0] == '\\' &&
               at[1] == 'u' && read_hex4(at + 2, end, &low) && low >= 0xDC00 &&
               low <= 0xDFFF) {
        *ret_code_point = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    return at;
}

static uint8_t *put_code_point(uint32_t code_point, uint8_t *to)
{
    if ((code_point < 0x80 && !is_plain((uint8_t)code_point)) ||
        code_point == 0x2028 || code_point == 0x2029)
        return put_escape(code_point, to);
    return to + phos__utf8_write(code_point, to);
}

/* Writes what stands between the quotes. */
static void put_string(struct phos__buffer *buffer, const uint8_t *at,
                       size_t bytes, bool is_raw)
{
    const uint8_t *end = at + bytes;
    struct writer writer;

    if (!writer_open(&writer, buffer, bytes))
        return;
    *writer.to++ = '"';
    for (;;) {
        size_t plain = phos__json_copy_plain(at, (size_t)(end - at), writer.to);
        uint32_t code_point;

        at += plain;
        writer.to += plain;
        if (at == end)
            break;
        if (*at >= 0x80) {
            at = put_characters(&writer, at, end);
            if (!at)
                return;
            continue;
        }
        code_point = *at++;
        if (is_raw && code_point == '\\')
            at = read_escape(at, end, &code_point);
        writer.to = put_code_point(code_point, writer.to);
        if (!writer_keep(&writer, (size_t)(end - at)))
            return;
    }
    *writer.to++ = '"';
    writer_close(&writer);
}

void phos__json_text(struct phos__buffer *buffer, phos_str text)
{
    put_string(buffer, (const uint8_t *)(text.length ? text.data : ""),
               text.length, false);
}

void phos__json_raw_text(struct phos__buffer *buffer, phos_str raw)
{
    if (raw.length < 2)
        raw = PHOS_STR("\"\"");
    put_string(buffer, (const uint8_t *)raw.data + 1, raw.length - 2, true);
}
