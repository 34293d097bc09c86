/*
 * Who is refused over TLS, and that none of them is told the key. Needs the
 * openssl program, as certificate maker and as server.
 */
#define _GNU_SOURCE

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/tls_server.h"
#include "io/rig.h"

static const char batch[] =
    "{\"events\":[{\"event_id\":\"a\",\"input\":\"x\"}]}";
static char folder[64];

/* ---- tests ---- */

/* X1, X2, X3 */
static void only_who_is_proven_by_the_given_file_gets_the_request(void **state)
{
    static const struct {
        const char *certificate, *version, *ca_file, *host;
        phos_exchange exchange;
        phos_obstacle obstacle;
    } rows[] = {
        /* the one good row */
        { "good", "-no_ssl3", "good.crt", "localhost", PHOS_EXCHANGE_ANSWERED,
          PHOS_OBSTACLE_UNKNOWN },
        { "good", "-tls1_2", "good.crt", "localhost", PHOS_EXCHANGE_ANSWERED,
          PHOS_OBSTACLE_UNKNOWN },
        /* signed by itself, the system's bundle does not know it */
        { "good", "-no_ssl3", NULL, "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_UNTRUSTED },
        /* known, but of another name */
        { "good", "-no_ssl3", "good.crt", "127.0.0.1", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_OTHER_HOST },
        { "other", "-no_ssl3", "other.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_OTHER_HOST },
        { "wild", "-no_ssl3", "wild.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_OTHER_HOST },
        /* another one is known */
        { "good", "-no_ssl3", "other.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_UNTRUSTED },
        { "old", "-no_ssl3", "old.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_EXPIRED },
        /* the file is missing, is no bundle, is empty */
        { "good", "-no_ssl3", "missing.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_UNTRUSTED },
        { "good", "-no_ssl3", "trash.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_UNTRUSTED },
        { "good", "-no_ssl3", "empty.crt", "localhost", PHOS_EXCHANGE_REFUSED,
          PHOS_OBSTACLE_UNTRUSTED },
        /* older than TLS 1.2 */
        { "good", "-tls1_1", "good.crt", "localhost", PHOS_EXCHANGE_NOT_SENT,
          PHOS_OBSTACLE_TLS },
        { "good", "-tls1", "good.crt", "localhost", PHOS_EXCHANGE_NOT_SENT,
          PHOS_OBSTACLE_TLS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__http_options options = rig_options();
        struct tls_server server;
        struct rig rig;
        phos_request request;
        char ca_file[128];

        assert_true(
            tls_start(&server, folder, rows[i].certificate, rows[i].version));
        if (rows[i].ca_file) {
            snprintf(ca_file, sizeof(ca_file), "%s/%s", folder,
                     rows[i].ca_file);
            options.ca_file = phos_str_make(ca_file, strlen(ca_file));
        }
        rig_start(&rig, &options, &no_server);
        snprintf(rig.url, sizeof(rig.url), "https://%s:%d/", rows[i].host,
                 server.port);
        request = rig_post(&rig, "");
        request.method = PHOS_STR("GET"); /* all that s_server answers */
        rig_exchange(&rig, &request);
        if (rig.replies[0].exchange != rows[i].exchange ||
            rig.replies[0].obstacle != rows[i].obstacle)
            print_message("# row %zu: %s\n", i, rig.replies[0].error.text);
        assert_int_equal(rig.replies[0].exchange, rows[i].exchange);
        assert_int_equal(rig.replies[0].obstacle, rows[i].obstacle);
        if (rows[i].exchange == PHOS_EXCHANGE_ANSWERED)
            assert_int_equal(rig.replies[0].http_status, 200);
        else
            assert_int_equal(rig.replies[0].bytes_sent, 0);
        rig_stop(&rig);
        assert_false(tls_stop(&server, rig_key));
    }
}

/* X2: the handshake never ends. */
static void a_handshake_that_stalls_times_out_and_no_key_leaves(void **state)
{
    struct phos__http_options options = rig_options();
    struct fault_options silent = { .is_silent = true };
    struct rig rig;
    phos_request request;
    char url[128];

    (void)state;
    options.connect_timeout_ms = 150;
    rig_start(&rig, &options, &silent);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
             fault_server_port(rig.server));
    request = rig_post(&rig, batch);
    request.url = phos_str_make(url, strlen(url));
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(rig.replies[0].error.status, PHOS_E_TIMEOUT);
    assert_int_equal(rig.replies[0].obstacle, PHOS_OBSTACLE_TLS);
    assert_true(fault_server_saw(rig.server, "\x16\x03", 2));
    assert_false(fault_server_saw(rig.server, rig_key, strlen(rig_key)));
    rig_stop(&rig);
}

static void plain_http_where_tls_should_be_is_not_sent(void **state)
{
    struct rig rig;
    phos_request request;
    char url[128];

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.is_garbage = true;
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
             fault_server_port(rig.server));
    request = rig_post(&rig, batch);
    request.url = phos_str_make(url, strlen(url));
    request.timeout_ms = 300;
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(rig.replies[0].obstacle, PHOS_OBSTACLE_TLS);
    assert_false(fault_server_saw(rig.server, rig_key, strlen(rig_key)));
    rig_stop(&rig);
}

/* As servers of plain HTTP do with what is no request. */
static void *answer_in_plain(void *listener)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    int fd = accept(*(int *)listener, NULL, NULL);
    char hello[16384];

    if (fd >= 0 && recv(fd, hello, sizeof(hello), 0) > 0)
        (void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void a_server_of_plain_http_is_told_as_such(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    char url[64], want[64];
    phos_request request;
    pthread_t thread;
    struct rig rig;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(
        getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pthread_create(&thread, NULL, answer_in_plain, &listener);
    rig_start(&rig, NULL, &no_server);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
             ntohs(address.sin_port));
    snprintf(want, sizeof(want),
             "the server does not speak TLS on 127.0.0.1:%u",
             ntohs(address.sin_port));
    request = rig_post(&rig, batch);
    request.url = phos_str_make(url, strlen(url));
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(rig.replies[0].obstacle, PHOS_OBSTACLE_NO_TLS);
    assert_string_equal(rig.replies[0].error.text, want);
    pthread_join(thread, NULL);
    close(listener);
    rig_stop(&rig);
}

static int make_files(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/phos-tls-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return tls_make_certificate(folder, "good", "DNS:localhost") &&
                   tls_make_certificate(folder, "other", "DNS:other.invalid") &&
                   tls_make_certificate(folder, "wild", "DNS:*") &&
                   tls_make_expired_certificate(folder, "good") &&
                   tls_run("echo trash > %s/trash.crt && : > %s/empty.crt",
                           folder, folder)
               ? 0
               : -1;
}

static int remove_files(void **state)
{
    (void)state;
    return tls_run("rm -r %s", folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_is_proven_by_the_given_file_gets_the_request),
        cmocka_unit_test(a_handshake_that_stalls_times_out_and_no_key_leaves),
        cmocka_unit_test(plain_http_where_tls_should_be_is_not_sent),
        cmocka_unit_test(a_server_of_plain_http_is_told_as_such),
    };

    if (!tls_is_there()) {
        puts("1..0 # SKIP the openssl program is missing");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
