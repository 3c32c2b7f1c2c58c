// Reads one slow array with zarrita.js. Usage: URL NAME ENV; prints JSON as read_slow.py does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, name, modules] = process.argv.slice(2);
const home = join(modules, "node_modules/zarrita");
const { version, exports } = JSON.parse(readFileSync(join(home, "package.json")));
const main = exports["."];
const zarr = await import(pathToFileURL(join(home, main.import ?? main.default ?? main)).href);
const start = performance.now();
const store = new zarr.FetchStore(`${url}/zarr3/slow_store.zarr/slow/${name}`);
const { data, shape } = await zarr.get(await zarr.open.v3(store, { kind: "array" }));
const values = Array.from({ length: shape[0] }, (_, i) => Array.from(data.slice(i * shape[1], (i + 1) * shape[1])));
console.log(JSON.stringify({ values, seconds: (performance.now() - start) / 1000,
  versions: { zarrita: version, node: process.version } }));
