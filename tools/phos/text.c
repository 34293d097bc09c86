#include "text.h"

#include <inttypes.h>
#include <string.h>

/* What the first byte promises: how many bytes, and the range of the second
 * one, which rules out overlong forms, surrogates and points past U+10FFFF. */
struct lead {
    size_t length; /* 0: cannot begin a character */
    uint8_t second_min, second_max;
    uint8_t bits; /* of the code point in the first byte */
};

static struct lead lead_of(uint8_t byte)
{
    if (byte < 0x80)
        return (struct lead){ 1, 0, 0, byte };
    if (byte >= 0xc2 && byte <= 0xdf)
        return (struct lead){ 2, 0x80, 0xbf, byte & 0x1f };
    if (byte >= 0xe0 && byte <= 0xef)
        return (struct lead){ 3, byte == 0xe0 ? 0xa0 : 0x80,
                              byte == 0xed ? 0x9f : 0xbf, byte & 0x0f };
    if (byte >= 0xf0 && byte <= 0xf4)
        return (struct lead){ 4, byte == 0xf0 ? 0x90 : 0x80,
                              byte == 0xf4 ? 0x8f : 0xbf, byte & 0x07 };
    return (struct lead){ 0, 0, 0, 0 };
}

size_t text_decode(const char *data, size_t length, uint32_t *ret_point)
{
    struct lead lead = lead_of((uint8_t)data[0]);
    uint32_t point = lead.bits;

    *ret_point = 0xfffd;
    if (lead.length == 0)
        return 1;
    for (size_t i = 1; i < lead.length; i++) {
        uint8_t byte = i < length ? (uint8_t)data[i] : 0;
        uint8_t min = i == 1 ? lead.second_min : 0x80;
        uint8_t max = i == 1 ? lead.second_max : 0xbf;

        if (byte < min || byte > max)
            return i;
        point = point << 6 | (byte & 0x3f);
    }
    *ret_point = point;
    return lead.length;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

unsigned text_width(uint32_t point)
{
    /* Combining marks, joiners and selectors in common use. */
    static const struct range none[] = {
        { 0x0300, 0x036f }, { 0x0483, 0x0489 },  { 0x0591, 0x05bd },
        { 0x0610, 0x061a }, { 0x064b, 0x065f },  { 0x0900, 0x0902 },
        { 0x0941, 0x0948 }, { 0x094d, 0x094d },  { 0x0e31, 0x0e31 },
        { 0x0e34, 0x0e3a }, { 0x0e47, 0x0e4e },  { 0x1ab0, 0x1aff },
        { 0x1dc0, 0x1dff }, { 0x200b, 0x200d },  { 0x2060, 0x2064 },
        { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },  { 0xfe20, 0xfe2f },
        { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef }
    };
    /* East Asian Wide and Fullwidth, and emoji. */
    static const struct range twice[] = {
        { 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x23e9, 0x23ec },
        { 0x25fd, 0x25fe },   { 0x2614, 0x2615 },   { 0x2648, 0x2653 },
        { 0x26a1, 0x26a1 },   { 0x26bd, 0x26be },   { 0x2705, 0x2705 },
        { 0x270a, 0x270b },   { 0x2728, 0x2728 },   { 0x274c, 0x274c },
        { 0x2753, 0x2755 },   { 0x2795, 0x2797 },   { 0x2b1b, 0x2b1c },
        { 0x2b50, 0x2b50 },   { 0x2e80, 0x303e },   { 0x3041, 0x33ff },
        { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xa000, 0xa4cf },
        { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },
        { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
        { 0x16fe0, 0x18aff }, { 0x1b000, 0x1b2ff }, { 0x1f004, 0x1f004 },
        { 0x1f0cf, 0x1f0cf }, { 0x1f18e, 0x1f19a }, { 0x1f200, 0x1f64f },
        { 0x1f680, 0x1f6ff }, { 0x1f7e0, 0x1f7eb }, { 0x1f90c, 0x1faff },
        { 0x20000, 0x3fffd }
    };

    if (point < 0x300)
        return 1;
    if (in_ranges(point, none, sizeof(none) / sizeof(none[0])))
        return 0;
    return in_ranges(point, twice, sizeof(twice) / sizeof(twice[0])) ? 2 : 1;
}

bool text_is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c ||
           (point >= 0x200e && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069);
}

static bool is_space(uint32_t point)
{
    return point == ' ' || (point >= '\t' && point <= '\r') ||
           point == 0x2028 || point == 0x2029;
}

/* One code point as it may stand on a terminal. */
struct glyph {
    char data[12];
    size_t length;
    size_t columns;
};

static struct glyph glyph_of(uint32_t point, const char *data, size_t length)
{
    struct glyph glyph = { "", 0, 0 };

    if (text_is_control(point)) {
        glyph.length = (size_t)snprintf(glyph.data, sizeof(glyph.data),
                                        point < 0x80 ? "\\x%02x" : "\\u%04x",
                                        (unsigned)point);
        glyph.columns = glyph.length;
    } else if (point == 0xfffd) { /* also what stands for broken bytes */
        glyph.length = 3;
        memcpy(glyph.data, "\xef\xbf\xbd", 3);
        glyph.columns = 1;
    } else {
        glyph.length = length;
        memcpy(glyph.data, data, length);
        glyph.columns = text_width(point);
    }
    return glyph;
}

/* Takes the next glyph of a line; a run of white space is one blank. */
static size_t take_glyph(const char *data, size_t length,
                         struct glyph *ret_glyph)
{
    uint32_t point;
    size_t taken = text_decode(data, length, &point);

    if (!is_space(point)) {
        *ret_glyph = glyph_of(point, data, taken);
        return taken;
    }
    while (taken < length) {
        size_t more = text_decode(data + taken, length - taken, &point);

        if (!is_space(point))
            break;
        taken += more;
    }
    *ret_glyph = (struct glyph){ " ", 1, 1 };
    return taken;
}

/* Bytes of `data` that fit into `columns`; all of them if the whole fits. */
static size_t bytes_that_fit(const char *data, size_t length, size_t columns)
{
    size_t used = 0;
    size_t at = 0;
    size_t cut = 0; /* last place that leaves room for the ellipsis */

    while (at < length) {
        struct glyph glyph;
        size_t taken = take_glyph(data + at, length - at, &glyph);

        if (used + glyph.columns > columns)
            return cut;
        used += glyph.columns;
        at += taken;
        if (used + 1 <= columns)
            cut = at;
    }
    return length;
}

size_t text_line(FILE *out, const char *data, size_t length, size_t columns)
{
    size_t fit = bytes_that_fit(data, length, columns);
    size_t used = 0;
    size_t at = 0;

    while (at < fit) {
        struct glyph glyph;

        at += take_glyph(data + at, length - at, &glyph);
        fwrite(glyph.data, 1, glyph.length, out);
        used += glyph.columns;
    }
    if (fit < length && columns > 0) {
        fputs("\xe2\x80\xa6", out);
        used++;
    }
    return used;
}

void text_cell(FILE *out, const char *data, size_t length, size_t columns)
{
    for (size_t used = text_line(out, data, length, columns); used < columns;
         used++)
        fputc(' ', out);
}

void text_block(FILE *out, const char *data, size_t length, const char *indent)
{
    size_t at = 0;

    while (at < length) {
        uint32_t point;
        size_t taken = text_decode(data + at, length - at, &point);

        if (point == '\n') {
            fputc('\n', out);
            fputs(indent, out);
        } else if (point == '\t') {
            fputs("    ", out);
        } else if (point == '\r' && at + 1 < length && data[at + 1] == '\n') {
            /* the break itself follows */
        } else {
            struct glyph glyph = glyph_of(point, data + at, taken);

            fwrite(glyph.data, 1, glyph.length, out);
        }
        at += taken;
    }
}

void text_json(FILE *out, const char *data, size_t length)
{
    size_t at = 0;

    while (at < length) {
        uint32_t point;
        size_t taken = text_decode(data + at, length - at, &point);

        /* Below U+0020 only white space stands in JSON, between tokens. */
        if (point >= 0x20 && text_is_control(point))
            fprintf(out, "\\u%04x", (unsigned)point);
        else
            fwrite(data + at, 1, taken, out);
        at += taken;
    }
}

const char *text_count(uint64_t count, char buffer[TEXT_NUMBER_BYTES])
{
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t to = 0;

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buffer[to++] = ',';
        buffer[to++] = digits[i];
    }
    buffer[to] = '\0';
    return buffer;
}

