/*
 * tls_server - the openssl program as certificate maker and as server.
 */
#ifndef TEST_HARNESS_TLS_SERVER_H
#define TEST_HARNESS_TLS_SERVER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Runs a command of the shell; true: it ended with 0. */
bool tls_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whether the program is installed. */
bool tls_is_there(void);

/* FOLDER/NAME.pem: a key and a certificate that it signed itself, for the
 * name `alternative` ("DNS:localhost"); and NAME.key, NAME.crt. */
bool tls_make_certificate(const char *folder, const char *name,
                          const char *alternative);
/* old.pem: that of `name`, but its time was over before it began. */
bool tls_make_expired_certificate(const char *folder, const char *name);

struct tls_server {
    pid_t pid;
    FILE *out; /* what it prints: its port, then all that it was sent */
    int port;
};

/* Serves a status page with FOLDER/CERTIFICATE.pem on a port of 127.0.0.1.
 * `version`: an option of s_server, such as "-tls1_2". */
bool tls_start(struct tls_server *server, const char *folder,
               const char *certificate, const char *version);
/* Returns whether `secret` was among what the server printed. */
bool tls_stop(struct tls_server *server, const char *secret);

#endif
