// Neuroglancer as it comes, at window.viewer, and what the tests ask it.
import "neuroglancer";
import {
  ChunkPriorityTier,
  ChunkState,
  getChunkStateStatisticIndex,
  numChunkMemoryStatistics,
} from "neuroglancer/unstable/chunk_manager/base.js";
import { setupDefaultViewer } from "neuroglancer/unstable/ui/default_viewer_setup.js";

const viewer = setupDefaultViewer();

const dataSources = () =>
  viewer.layerManager.managedLayers.flatMap((m) => m.layer?.dataSources ?? [null]);

const slicePanels = () => [...viewer.display.panels].filter((p) => p.sliceView && p.visible);

// What of the visible chunks is drawn, on its way, or failed, in the chunk manager's own words.
async function visibleChunks() {
  const n = { drawn: 0, waiting: 0, failed: 0 };
  for (const s of (await viewer.chunkQueueManager.getStatistics()).values()) {
    for (const name of Object.keys(ChunkState).filter((k) => isNaN(Number(k)))) {
      const state = ChunkState[name];
      if (state === ChunkState.EXPIRED) continue;
      const at = getChunkStateStatisticIndex(state, ChunkPriorityTier.VISIBLE);
      const kind = { [ChunkState.GPU_MEMORY]: "drawn", [ChunkState.FAILED]: "failed" };
      n[kind[state] ?? "waiting"] += s[at * numChunkMemoryStatistics]; // the first: how many
    }
  }
  return n;
}

// Why the view is not complete yet; "" when it is.
function pending() {
  const sources = dataSources();
  if (sources.length === 0) return "no layers";
  if (sources.some((s) => s?.loadState === undefined)) return "a source is being opened";
  const layers = viewer.layerManager.managedLayers.filter((m) => m.visible);
  if (layers.some((m) => m.layer.renderLayers.length === 0)) return "a layer draws nothing yet";
  const panels = slicePanels();
  if (panels.length === 0) return "no panel";
  if (panels.some((p) => p.sliceView.visibleLayerList.length < layers.length))
    return "a panel lacks a layer";
  return viewer.isReady() ? "" : "viewer.isReady() is false";
}

const errors = () => dataSources().flatMap((s) => (s?.loadState?.error ? [s] : []))
  .map((s) => `${s.spec.url}: ${s.loadState.error.message}`);

const turn = () => new Promise((done) => setTimeout(done, 20));

// Waits until all that can be seen is loaded and drawn, and stays so for a turn of the event loop.
async function ready(seconds) {
  const end = performance.now() + seconds * 1000;
  let calm = 0;
  while (calm < 2) {
    if (errors().length) return { errors: errors() };
    const chunks = await visibleChunks();
    if (chunks.failed) return { errors: [`chunks failed: ${JSON.stringify(chunks)}`], chunks };
    const why = pending() ||
      (chunks.waiting ? "chunks" : chunks.drawn ? "" : "nothing is drawn yet");
    calm = why ? 0 : calm + 1;
    if (performance.now() > end) return { errors: [`not ready: ${why} ${JSON.stringify(chunks)}`] };
    await turn();
  }
  return { errors: [], chunks: await visibleChunks() };
}

// The pixels of the slice panels, top row first, right after drawing them.
function pixels() {
  viewer.display.draw();
  const { gl, canvas } = viewer.display;
  return slicePanels().map((p) => {
    const box = p.element.getBoundingClientRect();
    const whole = canvas.getBoundingClientRect();
    const left = Math.round(box.left - whole.left) + p.element.clientLeft;
    const top = Math.round(box.top - whole.top) + p.element.clientTop;
    const { clientWidth: width, clientHeight: height } = p.element;
    const data = new Uint8Array(width * height * 4);
    gl.readPixels(left, canvas.height - top - height, width, height, gl.RGBA, gl.UNSIGNED_BYTE,
      data);
    const row = (y) => String.fromCharCode(...data.subarray(y * width * 4, (y + 1) * width * 4));
    let text = "";
    for (let y = height - 1; y >= 0; --y) text += row(y);
    return { width, height, rgba: btoa(text) };
  });
}

// Where a layer lies: the corner of its first voxel and the size of one, in the world's units.
function placement() {
  return viewer.layerManager.managedLayers.map((m) => {
    const { value } = m.layer.dataSources[0].loadState.transform;
    const { inputSpace, outputSpace, transform, rank } = value;
    const { lowerBounds, upperBounds } = inputSpace.bounds;
    const at = (p) => outputSpace.names.map((_, row) => {
      let sum = transform[rank * (rank + 1) + row];
      for (let column = 0; column < rank; ++column)
        sum += transform[column * (rank + 1) + row] * p[column];
      return sum * outputSpace.scales[row];
    });
    const corner = at(lowerBounds);
    const next = at([...lowerBounds].map((v) => v + 1));
    return {
      name: m.name,
      axes: [...outputSpace.names],
      units: [...outputSpace.units],
      corner,
      voxel: next.map((v, i) => v - corner[i]),
      shape: [...upperBounds].map((v, i) => v - lowerBounds[i]),
      channels: value.inputSpace.names.slice(),
    };
  });
}

// Moves the cross-section, a position every 25 ms (a slow machine skips some); path: positions in
// voxels of the view.
async function pan(path) {
  const began = performance.now();
  for (let i = 0, last = -1; last < path.length - 1; last = i) {
    i = Math.min(Math.floor((performance.now() - began) / 25), path.length - 1);
    if (i !== last) viewer.position.value = Float32Array.from(path[i]);
    await new Promise(requestAnimationFrame);
  }
}

// Another state for this page, as if it were opened anew.
function restore(state) {
  viewer.state.reset();
  viewer.state.restoreState(state);
}

window.test = { ready, restore, pixels, placement, pan, visibleChunks };
