"""phos doctor against services that are well, ill and not there."""

import json
import os
import socket
import ssl
import subprocess
import threading

from e2e import KEY, Collector, Service, phos, run, same, true

NAMES = ["endpoint", "key", "settings", "proxy", "dns", "connect", "tls",
         "service", "clock", "access", "limits", "memory", "files",
         "versions"]


def doctor(*arguments, **variables):
    """Its findings by name, with the exit code under None."""
    result = phos("doctor", "--json", *arguments, **variables)
    whole = json.loads(result.out)
    same(whole["exit_code"], result.code, "exit code in the JSON")
    same(result.err, "", "standard error")
    found = {one["name"]: one for one in whole["checks"]}
    found[None] = result.code
    return found


def status(found, name, wanted, words=""):
    same(found[name]["status"], wanted, f"{name}: {found[name]}")
    text = f"{found[name]['text']} -> {found[name]['advice']}"
    true(words in text, f"{name}: {text}")


def answers(status=200, body=b'{"events": []}', headers=None):
    return lambda *_: (status, headers or {}, body)


def a_collector_that_is_well_has_all_lines(folder):
    with Collector(folder) as collector:
        result = phos("doctor", "--endpoint", collector.url)
        found = doctor("--endpoint", collector.url)
    same(result.code, 0, str(result))
    same([line[6:].split()[0] for line in result.out.splitlines()
          if line[:6].strip() in ("ok", "warn", "fail", "skip")],
         NAMES, "lines")
    true("is set, but" not in result.out, result.out)
    for name in NAMES:
        if name not in ("memory", "files", "versions"):  # this machine's
            status(found, name, "ok")
    status(found, "service", "ok", "phosd says it is well")
    same(found[None], 0, "exit code")


def missing_configuration_is_exit_3_and_the_rest_is_looked_at(folder):
    found = doctor(PHOSPHO_API_KEY=None)
    same(found[None], 3, "nothing is set")
    status(found, "endpoint", "fail", "PHOS_ENDPOINT")
    status(found, "key", "fail", "PHOSPHO_API_KEY")
    status(found, "dns", "skip")
    status(found, "settings", "ok")
    with Service(answers()) as service:
        found = doctor("--endpoint", service.url, PHOSPHO_API_KEY=None)
        same([request[1] for request in service.requests], ["/healthz"],
             "requests without a key")
        true("Authorization" not in service.requests[0][2], "a key was sent")
    same(found[None], 3, "no key")
    status(found, "service", "ok")
    status(found, "access", "skip")
    for endpoint, words in (("ftp://127.0.0.1", "http or https"),
                            ("http://192.0.2.1", "PHOS_ALLOW_PLAIN_HTTP"),
                            ("http://u:secret@127.0.0.1", "no user")):
        result = phos("doctor", "--endpoint", endpoint)
        same(result.code, 3, str(result))
        true(words in result.out and "secret" not in result.out, str(result))
    found = doctor("--api-key-file", os.path.join(folder, "none"))
    same(found[None], 3, "no key file")
    status(found, "key", "fail", "No such file")
    found = doctor(PHOSPHO_API_KEY="ph_a\r\nX-Other: b")
    same(found[None], 3, "a key with a line break")
    status(found, "key", "fail", "control byte")


def a_key_that_is_refused_fails(folder):
    def answer(service, method, path, headers, body):
        if path == "/healthz":
            return 200, {}, b'{"status": "ok"}'
        return 401, {}, b'{"error": "unknown key"}'
    with Service(answer) as service:
        found = doctor("--endpoint", service.url)
        keys = [request[2]["Authorization"] for request in service.requests]
        targets = [request[1] for request in service.requests]
    same(found[None], 1, "exit code")
    status(found, "service", "ok")
    status(found, "access", "fail", "HTTP 401: unknown key")
    same(keys, [None, "Bearer " + KEY], "keys")
    same(targets, ["/healthz", "/api/events?limit=1"], "targets")


def keys_that_others_can_read_or_that_look_odd_are_warnings(folder):
    path = os.path.join(folder, "key")
    with open(path, "w", encoding="utf-8") as file:
        file.write(KEY + "\n")
    with Service(answers()) as service:
        os.chmod(path, 0o644)
        found = doctor("--endpoint", service.url, "--api-key-file", path)
        status(found, "key", "warn", "others can read")
        os.chmod(path, 0o600)
        found = doctor("--endpoint", service.url, "--api-key-file", path)
        status(found, "key", "ok", path)
        found = doctor("--endpoint", service.url, "--api-key", "sk-1")
        status(found, "key", "warn", "(--api-key), but does not begin")
    same(found[None], 0, "exit code of warnings")


def nobody_there_fails_at_connect(folder):
    with Service() as service:
        url = service.url
    found = doctor("--endpoint", url)
    same(found[None], 1, "exit code")
    status(found, "dns", "ok")
    status(found, "connect", "fail", "is the service running")
    for name in ("service", "clock", "access", "limits"):
        status(found, name, "skip")


