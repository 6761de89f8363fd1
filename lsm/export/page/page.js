// The page: an image in, the comparison, the download. The network runs in worker.js.

const find = (id) => document.getElementById(id);
const LONGEST = 16384; // pixels of a canvas's side, and their number, that browsers allow
const MOST = 268_000_000;

const config = await (await fetch("config.json")).json();
find("scale").textContent = `×${config.scale}`;
find("network").textContent = config.name;
find("about").textContent = `${config.name}, ×${config.scale}, in tiles of ${config.tile}. Licence of the weights: ${config.licence}.`;

let worker = null;
let source = null; // { name, image: ImageData }

function say(text) {
  find("message").textContent = text;
}

function running(isRunning) {
  find("cancel").hidden = find("progress").hidden = !isRunning;
  find("start").disabled = isRunning || !source;
}

/** Decode a file into 8-bit RGBA, turned as its metadata says and without a change of colours. */
async function decode(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function choose(file) {
  if (!file) return;
  source = null;
  find("compare").hidden = find("download").hidden = true;
  try {
    const image = await decode(file);
    const [width, height] = [image.width * config.scale, image.height * config.scale];
    if (Math.max(width, height) > LONGEST || width * height > MOST) {
      say(`${file.name}: the result would be ${width}×${height} pixels, more than a browser can hold.`);
    } else {
      source = { name: file.name, image };
      say(`${file.name}: ${image.width}×${image.height} → ${width}×${height}`);
    }
  } catch {
    say(`${file.name} is no image that this browser can read.`);
  }
  running(false);
}

function stop() {
  worker?.terminate();
  worker = null;
  running(false);
}

function start() {
  const { name, image } = source;
  find("compare").hidden = find("download").hidden = true;
  running(true);
  find("progress").value = 0;
  say("Loading the network …");
  const begun = performance.now();
  worker ??= new Worker("worker.js", { type: "module" });
  worker.onerror = () => { say("The network could not be started in this browser."); stop(); };
  worker.onmessage = async ({ data }) => {
    if (data.error) {
      say(`${name}: ${data.error}`);
      stop();
    } else if (data.result) {
      await show(name, image, data.result);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      const how = data.provider === "webgpu" ? "WebGPU" : `WebAssembly, threads: ${data.threads}`;
      say(`${name}: done in ${seconds} s (${how})`);
      running(false);
    } else {
      find("progress").value = data.done / data.total;
      say(`Tile ${data.done} of ${data.total}`);
    }
  };
  worker.postMessage({ pixels: image.data, height: image.height, width: image.width });
}

/** Draw both sides of the comparison, and offer the result as a file. */
async function show(name, image, pixels) {
  const [width, height] = [image.width * config.scale, image.height * config.scale];
  for (const id of ["before", "after"]) Object.assign(find(id), { width, height });
  const before = find("before").getContext("2d");
  before.imageSmoothingQuality = "high";
  before.drawImage(await createImageBitmap(image), 0, 0, width, height);
  const result = new ImageData(pixels, width, height);
  find("after").getContext("2d").putImageData(result, 0, 0);
  const blob = await new Promise((done) => find("after").toBlob(done, "image/png"));
  const link = find("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/\.[^.]*$/, "")}_out.png`;
  link.textContent = `Download ${link.download} (${width}×${height})`;
  find("compare").hidden = link.hidden = false;
}

find("file").addEventListener("change", (event) => choose(event.target.files[0]));
find("start").addEventListener("click", start);
find("cancel").addEventListener("click", () => { stop(); say("Cancelled."); });
find("slider").addEventListener("input", (event) => find("compare").style.setProperty("--at", `${event.target.value}%`));
for (const kind of ["dragover", "dragleave", "drop"]) {
  find("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") choose(event.dataTransfer.files[0]);
  });
}
