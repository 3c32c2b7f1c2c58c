"""Reads one slow array. Usage: URL NAME READER; prints JSON: its values, the seconds it took, versions."""
import json
import sys
import time
from importlib.metadata import version

url, name, reader = sys.argv[1:4]
home, path = f"{url}/zarr3/slow_store.zarr", f"slow/{name}"


def zarr_python():
    import zarr
    return zarr.open_array(f"{home}/{path}", mode="r")[...]


def xarray():
    import xarray
    return xarray.open_zarr(f"{home}/slow")[name].values


def obstore():
    import obstore
    import zarr
    from zarr.storage import ObjectStore
    store = ObjectStore(obstore.store.HTTPStore.from_url(f"{home}/{path}", client_options={"allow_http": True}),
                        read_only=True)
    return zarr.open_array(store, mode="r")[...]


def tensorstore():
    import tensorstore
    return tensorstore.open({"driver": "zarr3", "kvstore": f"{home}/{path}/"}, read=True).result().read().result()


def zarrs():
    import zarr
    import zarrs  # noqa: F401
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True})
    return zarr.open_array(f"{home}/{path}", mode="r")[...]


start = time.monotonic()
values = {"zarr": zarr_python, "xarray": xarray, "obstore": obstore, "tensorstore": tensorstore,
          "zarrs": zarrs}[reader]()
print(json.dumps({"values": values.tolist(), "seconds": time.monotonic() - start,
                  "versions": {n: version(n) for n in {reader, "zarr"}}}))
