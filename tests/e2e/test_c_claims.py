"""What README, docs/, CONTRIBUTING.md and the help name exists: options, metrics, files, tests, packages, parameters;
and a few things that they say of requests."""
import inspect
import json
import re
import subprocess

import pytest

import lzr

PAGES = {p.relative_to(lzr.ROOT).as_posix(): p.read_text()
         for p in [lzr.ROOT / "README.md", lzr.ROOT / "CONTRIBUTING.md", lzr.ROOT / "bench" / "README.md",
                   *sorted((lzr.ROOT / "docs").glob("*.md"))]}
HELP = subprocess.run([lzr.LAZARR, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
# Options of other programs that the pages name.
FOREIGN = {"--build", "--install", "--plugin", "--prefix", "--preset", "--test-dir", "--head", "--minutes", "--clients",
           "--write", "--no-deps", "--version", "--help", "--ignore-scripts", "--system-site-packages", "--no-create-home",
           "--shell", "--system", "--user", "--now", "--kill-whom", "--signal"}

STORE = """
import lazarr
@lazarr.array("brain", shape=(4, 4), chunks=(4, 4), dtype="uint8", compressor=None)
def brain(block):
    return 5
@lazarr.array("one", shape=(4,), chunks=4, dtype="uint8", compressor=None)
def one(block):
    import numpy as np
    return np.ones(4)
"""


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    path = tmp_path_factory.mktemp("claims") / "s.py"
    path.write_text(STORE)
    with lzr.Server(path, "--workers", "1", "--no-access-log") as server:
        yield server


def options(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*[a-z])", text))


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page):
    unknown = options(PAGES[page]) - options(HELP) - FOREIGN
    assert not unknown, f"{page} names {unknown}, which lazarr --help doesn't have"


def test_options_of_the_help_are_taken():
    for option in sorted(options(HELP)):
        said = subprocess.run([lzr.LAZARR, "serve", option, "", "/nonexistent.py"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30).stdout.decode()
        assert "unknown option" not in said or option == "--version", (option, said)


def test_readme_has_every_option():
    """Those of `serve`, by name in the table or in another page."""
    everywhere = "\n".join(PAGES.values())
    for option in options(HELP) - {"--help", "--version"}:
        assert option in everywhere, f"no page says what {option} is for"


@pytest.mark.parametrize("command", [["serve", "--help"], ["serve", "x.py", "-h"], ["get", "--help"], ["bdv", "--help"],
                                     ["describe", "--help"], ["serve", "--port", "0", "--help"]])
def test_help_is_given_wherever_it_is_asked_for(command):
    p = lzr.run(*command)
    assert (p.returncode, p.stdout.decode()) == (0, HELP)


def test_metrics_exist(srv):
    """lazarr_… in any page, and the names in the column of counters of docs/faults.md."""
    have = set(re.findall(r"^# TYPE lazarr_(\S+) ", srv.get("/metrics").text, re.M))
    named = {}
    for page, text in PAGES.items():
        for name in re.findall(r"`lazarr_([a-z_]+)", text):
            named.setdefault(name, page)
    for row in re.findall(r"^\|(.*)\|$", PAGES["docs/faults.md"], re.M):
        cells = row.split(" | ")
        if len(cells) == 5:
            for name in re.findall(r"`([a-z_]+)`", cells[3]):
                named.setdefault(name, "docs/faults.md")
    assert len(named) > 20
    missing = {n: page for n, page in named.items() if n not in have}
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (lzr.ROOT / page).parent
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        if not target.startswith(("http:", "https:")):
            assert (folder / target).exists(), (page, target)


def test_files_that_contributing_names_exist():
    """`src/http/access.h`, `admit.c`: a bare name lies in the folder of the one before."""
    for line in PAGES["CONTRIBUTING.md"].splitlines():
        folder = None
        for name in re.findall(r"`([\w/.-]+)`", line):
            if "/" in name:
                folder = lzr.ROOT / (name if name.endswith("/") else name.rpartition("/")[0])
                if not name.startswith("build"):
                    assert (lzr.ROOT / name).exists(), (name, line)
            elif folder is not None and re.search(r"\.(c|h|py)$", name):
                assert (folder / name).exists(), (name, line)


def test_tests_that_are_named_exist():
    for page, text in PAGES.items():
        for name in re.findall(r"\b((?:[\w*]+/)*test_[\w*]+\.py)", text):
            assert list(lzr.ROOT.glob(f"tests/**/{name.rpartition('/')[2]}")), (page, name)
        for name in re.findall(r"`?\b(unit_[a-z_]+)\b", text):
            assert (lzr.ROOT / "tests" / "unit" / f"t_{name[5:]}.c").exists(), (page, name)


def test_what_ctest_is_told_finds_tests(tmp_path):
    """Each line with ctest in any page, so far as it is about build/."""
    lzr.need(lzr.which("ctest"), "ctest")
    # From a folder beside, so that the log of the run that this is a part of stays.
    (tmp_path / "CTestTestfile.cmake").write_text(f'subdirs("{lzr.BUILD}")\n')
    found = 0
    for page, text in PAGES.items():
        for line in re.findall(r"\bctest (-[^`#|\n&]*)", text):
            assert line.startswith("--test-dir build"), (page, line, "works in no folder")
            if line.startswith("--test-dir build "):
                args = line.split()[2:]
                p = subprocess.run(["ctest", "--test-dir", tmp_path, "-N", *args], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, timeout=60)
                total = re.search(r"Total Tests: (\d+)", p.stdout.decode())
                assert total and int(total.group(1)) > 0, (page, line, p.stdout)
                found += 1
    assert found >= 6


@pytest.mark.limit(180)
@pytest.mark.parametrize("cmocka", [True, False])
def test_no_tests_are_no_success(tmp_path, cmocka):
    """ctest in a build without tests fails and says what to do; by itself it says that none were found, status 0.
    Without cmocka there is such a build, which says so, but for CI."""
    lzr.need(lzr.which("cmake") and lzr.which("ninja"), "cmake and ninja")
    build, finds = tmp_path / "build", tmp_path / "pkg-config"
    finds.write_text('#!/bin/sh\ncase "$*" in *cmocka*) exit 1;; esac\nexec pkg-config "$@"\n')
    finds.chmod(0o755)
    make = ["cmake", "-S", lzr.ROOT, "-B", build, "-G", "Ninja",
            "-DBUILD_TESTING=OFF" if cmocka else f"-DPKG_CONFIG_EXECUTABLE={finds}"]
    p = subprocess.run(make, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=lzr.environment(CI="false"))
    assert p.returncode == 0 and (b"cmocka is missing: NO TESTS are built" in p.stderr) != cmocka, p.stderr
    if not cmocka:
        p = subprocess.run(make, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=lzr.environment(CI="true"))
        assert p.returncode != 0 and b"cmocka is missing and CI=true" in p.stderr, p.stderr
    for args in (["-L", "unit"], ["-R", "faults"], []):
        p = subprocess.run(["ctest", "--test-dir", build, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode != 0 and b"no tests are built here: ./quickstart build" in p.stdout, p.stdout


def packages(name):
    text = (lzr.ROOT / "quickstart").read_text()
    return set(re.search(rf'^{name}="([^"]*)"', text, re.M).group(1).split())


def test_what_is_to_be_installed_by_hand_is_listed():
    """README's table for other systems against what quickstart installs."""
    text = PAGES["README.md"]
    listed = set()
    for row in re.findall(r"^\|[^|]*\|([^|]*)\|$", text[text.index("## On another system"):], re.M)[2:]:
        listed |= set(row.split())
    assert listed == packages("RUN") | packages("UNIT")


def test_quickstart_writes_into_its_own_folder_only():
    text = (lzr.ROOT / "quickstart").read_text()
    assert "/tmp" not in text and "TMPDIR" not in text
    assert re.search(r"^log=build/quickstart\.log$", text, re.M)


def test_the_unit_for_systemd_names_what_is_installed():
    path, = re.findall(r"^ExecStart=(\S+)", PAGES["docs/operations.md"], re.M)
    cache = (lzr.BUILD / "CMakeCache.txt").read_text()
    prefix = re.search(r"^CMAKE_INSTALL_PREFIX:PATH=(.*)$", cache, re.M).group(1)
    folder = re.search(r"^CMAKE_INSTALL_BINDIR:PATH=(.*)$", cache, re.M).group(1)
    assert path == f"{prefix}/{folder}/lazarr"


def test_help_of_the_python_module_explains_every_parameter(monkeypatch):
    monkeypatch.syspath_prepend(str(lzr.PYTHON_DIR))
    import lazarr
    for function in (lazarr.array, lazarr.source, lazarr.Input):
        text = inspect.getdoc(function) + (inspect.getdoc(lazarr.array) if function is lazarr.source else "")
        for name, p in inspect.signature(function).parameters.items():
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                assert re.search(rf"\b{name}\b", text), f"help(lazarr.{function.__name__}) has no {name}"


def test_the_command_for_the_help_of_the_module_is_one():
    command, = re.findall(r"`(PYTHONPATH=\S+ /usr/bin/python3 -c '.*?help\(lazarr\.array\)')`", PAGES["README.md"])
    r = subprocess.run(["sh", "-c", command], cwd=lzr.ROOT, stdout=subprocess.PIPE, timeout=60,
                       env=lzr.environment(PAGER="cat", PYTHONDONTWRITEBYTECODE="1"))
    assert r.returncode == 0 and "computes one block of it" in r.stdout.decode()


def test_what_is_said_of_requests(srv):
    """docs/operations.md: names below localhost, percent-encoding, HTTP/1.0 without a Host."""
    assert srv.request("POST", "/api/reload", {"Host": "x.localhost"}).status == 200
    assert srv.get("/zarr3/s.zarr/%62rain/c/0/0").status == 200
    for target, status in (("/zarr3/s.zarr/brain/c/0/00", 404), ("/zarr3/s.zarr/brain%2Fc/0/0", 404)):
        assert srv.get(target).status == status, target
    with srv.connect() as h:
        h.sock.sendall(b"GET /zarr3/s.zarr/brain/c/0/0 HTTP/1.0\r\n\r\n")
        assert h.read().status == 200
    with srv.connect() as h:
        h.sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert h.read().status == 400


def test_any_float_is_refused_where_integers_are_declared(srv):
    """README: 1.0 as well as 1.5; and the reason is what curl shows."""
    lzr.need(lzr.which("curl"), "curl")
    p = subprocess.run(["curl", "-s", f"{srv.url}/zarr3/s.zarr/one/c/0"], stdout=subprocess.PIPE, timeout=60)
    assert b"float64" in p.stdout and b"uint8" in p.stdout, p.stdout


def test_a_key_is_what_stands_in_a_url(tmp_path):
    (tmp_path / "s.py").write_text(STORE)
    assert lzr.run("get", tmp_path / "s.py", "zarr3/s.zarr/brain/c/0/0").stdout == b"\5" * 16
    p = lzr.run("get", tmp_path / "s.py", "brain/c/0/0")
    assert p.returncode != 0 and p.stdout == b""


def test_a_taken_port_is_said(tmp_path, srv):
    """With what to do about it, in one line."""
    (tmp_path / "s.py").write_text(STORE)
    p = lzr.run("serve", tmp_path / "s.py", "--port", srv.port)
    said = p.stderr.decode() + p.stdout.decode()
    assert p.returncode != 0 and f"port {srv.port}" in said and "--port 0" in said, said


@pytest.mark.parametrize("word", ["brain.py", "tests", "help", "../store.py"])
def test_quickstart_of_something_else(word):
    """It serves the example; who gives it a store of their own is told how that is served, before anything is built."""
    p = subprocess.run([lzr.ROOT / "quickstart", word], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert p.returncode == 2 and p.stdout == b"", p
    assert f"there is no '{word}'" in p.stderr.decode() and "lazarr serve STORE" in p.stderr.decode(), p.stderr


def test_quickstart_shows_what_it_is_at(tmp_path):
    """Its own functions, with a command that takes its time: lines come while it goes on, the end of the log when it
    fails, and nothing but the log is written."""
    text = (lzr.ROOT / "quickstart").read_text()
    body = text[:text.index('mkdir -p build\ncase "${1:-serve}" in -h')].replace(
        'cd "$(dirname "$(readlink -f "$0")")"', f'cd "{tmp_path}"').replace("-ge 5", "-ge 0")
    script = tmp_path / "q"
    script.write_text(body + "\nrun bash -c 'echo one; echo two; echo three >&2'\n"
                      "run bash -c 'echo last words; exit 3' || die 'it failed'\n")
    p = subprocess.run(["bash", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    said = p.stderr.decode()
    assert p.returncode == 1 and said.endswith("last words\nquickstart: it failed\n"), said
    for word in ("one", "two", "three"):
        assert f"quickstart:     {word}\n" in said, said
    assert sorted(x.name for x in tmp_path.iterdir()) == ["build", "q"]
    assert "three" in (tmp_path / "build/quickstart.log").read_text()




def test_what_is_downloaded_is_pinned_with_hashes():
    """pip's requirements, npm's locks, the jars; apt's packages are signed. What is installed without is no test's."""
    tests = lzr.ROOT / "tests"
    for file in [*tests.glob("*/requirements*.txt")]:
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                assert re.fullmatch(r"[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line), (file.name, line)
    for lock in tests.glob("**/package-lock.json"):
        for name, package in json.loads(lock.read_text())["packages"].items():
            # What is in the checkout is linked; what comes inside of another package has that one's hash.
            if "node_modules/" in name and not package.get("link") and not package.get("inBundle"):
                assert package.get("integrity", "").startswith("sha512-"), (lock, name)
    jars = (tests / "java" / "jars.sha256").read_text()
    for name, version in re.findall(r"<artifactId>([\w-]+)</artifactId>\s*<version>([\d.-]+)</version>",
                                    (tests / "java" / "pom.xml").read_text().partition("<build>")[0]):
        assert f" {name}-{version}.jar\n" in jars or name == "java", name
    for script in tests.glob("*/setup.sh"):
        for line in script.read_text().replace("\\\n", " ").splitlines():
            if re.search(r"pip\" install|npm\"? (install|ci)", line) and "echo" not in line and "missing" not in line:
                assert "--require-hashes" in line or re.search(r"npm\"? ci ", line), (script, line)


def test_quickstart_elsewhere_than_on_debian(tmp_path):
    """It says where the list is and goes on: what was installed by hand is enough."""
    text = (lzr.ROOT / "quickstart").read_text()
    body = text[:text.index('mkdir -p build\ncase "${1:-serve}" in -h')].replace(
        'cd "$(dirname "$(readlink -f "$0")")"', f'cd "{tmp_path}"')
    script = tmp_path / "q"
    script.write_text(body + '\ncommand() { [ "$2" != dpkg-query ] && builtin command "$@"; }\n'
                      "need $RUN\necho went on\n")
    p = subprocess.run(["bash", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert p.returncode == 0 and p.stdout == b"went on\n", p
    title = re.search(r'README.md, "(.*?)"', p.stderr.decode()).group(1)
    assert f"\n## {title}\n" in PAGES["README.md"]
