// Builds the static client: Neuroglancer with the data sources that lazarr serves and no others.
import { defineConfig } from "vite";

const sources = ["precomputed", "zarr", "n5"];
const on = (s) => `neuroglancer/datasource/${s}:enabled`;

// Neuroglancer's icons come from a package that no registry has: every one becomes a square.
const icons = {
  name: "icons",
  enforce: "pre",
  resolveId: (id) => (id.startsWith("ikonate/") ? "\0" + id.replace("?raw", "") : null),
  load: (id) =>
    id.startsWith("\0ikonate/")
      ? 'export default "<svg viewBox=\\"0 0 24 24\\"><rect x=\\"6\\" y=\\"6\\" width=\\"12\\"' +
        ' height=\\"12\\"/></svg>"'
      : null,
};

const conditions = ["neuroglancer/datasource:none_by_default", ...sources.map(on)];

export default defineConfig({
  base: "",
  plugins: [icons],
  resolve: { conditions: [...conditions, "module", "browser", "import", "default"] },
  worker: { format: "es", plugins: () => [icons] },
  build: {
    target: "es2022",
    outDir: "../dist",
    emptyOutDir: true,
    chunkSizeWarningLimit: 9999,
    rollupOptions: { input: ["client/index.html", "client/ome.html"] },
  },
});