const char *text_bytes(uint64_t bytes, char buffer[TEXT_NUMBER_BYTES])
{
    static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
    double value = (double)bytes / 1000.0;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(buffer, TEXT_NUMBER_BYTES, "%u B", (unsigned)bytes);
        return buffer;
    }
    /* 999.95 would be printed as 1000.0. */
    while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000.0;
        unit++;
    }
    snprintf(buffer, TEXT_NUMBER_BYTES, "%.1f %s", value, units[unit]);
    return buffer;
}

const char *text_duration(uint64_t ms, char buffer[TEXT_NUMBER_BYTES])
{
    uint64_t seconds = ms / 1000;

    if (ms < 1000)
        snprintf(buffer, TEXT_NUMBER_BYTES, "%" PRIu64 " ms", ms);
    else if (seconds < 60)
        snprintf(buffer, TEXT_NUMBER_BYTES, "%" PRIu64 ".%" PRIu64 " s",
                 seconds, ms % 1000 / 100);
    else if (seconds < 3600)
        snprintf(buffer, TEXT_NUMBER_BYTES, "%" PRIu64 " min %02" PRIu64 " s",
                 seconds / 60, seconds % 60);
    else
        snprintf(buffer, TEXT_NUMBER_BYTES, "%" PRIu64 " h %02" PRIu64 " min",
                 seconds / 3600, seconds / 60 % 60);
    return buffer;
}
