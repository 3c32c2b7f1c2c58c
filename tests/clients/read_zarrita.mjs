// zarrita.js in Node. Usage: URL FOLDER FACE ENV, where ENV has node_modules and FOLDER holds what `matrix.py dump` wrote and
// test_clients.py added.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, folder, face, modules] = process.argv.slice(2);
const home = join(modules, "node_modules/zarrita");
const { version, exports } = JSON.parse(readFileSync(join(home, "package.json")));
const main = exports["."];
const zarr = await import(pathToFileURL(join(home, main.import ?? main.default ?? main)).href);
const index = JSON.parse(readFileSync(join(folder, "index.json")));
const open = face === "zarr2" ? zarr.open.v2 : zarr.open.v3;
const report = { read: 0, values: 0, excluded: {}, wrong: {} };

function reason(spec) {
  if (spec.dtype.startsWith("complex")) return "zarrita has no complex types";
  if (spec.codec && spec.codec[1] === "snappy") return "no build of numcodecs for JavaScript has snappy";
  if (spec.shape.includes(0)) return "zarrita's get fails for an axis of length 0";
  if (spec.dtype === "float16" && typeof Float16Array === "undefined")
    return "this Node has no Float16Array";
  return null;
}

// The values' bytes, little-endian; NaN has many bit patterns, so floats are compared as numbers too.
function same(data, want) {
  const bytes = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(Uint8Array.from(data, Number));
  if (bytes.equals(want)) return true;
  if (bytes.length !== want.length || !/Float/.test(data.constructor.name)) return false;
  const copy = new Uint8Array(want).buffer;
  const other = new data.constructor(copy);
  return data.every((v, i) => Object.is(v, other[i]));
}

async function read(spec) {
  const store = new zarr.FetchStore(`${url}/${face}/${spec.key ?? "matrix_store.zarr/" + spec.name}`);
  const array = await open(store, { kind: "array" });
  if (JSON.stringify(array.shape) !== JSON.stringify(spec.shape))
    throw new Error(`shape ${array.shape}, not ${spec.shape}`);
  const got = await zarr.get(array);
  const want = readFileSync(join(folder, spec.file));
  if (array.shape.length === 0) { // a scalar comes as itself
    const one = new (array.dtype === "uint8" ? Uint8Array : Int32Array)([Number(got)]);
    if (!same(one, want)) throw new Error(`value ${got}`);
    return 1;
  }
  let data = got.data;
  if (array.dtype === "bool") data = Uint8Array.from(data, Number);
  if (!same(data, want)) throw new Error("values differ");
  return spec.shape.reduce((a, b) => a * b, 1);
}

for (const spec of index) {
  const why = reason(spec);
  if (why) {
    report.excluded[spec.name] = why;
    console.log(`excluded ${spec.name}: ${why}`);
    continue;
  }
  try {
    report.values += await read(spec);
    report.read += 1;
  } catch (e) {
    report.wrong[spec.name] = `${e.name}: ${e.message}`.slice(0, 300);
    console.log(`WRONG ${spec.name}: ${report.wrong[spec.name]}`);
  }
}
report.versions = { zarrita: version, node: process.version };
console.log(JSON.stringify(report));
process.exitCode = Object.keys(report.wrong).length ? 1 : 0;
