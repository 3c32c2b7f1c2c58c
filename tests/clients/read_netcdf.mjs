// A dataset's variable and coordinates through zarrita.js in Node, unpacked as its attributes say.
// Usage: URL FACE ENV; prints {isel: t2m of time 0, lat, dims, units}.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, face, modules] = process.argv.slice(2);
const home = join(modules, "node_modules/zarrita");
const main = JSON.parse(readFileSync(join(home, "package.json"))).exports["."];
const zarr = await import(pathToFileURL(join(home, main.import ?? main.default ?? main)).href);
const open = face === "zarr2" ? zarr.open.v2 : zarr.open.v3;
const root = zarr.root(new zarr.FetchStore(`${url}/${face}/weather.zarr`));
const array = async (name) => open(root.resolve(name), { kind: "array" });
const t2m = await array("t2m");
const { data } = await zarr.get(t2m, [0, null, null]);
const { scale_factor, add_offset, _FillValue, units } = t2m.attrs;
const fill = _FillValue ?? t2m.fillValue;
const isel = Array.from(data, (v) => (v === fill ? null : v * scale_factor + add_offset));
const lat = Array.from((await zarr.get(await array("lat"))).data);
const dims = t2m.attrs._ARRAY_DIMENSIONS ?? t2m.dimensionNames ?? null;
console.log(JSON.stringify({ isel, lat, dims, units }));
