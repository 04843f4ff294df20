"""Counts what holds, for the tests of packages and of the service."""
import os
import sys
import time
import traceback


class Checks:
    """Named sections of checks; `run` them."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0
        self.current = ""
        self.sections = {}

    def section(self, function):
        self.sections[function.__name__] = function
        return function

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {self.current}: {what}: {str(detail)[:1500]}", flush=True)
        return bool(holds)

    def same(self, what, seen, expected):
        return self.check(what, seen == expected, f"\n  seen     {seen!r}\n  expected {expected!r}")

    def skip(self, what, why):
        print(f"SKIPPED {self.name}: {what}: {why}", flush=True)

    def run(self, wanted=()):
        for self.current in wanted or self.sections:
            began, before = time.monotonic(), self.failed
            try:
                self.sections[self.current]()
            except Exception as error:  # The other sections are still worth running.
                self.check("it runs to its end", False, "".join(traceback.format_exception(error)[-4:]))
            state = "ok" if self.failed == before else "FAILED"
            print(f"  {self.current}: {state} in {time.monotonic() - began:.1f} s", flush=True)
        print(f"{self.name}: {self.passed} checks passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def top():
    """The repository."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(os.path.dirname(here))
