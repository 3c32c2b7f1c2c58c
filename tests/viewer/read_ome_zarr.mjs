// ome-zarr.js in Node: opens an OME-Zarr image and renders slices of it. Usage: ENV URL [SLICES…],
// with ENV holding node_modules and SLICES as JSON, e.g. {"z": 80}. One line of JSON to standard
// output.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, url, ...slices] = process.argv.slice(2);
const home = join(modules, "node_modules/ome-zarr.js");
const { version, exports } = JSON.parse(readFileSync(join(home, "package.json")));
const ome = await import(pathToFileURL(join(home, exports["."].import)).href);

console.info = console.error; // what the library says; standard output is the report
const asked = [];
const plain = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const answer = await plain(input, init);
  asked.push([init?.method ?? input.method ?? "GET", String(input.url ?? input), answer.status]);
  return answer;
};

const image = await ome.NgffImage.load(url);
const report = {
  version,
  ome: image.getVersion(),
  zarr: image.getZarrVersion(),
  axes: image.axes,
  paths: image.paths,
  scales: image.getScales(),
  shapes: await image.calcShapes(),
  labels: await image.getLabelsPaths().catch((e) => `${e}`),
  channels: image.omero?.channels ?? null,
  planes: [],
};
for (const text of slices) {
  const plane = await image.renderRgba({ arrayPathOrIndex: 0, slices: JSON.parse(text) });
  report.planes.push({ ...plane, data: Buffer.from(plane.data).toString("base64") });
}
report.asked = asked;
console.log(JSON.stringify(report));
