// The page of a run. Reads the data beside it, draws on canvases, and sets text; it never parses markup.
// Times are microseconds of virtual time; `T` is the table of texts; columns of operations are `O`.
"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
// Growing columns come as differences: undo what `packing.py` did.
function unpack(columns) {
  for (const name of ["a", "i", "x"]) if (columns[name]) { let sum = 0; columns[name] = columns[name].map((by) => sum += by); }
  for (const [name, other] of [["b", "a"], ["j", "i"], ["y", "x"]]) if (columns[name]) columns[name] = columns[name].map((by, at) => columns[other][at] + by);
}
unpack(D.ops);
if (D.excerpt) {
  unpack(D.excerpt.messages);
  let index = 0, time = 0;
  for (const step of D.excerpt.steps) { step[0] = index += step[0]; step[1] = time += step[1]; }
}
const O = D.ops, T = D.texts, COUNT = O.a.length, END = Math.max(D.end, 1);
const LANES = D.lanes.length;
const byId = (id) => document.getElementById(id);
const OUTCOME = ["ok", "fail", "info"];
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

// -- colours, which follow the scheme of the browser ----------------------------------------------------------------
let C = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["back", "panel", "ink", "soft", "line", "grid", "accent", "ok", "fail", "info", "bad", "badsoft", "good",
    "shade", "leader", "candidate", "follower", "down", "commit", "copy", "later", "kept"]) {
    C[name] = style.getPropertyValue("--" + name).trim();
  }
}
readColours();

const seconds = (us, digits = 3) => (us / 1e6).toFixed(digits) + " s";
const span = (us) => us < 1000 ? us + " µs" : us < 1e6 ? +(us / 1e3).toFixed(3) + " ms" : +(us / 1e6).toFixed(3) + " s";
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
function make(name, text, className) {
  const one = document.createElement(name);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}

// -- a canvas of any density; `draw` gets a context in CSS pixels ---------------------------------------------------
class Surface {
  constructor(id, height, draw) {
    this.canvas = byId(id);
    this.height = height;
    this.draw = draw;
    this.width = 0;
    this.pending = false;
    if (!this.canvas) return;
    this.canvas.style.height = height + "px";
    new ResizeObserver(() => this.request()).observe(this.canvas);
  }
  request() {
    if (this.pending || !this.canvas) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const ratio = window.devicePixelRatio || 1, width = this.canvas.clientWidth;
      if (!width) return;
      this.width = width;
      const w = Math.round(width * ratio), h = Math.round(this.height * ratio);
      if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
      const g = this.canvas.getContext("2d");
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      g.clearRect(0, 0, width, this.height);
      g.font = "11px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
      g.textBaseline = "middle";
      this.draw(g, width, this.height);
    });
  }
}

// -- the shared time axis -------------------------------------------------------------------------------------------
const RIGHT = 12;
const left = (width) => width < 560 ? 62 : 126;  // the longest kind of fault has 17 letters
class Axis {
  constructor(low, high, shortest) {
    Object.assign(this, {low, high, from: low, to: high, shortest, surfaces: [], cursor: null, after: []});
  }
  set(from, to) {
    const length = clamp(to - from, Math.min(this.shortest, this.high - this.low), this.high - this.low);
    this.from = clamp(from, this.low, this.high - length);
    this.to = this.from + length;
    this.redraw();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    const length = clamp((this.to - this.from) * factor, Math.min(this.shortest, this.high - this.low), this.high - this.low);
    const part = (at - this.from) / (this.to - this.from);
    this.set(at - part * length, at - part * length + length);
  }
  pan(part) { const by = (this.to - this.from) * part; this.set(this.from + by, this.to + by); }
  x(time, width) { return left(width) + (time - this.from) / (this.to - this.from) * (width - left(width) - RIGHT); }
  time(x, width) { return this.from + (x - left(width)) / (width - left(width) - RIGHT) * (this.to - this.from); }
  redraw() { for (const one of this.surfaces) one.request(); for (const call of this.after) call(); }
}
function ticks(from, to, count) {
  const raw = (to - from) / Math.max(count, 1), power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) || power * 10;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return [found, step];
}
function drawTimes(g, axis, width, height, labels) {
  const [at, step] = ticks(axis.from, axis.to, (width - left(width)) / 90);
  const digits = clamp(Math.ceil(-Math.log10(step / 1e6)), 0, 6);
  g.lineWidth = 1;
  g.textAlign = "center";
  for (const time of at) {
    const x = Math.round(axis.x(time, width)) + .5;
    g.strokeStyle = C.grid;
    g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height - (labels ? 15 : 0)); g.stroke();
    g.textAlign = x < left(width) + 12 ? "left" : "center";
    if (labels && x > left(width) - 5 && x < width - 24) { g.fillStyle = C.soft; g.fillText(seconds(time, digits), x, height - 7); }
  }
}
function clip(g, width, height) {
  g.beginPath(); g.rect(left(width), 0, width - left(width) - RIGHT, height); g.clip();
}

// -- faults as shades: how many are in force from when on ------------------------------------------------------------
const EFFECTIVE = D.faults.filter((one) => one[4] !== "no-target");
let chosenFault = null;
const shade = (() => {
  const ends = [];
  for (const one of EFFECTIVE) { ends.push([one[2], 1], [Math.max(one[3], one[2] + 1), -1]); }
  ends.sort((a, b) => a[0] - b[0]);
  const parts = [];
  let count = 0;
  for (let at = 0; at < ends.length; at++) {
    count += ends[at][1];
    if (at + 1 < ends.length && ends[at + 1][0] > ends[at][0] && count > 0) parts.push([ends[at][0], ends[at + 1][0], count]);
  }
  return parts;
})();
function drawShade(g, axis, width, height) {
  g.fillStyle = C.shade;
  for (const [begin, end, count] of shade) {
    if (end < axis.from || begin > axis.to) continue;
    const x = axis.x(begin, width);
    g.globalAlpha = Math.min(.05 + .035 * count, .28);
    g.fillRect(x, 0, Math.max(axis.x(end, width) - x, 1), height);
  }
  g.globalAlpha = 1;
  if (chosenFault) {
    const x = axis.x(chosenFault[2], width);
    g.globalAlpha = .22; g.fillStyle = C.bad;
    g.fillRect(x, 0, Math.max(axis.x(chosenFault[3], width) - x, 2), height);
    g.globalAlpha = 1;
  }
}
function drawMarks(g, axis, width, height) {
  g.lineWidth = 1;
  for (const time of D.phases) {
    const x = Math.round(axis.x(time, width)) + .5;
    g.strokeStyle = C.soft; g.setLineDash([2, 3]);
    g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height); g.stroke();
  }
  g.setLineDash([]);
  D.failures.forEach((one, at) => {
    const x = Math.round(axis.x(one[1], width)) + .5;
    g.strokeStyle = C.bad; g.globalAlpha = at ? .5 : 1; g.lineWidth = at ? 1 : 1.5;
    g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height); g.stroke();
  });
  g.globalAlpha = 1; g.lineWidth = 1;
  if (axis.cursor !== null) {
    const x = Math.round(axis.x(axis.cursor, width)) + .5;
    g.strokeStyle = C.accent;
    g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height); g.stroke();
  }
}
const main = new Axis(0, END, 2000);
function chart(id, height, draw, {labels = true, base = 16} = {}) {
  const surface = new Surface(id, height, (g, width) => {
    const inner = height - (labels ? base : 0);
    g.save(); clip(g, width, height);
    drawShade(g, main, width, inner);
    drawTimes(g, main, width, height, labels);
    g.restore();
    draw(g, width, inner);
    g.save(); clip(g, width, inner); drawMarks(g, main, width, inner); g.restore();
  });
  if (surface.canvas) { main.surfaces.push(surface); steer(surface, main); }
  return surface;
}

