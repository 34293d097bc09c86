"""What the tests of the examples share: checks, and results as TAP."""

import os
import subprocess
import traceback

DEADLINE_S = 30  # a hang detector, not a timing


def environment(service=None, **more):
    """What the examples read, and nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items()
            if not name.upper().startswith(("PHOS", "OPENAI", "HTTP", "ALL_"))}
    if service is not None:
        kept |= {"PHOS_ENDPOINT": service.url, "PHOSPHO_API_KEY": service.key}
    return kept | more


def run(program, *arguments, env, stdin=""):
    return subprocess.run([program, *arguments], env=env, input=stdin,
                          capture_output=True, text=True, timeout=DEADLINE_S)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def check_equal(got, want, what=""):
    check(got == want, f"{what}\nwant {want!r}\ngot  {got!r}")


def check_status(done, want=0):
    check_equal(done.returncode, want, f"{done.stdout}{done.stderr}")


def run_tests(tests):
    """`tests` are pairs of a sentence and a function without arguments."""
    failures = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, start=1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # a test that fails must not hide the others
            failures += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    return 1 if failures else 0
