#include "wire/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
    URL_LENGTH_MAX = 2048,
    HOST_LENGTH_MAX = 253, /* of a name; RFC 1035, section 2.3.4 */
    LABEL_LENGTH_MAX = 63,
    PORT_DIGITS_MAX = 5,
    PORT_MAX = 65535
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter(char c)
{
    return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

static bool equals_caseless(phos_str text, phos_str lower)
{
    if (text.length != lower.length)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (to_lower(text.data[i]) != lower.data[i])
            return false;
    }
    return true;
}

/* The first `length` bytes taken off the front. */
static phos_str cut_front(phos_str *text, size_t length)
{
    phos_str front = phos_str_make(text->data, length);

    text->data += length;
    text->length -= length;
    return front;
}

static size_t span_until(phos_str text, const char *ends)
{
    size_t i = 0;

    while (i < text.length && strchr(ends, text.data[i]) == NULL)
        i++;
    return i;
}

/* No byte beyond this passes, so nothing below has to think of NUL, line ends
 * or letters that only look like ASCII. */
static bool is_visible_ascii(phos_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return true;
}

/* Four decimal numbers without leading zeros. Other spellings of an address
 * (octal, one number, three numbers) mean different hosts to different
 * readers. */
static bool is_ipv4(phos_str host)
{
    for (unsigned index = 0; index < 4; index++) {
        phos_str part;
        unsigned value = 0;

        if (index > 0) {
            if (host.length == 0)
                return false;
            cut_front(&host, 1); /* the dot */
        }
        part = cut_front(&host, span_until(host, "."));
        if (part.length < 1 || part.length > 3)
            return false;
        if (part.length > 1 && part.data[0] == '0')
            return false;
        for (size_t i = 0; i < part.length; i++) {
            if (!is_digit(part.data[i]))
                return false;
            value = value * 10 + (unsigned)(part.data[i] - '0');
        }
        if (value > 255)
            return false;
    }
    return host.length == 0;
}

static bool is_ipv6(phos_str host, struct in6_addr *ret_address)
{
    char text[INET6_ADDRSTRLEN];

    if (host.length >= sizeof(text))
        return false;
    memcpy(text, host.data, host.length);
    text[host.length] = '\0';
    return inet_pton(AF_INET6, text, ret_address) == 1;
}