// -- pointer and keys on a time axis ----------------------------------------------------------------------------------
const tip = byId("tip");
function showTip(event, text) {
  if (!text) { tip.hidden = true; return; }
  tip.textContent = text;
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = clamp(event.clientX + 14, 4, innerWidth - width - 4) + "px";
  tip.style.top = (event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18) + "px";
}
function steer(surface, axis) {
  const canvas = surface.canvas;
  let from = null;
  canvas.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    const by = event.deltaY || event.deltaX;
    axis.zoom(Math.pow(1.0016, by), axis.time(event.offsetX, surface.width));
  }, {passive: false});
  canvas.addEventListener("pointerdown", (event) => {
    from = {x: event.offsetX, from: axis.from, to: axis.to, moved: false};
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from && Math.abs(event.offsetX - from.x) > 3) from.moved = true;
    if (from && from.moved) {
      const by = (from.x - event.offsetX) / (surface.width - left(surface.width) - RIGHT) * (from.to - from.from);
      axis.set(from.from + by, from.to + by);
      showTip(event, "");
      return;
    }
    axis.cursor = axis.time(event.offsetX, surface.width);
    if (axis === main) axis.redraw();
    if (surface.hover) showTip(event, surface.hover(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from && !from.moved && surface.click) surface.click(event.offsetX, event.offsetY);
    from = null;
  });
  canvas.addEventListener("pointercancel", () => { from = null; });
  canvas.addEventListener("pointerleave", () => { axis.cursor = null; showTip(null, ""); if (axis === main) axis.redraw(); });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (surface.keys && surface.keys(event.key)) { event.preventDefault(); return; }
    const act = {"+": () => axis.zoom(.6), "=": () => axis.zoom(.6), "-": () => axis.zoom(1 / .6), "0": () => axis.set(axis.low, axis.high),
      ArrowLeft: () => axis.pan(-.15), ArrowRight: () => axis.pan(.15), f: () => toFailure()}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}

// -- operations -------------------------------------------------------------------------------------------------------
const lanes = Array.from({length: LANES}, () => []);
for (let at = 0; at < COUNT; at++) lanes[O.l[at]].push(at);
const atCall = new Map();
for (let at = 0; at < COUNT; at++) atCall.set(O.i[at], at);
const evident = new Map();
for (const bar of document.querySelectorAll("[data-call]")) {
  const at = atCall.get(+bar.dataset.call);
  if (at !== undefined && !evident.has(at)) evident.set(at, bar.classList.contains("blocked") ? 2 : 1);
}
const matches = new Uint8Array(COUNT).fill(1);
let matching = COUNT, chosen = -1;
function asked(at) { return [T[O.f[at]], T[O.k[at]], T[O.v[at]]].filter(Boolean).join(" "); }
function told(at) {
  if (O.o[at] === 0) return T[O.r[at]] ? "ok " + T[O.r[at]] : "ok";
  return OUTCOME[O.o[at]] + (T[O.e[at]] ? ", " + T[O.e[at]] : O.j[at] < 0 ? ", never returned" : "");
}
function told_all(at) {
  const to = O.j[at] < 0 ? "?" : O.j[at];
  return `${asked(at)}  →  ${told(at)}\nprocess ${O.p[at]} (${D.lanes[O.l[at]]}), index ${O.i[at]}..${to}\n${seconds(O.a[at])}, took ${span(O.b[at] - O.a[at])}`;
}
function filter() {
  const outcome = byId("by-outcome").value, f = byId("by-f").value, key = byId("by-key").value, text = byId("by-text").value.toLowerCase();
  const hits = text ? T.map((one) => one.toLowerCase().includes(text)) : null;
  matching = 0;
  for (let at = 0; at < COUNT; at++) {
    const good = (outcome === "" || O.o[at] === +outcome) && (f === "" || O.f[at] === +f) && (key === "" || O.k[at] === +key) &&
      (!hits || hits[O.v[at]] || hits[O.r[at]] || hits[O.e[at]]);
    matches[at] = good ? 1 : 0;
    matching += matches[at];
  }
  byId("matching").textContent = matching === COUNT ? `${COUNT.toLocaleString("en")} operations` : `${matching.toLocaleString("en")} of ${COUNT.toLocaleString("en")} operations`;
  main.redraw();
}
for (const [id, column] of [["by-f", O.f], ["by-key", O.k]]) {
  for (const text of [...new Set(column)].sort((a, b) => T[a] < T[b] ? -1 : 1).slice(0, 500)) {
    const option = make("option", T[text] || "(none)");
    option.value = String(text);
    byId(id).append(option);
  }
  byId(id).addEventListener("change", filter);
}
byId("by-outcome").addEventListener("change", filter);
byId("by-text").addEventListener("input", filter);

