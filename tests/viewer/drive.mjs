// Drives Chromium for browser.py: a job, one JSON line, from standard input; its result, one JSON
// line, to standard output. Usage: ENV CHROMIUM, where ENV has node_modules.
//
//   {"id": …, "url": …, "width": …, "height": …, "seconds": …, "screenshot": path or null,
//    "path": positions to pan through or null, "show": arguments for ome.html or null,
//    "state": where "url" would open it anew, what the page that is open gets instead, or null}
//   {"id": …, "errors": […], "console": […], "requests": […], "panels": […], "placement": […],
//    "state": …}
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, executablePath] = process.argv.slice(2);
const home = join(modules, "node_modules/playwright-core/index.mjs");
const { chromium } = await import(pathToFileURL(home).href);

const flags = ["--no-sandbox", "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const turn = () => new Promise((done) => setTimeout(done, 10));

// One page stays open for jobs with a state: loading the viewer takes longer than most looks.
let kept = null;

async function open(browser, job) {
  if (job.state) {
    kept ??= await (await browser.newContext()).newPage();
    await kept.setViewportSize({ width: job.width, height: job.height });
    try {
      return await look(kept, job);
    } catch (e) {
      await kept.context().close();
      kept = null;
      throw e;
    }
  }
  const context = await browser.newContext({ viewport: { width: job.width, height: job.height } });
  try {
    return await look(await context.newPage(), job);
  } finally {
    await context.close();
  }
}

async function look(page, job) {
  const began = Date.now();
  const requests = new Map(), said = [];
  page.removeAllListeners();
  page.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (e) => said.push(`uncaught: ${e}`));
  page.on("request", (r) => requests.set(r,
    { method: r.method(), url: r.url(), ms: Date.now() - began, status: null }));
  // What an earlier look at this page asked for may end in this one: it isn't counted.
  const change = (r, what) => requests.has(r) && Object.assign(requests.get(r), what);
  page.on("response", (a) => change(a.request(), { status: a.status() }));
  page.on("requestfailed", (r) =>
    change(r, { failed: r.failure().errorText, ended: Date.now() - began }));
  page.on("requestfinished", (r) => change(r, { ended: Date.now() - began }));
  if (!job.state || page.url() === "about:blank") {
    await page.goto(job.state ? job.url.split("#")[0] : job.url);
    await page.waitForFunction(() => window.test !== undefined);
  }
  if (job.state) await page.evaluate((s) => window.test.restore(s), job.state);
  const result = { errors: [] };
  if (job.show) result.panels = await page.evaluate((a) => window.test.show(...a), job.show);
  else await neuroglancer(page, job, result, began);
  if (job.screenshot) await page.screenshot({ path: job.screenshot });
  // What was prefetched may still be on its way.
  const busy = () => [...requests.values()].some((r) => r.status === null && !r.failed);
  while (busy() && Date.now() < began + job.seconds * 1000) await turn();
  return { ...result, console: said, requests: [...requests.values()] };
}

async function neuroglancer(page, job, result, began) {
  Object.assign(result, await page.evaluate((s) => window.test.ready(s), job.seconds));
  if (job.path && !result.errors.length) {
    result.panned = Date.now() - began;
    await page.evaluate((path) => window.test.pan(path), job.path);
    result.panEnded = Date.now() - began;
    Object.assign(result, await page.evaluate((s) => window.test.ready(s), job.seconds));
  }
  if (!result.errors.length) {
    result.panels = await page.evaluate(() => window.test.pixels());
    result.placement = await page.evaluate(() => window.test.placement());
  }
  result.state = JSON.parse(await page.evaluate(() => JSON.stringify(window.viewer.state)));
}

// A profile of its own, made and removed by playwright; every job begins with an empty cache.
const browser = await chromium.launch({ executablePath, args: flags });
console.log(JSON.stringify({ id: 0, version: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let answer;
  try {
    answer = await open(browser, job);
  } catch (e) {
    answer = { errors: [e.stack], console: [], requests: [] };
  }
  console.log(JSON.stringify({ id: job.id, ...answer }));
}
await browser.close();
