#include "head.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool phosd_text_equals(phos_str text, const char *word)
{
    if (text.length != strlen(word))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (lower(text.data[i]) != lower(word[i]))
            return false;
    return true;
}

static void refuse(struct phosd_head *head, unsigned status, const char *why)
{
    if (head->broken)
        return;
    head->broken = why;
    head->broken_status = status;
}

static bool begins_with(phos_str text, const char *word)
{
    size_t bytes = strlen(word);

    return text.length > bytes &&
           phosd_text_equals(phos_str_make(text.data, bytes), word);
}

static bool is_token(phos_str text)
{
    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';

        if (!letter && !digit && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return true;
}

static bool has_control(phos_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return true;
    }
    return false;
}

/* Digits alone: no sign, blank, list or other base. */
static bool read_length(phos_str text, uint64_t *ret_length)
{
    uint64_t length = 0;

    if (text.length == 0 || text.length > 19)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_length = length;
    return true;
}

static void add_length(struct phosd_head *head, phos_str value)
{
    if (++head->lengths > 1)
        refuse(head, 400, "more than one Content-Length");
    if (!read_length(value, &head->content_length))
        refuse(head, 400, "Content-Length: expected digits alone");
    head->has_length = true;
}

void phosd_head_add(struct phosd_head *head, phos_str name, phos_str value)
{
    head->bytes += name.length + value.length + 3;
    if (++head->fields > PHOSD_HEAD_FIELDS_MAX)
        refuse(head, 431, "too many header fields");
    if (head->bytes > PHOSD_HEAD_BYTES_MAX)
        refuse(head, 431, "the header fields are too large");
    if (!is_token(name))
        refuse(head, 400, "a header field's name holds a forbidden character");
    if (has_control(value))
        refuse(head, 400, "a header field's value holds a control character");

    if (phosd_text_equals(name, "content-length")) {
        add_length(head, value);
    } else if (phosd_text_equals(name, "transfer-encoding")) {
        head->encodings++;
        head->chunked = phosd_text_equals(value, "chunked");
        if (!head->chunked || head->encodings > 1)
            refuse(head, 400, "Transfer-Encoding: expected chunked, once");
    } else if (begins_with(name, "content-length") ||
               begins_with(name, "transfer-encoding")) {
        refuse(head, 400, "a header field is folded or misspelt");
    } else if (phosd_text_equals(name, "host")) {
        if (++head->hosts > 1)
            refuse(head, 400, "more than one Host");
    } else if (phosd_text_equals(name, "authorization")) {
        head->authorization = value;
        if (++head->authorizations > 1)
            refuse(head, 400, "more than one Authorization");
    } else if (phosd_text_equals(name, "content-type")) {
        head->content_type = value;
        if (++head->types > 1)
            refuse(head, 400, "more than one Content-Type");
    } else if (phosd_text_equals(name, "content-encoding")) {
        head->content_encoding = value;
        if (++head->codings > 1)
            refuse(head, 400, "more than one Content-Encoding");
    } else if (phosd_text_equals(name, "expect")) {
        head->expects = true;
    }
}

static bool is_visible(const char *text)
{
    while (*text > 0x20 && *text < 0x7F)
        text++;
    return *text == '\0';
}

/*
 * Whether the fields we were shown account for the bytes that were read. The
 * parser glues a folded line to the field's name, ends the head at an empty
 * name and a value at a NUL, all in silence; then bytes are missing. Written
 * as "Name:value" or "Name: value", each field leaves 0 or 1 of them.
 */
static bool accounts_for(const struct phosd_head *head,
                         const struct phosd_head_line *line)
{
    size_t known = strlen(line->method) + strlen(line->target) +
                   strlen(line->version) + sizeof("  \r\n\r\n") - 1 +
                   head->bytes;

    return line->head_bytes >= known &&
           line->head_bytes - known <= head->fields;
}

void phosd_head_finish(struct phosd_head *head,
                       const struct phosd_head_line *line)
{
    bool newer = strcmp(line->version, "HTTP/1.1") == 0;

    if (!newer && strcmp(line->version, "HTTP/1.0") != 0)
        refuse(head, 400, "expected HTTP/1.1 or HTTP/1.0");
    if (strlen(line->target) > PHOSD_TARGET_BYTES_MAX)
        refuse(head, 414, "the request target is longer than 8192 bytes");
    if (!is_visible(line->target))
        refuse(head, 400, "the request target holds a forbidden character");
    if (head->lengths > 0 && head->encodings > 0)
        refuse(head, 400, "Content-Length beside Transfer-Encoding");
    if (head->encodings > 0 && !newer)
        refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
    if (newer && head->hosts == 0)
        refuse(head, 400, "no Host");
    if (!accounts_for(head, line))
        refuse(head, 400,
               "expected header fields written as Name: value, one a line");
    /* Without a length no body follows, but perhaps only because the field
     * that gives it was lost on the way. */
    if (strcmp(line->method, "POST") == 0 && head->lengths == 0 &&
        head->encodings == 0)
        refuse(head, 411, "expected Content-Length or chunks");
}

bool phosd_head_bearer(const struct phosd_head *head, phos_str *ret_key)
{
    static const size_t scheme = sizeof("Bearer") - 1;
    phos_str value = head->authorization;
    size_t at = scheme;

    if (value.length <= scheme ||
        !phosd_text_equals(phos_str_make(value.data, scheme), "Bearer") ||
        value.data[at] != ' ')
        return false;
    while (at < value.length && value.data[at] == ' ')
        at++;
    *ret_key = phos_str_make(value.data + at, value.length - at);
    return ret_key->length > 0;
}

bool phosd_head_is_json(const struct phosd_head *head)
{
    phos_str type = head->content_type;
    const char *end;

    if (type.length == 0)
        return false;
    end = memchr(type.data, ';', type.length);
    if (end)
        type.length = (size_t)(end - type.data);
    while (type.length > 0 && (type.data[type.length - 1] == ' ' ||
                               type.data[type.length - 1] == '\t'))
        type.length--;
    return phosd_text_equals(type, "application/json");
}