// The first operation of a lane that may be seen from this time on: those of a lane follow each other.
function firstFrom(lane, time) {
  let low = 0, high = lane.length;
  while (low < high) { const middle = (low + high) >> 1; if (O.b[lane[middle]] < time) low = middle + 1; else high = middle; }
  return low;
}
const LANE = LANES > 24 ? 12 : 18;
const operations = chart("operations", LANES * LANE + 24, (g, width) => {
  g.textAlign = "right";
  const colours = [C.ok, C.fail, C.info];
  for (let lane = 0; lane < LANES; lane++) {
    const y = 4 + lane * LANE, list = lanes[lane];
    if (LANE > 14 || lane % 2 === 0) { g.fillStyle = C.soft; g.fillText(width < 560 ? D.lanes[lane] : `${D.lanes[lane]} #${lane}`, left(width) - 8, y + LANE / 2 - 1); }
    g.save(); clip(g, width, LANES * LANE + 8);
    let lastPixel = -9, lastOutcome = -1;
    for (let n = firstFrom(list, main.from); n < list.length; n++) {
      const at = list[n];
      if (O.a[at] > main.to) break;
      if (!matches[at]) continue;
      const x0 = main.x(O.a[at], width), x1 = main.x(O.b[at], width), special = evident.get(at);
      if (x1 < lastPixel + .7 && O.o[at] <= lastOutcome && !special) continue;
      const w = Math.max(x1 - x0 - (x1 - x0 > 4 ? 1 : 0), 1.2);
      g.fillStyle = colours[O.o[at]];
      g.globalAlpha = O.o[at] === 2 ? .75 : 1;
      g.fillRect(x0, y, w, LANE - 4);
      g.globalAlpha = 1;
      if (O.o[at] === 2) { g.fillStyle = C.panel; for (let x = Math.max(x0 + 3, left(width)); x < Math.min(x0 + w - 1, width); x += 6) g.fillRect(x, y, 1.5, LANE - 4); }
      if (special || at === chosen) {
        g.strokeStyle = at === chosen ? C.ink : special === 2 ? C.bad : C.accent;
        g.lineWidth = 2;
        g.strokeRect(x0 - 1.5, y - 1.5, w + 3, LANE - 1);
      }
      if (w > 34 && LANE > 14) {
        g.save(); g.beginPath(); g.rect(Math.max(x0, left(width)) + 2, y, x0 + w - Math.max(x0, left(width)) - 4, LANE); g.clip();
        g.textAlign = "left"; g.fillStyle = O.o[at] === 0 ? "#fff" : "#16181c";
        if (C.ink.startsWith("#e")) g.fillStyle = "#0d1116";
        g.fillText(`${asked(at)}${O.o[at] === 0 && T[O.r[at]] ? " → " + T[O.r[at]] : ""}`, Math.max(x0, left(width)) + 5, y + LANE / 2 - 1);
        g.restore(); g.textAlign = "right";
      }
      lastPixel = x1; lastOutcome = O.o[at];
    }
    g.restore();
  }
});
function operationAt(x, y) {
  const lane = Math.floor((y - 4) / LANE);
  if (lane < 0 || lane >= LANES) return -1;
  const list = lanes[lane], slack = (main.to - main.from) / 400, time = main.time(x, operations.width);
  let best = -1, distance = slack;
  for (let n = firstFrom(list, time - slack); n < list.length && O.a[list[n]] <= time + slack; n++) {
    const at = list[n];
    if (!matches[at]) continue;
    const away = time < O.a[at] ? O.a[at] - time : time > O.b[at] ? time - O.b[at] : 0;
    if (away < distance || best < 0) { best = at; distance = away; }
  }
  return best;
}
operations.hover = (x, y) => { const at = operationAt(x, y); return at < 0 ? faultsText(main.time(x, operations.width)) : told_all(at); };
operations.click = (x, y) => choose(operationAt(x, y));
operations.keys = (key) => {
  if (key === "n" || key === "p") { stepOperation(key === "n" ? 1 : -1); return true; }
  if (key === "ArrowDown" || key === "ArrowUp") { stepLane(key === "ArrowDown" ? 1 : -1); return true; }
  if (key === "Enter" && chosen >= 0) { follow(O.i[chosen]); return true; }
  return false;
};
function stepOperation(by) {
  let at = chosen;
  if (at < 0) { at = 0; while (at < COUNT && O.a[at] < main.from) at++; at -= by; }
  do at += by; while (at >= 0 && at < COUNT && !matches[at]);
  if (at >= 0 && at < COUNT) choose(at, true);
}
function stepLane(by) {
  if (chosen < 0) { stepOperation(1); return; }
  const list = lanes[clamp(O.l[chosen] + by, 0, LANES - 1)];
  const at = list[Math.min(firstFrom(list, O.a[chosen]), list.length - 1)];
  if (at !== undefined) choose(at, true);
}
function choose(at, reveal = false) {
  chosen = at;
  const detail = byId("detail");
  if (at < 0) { detail.textContent = "Point at an operation, or step with n and p, to see it here."; main.redraw(); return; }
  detail.textContent = told_all(at).replaceAll("\n", "; ") + ". ";
  if (X) {
    const button = make("button", "show its messages");
    button.type = "button";
    button.addEventListener("click", () => follow(O.i[at]));
    detail.append(button);
  }
  if (reveal && (O.a[at] < main.from || O.b[at] > main.to)) {
    const length = main.to - main.from;
    main.set((O.a[at] + O.b[at] - length) / 2, (O.a[at] + O.b[at] + length) / 2);
  }
  main.redraw();
}

// -- faults ------------------------------------------------------------------------------------------------------------
const kinds = [...new Set(D.faults.map((one) => one[1]))];
const FAULT = 15;
function faultText(one) {
  return `${one[0]}: ${one[1]} ${one[6]}\n${one[5] ? "on " + one[5] + ", " : ""}${seconds(one[2])} to ${seconds(one[3])}, ${one[4]}`;
}
function faultsText(time) {
  return EFFECTIVE.filter((one) => one[2] <= time && time <= one[3]).slice(0, 8).map((one) => `${one[0]} ${one[1]} ${one[5] || one[6]}`).join("\n");
}
const faultsChart = chart("faults-chart", Math.max(kinds.length, 1) * FAULT + 24, (g, width) => {
  g.textAlign = "right";
  if (!kinds.length) { g.fillStyle = C.soft; g.textAlign = "left"; g.fillText("none", left(width) + 6, 12); }
  kinds.forEach((kind, row) => {
    g.fillStyle = C.soft;
    g.fillText(width < 560 ? kind.slice(0, 8) : kind, left(width) - 8, 4 + row * FAULT + FAULT / 2);
  });
  g.save(); clip(g, width, kinds.length * FAULT + 8);
  for (const one of D.faults) {
    const x = main.x(one[2], width), y = 4 + kinds.indexOf(one[1]) * FAULT, w = Math.max(main.x(one[3], width) - x, 2);
    if (one[4] === "effective") { g.globalAlpha = .62; g.fillStyle = one === chosenFault ? C.bad : C.shade; g.fillRect(x, y + 2, w, FAULT - 4); }
    else { g.globalAlpha = .8; g.strokeStyle = C.soft; g.setLineDash([2, 2]); g.strokeRect(x + .5, y + 2.5, w, FAULT - 5); g.setLineDash([]); }
    g.globalAlpha = 1;
  }
  g.restore();
});
function faultAt(x, y) {
  const kind = kinds[Math.floor((y - 4) / FAULT)], time = main.time(x, faultsChart.width), slack = (main.to - main.from) / 300;
  return D.faults.find((one) => one[1] === kind && one[2] - slack <= time && time <= one[3] + slack) || null;
}
faultsChart.hover = (x, y) => { const one = faultAt(x, y); return one ? faultText(one) : ""; };
faultsChart.click = (x, y) => { chosenFault = faultAt(x, y); main.redraw(); };

