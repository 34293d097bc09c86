/*
 * connection - where the service is and which key opens it: from the command
 * line, a file or the environment, in this order.
 */
#ifndef PHOS_TOOL_CONNECTION_H
#define PHOS_TOOL_CONNECTION_H

#include "options.h"

struct connection {
    const char *endpoint;     /* --endpoint, else PHOS_ENDPOINT */
    const char *api_key;      /* --api-key, else the file, PHOSPHO_API_KEY */
    const char *api_key_file; /* --api-key-file, else PHOS_API_KEY_FILE */
    char *key_read;           /* from the file */
};

/* Rows for a command's table of options. */
#define ENDPOINT_OPTION(connection)                                          \
    TEXT_OPTION("endpoint", "URL", &(connection)->endpoint, "PHOS_ENDPOINT", \
                "the service; PHOS_ENDPOINT")
#define API_KEY_FILE_OPTION(connection)                              \
    TEXT_OPTION("api-key-file", "FILE", &(connection)->api_key_file, \
                "PHOS_API_KEY_FILE",                                 \
                "a file that holds the key; PHOS_API_KEY_FILE")
#define API_KEY_OPTION(connection)                                             \
    SECRET_OPTION("api-key", "KEY", &(connection)->api_key, "PHOSPHO_API_KEY", \
                  "the key itself; PHOSPHO_API_KEY. Others may see\n"          \
                  "it in the list of processes: prefer the file")

enum { CONNECTION_PROBLEM_BYTES = 512 };

/* Fill in what the command line left out, or tell what is missing. */
bool connection_find_endpoint(struct connection *connection,
                              char problem[CONNECTION_PROBLEM_BYTES]);
bool connection_find_key(struct connection *connection,
                         char problem[CONNECTION_PROBLEM_BYTES]);

/* Both; says what is missing and returns false. The endpoint's form is checked
 * by whoever uses it. */
bool connection_resolve(struct connection *connection);
void connection_deinit(struct connection *connection);

#endif
