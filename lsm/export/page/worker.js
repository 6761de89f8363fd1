// Upscales images tile by tile, apart from the page, which stays responsive.

import { spans, weights } from "./tiling.js";

let config, ort, provider, model;
const sessions = new Map();

/** Load onnxruntime and the network; WebGPU where the browser has it, else WebAssembly. */
async function load() {
  config = await (await fetch("config.json")).json();
  const adapter = config.runtime.webgpu && (await self.navigator.gpu?.requestAdapter().catch(() => null));
  model = new Uint8Array(await (await fetch(config.model)).arrayBuffer());
  await use(adapter ? "webgpu" : "wasm");
}

async function use(name) {
  provider = name;
  const { script, mjs, wasm } = config.runtime[name];
  ort = await import(`./runtime/${script}`);
  const path = (file) => new URL(`runtime/${file}`, self.location.href).href;
  ort.env.wasm.wasmPaths = { mjs: path(mjs), wasm: path(wasm) };
  // Threads share memory, which a browser allows only to pages that are isolated from others' (COOP and COEP headers).
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(self.navigator.hardwareConcurrency, 8) : 1;
  sessions.clear();
}

/** A session for tiles of one shape: buffers on a GPU have fixed sizes, and constants can be computed beforehand. */
async function sessionFor(height, width) {
  const key = `${height}×${width}`;
  if (!sessions.has(key)) {
    const [vertical, horizontal] = config.sides;
    const options = {
      executionProviders: [provider],
      freeDimensionOverrides: { [vertical]: height, [horizontal]: width },
    };
    sessions.set(key, await ort.InferenceSession.create(model, options));
  }
  return sessions.get(key);
}

/** Run the network over (3, height, width) in [0, 1]; without WebGPU from the first time that it fails on. */
async function run(planes, height, width) {
  try {
    const session = await sessionFor(height, width);
    const { upscaled } = await session.run({ image: new ort.Tensor("float32", planes, [1, 3, height, width]) });
    const data = await upscaled.getData();
    upscaled.dispose();
    return data;
  } catch (error) {
    if (provider !== "webgpu") throw error;
    await use("wasm");
    return run(planes, height, width);
  }
}

/** Cut a tile out of RGBA bytes as (3, h, w) in [0, 1]; `channels` of RGBA that the three planes take. */
function cut(pixels, stride, row, column, channels) {
  const [height, width] = [row.stop - row.start, column.stop - column.start];
  const planes = new Float32Array(3 * height * width);
  channels.forEach((channel, plane) => {
    let to = plane * height * width;
    for (let y = row.start; y < row.stop; y++) {
      for (let x = column.start; x < column.stop; x++) planes[to++] = pixels[(y * stride + x) * 4 + channel] / 255;
    }
  });
  return planes;
}

/** Add what a tile keeps, times its weights, to the sums of a row of tiles: planes of `bandHeight` × `bandWidth`. */
function blend(band, bandHeight, bandWidth, tile, row, column) {
  const { scale } = config;
  const [tileHeight, tileWidth] = [(row.stop - row.start) * scale, (column.stop - column.start) * scale];
  const factors = weights(column, scale);
  const [top, left] = [(row.keepStart - row.start) * scale, (column.keepStart - column.start) * scale];
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < bandHeight; y++) {
      const from = (plane * tileHeight + top + y) * tileWidth + left;
      const to = (plane * bandHeight + y) * bandWidth + column.keepStart * scale;
      for (let x = 0; x < factors.length; x++) band[to + x] += tile[from + x] * factors[x];
    }
  }
}

/** Upscale the colours of RGBA bytes, or one channel three times, into the same of `result`, from top to bottom with one row of tiles in memory. */
async function upscale(pixels, height, width, channels, result, progress) {
  const { scale, tile, overlap, window } = config;
  const [rows, columns] = [height, width].map((size) => spans(size, tile, overlap, window));
  const bandWidth = width * scale;
  const isGrey = new Set(channels).size === 1;
  let strip = null;
  for (const row of rows) {
    const bandHeight = (row.keepStop - row.keepStart) * scale;
    const band = new Float32Array(3 * bandHeight * bandWidth);
    for (const column of columns) {
      const planes = cut(pixels, width, row, column, channels);
      blend(band, bandHeight, bandWidth, await run(planes, row.stop - row.start, column.stop - column.start), row, column);
      progress();
    }
    const factors = weights(row, scale);
    const at = (plane, y) => (plane * bandHeight + y) * bandWidth;
    for (let plane = 0; plane < 3; plane++) {
      for (let y = 0; y < bandHeight; y++) {
        const above = strip && y < strip.height ? (plane * strip.height + y) * bandWidth : -1;
        for (let x = 0; x < bandWidth; x++) {
          band[at(plane, y) + x] = band[at(plane, y) + x] * factors[y] + (above < 0 ? 0 : strip.sums[above + x]);
        }
      }
    }
    const finished = bandHeight - row.fadeOut * scale;
    for (let y = 0; y < finished; y++) {
      const to = (row.keepStart * scale + y) * bandWidth;
      for (let x = 0; x < bandWidth; x++) {
        const [red, green, blue] = [band[at(0, y) + x], band[at(1, y) + x], band[at(2, y) + x]];
        const pixel = (to + x) * 4;
        if (isGrey) {
          result[pixel + channels[0]] = ((red + green + blue) / 3) * 255;
        } else {
          result[pixel] = red * 255; // a clamped array rounds
          result[pixel + 1] = green * 255;
          result[pixel + 2] = blue * 255;
        }
      }
    }
    strip = { height: bandHeight - finished, sums: new Float32Array(3 * (bandHeight - finished) * bandWidth) };
    for (let plane = 0; plane < 3; plane++) {
      const kept = band.subarray(at(plane, finished), at(plane, bandHeight));
      strip.sums.set(kept, plane * strip.height * bandWidth);
    }
  }
}

function countTiles(height, width) {
  const { tile, overlap, window } = config;
  return spans(height, tile, overlap, window).length * spans(width, tile, overlap, window).length;
}

const ready = load();

self.onmessage = async ({ data: { pixels, height, width } }) => {
  try {
    await ready;
    const isOpaque = pixels.every((value, index) => index % 4 !== 3 || value === 255);
    const total = countTiles(height, width) * (isOpaque ? 1 : 2);
    let done = 0;
    const progress = () => self.postMessage({ done: ++done, total });
    const result = new Uint8ClampedArray(height * width * config.scale ** 2 * 4).fill(255);
    await upscale(pixels, height, width, [0, 1, 2], result, progress);
    if (!isOpaque) await upscale(pixels, height, width, [3, 3, 3], result, progress);
    self.postMessage({ result, provider, threads: ort.env.wasm.numThreads }, [result.buffer]);
  } catch (error) {
    self.postMessage({ error: String(error?.message ?? error) });
  }
};