// -- the cluster: roles, terms, commit indexes ----------------------------------------------------------------------------
const TRACK = 30;
const highest = Math.max(1, ...D.tracks.map((one) => one.commits.length ? one.commits[one.commits.length - 1] : 0));
const several = new Set(D.tracks.map((one) => one.group)).size > 1;
function lastBefore(list, width, time) {
  let low = 0, high = list.length / width;
  while (low < high) { const middle = (low + high) >> 1; if (list[middle * width] <= time) low = middle + 1; else high = middle; }
  return low - 1;
}
const cluster = chart("cluster", Math.max(D.tracks.length, 1) * TRACK + 20, (g, width) => {
  D.tracks.forEach((track, row) => {
    const y = 3 + row * TRACK, h = TRACK - 5, roles = track.roles, count = roles.length / 3;
    g.textAlign = "right"; g.fillStyle = C.soft;
    g.fillText(several ? `${track.node} ${track.group}` : track.node, left(width) - 8, y + h / 2);
    g.save(); clip(g, width, D.tracks.length * TRACK + 4);
    for (let n = Math.max(0, lastBefore(roles, 3, main.from)); n < count && roles[n * 3] <= main.to; n++) {
      const role = roles[n * 3 + 1], x = main.x(roles[n * 3], width), end = n + 1 < count ? roles[n * 3 + 3] : END;
      const w = main.x(end, width) - x;
      if (w < .25 && role !== "leader") continue;
      g.fillStyle = role === "leader" ? C.leader : role === "down" ? C.down : role.includes("candidate") ? C.candidate : C.follower;
      g.fillRect(x, y, Math.max(w, .8), h);
      if (role === "down" && w > 4) {
        g.strokeStyle = C.panel; g.globalAlpha = .5; g.beginPath();
        const to = Math.min(x + w, width);
        for (let at = Math.max(x, left(width) - h); at < to; at += 7) { g.moveTo(at, y + h); g.lineTo(Math.min(at + h, x + w), y + Math.max(0, at + h - x - w)); }
        g.stroke(); g.globalAlpha = 1;
      }
      const shown = Math.max(x, left(width));
      if (x + w - shown > 24 && role !== "down") {
        g.fillStyle = role === "leader" ? (C.ink.startsWith("#e") ? "#08130d" : "#fff") : C.soft; g.textAlign = "left";
        g.fillText(x + w - shown > 66 && role === "leader" ? `term ${roles[n * 3 + 2]}` : String(roles[n * 3 + 2]), shown + 4, y + 8);
      }
    }
    const commits = track.commits;
    if (commits.length) {
      g.strokeStyle = C.commit; g.lineWidth = 1.4; g.beginPath();
      let started = false, lastX = -9;
      for (let n = Math.max(0, lastBefore(commits, 2, main.from)); n < commits.length / 2; n++) {
        const x = main.x(Math.max(commits[n * 2], main.from), width), at = y + h - 1 - commits[n * 2 + 1] / highest * (h - 3);
        if (!started) { g.moveTo(x, at); started = true; }
        else if (x - lastX > .4) { g.lineTo(x, lastY); g.lineTo(x, at); }
        else { g.lineTo(x, at); }
        var lastY = at;
        lastX = x;
        if (commits[n * 2] > main.to) break;
      }
      if (started && commits[commits.length - 2] < main.to) g.lineTo(main.x(main.to, width), lastY);
      g.stroke(); g.lineWidth = 1;
    }
    g.restore();
  });
});
if (cluster.canvas) cluster.hover = (x, y) => {
  const track = D.tracks[Math.floor((y - 3) / TRACK)], time = main.time(x, cluster.width);
  if (!track) return "";
  const n = lastBefore(track.roles, 3, time), c = lastBefore(track.commits, 2, time);
  const faults = faultsText(time);
  return `${track.node} at ${seconds(time)}: ${n < 0 ? "not started" : `${track.roles[n * 3 + 1]}, term ${track.roles[n * 3 + 2]}`}, commit ${c < 0 ? 0 : track.commits[c * 2 + 1]}${faults ? "\n" + faults : ""}`;
};

// -- clocks: how far each was ahead of true time ---------------------------------------------------------------------------
const CLOCK_COLOURS = ["accent", "bad", "leader", "info", "copy", "soft", "down"];
const drifts = D.clocks.flatMap((one) => one.drift.filter((_, at) => at % 2));
const slowest = Math.min(0, ...extremes(drifts)), fastest = Math.max(0, ...extremes(drifts));
function extremes(list) { let low = 0, high = 0; for (const value of list) { low = Math.min(low, value); high = Math.max(high, value); } return [low, high]; }
function valueAt(pairs, time) {
  const n = lastBefore(pairs, 2, time);
  if (n < 0) return 0;
  if (n * 2 + 2 >= pairs.length) return pairs[n * 2 + 1];
  const [t0, v0, t1, v1] = pairs.slice(n * 2, n * 2 + 4);
  return t1 === t0 ? v1 : v0 + (v1 - v0) * (time - t0) / (t1 - t0);
}
const signed = (us) => (us > 0 ? "+" : us < 0 ? "\u2212" : "") + span(Math.abs(Math.round(us)));
const clocks = D.clocks.length ? chart("clocks", 132, (g, width, inner) => {
  const reach = Math.max(fastest - slowest, 1000), y = (value) => 10 + (fastest - value) / reach * (inner - 20);
  g.textAlign = "right";
  for (const value of new Set([0, slowest, fastest])) {
    g.strokeStyle = value ? C.grid : C.soft; g.beginPath(); g.moveTo(left(width), Math.round(y(value)) + .5); g.lineTo(width - RIGHT, Math.round(y(value)) + .5); g.stroke();
    if (!value || Math.abs(y(value) - y(0)) > 12) { g.fillStyle = C.soft; g.fillText(signed(value), left(width) - 8, y(value)); }
  }
  g.save(); clip(g, width, inner);
  D.clocks.forEach((one, number) => {
    g.strokeStyle = g.fillStyle = C[CLOCK_COLOURS[number % CLOCK_COLOURS.length]];
    g.lineWidth = 1.8; g.beginPath();
    for (let n = Math.max(0, lastBefore(one.drift, 2, main.from)); n < one.drift.length / 2; n++) {
      g.lineTo(main.x(one.drift[n * 2], width), y(one.drift[n * 2 + 1]));
      if (one.drift[n * 2] > main.to) break;
    }
    g.stroke(); g.lineWidth = 1;
    for (let n = 0; n + 3 < one.wall.length; n += 2) {  // a step of the wall clock
      if (one.wall[n] !== one.wall[n + 2] || one.wall[n + 1] === one.wall[n + 3]) continue;
      const x = main.x(one.wall[n], width), at = y(valueAt(one.drift, one.wall[n])), up = one.wall[n + 3] > one.wall[n + 1] ? -7 : 7;
      g.beginPath(); g.moveTo(x - 4, at); g.lineTo(x + 4, at); g.lineTo(x, at + up); g.fill();
    }
    g.textAlign = "left";
    g.fillText(one.actor, left(width) + 6 + number * 44, 9);
  });
  g.restore();
}) : {};
if (clocks.canvas) clocks.hover = (x) => {
  const time = main.time(x, clocks.width);
  return D.clocks.map((one) => `${one.actor}: ${signed(valueAt(one.drift, time))} since the start, wall clock ${signed(valueAt(one.wall, time))}`).join("\n");
};

