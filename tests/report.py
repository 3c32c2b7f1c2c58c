#!/usr/bin/python3
"""What a run of ctest doesn't say by itself.

    report.py skipped LOG       what was skipped inside entries that passed; LOG: ctest's own LastTest.log
    report.py again LOG         which entries passed only when they were run once more; LOG: what ctest printed with
                                --repeat until-pass:2. More than two of them: status 1
"""
import re
import sys
from pathlib import Path

AGAIN_MOST = 2  # entries that may need a second run; each is a defect to look at
SKIP = re.compile(r"SKIPPED \[\d+\] |\[  SKIPPED \] |.*NOT TESTED")


def skipped(text):
    """["entry: line", ...] of each line in which an entry says that it skipped something, once."""
    out, entry = {}, "?"
    for line in text.splitlines():
        head = re.match(r"\d+/\d+ Testing: (.*)", line)
        if head:
            entry = head.group(1)
        elif SKIP.match(line) and not line.startswith("Command: "):
            out[f"{entry}: {line.strip()}"] = None
    return list(out)


def again(text):
    """(entries that failed and then passed, entries that failed to the end), sorted."""
    lines = re.findall(r"^(?:\s*\d+/\d+)? *Test +#\d+: (\S+) \.*(\*\*\*|   )(\w+)", text, re.M)
    failed, last = set(), {}
    for name, mark, status in lines:
        bad = mark == "***" and status != "Skipped"
        if bad:
            failed.add(name)
        last[name] = bad
    return sorted(n for n in failed if not last[n]), sorted(n for n in failed if last[n])


def main():
    what, path = sys.argv[1], Path(sys.argv[2])
    text = path.read_text(errors="replace") if path.exists() else ""
    if what == "skipped":
        lines = skipped(text)
        for line in lines:
            print(f"  {line}")
        print(f"skipped inside entries: {len(lines)}")
        return 0
    needed, _ = again(text)
    for name in needed:
        print(f"ci: passed only the second time: {name}")
    if len(needed) > AGAIN_MOST:
        print(f"ci: {len(needed)} entries passed only the second time, more than {AGAIN_MOST}: this run has failed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
