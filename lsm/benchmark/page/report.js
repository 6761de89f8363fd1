"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);

/** Make an element with properties, attributes in `attributes`, and children. */
function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** JSON has no infinity: the file says "inf" for equal images. */
const number = (value) => (value === "inf" ? Infinity : value);
const shown = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "∞");
const signed = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

function fill(select, options, chosen) {
  const present = options.map(([value]) => String(value));
  select.replaceChildren(...options.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = present.includes(String(chosen)) ? chosen : present[0];
}

/** What a cell's figures are, in their order: PSNR, SSIM, and LPIPS where it was measured. */
const MEASURES = [{ digits: 2 }, { digits: 4 }];
if (data.rows.some((row) => row.lpips !== null)) MEASURES.push({ digits: 4, lowerIsBetter: true });

/** Return which of the values as printed is best (0), second (1), or neither, for each of them. */
function places(values, { digits, lowerIsBetter }) {
  const rounded = values.map((value) => (value === null ? null : shown(number(value), digits)));
  const direction = lowerIsBetter ? -1 : 1;
  const ranks = [...new Set(rounded.filter((value) => value !== null))].sort((a, b) => direction * (rank(b) - rank(a)));
  return rounded.map((value) => (value === null || ranks.length < 2 ? -1 : ranks.indexOf(value)));
}
const rank = (text) => (text === "∞" ? Infinity : Number(text));

/** Write the figures of a cell, bold for the best and underlined for the second; `peers` include `values`. */
function figures(values, peers) {
  return MEASURES.flatMap((measure, index) => {
    const place = places(peers.map((peer) => peer?.[index] ?? null), measure)[peers.indexOf(values)];
    const tag = place === 0 ? "b" : place === 1 ? "u" : "span";
    const text = values[index] === null ? "–" : shown(number(values[index]), measure.digits);
    return [...(index ? [" / "] : []), make(tag, { textContent: text })];
  });
}

/** A table whose headings sort it; `columns` have a title and a `value` of a row to sort by. */
class SortableTable {
  constructor(table, renderRow) {
    Object.assign(this, { table, renderRow, column: null, descending: true });
  }

  show(columns, rows) {
    Object.assign(this, { columns, rows });
    if (this.column !== null && this.column >= columns.length) this.column = null;
    this.draw();
  }

  sorted() {
    if (this.column === null) return this.rows;
    const value = this.columns[this.column].value;
    const direction = this.descending ? -1 : 1;
    const missing = (item) => item === null || item === undefined;
    return [...this.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return direction * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    });
  }

  sortBy(index) {
    const isText = this.rows.length && typeof this.columns[index].value(this.rows[0]) === "string";
    this.descending = this.column === index ? !this.descending : !isText;
    this.column = index;
    this.draw();
  }

  draw() {
    const head = this.columns.map((column, index) => {
      const sort = this.column !== index ? "none" : this.descending ? "descending" : "ascending";
      const button = make("button", { type: "button", textContent: column.title, onclick: () => this.sortBy(index) });
      return make("th", { scope: "col", attributes: { "aria-sort": sort } }, button);
    });
    const focused = [...this.table.querySelectorAll("thead button")].indexOf(document.activeElement);
    const body = this.sorted().map((row, index, all) => this.renderRow(row, all[index - 1], this.column === null));
    this.table.replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
    if (focused >= 0) this.table.querySelectorAll("thead button")[focused]?.focus();
  }
}

/* Results: methods down, sets across. */

const setNames = [...new Set(data.sets.map((set) => set.name))];
const scales = [...new Set(data.sets.map((set) => set.scale))];
const resultsTable = new SortableTable(find("results"), renderLine);

function referenceOf(line) {
  const name = find("reference").value;
  if (name === "none" || line.published) return null;
  const method = name === "own" ? line.counterpart : name;
  return data.published.find((row) => row.method === method && row.scale === line.scale) ?? null;
}