// -- latency and rate -------------------------------------------------------------------------------------------------------
let shortest = Infinity, longest = 1;
for (let at = 0; at < COUNT; at++) { const took = Math.max(O.b[at] - O.a[at], 1); if (O.j[at] >= 0) { if (O.o[at] === 0) shortest = Math.min(shortest, took); longest = Math.max(longest, took); } }
if (!isFinite(shortest)) shortest = 1;
const lowPower = Math.floor(Math.log10(shortest)), highPower = Math.max(Math.ceil(Math.log10(longest)), lowPower + 1);
const yOf = (took, inner) => inner - 6 - (Math.max(Math.log10(Math.max(took, 1)), lowPower) - lowPower) / (highPower - lowPower) * (inner - 14);
function drawPowers(g, width, inner) {
  g.textAlign = "right";
  for (let power = lowPower; power <= highPower; power++) {
    const y = Math.round(yOf(Math.pow(10, power), inner)) + .5;
    g.strokeStyle = C.grid; g.beginPath(); g.moveTo(left(width), y); g.lineTo(width - RIGHT, y); g.stroke();
    g.fillStyle = C.soft; g.fillText(+(Math.pow(10, power - 3)).toPrecision(2) + " ms", left(width) - 8, y);
  }
}
const latency = chart("latency", 190, (g, width, inner) => {
  drawPowers(g, width, inner);
  g.save(); clip(g, width, inner);
  const colours = [C.ok, C.fail, C.info], columns = Math.ceil(width) + 1, taken = new Uint8Array(columns * (Math.ceil(inner) + 1));
  for (const outcome of [0, 1, 2]) {
    g.fillStyle = colours[outcome]; g.globalAlpha = outcome ? .9 : .6;
    for (let at = 0; at < COUNT; at++) {
      if (O.o[at] !== outcome || !matches[at] || O.j[at] < 0 || O.b[at] < main.from || O.a[at] > main.to) continue;
      const x = main.x(O.b[at], width), y = yOf(O.b[at] - O.a[at], inner);
      // Twice in one place looks denser, and more often looks the same: a hundred thousand points are drawn as some thousand.
      const pixel = clamp(x | 0, 0, columns - 1) + columns * clamp(y | 0, 0, inner | 0);
      if (taken[pixel] > 2 * outcome + 1) continue;
      taken[pixel] = Math.max(taken[pixel], 2 * outcome) + 1;
      if (outcome === 0) g.fillRect(x - 1, y - 1, 2.4, 2.4); else g.fillRect(x - 1.5, y - 1.5, 3.4, 3.4);
    }
  }
  g.globalAlpha = 1; g.lineWidth = 2;
  for (const [at, role] of evident) {
    if (O.j[at] < 0) continue;
    g.strokeStyle = role === 2 ? C.bad : C.accent;
    g.beginPath(); g.arc(main.x(O.b[at], width), yOf(O.b[at] - O.a[at], inner), 5, 0, 7); g.stroke();
  }
  g.lineWidth = 1; g.restore();
});
latency.hover = (x, y) => {
  let best = -1, distance = 100;
  const inner = latency.height - 16;
  for (let at = 0; at < COUNT; at++) {
    if (!matches[at] || O.j[at] < 0) continue;
    const dx = main.x(O.b[at], latency.width) - x;
    if (dx > 10 || dx < -10) continue;
    const dy = yOf(O.b[at] - O.a[at], inner) - y, away = dx * dx + dy * dy;
    if (away < distance) { best = at; distance = away; }
  }
  latency.near = best;
  return best < 0 ? faultsText(main.time(x, latency.width)) : told_all(best);
};
latency.click = () => { if (latency.near >= 0) choose(latency.near); };
// Bins of the part that is shown. They begin at multiples of their length, so that panning does not change them.
function bins(width) {
  const wanted = clamp(Math.floor((width - left(width)) / 14), 20, 90);
  const [, step] = ticks(main.from, main.to, wanted);
  return [Math.floor(main.from / step) * step, step];
}
const QUANTILES = [[1, "fail", "longest"], [.99, "bad", "99 %"], [.95, "info", "95 %"], [.5, "ok", "median"]];
let quantileBins = null;
const quantiles = chart("quantiles", 150, (g, width, inner) => {
  drawPowers(g, width, inner);
  const [begin, step] = bins(width), parts = new Map();
  for (let at = 0; at < COUNT; at++) {
    if (O.o[at] !== 0 || !matches[at] || O.b[at] < begin || O.b[at] > main.to + step) continue;
    const bin = Math.floor((O.b[at] - begin) / step);
    if (!parts.has(bin)) parts.set(bin, []);
    parts.get(bin).push(O.b[at] - O.a[at]);
  }
  for (const [bin, list] of parts) parts.set(bin, Float64Array.from(list).sort());
  quantileBins = {begin, step, parts};
  g.save(); clip(g, width, inner);
  for (const [q, colour] of QUANTILES) {
    g.strokeStyle = C[colour]; g.lineWidth = q === 1 ? 1 : 1.8; g.beginPath();
    let before = -9;
    for (const bin of [...parts.keys()].sort((a, b) => a - b)) {
      const list = parts.get(bin), took = list[Math.max(0, Math.ceil(q * list.length) - 1)];
      const x = main.x(begin + (bin + .5) * step, width), y = yOf(took, inner);
      if (bin === before + 1) g.lineTo(x, y); else { g.moveTo(x - 2, y); g.lineTo(x + 2, y); }
      before = bin;
    }
    g.stroke();
  }
  g.lineWidth = 1; g.restore();
});
quantiles.hover = (x) => {
  const time = main.time(x, quantiles.width), {begin, step, parts} = quantileBins, list = parts.get(Math.floor((time - begin) / step));
  if (!list) return faultsText(time);
  return `${seconds(time)}: ${list.length} ok in ${span(step)}\n` + QUANTILES.map(([q, , name]) => `${name} ${span(list[Math.max(0, Math.ceil(q * list.length) - 1)])}`).join("\n");
};
let rateBins = null;
const rate = chart("rate", 120, (g, width, inner) => {
  const [begin, step] = bins(width), count = Math.ceil((main.to - begin) / step) + 1;
  const tally = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  for (let at = 0; at < COUNT; at++) {
    if (!matches[at] || O.b[at] < begin) continue;
    const bin = Math.floor((O.b[at] - begin) / step);
    if (bin >= 0 && bin < count) tally[O.o[at]][bin]++;
  }
  let top = 1;
  for (let bin = 0; bin < count; bin++) top = Math.max(top, tally[0][bin] + tally[1][bin] + tally[2][bin]);
  rateBins = {begin, step, tally};
  const scale = 1e6 / step, [marks] = ticks(0, top * scale, 3);
  g.textAlign = "right";
  for (const mark of marks) {
    const y = Math.round(inner - mark / (top * scale) * (inner - 10)) - .5;
    g.strokeStyle = C.grid; g.beginPath(); g.moveTo(left(width), y); g.lineTo(width - RIGHT, y); g.stroke();
    g.fillStyle = C.soft; g.fillText(mark.toLocaleString("en") + "/s", left(width) - 8, Math.min(Math.max(y, 7), inner - 6));
  }
  g.save(); clip(g, width, inner);
  for (let bin = 0; bin < count; bin++) {
    const x = main.x(begin + bin * step, width), w = main.x(begin + (bin + 1) * step, width) - x;
    let base = inner;
    [C.ok, C.fail, C.info].forEach((colour, outcome) => {
      const h = tally[outcome][bin] / top * (inner - 10);
      g.fillStyle = colour; g.fillRect(x + .5, base - h, Math.max(w - 1, 1), h); base -= h;
    });
  }
  g.restore();
});
rate.hover = (x) => {
  const time = main.time(x, rate.width), bin = Math.floor((time - rateBins.begin) / rateBins.step);
  const said = OUTCOME.map((name, outcome) => `${Math.round((rateBins.tally[outcome][bin] || 0) * 1e6 / rateBins.step)} ${name}/s`).join(", ");
  const faults = faultsText(time);
  return `${seconds(time)}: ${said}${faults ? "\n" + faults : ""}`;
};

