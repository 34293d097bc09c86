#include "harness/tls_server.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool tls_run(const char *format, ...)
{
    char command[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    return system(command) == 0;
}

bool tls_is_there(void)
{
    return tls_run("openssl version >/dev/null 2>&1");
}

bool tls_make_certificate(const char *folder, const char *name,
                          const char *alternative)
{
    return tls_run("cd %s && openssl req -x509 -newkey ec -nodes -days 2 "
                   "-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost "
                   "-addext subjectAltName=%s -keyout %s.key -out %s.crt "
                   "2>/dev/null && cat %s.key %s.crt > %s.pem",
                   folder, alternative, name, name, name, name, name);
}

bool tls_make_expired_certificate(const char *folder, const char *name)
{
    return tls_run("cd %s && openssl x509 -in %s.crt -days -1 -signkey %s.key "
                   "-out old.crt 2>/dev/null && cat %s.key old.crt > old.pem",
                   folder, name, name, name);
}

static void start_child(int pipe_fd, const char *path, const char *version)
{
    dup2(pipe_fd, STDOUT_FILENO);
    dup2(pipe_fd, STDERR_FILENO);
    execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
           path, "-key", path, "-www", "-cipher", "ALL:@SECLEVEL=0", version,
           (char *)NULL);
    _exit(127);
}

bool tls_start(struct tls_server *server, const char *folder,
               const char *certificate, const char *version)
{
    char path[256], line[256];
    int ends[2];

    if (pipe(ends) != 0)
        return false;
    snprintf(path, sizeof(path), "%s/%s.pem", folder, certificate);
    server->port = 0;
    server->pid = fork();
    if (server->pid == 0)
        start_child(ends[1], path, version);
    close(ends[1]);
    server->out = fdopen(ends[0], "r");
    while (server->port == 0 && fgets(line, sizeof(line), server->out))
        sscanf(line, "ACCEPT 127.0.0.1:%d", &server->port);
    return server->port > 0;
}

bool tls_stop(struct tls_server *server, const char *secret)
{
    bool saw_secret = false;
    char line[4096];

    kill(server->pid, SIGKILL);
    while (fgets(line, sizeof(line), server->out))
        saw_secret = saw_secret || strstr(line, secret);
    fclose(server->out);
    waitpid(server->pid, NULL, 0);
    return saw_secret;
}
