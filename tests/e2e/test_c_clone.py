"""README's first ten minutes from a clone, with a build of its own: some minutes, so not in the default suite."""
import re
import subprocess

import pytest

import lzr
import test_c_readme as readme


@pytest.mark.limit(1500)
def test_the_first_ten_minutes_from_a_clone(tmp_path):
    """As above, from a clone and with a whole build, which is shown while it goes on."""
    lzr.need(readme.MRI.exists(), "mricron-data")
    said = readme.type_it_all(tmp_path, clone=True, patience=1200)
    assert said.count("building [") >= 2, said
    assert re.search(r"quickstart: built in \d+ s", said)
    assert (tmp_path / "lazarr/build/quickstart.log").exists()
    # CONTRIBUTING's first lines: what has no tests says so, then there are some.
    root = tmp_path / "lazarr"
    ctest = ["ctest", "--test-dir", root / "build", "-N", "-L", "unit"]
    none = subprocess.run(ctest, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert none.returncode != 0 and b"no tests are built here" in none.stdout, none.stdout
    subprocess.run([root / "quickstart", "build"], check=True, env=lzr.environment(), timeout=1200)
    assert int(re.search(r"Total Tests: (\d+)", subprocess.run(ctest, stdout=subprocess.PIPE).stdout.decode())
               .group(1)) > 10