// -- overview: the whole run, the part that is shown ----------------------------------------------------------------------
const overview = new Surface("overview", 44, (g, width, height) => {
  const all = {from: 0, to: END, x: Axis.prototype.x, time: Axis.prototype.time, cursor: null};
  g.save(); clip(g, width, height);
  drawShade(g, all, width, height);
  const columns = Math.floor((width - left(width)) / 3), tally = new Float64Array(columns + 1);
  let top = 1;
  for (let at = 0; at < COUNT; at++) if (matches[at]) top = Math.max(top, ++tally[Math.floor(O.b[at] / END * columns)]);
  g.fillStyle = C.ok;
  for (let n = 0; n < columns; n++) { const h = tally[n] / top * (height - 8); g.fillRect(left(width) + n * 3, height - h, 2, h); }
  drawMarks(g, all, width, height);
  const x0 = all.x(main.from, width), x1 = all.x(main.to, width);
  g.fillStyle = C.back; g.globalAlpha = .72;
  g.fillRect(0, 0, x0, height); g.fillRect(x1, 0, width - x1, height);
  g.globalAlpha = 1; g.strokeStyle = C.accent; g.lineWidth = 2; g.strokeRect(x0 + 1, 1, Math.max(x1 - x0 - 2, 3), height - 2);
  g.restore();
  g.fillStyle = C.soft; g.textAlign = "right"; g.fillText(seconds(END, 1), left(width) - 8, height / 2);
});
main.surfaces.push(overview);
{
  const canvas = overview.canvas;
  let from = null;
  const timeAt = (x) => (x - left(overview.width)) / (overview.width - left(overview.width) - RIGHT) * END;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const at = timeAt(event.offsetX), inside = main.to - main.from < END * .98 && at > main.from && at < main.to;
    from = {at, inside, begin: main.from, end: main.to};
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const at = timeAt(event.offsetX);
    if (from.inside) main.set(from.begin + at - from.at, from.end + at - from.at);
    else if (Math.abs(at - from.at) > END / 300) main.set(Math.min(at, from.at), Math.max(at, from.at));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from && !from.inside && Math.abs(timeAt(event.offsetX) - from.at) <= END / 300) {
      const half = (main.to - main.from) / 2;
      main.set(from.at - half, from.at + half);
    }
    from = null;
  });
  canvas.addEventListener("keydown", (event) => {
    const act = {"+": () => main.zoom(.6), "-": () => main.zoom(1 / .6), "0": () => main.set(0, END), ArrowLeft: () => main.pan(-.15),
      ArrowRight: () => main.pan(.15), f: toFailure}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}
function toFailure() {
  if (!D.failures.length) return;
  let from = D.failures[0][1], to = from;
  for (const [at, role] of evident) if (role === 2) from = Math.min(from, O.a[at]);
  const around = Math.max((to - from) * .6, 150000);
  main.set(from - around, to + around);
}
for (const [id, act] of [["zoom-in", () => main.zoom(.6)], ["zoom-out", () => main.zoom(1 / .6)], ["pan-left", () => main.pan(-.3)],
  ["pan-right", () => main.pan(.3)], ["zoom-all", () => main.set(0, END)], ["zoom-failure", toFailure]]) byId(id).addEventListener("click", act);
byId("zoom-failure").disabled = !D.failures.length;

// -- messages: space and time -----------------------------------------------------------------------------------------------
const X = D.excerpt && D.excerpt.steps.length ? D.excerpt : null;
let goTo = () => {}, redrawMessages = () => {};
if (X) {
  const M = X.messages, S = X.steps, NODES = X.nodes;
  const space = new Axis(Math.max(0, S[0][1] - 5000), S[S.length - 1][1] + 5000, 200);
  let cursor = 0, playing = null, shownKind = "", beats = true, clients = true, rows = [];
  const messageKinds = [...new Set(M.k)].sort((a, b) => T[a] < T[b] ? -1 : 1);
  for (const kind of messageKinds) { const option = make("option", T[kind]); option.value = String(kind); byId("by-message").append(option); }
  const isBeat = new Set(messageKinds.filter((kind) => T[kind].startsWith("heartbeat")));
  const isClient = (actor) => actor >= NODES;
  const slow = (m) => M.f[m] === 0 && M.b[m] - M.a[m] > X.slow[isClient(M.s[m]) || isClient(M.d[m]) ? 1 : 0];
  const shown = (m) => (shownKind === "" || M.k[m] === +shownKind) && (beats || !isBeat.has(M.k[m])) && (clients || !(isClient(M.s[m]) || isClient(M.d[m])));
  const stepShown = (n) => S[n][4] >= 0 ? shown(S[n][4]) : clients || S[n][2] < 0 || !isClient(S[n][2]);
  function layout() {
    // Actors that do something here; nodes first.
    const busy = new Set();
    for (let n = 0; n < S.length; n++) if (S[n][2] >= 0) busy.add(S[n][2]);
    rows = X.actors.map((_, at) => at).filter((at) => (at < NODES || (busy.has(at) && clients)));
  }
  layout();
  const SPACE = 34;
  const canvasHeight = () => Math.max(rows.length, 2) * SPACE + 30;
  const rowY = new Map();
  const surface = new Surface("space", canvasHeight(), (g, width) => {
    rowY.clear();
    rows.forEach((actor, row) => rowY.set(actor, 18 + row * SPACE));
    const inner = canvasHeight() - 16;
    g.save(); clip(g, width, canvasHeight()); drawShade(g, space, width, inner); drawTimes(g, space, width, canvasHeight(), true); 
    g.fillStyle = C.grid;
    let last = space.low;
    for (const [begin, end] of [...X.windows, [space.high, space.high]]) {  // what lies between the windows is not here
      if (begin > last) { const x = space.x(last, width); g.globalAlpha = .8; g.fillRect(x, 0, space.x(begin, width) - x, inner); g.globalAlpha = 1; }
      last = Math.max(last, end);
    }
    g.restore();
    for (const actor of rows) {
      const y = rowY.get(actor);
      g.textAlign = "right"; g.fillStyle = actor === S[cursor][2] ? C.accent : C.ink;
      g.fillText(X.actors[actor], left(width) - 10, y);
    }
    g.save(); clip(g, width, inner);
    for (const actor of rows) {
      const y = rowY.get(actor);
      g.strokeStyle = C.line; g.lineWidth = 1; g.beginPath(); g.moveTo(left(width), y + .5); g.lineTo(width, y + .5); g.stroke();
      const track = D.tracks.find((one) => one.node === X.actors[actor]);
      if (track) {
        const roles = track.roles, count = roles.length / 3;
        for (let n = Math.max(0, lastBefore(roles, 3, space.from)); n < count && roles[n * 3] <= space.to; n++) {
          const role = roles[n * 3 + 1];
          if (role === "follower") continue;
          const x = space.x(roles[n * 3], width), end = n + 1 < count ? roles[n * 3 + 3] : END;
          g.fillStyle = role === "leader" ? C.leader : role === "down" ? C.down : C.candidate;
          g.globalAlpha = .55; g.fillRect(x, y - 3, space.x(end, width) - x, 6); g.globalAlpha = 1;
        }
      }
    }
    const now = S[cursor];
    const draw = (m) => {
      if (!shown(m)) return;
      const y0 = rowY.get(M.s[m]), y1 = rowY.get(M.d[m]);
      if (y0 === undefined || y1 === undefined) return;
      const end = M.b[m] < 0 ? Math.min(END, M.a[m] + 30000) : M.b[m];
      if (end < space.from || M.a[m] > space.to) return;
      const x0 = space.x(M.a[m], width), x1 = space.x(Math.max(end, M.f[m] === 1 ? M.a[m] + 1 : end), width);
      const sent = M.x[m] < 0 || M.x[m] <= cursor, mine = now[4] === m;
      const lost = M.f[m] === 1, part = lost ? .62 : 1;
      g.strokeStyle = !sent ? C.later : lost ? C.bad : M.c[m] >= 0 ? C.copy : slow(m) ? C.info : C.ok;
      g.globalAlpha = mine ? 1 : sent ? .8 : .6; g.lineWidth = mine ? 3 : 1.1;
      g.setLineDash(M.c[m] >= 0 ? [5, 3] : M.f[m] === 2 ? [2, 3] : []);
      const ex = x0 + (x1 - x0) * (lost ? 1 : 1), ey = y0 + (y1 - y0) * part;
      g.beginPath(); g.moveTo(x0, y0); g.lineTo(ex, ey); g.stroke(); g.setLineDash([]);
      if (lost) { g.beginPath(); g.moveTo(ex - 4, ey - 4); g.lineTo(ex + 4, ey + 4); g.moveTo(ex + 4, ey - 4); g.lineTo(ex - 4, ey + 4); g.stroke(); }
      else if (M.f[m] === 0) {
        const angle = Math.atan2(ey - y0, ex - x0), size = mine ? 9 : 6;
        g.fillStyle = g.strokeStyle; g.beginPath(); g.moveTo(ex, ey);
        g.lineTo(ex - size * Math.cos(angle - .35), ey - size * Math.sin(angle - .35)); g.lineTo(ex - size * Math.cos(angle + .35), ey - size * Math.sin(angle + .35)); g.fill();
      }
      const pixels = Math.abs(x1 - x0) + Math.abs(y1 - y0);
      if (mine || (sent && pixels > 130 && space.to - space.from < 60000)) {
        g.globalAlpha = 1; g.fillStyle = mine ? C.ink : C.soft; g.textAlign = "left";
        g.fillText(T[M.k[m]], (x0 + ex) / 2 + 5, (y0 + ey) / 2 - 5);
      }
      g.globalAlpha = 1;
    };
    for (let m = 0; m < M.s.length; m++) if (m !== now[4]) draw(m);
    if (now[4] >= 0) draw(now[4]);
    let lastX = -9;
    for (let n = 0; n < S.length; n++) {
      if (S[n][4] >= 0 || S[n][1] < space.from || S[n][1] > space.to || !stepShown(n)) continue;
      const y = S[n][2] < 0 ? 5 : rowY.get(S[n][2]);
      if (y === undefined) continue;
      const x = space.x(S[n][1], width);
      g.fillStyle = n <= cursor ? C.ink : C.later;
      g.beginPath(); g.arc(x, y, n === cursor ? 5 : 2.6, 0, 7); g.fill(); lastX = x;
    }
    for (const one of D.failures) { g.strokeStyle = C.bad; g.lineWidth = 1.5; const x = space.x(one[1], width); g.beginPath(); g.moveTo(x, 0); g.lineTo(x, inner); g.stroke(); }
    g.strokeStyle = C.accent; g.lineWidth = 1; const x = space.x(now[1], width); g.beginPath(); g.moveTo(x, 0); g.lineTo(x, inner); g.stroke();
    g.restore();
  });
  const canvas = surface.canvas;
  space.surfaces.push(surface);
  steer(surface, space);
  function sentence(n) {
    const [, , actor, text, m] = S[n];
    if (m < 0) return `${actor < 0 ? "" : X.actors[actor] + " "}${T[text]}`;
    const source = X.actors[M.s[m]], target = X.actors[M.d[m]], kind = T[M.k[m]];
    if (M.x[m] === n) {
      const fate = M.f[m] === 1 ? `; it will be lost (${T[M.w[m]]})` : M.f[m] === 2 ? "; it is still under way at the end" : slow(m) ? `; it will be delayed, ${span(M.b[m] - M.a[m])} on its way` : "";
      return M.c[m] >= 0 ? `the network makes a second copy of ${kind} from ${source} to ${target}${fate}` : `${source} sends ${kind} to ${target}${fate}`;
    }
    if (M.f[m] === 1) return `${kind} from ${source} to ${target} is lost (${T[M.w[m]]})`;
    return `${target} receives ${kind} from ${source}, ${span(M.b[m] - M.a[m])} on its way${M.c[m] >= 0 ? ", as a duplicate" : slow(m) ? ", delayed" : ""}`;
  }
  const head = byId("knows").tHead, body = byId("knows").tBodies[0];
  const used = new Set();
  for (const step of S) for (let n = 0; n < step[5].length; n += 3) used.add(step[5][n + 1]);
  const columns = X.fields.map((_, at) => at).filter((at) => used.has(at));
  {
    const row = make("tr");
    row.append(make("th", "node"));
    for (const field of columns) { const cell = make("th", X.fields[field]); cell.scope = "col"; row.append(cell); }
    row.firstChild.scope = "col";
    head.append(row);
  }
  const order = X.replicas.map((name, at) => at).sort((a, b) => X.replicas[a] < X.replicas[b] ? -1 : 1);
  const cells = order.map((replica) => {
    const row = make("tr"), name = make("th", X.replicas[replica]);
    name.scope = "row";
    row.append(name);
    const list = columns.map(() => { const cell = make("td", ""); row.append(cell); return cell; });
    body.append(row);
    return {row, list, replica};
  });
  function tell() {
    const known = X.replicas.map(() => X.fields.map(() => "")), changed = new Set();
    for (let n = 0; n <= cursor; n++) {
      const list = S[n][5];
      for (let at = 0; at < list.length; at += 3) {
        known[list[at]][list[at + 1]] = T[list[at + 2]];
        if (n === cursor) changed.add(list[at] * 100 + list[at + 1]);
      }
    }
    const actor = S[cursor][2] < 0 ? "" : X.actors[S[cursor][2]];
    for (const {row, list, replica} of cells) {
      row.className = X.replicas[replica].split(" ")[0] === actor ? "now" : "";
      list.forEach((cell, column) => {
        const field = columns[column], text = known[replica][field];
        cell.textContent = text || "–";
        cell.className = [changed.has(replica * 100 + field) ? "changed" : "", text === "leader" ? "leader" : text === "down" ? "down" : ""].filter(Boolean).join(" ");
      });
    }
    const line = byId("step-text");
    line.textContent = "";
    line.append(make("b", `${seconds(S[cursor][1], 6)}  index ${S[cursor][0]}`), ` ${sentence(cursor)}`);
    line.append(make("small", `  (event ${cursor + 1} of ${S.length})`));
  }
  function move(n, {around = 0} = {}) {
    cursor = clamp(n, 0, S.length - 1);
    const time = S[cursor][1], length = around || space.to - space.from;
    if (around || time < space.from + length * .06 || time > space.to - length * .06) space.set(time - length * .5, time + length * .5);
    tell();
    if (byId("act-here")) byId("act-here").search = "?ms=" + time / 1000;
    surface.request();
  }
  function stepBy(by) {
    let n = cursor + by;
    while (n > 0 && n < S.length - 1 && !stepShown(n)) n += by;
    move(n);
  }
  function nearest(index) {
    let low = 0, high = S.length;
    while (low < high) { const middle = (low + high) >> 1; if (S[middle][0] <= index) low = middle + 1; else high = middle; }
    return Math.max(low - 1, 0);  // what a node says in one instant is one step, under the index of the first
  }
  const failure = () => { if (D.failures.length) goTo(D.failures[0][0]); };
  redrawMessages = () => surface.request();
  goTo = (index) => move(nearest(index), {around: Math.min(60000, space.high - space.low)});
  surface.keys = (key) => {
    const act = {ArrowLeft: () => stepBy(-1), ArrowRight: () => stepBy(1), Home: () => move(0), End: () => move(S.length - 1), f: failure,
      " ": () => play()}[key];
    if (act) act();
    return Boolean(act);
  };
  function play() {
    const button = byId("step-play");
    if (playing) { clearInterval(playing); playing = null; } else playing = setInterval(() => { if (cursor >= S.length - 1) play(); else stepBy(1); }, reduced ? 1200 : 450);
    button.setAttribute("aria-pressed", String(Boolean(playing)));
    button.textContent = playing ? "pause" : "play";
  }
  function near(x, y) {
    let best = -1, distance = 90;
    for (let n = 0; n < S.length; n++) {
      if (S[n][1] < space.from || S[n][1] > space.to || !stepShown(n)) continue;
      const m = S[n][4], end = m >= 0 && M.f[m] === 1 && M.y[m] === n;
      const y0 = end ? rowY.get(M.s[m]) + (rowY.get(M.d[m]) - rowY.get(M.s[m])) * .62 : S[n][2] < 0 ? 5 : rowY.get(S[n][2]);
      if (y0 === undefined) continue;
      const dx = space.x(S[n][1], surface.width) - x, dy = y0 - y, away = dx * dx + dy * dy;
      if (away < distance) { best = n; distance = away; }
    }
    return best;
  }
  surface.hover = (x, y) => { const n = near(x, y); return n < 0 ? "" : `${seconds(S[n][1], 6)}, index ${S[n][0]}\n${sentence(n)}`; };
  surface.click = (x, y) => { const n = near(x, y); if (n >= 0) move(n); };
  for (const [id, act] of [["step-first", () => move(0)], ["step-back", () => stepBy(-1)], ["step-on", () => stepBy(1)], ["step-play", play],
    ["step-failure", failure], ["space-in", () => space.zoom(.5, S[cursor][1])], ["space-out", () => space.zoom(2, S[cursor][1])]]) byId(id).addEventListener("click", act);
  byId("by-message").addEventListener("change", (event) => { shownKind = event.target.value; surface.request(); });
  byId("beats").addEventListener("change", (event) => { beats = event.target.checked; surface.request(); });
  byId("clients").addEventListener("change", (event) => {
    clients = event.target.checked; layout(); surface.height = canvasHeight(); canvas.style.height = surface.height + "px"; surface.request();
  });
  byId("step-failure").disabled = !D.failures.length;
  if (D.failures.length) goTo(D.failures[0][0]); else move(0, {around: Math.min(60000, space.high - space.low)});
}

// -- from the counterexample to the run and its messages ----------------------------------------------------------------------
function follow(index) {
  const at = atCall.get(index);
  if (at !== undefined) {
    choose(at);
    const length = Math.max(O.b[at] - O.a[at], 20000) * 3;
    main.set((O.a[at] + O.b[at] - length) / 2, (O.a[at] + O.b[at] + length) / 2);
  }
  goTo(index);
  const part = byId("space-time");
  part.scrollIntoView({behavior: reduced ? "auto" : "smooth", block: "start"});
  const canvas = byId("space");
  if (canvas) canvas.focus({preventScroll: true});
}
for (const bar of document.querySelectorAll("[data-call]")) {
  bar.addEventListener("click", () => follow(+bar.dataset.call));
  bar.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); follow(+bar.dataset.call); } });
}
for (const button of document.querySelectorAll("button.follow")) button.addEventListener("click", () => follow(+button.dataset.index));
for (const button of document.querySelectorAll("button.copy")) button.addEventListener("click", async () => {
  const line = button.parentElement.querySelector("code");
  try { await navigator.clipboard.writeText(line.textContent); button.textContent = "copied"; }
  catch { getSelection().selectAllChildren(line); button.textContent = "selected"; }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); main.redraw(); redrawMessages(); });
filter();
document.documentElement.dataset.ready = "true";
})();
