"""checklist - prints what a checking script finds in the form that Meson reads."""
import sys


class Checklist:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, holds, sentence, *details):
        """One line for one sentence; details follow when it does not hold."""
        self.count += 1
        if not holds:
            self.failed += 1
            for detail in details:
                for line in str(detail).splitlines():
                    print(f"# {line}", file=sys.stderr)
        print(f"{'ok' if holds else 'not ok'} {self.count} - {sentence}")
        return holds

    def equal(self, got, want, sentence):
        """Two lists of texts: shows what is missing and what is too much."""
        got, want = list(got), list(want)
        details = [f"missing: {name}" for name in want if name not in got]
        details += [f"not expected: {name}" for name in got if name not in want]
        if not details and got != want:
            details = ["same entries, another order", *got]
        return self.check(got == want, sentence, *details)

    def skip(self, sentence, reason):
        self.count += 1
        print(f"ok {self.count} - {sentence} # SKIP {reason}")

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    return 0
