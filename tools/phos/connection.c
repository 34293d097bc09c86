#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"

enum { KEY_FILE_BYTES_MAX = 4096 };

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* A key is one line; what an editor leaves behind it is cut off. */
static bool trim_key(char *key, size_t length, const char *path,
                     char problem[CONNECTION_PROBLEM_BYTES])
{
    while (length > 0 && strchr(" \t\r\n", key[length - 1]) != NULL &&
           key[length - 1] != '\0')
        length--;
    key[length] = '\0';
    if (length == 0) {
        snprintf(problem, CONNECTION_PROBLEM_BYTES, "the key file %s is empty",
                 path);
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)key[i] <= 0x20 || key[i] == 0x7f) {
            snprintf(problem, CONNECTION_PROBLEM_BYTES,
                     "the key file %s holds more than one key: blanks, "
                     "line breaks or control bytes stand inside",
                     path);
            return false;
        }
    }
    return true;
}

static bool read_key_file(struct connection *connection,
                          char problem[CONNECTION_PROBLEM_BYTES])
{
    const char *path = connection->api_key_file;
    FILE *file = fopen(path, "re");
    size_t length;
    bool is_read;

    if (file == NULL) {
        snprintf(problem, CONNECTION_PROBLEM_BYTES,
                 "cannot read the key file %s: %s", path, strerror(errno));
        return false;
    }
    connection->key_read = calloc(1, KEY_FILE_BYTES_MAX + 1);
    if (connection->key_read == NULL) {
        fclose(file);
        snprintf(problem, CONNECTION_PROBLEM_BYTES, "out of memory");
        return false;
    }
    length = fread(connection->key_read, 1, KEY_FILE_BYTES_MAX, file);
    is_read = ferror(file) == 0;
    if (!is_read)
        snprintf(problem, CONNECTION_PROBLEM_BYTES,
                 "cannot read the key file %s: %s", path, strerror(errno));
    fclose(file);
    if (!is_read || !trim_key(connection->key_read, length, path, problem))
        return false;
    connection->api_key = connection->key_read;
    return true;
}

/* A line break would begin a header of its own. */
static bool check_key(const char *key, char problem[CONNECTION_PROBLEM_BYTES])
{
    for (; *key != '\0'; key++) {
        if ((unsigned char)*key < 0x20 || *key == 0x7f) {
            snprintf(problem, CONNECTION_PROBLEM_BYTES,
                     "the key holds a line break or another control byte; "
                     "check --api-key or PHOSPHO_API_KEY");
            return false;
        }
    }
    return true;
}

bool connection_find_endpoint(struct connection *connection,
                              char problem[CONNECTION_PROBLEM_BYTES])
{
    if (connection->endpoint == NULL)
        connection->endpoint = from_environment("PHOS_ENDPOINT");
    if (connection->endpoint != NULL && connection->endpoint[0] != '\0')
        return true;
    snprintf(problem, CONNECTION_PROBLEM_BYTES,
             "where to? Give --endpoint URL or set PHOS_ENDPOINT; "
             "for phosd on this machine that is "
             "http://127.0.0.1:8787");
    return false;
}

bool connection_find_key(struct connection *connection,
                         char problem[CONNECTION_PROBLEM_BYTES])
{
    bool is_key_given =
        connection->api_key != NULL || connection->api_key_file != NULL;

    if (!is_key_given) {
        connection->api_key = from_environment("PHOSPHO_API_KEY");
        if (connection->api_key == NULL)
            connection->api_key_file = from_environment("PHOS_API_KEY_FILE");
    }
    if (connection->api_key == NULL && connection->api_key_file != NULL)
        return read_key_file(connection, problem);
    if (connection->api_key != NULL && connection->api_key[0] != '\0')
        return check_key(connection->api_key, problem);
    snprintf(problem, CONNECTION_PROBLEM_BYTES,
             "no key: give --api-key-file FILE or set "
             "PHOSPHO_API_KEY");
    return false;
}

bool connection_resolve(struct connection *connection)
{
    char problem[CONNECTION_PROBLEM_BYTES];

    if (connection_find_endpoint(connection, problem) &&
        connection_find_key(connection, problem))
        return true;
    console_say("%s", problem);
    return false;
}

void connection_deinit(struct connection *connection)
{
    if (connection->key_read != NULL)
        memset(connection->key_read, 0, KEY_FILE_BYTES_MAX);
    free(connection->key_read);
    connection->key_read = NULL;
}
