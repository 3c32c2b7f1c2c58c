"""Zarr and precomputed in object stores: s3:// through s3fs and through obstore, gs:// through gcsfs; credentials and
endpoints as those take them. An object that isn't there is one of fill values; a refusal, a fault, a bucket that is
gone and a server that says nothing are failures, and none hangs."""
import json
import os
import subprocess
import threading

import pytest

import lzr
import objects
from test_b_kinds import env  # noqa: F401: a fixture
from test_b_remote import V, consolidate, image2, plate2, same, volume

pytestmark = pytest.mark.limit(180)


@pytest.fixture(scope="module")
def s3(env, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("bucket")
    plate2(folder / "plate.zarr")
    consolidate(image2(folder / "image.zarr"))
    (folder / "image.zarr/0/2/1/1").unlink()
    volume(folder / "vol", V)
    with objects.moto(env) as made:
        made.put("bkt", folder, "deep/")
        yield made


def without_last(v):
    """V as the image has it: its last chunk isn't stored."""
    v = v.copy()
    v[4:, 8:, 8:16] = 0
    return v


HIDING = "import sys\nsys.modules['s3fs'] = sys.modules['gcsfs'] = None\n"


through = pytest.mark.parametrize("through", ["s3fs", "obstore"])


def store(tmp_path, library, **sources):
    """A store of sources at URLs, read through that library: for obstore's turn it hides the other."""
    lines = [HIDING if library == "obstore" else "", "import lazarr\n"]
    lines += [f"lazarr.source({k!r}, {v!r}, timeout=10)\n" for k, v in sources.items()]
    (tmp_path / "s.py").write_text("".join(lines))
    return tmp_path / "s.py"


@through
def test_s3(env, s3, through, tmp_path, serve):  # noqa: F811
    path = store(tmp_path, through, well="s3://bkt/deep/plate.zarr::A/1/0", img="s3://bkt/deep/image.zarr",
                 vol="s3://bkt/deep/vol")
    srv = serve(path, "--python", env, "--workers", "1", env=objects.credentials(s3.url))
    same(srv, "/zarr2/s.zarr/well/0", V)
    same(srv, "/zarr2/s.zarr/well/1", V[:, ::2, ::2])
    same(srv, "/zarr2/s.zarr/img/0", without_last(V))
    same(srv, "/zarr2/s.zarr/vol/0", V)


def test_a_url_by_itself_and_fsspecs_own_settings(env, s3, serve):  # noqa: F811
    own = objects.credentials(s3.url)
    own["FSSPEC_S3_ENDPOINT_URL"] = own.pop("AWS_ENDPOINT_URL")
    srv = serve(["s3://bkt/deep/plate.zarr"], "--python", env, "--workers", "1", env=own)
    same(srv, "/zarr2/plate.zarr/A/1/0/0", V)


@through
def test_failures_of_s3(env, s3, through, tmp_path, serve):  # noqa: F811
    with objects.gate(s3.url, {"image.zarr/0/0/0/0": 403, "image.zarr/0/0/0/1": 500}) as url:
        srv = serve(store(tmp_path, through, img="s3://bkt/deep/image.zarr"), "--python", env, "--workers", "1",
                    env=objects.credentials(url))
        root = "/zarr2/s.zarr/img/0"
        r = srv.get(f"{root}/0/0/0")
        assert r.status == 500 and "image.zarr/0/0/0/0 can't be read" in r.text, r.text
        assert srv.get(f"{root}/0/0/1").status == 500
        assert srv.get(f"{root}/0/0/2").status == 200
        assert srv.get(f"{root}/2/1/1").status == 200  # there is none: fill values


def test_a_server_that_says_nothing_is_a_deadline(env, s3, tmp_path, serve):  # noqa: F811
    held = threading.Event()
    with objects.gate(s3.url, {"image.zarr/0/1/0/0": held}) as url:
        srv = serve(store(tmp_path, "obstore", img="s3://bkt/deep/image.zarr"), "--python", env, "--workers", "1",
                    env=objects.credentials(url))
        try:
            assert srv.get("/zarr2/s.zarr/img/0/1/0/0").status in (500, 503)
        finally:
            held.set()


@pytest.mark.parametrize("url,said", [("s3://bkt/none.zarr", "no Zarr array"), ("s3://nobody/a.zarr", "ucket")])
def test_what_is_not_there(env, s3, url, said):  # noqa: F811
    r = subprocess.run([lzr.LAZARR, "describe", url, "--python", env], capture_output=True, text=True, timeout=100,
                       env=lzr.environment(**objects.credentials(s3.url)))
    last = r.stderr.strip().splitlines()[-1]
    assert r.returncode == 1 and said in last and "Traceback" not in r.stderr, r.stderr


@through
def test_a_bucket_that_goes_is_no_fill_value(env, s3, through, tmp_path, serve):  # noqa: F811
    image2(tmp_path / "b/image.zarr")
    bucket = f"soon-gone-{through}"
    s3.put(bucket, tmp_path / "b")
    srv = serve(store(tmp_path, through, img=f"s3://{bucket}/image.zarr"), "--python", env, "--workers", "1",
                env=objects.credentials(s3.url))
    assert srv.get("/zarr2/s.zarr/img/0/0/0/0").status == 200
    for p in sorted((tmp_path / "b").rglob("*")):
        if p.is_file():
            s3.ask("DELETE", f"/{bucket}/{p.relative_to(tmp_path / 'b')}")
    s3.ask("DELETE", f"/{bucket}")
    r = srv.get("/zarr2/s.zarr/img/0/1/0/0")
    assert r.status == 500 and "ucket" in r.text, (r.status, r.text)


@pytest.mark.parametrize("library", ["gcsfs", "obstore"])
def test_google(env, library, tmp_path, serve):  # noqa: F811
    """Against a stand-in: there is no server of Google's that a registry has."""
    plate2(tmp_path / "g/bkt/plate.zarr")
    volume(tmp_path / "g/bkt/vol", V)
    with objects.google(tmp_path / "g") as url:
        path = store(tmp_path, library, well="gs://bkt/plate.zarr::A/1/0", vol="gs://bkt/vol")
        srv = serve(path, "--python", env, "--workers", "1", env={
            "STORAGE_EMULATOR_HOST": url, "FSSPEC_GS_TOKEN": "anon", "FSSPEC_GCS_TOKEN": "anon",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false", "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({
                "gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""})})
        same(srv, "/zarr2/s.zarr/well/0", V)
        same(srv, "/zarr2/s.zarr/vol/0", V)
        os.remove(tmp_path / "g/bkt/plate.zarr/A/1/0/1/2/0/0")
        assert srv.get("/zarr2/s.zarr/well/1/2/0/0").status == 200  # fill values
        os.rename(tmp_path / "g/bkt", tmp_path / "g/other")
        r = srv.get("/zarr2/s.zarr/well/1/1/0/0")
        assert r.status == 500 and "ucket" in r.text, (r.status, r.text)