static bool is_label(phos_str label)
{
    if (label.length < 1 || label.length > LABEL_LENGTH_MAX ||
        label.data[0] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++) {
        char c = label.data[i];

        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* Decimal, octal or hexadecimal, as inet_aton() reads it. */
static bool is_number(phos_str label)
{
    bool is_hex = label.length >= 2 && label.data[0] == '0' &&
                  to_lower(label.data[1]) == 'x';

    for (size_t i = is_hex ? 2 : 0; i < label.length; i++) {
        if (is_hex ? !is_hex_digit(label.data[i]) : !is_digit(label.data[i]))
            return false;
    }
    return true;
}

/* Labels between dots, one dot allowed at the end. The last label is not a
 * number, so that no name can be read as an address. */
static bool is_name(phos_str host)
{
    phos_str label = { NULL, 0 };

    if (host.length > HOST_LENGTH_MAX)
        return false;
    while (host.length > 0) {
        label = cut_front(&host, span_until(host, "."));
        if (!is_label(label))
            return false;
        if (host.length > 0)
            cut_front(&host, 1);
    }
    return label.length > 0 && !is_number(label);
}

static bool is_port(phos_str port)
{
    unsigned value = 0;

    if (port.length < 1 || port.length > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < port.length; i++) {
        if (!is_digit(port.data[i]))
            return false;
        value = value * 10 + (unsigned)(port.data[i] - '0');
    }
    return value >= 1 && value <= PORT_MAX;
}

/* Source: RFC 3986, section 3.3 (pchar). */
static bool is_path(phos_str path)
{
    for (size_t i = 0; i < path.length; i++) {
        char c = path.data[i];

        if (c == '%') {
            if (path.length - i < 3 || !is_hex_digit(path.data[i + 1]) ||
                !is_hex_digit(path.data[i + 2]))
                return false;
        } else if (!is_letter(c) && !is_digit(c) &&
                   strchr("/-._~!$&'()*+,;=:@", c) == NULL) {
            return false;
        }
    }
    return true;
}

/* Takes the host off the front of "host:port" or "[host]:port". */
static const char *parse_host(phos_str *authority, phos_str *ret_host)
{
    struct in6_addr address;
    phos_str host;

    if (authority->length > 0 && authority->data[0] == '[') {
        cut_front(authority, 1);
        host = cut_front(authority, span_until(*authority, "]"));
        if (authority->length == 0)
            return "the bracket before an IPv6 address is not closed";
        cut_front(authority, 1);
        if (!is_ipv6(host, &address))
            return "between brackets stands no IPv6 address (without zone)";
    } else {
        host = cut_front(authority, span_until(*authority, ":"));
        if (host.length == 0)
            return "the host is missing";
        if (!is_ipv4(host) && !is_name(host))
            return "the host is neither a name nor an IP address";
    }
    *ret_host = host;
    return NULL;
}

/* NULL, or what is wrong. */
static const char *parse(phos_str text, struct phos__url *url)
{
    phos_str rest = text, scheme, authority;
    const char *why;

    if (text.length > URL_LENGTH_MAX)
        return "longer than 2048 bytes";
    if (!is_visible_ascii(text))
        return "holds a blank, a control or a non-ASCII byte";
    scheme = cut_front(&rest, span_until(rest, ":/?#"));
    url->is_https = equals_caseless(scheme, PHOS_STR("https"));
    if (!url->is_https && !equals_caseless(scheme, PHOS_STR("http")))
        return "does not begin with http:// or https://";
    if (rest.length < 3 || memcmp(rest.data, "://", 3) != 0)
        return "does not begin with http:// or https://";
    cut_front(&rest, 3);

    authority = cut_front(&rest, span_until(rest, "/?#"));
    if (memchr(authority.data, '@', authority.length) != NULL)
        return "holds a user name or password";
    why = parse_host(&authority, &url->host);
    if (why != NULL)
        return why;
    if (authority.length > 0 && authority.data[0] != ':')
        return "something other than a port follows the host";
    if (authority.length > 0) {
        cut_front(&authority, 1);
        if (!is_port(authority))
            return "the port is not a number from 1 to 65535";
    }

    if (memchr(rest.data, '#', rest.length) != NULL)
        return "has a fragment";
    if (memchr(rest.data, '?', rest.length) != NULL)
        return "has a query";
    if (!is_path(rest))
        return "the path holds a byte that must be written as %XX";
    while (rest.length > 0 && rest.data[rest.length - 1] == '/')
        rest.length--;
    url->prefix =
        phos_str_make(text.data, (size_t)(rest.data - text.data) + rest.length);
    return NULL;
}

phos_status phos__url_parse(phos_str text, struct phos__url *ret_url,
                            const char **ret_why)
{
    struct phos__url url;
    const char *why = text.length == 0 ? "is empty" : parse(text, &url);

    if (why != NULL) {
        *ret_why = why;
        return PHOS_E_INVALID;
    }
    *ret_url = url;
    return PHOS_OK;
}

bool phos__url_is_loopback(const struct phos__url *url)
{
    static const char suffix[] = ".localhost";
    const size_t suffix_length = sizeof(suffix) - 1;
    struct in6_addr address;
    phos_str host = url->host;

    if (is_ipv4(host))
        return host.length > 4 && memcmp(host.data, "127.", 4) == 0;
    if (memchr(host.data, ':', host.length) != NULL)
        return is_ipv6(host, &address) && IN6_IS_ADDR_LOOPBACK(&address);

    if (equals_caseless(host, PHOS_STR("localhost")))
        return true;
    return host.length > suffix_length &&
           equals_caseless(
               phos_str_make(host.data + host.length - suffix_length,
                             suffix_length),
               phos_str_make(suffix, suffix_length));
}

bool phos__header_value_is_valid(phos_str value)
{
    if (value.length == 0 || value.data[0] == ' ' ||
        value.data[value.length - 1] == ' ')
        return false;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < ' ' || value.data[i] > '~')
            return false;
    }
    return true;
}
