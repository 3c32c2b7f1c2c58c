#!/usr/bin/python3
"""tests/report.py on what ctest 3.25 printed."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import report  # noqa: E402

PRINTED = """
    Start 2: bad
1/6 Test #2: bad ..............................***Failed    0.00 sec
AssertionError: 3/4 of it
    Start 2: bad
    Test #2: bad ..............................***Failed    0.12 sec
2/6 Test #1: good .............................   Passed    0.59 sec
3/6 Test #4: sk ...............................***Skipped   0.08 sec
 4/6 Test #15: flaky_one .......................***Failed    0.04 sec
    Start 15: flaky_one
    Test #15: flaky_one .......................   Passed    0.00 sec
5/6 Test  #6: flaky_two ........................***Exception: SegFault  0.01 sec
    Test  #6: flaky_two ........................   Passed  0.01 sec
6/6 Test #3: slow_one_of_a_very_long_name_indeed ...***Timeout   1.01 sec
    Test #3: slow_one_of_a_very_long_name_indeed ...   Passed   1.01 sec

83% tests passed, 1 tests failed out of 6

The following tests FAILED:
\t  2 - bad (Failed)
"""

LOG = """Start testing: Dec 01 02:00 UTC
1/2 Testing: e2e_one
1/2 Test: e2e_one
Command: "/usr/bin/python3" "-c" "print('NOT TESTED')"
Output:
..ss
SKIPPED [1] tests/e2e/test_one.py:12: NOT TESTED, missing: node
SKIPPED [2] tests/e2e/test_one.py:40: needs two cores
1/2 Testing: e2e_one
SKIPPED [1] tests/e2e/test_one.py:12: NOT TESTED, missing: node
2/2 Testing: unit_two
[  SKIPPED ] test_of_root
clients: NOT TESTED: no tensorstore
"""


def main():
    needed, failed = report.again(PRINTED)
    assert needed == ["flaky_one", "flaky_two", "slow_one_of_a_very_long_name_indeed"], needed
    assert failed == ["bad"], failed
    assert report.again("") == ([], [])
    assert report.skipped(LOG) == [
        "e2e_one: SKIPPED [1] tests/e2e/test_one.py:12: NOT TESTED, missing: node",
        "e2e_one: SKIPPED [2] tests/e2e/test_one.py:40: needs two cores",
        "unit_two: [  SKIPPED ] test_of_root",
        "unit_two: clients: NOT TESTED: no tensorstore"], report.skipped(LOG)
    for text, status in (PRINTED, 1), (PRINTED.replace("***Timeout", "   Passed"), 0), ("", 0):
        path = Path(sys.argv[1]) / "report-check.txt"
        path.write_text(text)
        sys.argv = ["report.py", "again", str(path)]
        got = report.main()
        path.unlink()
        sys.argv = ["report.py", str(path.parent)]
        assert got == status, (got, status)


if __name__ == "__main__":
    main()
