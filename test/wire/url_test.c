#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <curl/curl.h>

#include "wire/url.h"

static phos_str view(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static bool same_host(const char *ours, const char *curls)
{
    unsigned char a[16], b[16];
    size_t length = strlen(curls);
    char bare[256];

    if (curls[0] != '[')
        return strcasecmp(ours, curls) == 0;
    if (length < 2 || length > sizeof(bare))
        return false;
    snprintf(bare, sizeof(bare), "%.*s", (int)(length - 2), curls + 1);
    /* Both ways of writing an IPv6 address are the same address. */
    return inet_pton(AF_INET6, ours, a) == 1 &&
           inet_pton(AF_INET6, bare, b) == 1 && memcmp(a, b, 16) == 0;
}

/* What we accept, libcurl accepts, with the same scheme and host. */
static void assert_curl_agrees(const char *text, const struct phos__url *url)
{
    CURLU *handle = curl_url();
    char *host = NULL, *scheme = NULL, *user = NULL;
    char ours[512];

    assert_non_null(handle);
    snprintf(ours, sizeof(ours), "%.*s", (int)url->host.length, url->host.data);
    if (curl_url_set(handle, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl_url_get(handle, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        fail_msg("curl refuses: %s", text);
    if (!same_host(ours, host))
        fail_msg("%s: curl connects to '%s', not to '%s'", text, host, ours);
    assert_int_equal(strcmp(scheme, "https") == 0, url->is_https);
    assert_int_equal(curl_url_get(handle, CURLUPART_USER, &user, 0),
                     CURLUE_NO_USER);
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(handle);
}

static void good_urls_are_taken_apart(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        const char *prefix;
        bool is_https;
    } rows[] = {
        { "http://a", "a", "http://a", false },
        { "https://a/", "a", "https://a", true },
        { "HTTPS://Example.COM///", "Example.COM", "HTTPS://Example.COM",
          true },
        { "hTTp://a:1/", "a", "http://a:1", false },
        { "https://co.example.app", "co.example.app", "https://co.example.app",
          true },
        { "http://localhost:8787", "localhost", "http://localhost:8787",
          false },
        { "http://127.0.0.1:65535/x/y/", "127.0.0.1",
          "http://127.0.0.1:65535/x/y", false },
        { "http://[::1]:8787/v1", "::1", "http://[::1]:8787/v1", false },
        { "https://[2001:DB8::192.0.2.1]", "2001:DB8::192.0.2.1",
          "https://[2001:DB8::192.0.2.1]", true },
        { "https://host.example./p", "host.example.", "https://host.example./p",
          true },
        { "https://my_service-2.internal:080/", "my_service-2.internal",
          "https://my_service-2.internal:080", true },
        { "https://xn--nxasmq6b.example/%7Ea/%C3%A9/-._~!$&'()*+,;=:@",
          "xn--nxasmq6b.example",
          "https://xn--nxasmq6b.example/%7Ea/%C3%A9/-._~!$&'()*+,;=:@", true },
        { "https://3proxy//a//", "3proxy", "https://3proxy//a", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__url url;
        const char *why = NULL;

        if (phos__url_parse(view(rows[i].text), &url, &why) != PHOS_OK)
            fail_msg("%s: %s", rows[i].text, why);
        assert_int_equal(url.is_https, rows[i].is_https);
        assert_int_equal(url.host.length, strlen(rows[i].host));
        assert_memory_equal(url.host.data, rows[i].host, url.host.length);
        assert_int_equal(url.prefix.length, strlen(rows[i].prefix));
        assert_int_equal(
            strncasecmp(url.prefix.data, rows[i].prefix, url.prefix.length), 0);
        assert_curl_agrees(rows[i].text, &url);
    }
}

static void bad_urls_are_refused_with_a_reason(void **state) /* K2 */
{
    static const char *const rows[] = {
        /* scheme */
        "",
        "http",
        "http:",
        "http:/",
        "http://",
        "https://",
        "//a",
        "a",
        "a:80",
        "/a",
        "ftp://a",
        "file:///etc/passwd",
        "file://a",
        "httpss://a",
        "ht tp://a",
        "http//a",
        "http:a",
        "http:/a",
        "http:\\\\a",
        "ws://a",
        "javascript:alert(1)",
        "http+unix://a",
        "://a",
        " http://a",
        "http://a ",
        /* user information */
        "http://u@a",
        "http://u:p@a",
        "http://@a",
        "http://:@a",
        "http://a:80@b",
        "http://a@b@c",
        "http://[::1]@a",
        /* hosts */
        "http:///a",
        "http://?",
        "http://#",
        "http://:80",
        "http://.",
        "http://..",
        "http://.a",
        "http://a..b",
        "http://a..",
        "http://a%2eb",
        "http://a,b",
        "http://a\\b",
        "http://a;b",
        "http://a|b",
        "http://a^b",
        "http://<a>",
        "http://a\"b",
        "http://a'b",
        "http://a*b",
        "http://a!b",
        "http://f\xC3\xBC.example",
        "http://\xD0\xB0.example",
        "http://%61",
        /* addresses, in spellings that readers disagree on */
        "http://1",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://256.0.0.1",
        "http://1.2.3",
        "http://1.2.3.4.5",
        "http://1.2.3.4.",
        "http://1.2.3.0x4",
        "http://a.1",
        "http://a.0x",
        "http://1.2.3.-4",
        "http://1..2.3",
        /* IPv6 */
        "http://::1",
        "http://[::1",
        "http://::1]",
        "http://[]",
        "http://[a]",
        "http://[::1]a",
        "http://[::1]]",
        "http://[[::1]]",
        "http://[::1%25lo]",
        "http://[::1%lo]",
        "http://[fe80::1%25eth0]",
        "http://[1:2:3]",
        "http://[::12345]",
        "http://[127.0.0.1]",
        "http://[v1.a]",
        "http://[0000:0000:0000:0000:0000:0000:255.255.255.255:0]",
        /* ports */
        "http://a:",
        "http://a:/",
        "http://a:0",
        "http://a:65536",
        "http://a:99999",
        "http://a:000001",
        "http://a:-1",
        "http://a:+1",
        "http://a:8 0",
        "http://a:80a",
        "http://a:1:2",
        "http://[::1]:",
        "http://[::1]:x",
        /* query, fragment, path */
        "http://a?",
        "http://a/?q",
        "http://a#",
        "http://a/#f",
        "http://a/?#",
        "http://a/%",
        "http://a/%4",
        "http://a/%4g",
        "http://a/%%41",
        "http://a/\"",
        "http://a/<",
        "http://a/>",
        "http://a/\\",
        "http://a/^",
        "http://a/`",
        "http://a/{",
        "http://a/|",
        "http://a/}",
        "http://a/[",
        "http://a/]",
        "http://a/\x7f",
        "http://a/\xC3\xBC",
        "http://a/b c",
        "http://a/\r\nX-Key: 1",
        "http://a\r\n.b",
        "http://a/\t",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__url url;
        const char *why = NULL;

        memset(&url, 42, sizeof(url));
        if (phos__url_parse(view(rows[i]), &url, &why) != PHOS_E_INVALID)
            fail_msg("accepted: %s", rows[i]);
        assert_non_null(why);
        assert_int_equal(url.host.length & 0xFF, 42);
    }
}

static void a_nul_does_not_end_a_url(void **state)
{
    struct phos__url url;
    const char *why;

    (void)state;
    assert_int_equal(phos__url_parse(PHOS_STR("http://a\0"), &url, &why),
                     PHOS_E_INVALID);
    assert_int_equal(phos__url_parse(PHOS_STR("http://a/b\0c"), &url, &why),
                     PHOS_E_INVALID);
    assert_int_equal(phos__url_parse(PHOS_STR("http\0://a"), &url, &why),
                     PHOS_E_INVALID);
}

static void too_long_urls_and_hosts_are_refused(void **state)
{
    char text[4096];
    struct phos__url url;
    const char *why;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a/", 9);
    assert_int_equal(phos__url_parse(phos_str_make(text, 2048), &url, &why),
                     PHOS_OK);
    assert_int_equal(phos__url_parse(phos_str_make(text, 2049), &url, &why),
                     PHOS_E_INVALID);

    memset(text + 7, 'a', 400);
    assert_int_equal(phos__url_parse(phos_str_make(text, 7 + 63), &url, &why),
                     PHOS_OK);
    assert_int_equal(phos__url_parse(phos_str_make(text, 7 + 64), &url, &why),
                     PHOS_E_INVALID);
    for (size_t i = 50; i < 400; i += 50)
        text[7 + i] = '.';
    assert_int_equal(phos__url_parse(phos_str_make(text, 7 + 253), &url, &why),
                     PHOS_OK);
    assert_int_equal(phos__url_parse(phos_str_make(text, 7 + 254), &url, &why),
                     PHOS_E_INVALID);
}

/* One byte put into each place of a URL: what must not be there is refused,
 * and whatever is accepted names the host that curl would connect to. */
static void
every_byte_at_every_place_is_refused_or_means_the_same_to_curl(void **state)
{
    static const char *const rows[] = {
        "https://host.example:8443/api/v1",
        "http://127.0.0.1:80/x",
        "http://[2001:db8::1]:80/x",
    };

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        size_t length = strlen(rows[row]);

        for (size_t place = 0; place <= length; place++) {
            for (unsigned value = 0; value < 256; value++) {
                for (unsigned replace = 0; replace < 2; replace++) {
                    char text[64] = { 0 };
                    struct phos__url url;
                    const char *why;
                    size_t made = length + 1 - replace;

                    if (replace && place == length)
                        continue;
                    memcpy(text, rows[row], place);
                    text[place] = (char)value;
                    memcpy(text + place + 1, rows[row] + place + replace,
                           length - place - replace);
                    if (phos__url_parse(phos_str_make(text, made), &url,
                                        &why) != PHOS_OK)
                        continue;
                    if (value <= ' ' || value > '~' ||
                        strchr("\"#<>?\\^`{|}", (int)value) != NULL)
                        fail_msg("byte %u at %zu: %s", value, place, text);
                    assert_curl_agrees(text, &url);
                }
            }
        }
    }
}

/* K2: pieces that meet in attacks and mistakes, put together at random. */
static void random_urls_that_are_accepted_mean_the_same_to_curl(void **state)
{
    static const char *const pieces[] = {
        "http",  "https", "://",   ":",       "/",       "//",
        "\\",    "@",     "[",     "]",       "::1",     "127.0.0.1",
        "127.1", "0x7f",  "0",     "1",       "80",      "localhost",
        ".",     "..",    "a",     "b-c",     "_",       "%",
        "%2e",   "%2F",   "%40",   "%00",     "?",       "#",
        " ",     "\t",    "\r\n",  "fe80::1", "%25eth0", "\xC3\xBC",
        "~",     "user",  ":8080", "-",
    };
    enum { PIECES = sizeof(pieces) / sizeof(pieces[0]), ROUNDS = 200000 };
    uint64_t random = 88172645463325252u;
    unsigned accepted = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char text[256];
        size_t length = (size_t)snprintf(text, sizeof(text), "%s",
                                         round % 8 == 0   ? ""
                                         : round % 2 == 0 ? "http://"
                                                          : "https://");
        struct phos__url url;
        const char *why;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for (unsigned i = 0; i < 1 + random % 6; i++)
            length +=
                (size_t)snprintf(text + length, sizeof(text) - length, "%s",
                                 pieces[(random >> (8 + 7 * i)) % PIECES]);
        if (phos__url_parse(phos_str_make(text, length), &url, &why) != PHOS_OK)
            continue;
        assert_curl_agrees(text, &url);
        accepted++;
    }
    assert_true(accepted > ROUNDS / 100);
}

static void loopback_is_told_from_what_only_looks_like_it(void **state)
{
    static const struct {
        const char *text;
        bool is_loopback;
    } rows[] = {
        { "http://localhost", true },
        { "http://LocalHost:1/x", true },
        { "http://a.b.localhost", true },
        { "http://127.0.0.1", true },
        { "http://127.255.255.254", true },
        { "http://[::1]", true },
        { "http://[0:0:0:0:0:0:0:1]", true },
        { "http://[0000::0001]", true },
        { "http://128.0.0.1", false },
        { "http://12.7.0.0", false },
        { "http://10.127.0.1", false },
        { "http://localhost.example", false },
        { "http://notlocalhost", false },
        { "http://a-localhost", false },
        { "http://localhos", false },
        { "http://127.0.0.1.example", false },
        { "http://[::2]", false },
        { "http://[1::1]", false },
        { "http://[::ffff:127.0.0.1]", false },
        { "http://[::]", false },
        { "http://0.0.0.0", false },
        { "http://a", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__url url;
        const char *why = NULL;

        if (phos__url_parse(view(rows[i].text), &url, &why) != PHOS_OK)
            fail_msg("%s: %s", rows[i].text, why);
        if (phos__url_is_loopback(&url) != rows[i].is_loopback)
            fail_msg("%s", rows[i].text);
    }
}

static void a_header_value_holds_visible_ascii_only(void **state) /* K1 */
{
    (void)state;
    assert_true(phos__header_value_is_valid(PHOS_STR("ph_0123 abc~!\"")));
    assert_false(phos__header_value_is_valid(PHOS_STR("")));
    assert_false(phos__header_value_is_valid(PHOS_STR(" ph_1")));
    assert_false(phos__header_value_is_valid(PHOS_STR("ph_1 ")));
    for (unsigned value = 0; value < 256; value++) {
        for (unsigned place = 0; place < 3; place++) {
            char text[3] = { 'p', 'h', '1' };
            bool fits =
                (value > ' ' && value <= '~') || (value == ' ' && place == 1);

            text[place] = (char)value;
            assert_int_equal(
                phos__header_value_is_valid(phos_str_make(text, 3)), fits);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused_with_a_reason),
        cmocka_unit_test(a_nul_does_not_end_a_url),
        cmocka_unit_test(too_long_urls_and_hosts_are_refused),
        cmocka_unit_test(
            every_byte_at_every_place_is_refused_or_means_the_same_to_curl),
        cmocka_unit_test(random_urls_that_are_accepted_mean_the_same_to_curl),
        cmocka_unit_test(loopback_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(a_header_value_holds_visible_ascii_only),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
