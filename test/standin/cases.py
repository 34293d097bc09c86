"""What the tests of the stand-in share: each starts with a stand-in that has
just been reset."""
import functools
import sys

import tap
from rig import StandIn

tests = []


def test(function):
    """Named by the sentence that it proves."""
    tests.append(function)
    return function


equal = tap.check_equal
check = tap.check


def main(*options):
    wanted = sys.argv[1:]
    chosen = [one for one in tests if not wanted or one.__name__ in wanted]

    def run(function):
        standin.reset()
        function(standin)

    with StandIn(*options) as standin:
        status = tap.run_tests([(one.__name__.replace("_", " "),
                                 functools.partial(run, one))
                                for one in chosen])
    sys.exit(status)
