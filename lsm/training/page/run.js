"use strict";
// Draws the curves of one or more runs, and the images of their validations.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg", WIDTH = 420, HEIGHT = 220, LEFT = 52, BOTTOM = 24, TOP = 8;

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.textContent = text;
  return made;
}

const colour = (run) => `var(--c${run % 6})`;

function plain(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5) return `${+(value / 1000).toPrecision(4)}k`;
  return size < 1e-3 ? value.toExponential(1) : `${+value.toPrecision(4)}`;
}

// Round steps between two values: about `count` of them.
function ticks(least, most, count) {
  const raw = (most - least) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((each) => each * power >= raw) * power;
  const found = [];
  for (let at = Math.ceil(least / step) * step; at <= most + step * 1e-9; at += step) found.push(at);
  return found;
}

// One chart: a line a run. `curves` holds {run, points: [[iteration, value], ...]}.
function chart(title, curves, logarithmic) {
  const scaled = logarithmic ? Math.log10 : (value) => value;
  const shown = curves.map(({run, points}) => ({run, points: points.filter(([, value]) => !logarithmic || value > 0)}));
  const all = shown.flatMap(({points}) => points);
  const box = element("div", {class: "chart"});
  box.append(element("h3", {}, title));
  const last = Math.max(1, ...all.map(([at]) => at)), values = all.map(([, value]) => scaled(value));
  let least = Math.min(...values), most = Math.max(...values);
  const margin = (most - least || Math.abs(most) || 1) * 0.06;
  [least, most] = [least - margin, most + margin];
  const x = (at) => LEFT + (WIDTH - LEFT - 6) * at / last;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (scaled(value) - least) / (most - least));
  const svg = shape("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title});
  for (const tick of ticks(least, most, 6)) {
    const value = logarithmic ? 10 ** tick : tick;
    svg.append(shape("line", {class: "grid", x1: LEFT, x2: WIDTH - 6, y1: y(value), y2: y(value)}));
    svg.append(shape("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, plain(value)));
  }
  for (const tick of ticks(0, last, 6)) {
    svg.append(shape("text", {x: x(tick), y: HEIGHT - 6, "text-anchor": "middle"}, plain(tick)));
  }
  for (const {run, points} of shown) {
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    svg.append(shape("polyline", {class: "curve", points: path, style: `stroke: ${colour(run)}`}));
    if (points.length === 1) svg.append(shape("circle", {cx: x(points[0][0]), cy: y(points[0][1]), r: 2.5, fill: colour(run)}));
  }
  const reading = element("div", {class: "reading"});
  svg.addEventListener("pointermove", (event) => {
    const place = svg.getBoundingClientRect();
    const at = ((event.clientX - place.left) * WIDTH / place.width - LEFT) / (WIDTH - LEFT - 6) * last;
    reading.textContent = shown.filter(({points}) => points.length).map(({run, points}) => {
      const near = points.reduce((best, each) => Math.abs(each[0] - at) < Math.abs(best[0] - at) ? each : best);
      return `${data.runs.length > 1 ? `${data.runs[run].name}: ` : ""}${near[0]}: ${plain(near[1])}`;
    }).join("   ");
  });
  box.append(svg, reading);
  return box;
}

function drawCharts() {
  const logarithmic = document.getElementById("log").checked;
  const charts = document.getElementById("charts");
  charts.replaceChildren(...data.charts.map(({title, curves, loss}) => chart(title, curves, loss && logarithmic)));
}

function drawRuns() {
  const table = document.getElementById("runs");
  const head = element("tr");
  data.columns.forEach((name) => head.append(element("th", {}, name)));
  table.append(head);
  data.runs.forEach(({cells}, run) => {
    const row = element("tr");
    cells.forEach((cell, number) => {
      const made = element("td", {}, cell);
      if (!number) made.prepend(element("span", {class: "swatch", style: `background: ${colour(run)}`}));
      row.append(made);
    });
    table.append(row);
  });
  document.title = data.runs.map(({name}) => name).join(", ");
  document.getElementById("title").textContent = document.title;
}

function drawImages() {
  const chosen = document.getElementById("set").value, zoom = +document.getElementById("zoom").value;
  const box = document.getElementById("images");
  box.replaceChildren();
  for (const {title, set, shots} of data.images) {
    if (set !== chosen) continue;
    box.append(element("h3", {}, title));
    const strip = element("div", {class: "strip"});
    for (const {caption, source, width} of shots) {
      const figure = element("figure");
      figure.append(element("img", {src: source, alt: caption, width: width * zoom}), element("figcaption", {}, caption));
      strip.append(figure);
    }
    box.append(strip);
  }
}

drawRuns();
drawCharts();
document.getElementById("log").addEventListener("change", drawCharts);
const sets = [...new Set(data.images.map(({set}) => set))];
document.getElementById("set").append(...sets.map((name) => element("option", {}, name)));
document.getElementById("images-section").hidden = !sets.length;
["set", "zoom"].forEach((id) => document.getElementById(id).addEventListener("input", drawImages));
drawImages();