function delta(value, reference) {
  if (!reference || !Number.isFinite(number(value[0]))) return [];
  const difference = number(value[0]) - reference[0];
  const text = `${signed(difference, 2)} / ${signed(value[1] - reference[1], 4)}`;
  return [make("span", { className: `delta ${difference < 0 ? "down" : "up"}`, textContent: text })];
}

function setCell(line, name) {
  const value = line.values[name];
  if (!value) return make("td", { textContent: "–" });
  const peers = data.lines.filter((peer) => peer.scale === line.scale && peer.values[name]);
  const content = figures(value, peers.map((peer) => peer.values[name]));
  if (line.published) return make("td", {}, ...content);
  const open = make("button", { type: "button", onclick: () => showImages(name, line.scale, true) }, ...content);
  return make("td", {}, open, ...delta(value, referenceOf(line)?.values[name]));
}

function renderLine(line, previous, inOrder) {
  const startsGroup = inOrder && previous && previous.scale !== line.scale;
  const names = [line.published ? "published" : "", startsGroup ? "group" : ""];
  return make(
    "tr", { className: names.filter(Boolean).join(" ") },
    make("th", { scope: "row", textContent: line.label + (line.published ? " †" : "") }),
    make("td", { textContent: `×${line.scale}` }),
    make("td", { textContent: line.parameters ? `${(line.parameters / 1e6).toFixed(3)} M` : "–" }),
    make("td", { textContent: line.macs ? `${(line.macs / 1e9).toFixed(1)} G` : "–" }),
    ...setNames.map((name) => setCell(line, name)),
    make("td", { textContent: line.seconds === null ? "–" : `${line.seconds.toPrecision(3)} s` }),
  );
}

function drawResults() {
  const scale = find("result-scale").value;
  const lines = data.lines.filter((line) => scale === "all" || line.scale === Number(scale));
  resultsTable.show(
    [
      { title: "Method", value: (line) => line.label },
      { title: "Scale", value: (line) => line.scale },
      { title: "Params", value: (line) => line.parameters || null },
      { title: "MACs", value: (line) => line.macs || null },
      ...setNames.map((name) => ({ title: data.titles[name], value: (line) => line.values[name] && number(line.values[name][0]) })),
      { title: "Time/image", value: (line) => line.seconds },
    ],
    lines,
  );
}

/* Images of one set at one scale. */

const imagesTable = new SortableTable(find("images"), renderImage);
let models = [];

function renderImage(item) {
  const all = models.map((model) => item.values[model]);
  const cells = all.map((values) => make("td", {}, ...(values ? figures(values, all) : ["–"])));
  const crop = cropOf(item.image);
  const name = crop
    ? make("button", { type: "button", textContent: `◩ ${item.image}`, onclick: () => showCrop(item.image, true) })
    : item.image;
  return make(
    "tr", { className: find("crop-image").value === item.image && crop ? "chosen" : "" },
    make("td", {}, name), make("td", { textContent: `${item.width}×${item.height}` }), ...cells,
  );
}

function drawImages() {
  const [name, scale] = [find("image-set").value, Number(find("image-scale").value)];
  const rows = data.rows.filter((row) => row.image_set === name && row.scale === scale);
  models = [...new Set(rows.map((row) => row.model))];
  const items = new Map();
  for (const row of rows) {
    if (!items.has(row.image)) items.set(row.image, { image: row.image, width: row.width, height: row.height, values: {} });
    items.get(row.image).values[row.model] = [row.psnr, row.ssim, row.lpips];
  }
  const columns = models.map((model) => ({
    title: model, value: (item) => (item.values[model] ? number(item.values[model][0]) : null),
  }));
  const images = { title: "Image", value: (item) => item.image };
  const size = { title: "Size", value: (item) => item.width * item.height };
  imagesTable.show([images, size, ...columns], [...items.values()]);
}