def a_name_that_does_not_resolve_fails_at_dns(folder):
    # Longer than a label may be, so that nobody is asked.
    found = doctor("--endpoint", "https://" + "a" * 70 + ".example")
    same(found[None], 1, "exit code")
    status(found, "dns", "fail", "resolve")
    status(found, "connect", "skip")
    status(found, "tls", "skip")


def what_speaks_no_http_fails_as_the_service(folder):
    listener = socket.create_server(("127.0.0.1", 0))

    def greet():
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(b"220 mail.example ESMTP\r\n")
    thread = threading.Thread(target=greet)
    thread.start()
    found = doctor("--endpoint",
                   f"http://127.0.0.1:{listener.getsockname()[1]}")
    thread.join()
    listener.close()
    same(found[None], 1, "exit code")
    status(found, "connect", "ok")
    status(found, "service", "fail", "does it speak HTTP?")


def a_clock_that_is_off_is_a_warning(folder):
    old = {"Date": "Fri, 31 Jan 2025 09:30:00 GMT"}
    with Service(answers(headers=old)) as service:
        found = doctor("--endpoint", service.url)
    same(found[None], 0, "exit code")
    status(found, "clock", "warn", "ahead of the service's")


def a_service_that_limits_is_a_warning(folder):
    with Service(answers(429, b"", {"Retry-After": "17"})) as service:
        found = doctor("--endpoint", service.url)
    same(found[None], 0, "exit code")
    status(found, "limits", "warn", "Retry-After 17 s")


def settings_that_the_library_refuses_are_named(folder):
    with Service(answers()) as service:
        found = doctor("--endpoint", service.url, PHOS_RING_BYTES="12345",
                       PHOS_LINGERMS="5")
    same(found[None], 1, "exit code")
    status(found, "settings", "fail", "option ring_bytes: 12345")
    status(found, "variables", "warn", "did you mean PHOS_LINGER_MS?")
    status(found, "access", "ok")


def proxies_of_others_are_ignored_and_ours_is_used(folder):
    with Service(answers()) as service, Service(answers()) as proxy:
        found = doctor("--endpoint", service.url,
                       http_proxy=proxy.url, ALL_PROXY=proxy.url)
        same(len(proxy.requests), 0, "requests of the ignored proxy")
        status(found, "proxy", "warn", "ignored")
        ours = proxy.url.replace("://", "://user:secret@")
        result = phos("doctor", "--json", "--endpoint",
                      "http://service.example", PHOS_PROXY=ours,
                      PHOS_ALLOW_PLAIN_HTTP="1")
        same([request[1] for request in proxy.requests],
             ["http://service.example/healthz",
              "http://service.example/api/events?limit=1"], "requests")
    same(result.code, 0, str(result))
    true("secret" not in result.out, result.out)
    true(proxy.url.partition("//")[2] in result.out, result.out)


def certificate(folder, days):
    paths = [os.path.join(folder, f"{name}-{days}.pem")
             for name in ("key", "cert")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", paths[0],
         "-out", paths[1], "-days", str(days), "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths[1], paths[0])
    return context, paths[1]


def certificates_are_looked_at(folder):
    context, path = certificate(folder, 90)
    with Service(answers(), tls=context) as service:
        found = doctor("--endpoint", service.url)
        same(found[None], 1, "an authority that nobody knows")
        status(found, "connect", "ok")
        status(found, "tls", "fail", "PHOS_CA_FILE")
        status(found, "access", "skip")
        found = doctor("--endpoint", service.url, PHOS_CA_FILE=path)
        same(found[None], 0, str(found))
        status(found, "tls", "ok", "good until 20")
    context, path = certificate(folder, 5)
    with Service(answers(), tls=context) as service:
        found = doctor("--endpoint", service.url, PHOS_CA_FILE=path)
        same(found[None], 0, str(found))
        status(found, "tls", "warn", "only until 20")


def a_wrong_command_line_is_usage(folder):
    result = phos("doctor", "now")
    same((result.code, result.out), (2, ""), str(result))
    true("phos doctor --help" in result.err, result.err)


run(*([a_collector_that_is_well_has_all_lines]
      if "PHOSD" in os.environ else []),
    missing_configuration_is_exit_3_and_the_rest_is_looked_at,
    a_key_that_is_refused_fails,
    keys_that_others_can_read_or_that_look_odd_are_warnings,
    nobody_there_fails_at_connect,
    a_name_that_does_not_resolve_fails_at_dns,
    what_speaks_no_http_fails_as_the_service,
    a_clock_that_is_off_is_a_warning,
    a_service_that_limits_is_a_warning,
    settings_that_the_library_refuses_are_named,
    proxies_of_others_are_ignored_and_ours_is_used,
    certificates_are_looked_at,
    a_wrong_command_line_is_usage)