function showImages(name, scale, scroll) {
  find("image-set").value = name;
  find("image-scale").value = scale;
  const crops = cropsHere();
  fill(find("crop-image"), crops.map((crop) => [crop.image, crop.image]), find("crop-image").value);
  drawImages();
  drawCrops();
  if (scroll) find("images-title").scrollIntoView({ behavior: "smooth" });
}

/* Crops and the slider. */

const cropsHere = () =>
  data.crops.filter(
    (crop) => crop.image_set === find("image-set").value && crop.scale === Number(find("image-scale").value),
  );
const cropOf = (image) => cropsHere().find((crop) => crop.image === image);

function showCrop(image, scroll) {
  find("crop-image").value = image;
  drawImages();
  drawCrops();
  if (scroll) find("crops-title").scrollIntoView({ behavior: "smooth" });
}

function caption(name) {
  const row = data.rows.find(
    (item) => item.model === name && item.image === find("crop-image").value
      && item.image_set === find("image-set").value && item.scale === Number(find("image-scale").value),
  );
  if (!row) return "";
  const perceptual = row.lpips === null ? "" : ` / ${shown(row.lpips, 4)}`;
  return `${shown(number(row.psnr), 2)} dB / ${shown(row.ssim, 4)}${perceptual}`;
}

function drawCrops() {
  const crop = cropOf(find("crop-image").value);
  find("crops-section").hidden = !crop;
  if (!crop) return;
  const names = crop.images.map(([name]) => name);
  const networks = names.filter((name) => !["HR", "bicubic"].includes(name));
  fill(find("before"), names.map((name) => [name, name]), find("before").value || "bicubic");
  fill(find("after"), names.map((name) => [name, name]), find("after").value || networks[0] || "HR");
  find("crops").replaceChildren(
    ...crop.images.map(([name, source]) =>
      make(
        "figure", {}, make("img", { src: source, alt: `${crop.image}, ${name}` }),
        make("figcaption", {}, name, make("br"), make("small", { textContent: caption(name) })),
      ),
    ),
  );
  drawComparison();
}

function drawComparison() {
  const images = new Map(cropOf(find("crop-image").value).images);
  for (const side of ["before", "after"]) {
    const name = find(side).value;
    Object.assign(find(`compare-${side}`), { src: images.get(name), alt: name });
    find(`tag-${side}`).textContent = name;
  }
  moveDivider();
}

function moveDivider() {
  const position = Number(find("slider").value);
  find("compare-before").style.clipPath = `inset(0 ${100 - position}% 0 0)`;
  find("divider").style.left = `${position}%`;
}

/* Everything at the start. */

function start() {
  find("protocol").textContent = data.protocol;
  find("protocol-text").textContent = data.protocol_text;
  find("summary").textContent = data.summary;
  find("sources").textContent = data.sources;
  for (const note of document.querySelectorAll(".measures")) note.textContent = data.measures;
  fill(find("result-scale"), [["all", "all"], ...scales.map((scale) => [scale, `×${scale}`])], "all");
  const references = [...new Set(data.published.map((row) => row.method))];
  fill(
    find("reference"),
    [["own", "its own published row"], ["none", "nothing"], ...references.map((name) => [name, `${name} †`])],
    "own",
  );
  fill(find("image-set"), setNames.map((name) => [name, data.titles[name]]), setNames[0]);
  fill(find("image-scale"), scales.map((scale) => [scale, `×${scale}`]), scales[scales.length - 1]);
  find("result-scale").onchange = find("reference").onchange = drawResults;
  find("image-set").onchange = find("image-scale").onchange = () =>
    showImages(find("image-set").value, find("image-scale").value, false);
  find("crop-image").onchange = () => showCrop(find("crop-image").value, false);
  find("before").onchange = find("after").onchange = drawComparison;
  find("slider").oninput = moveDivider;
  find("plots-section").hidden = data.plots.length === 0;
  find("plots").append(...data.plots.map((plot) => make("img", { src: plot.source, alt: plot.title })));
  drawResults();
  showImages(find("image-set").value, find("image-scale").value, false);
}

start();
