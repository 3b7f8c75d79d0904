// The page of a walk-through. Plays the frames beside it; it makes elements and sets their text, and parses no markup.
// A frame is at rest; between frame f-1 and frame f runs a beat, whose time is counted in slots: what has slot 1 follows
// from what had slot 0. Times in the data are microseconds of a node's own clock.
"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const [STEP, LINES, NODES, CLIENTS, WAITING, MOTIONS, CUT] = [0, 1, 2, 3, 4, 5, 6];
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const reduced = matchMedia("(prefers-reduced-motion: reduce)");
const SLOT_MS = 620, BREATH_MS = 260, READ_MS_A_LETTER = 38, READ_MIN_MS = 1200, READ_MAX_MS = 9000;

function make(name, text, className) {
  const one = document.createElement(name);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}
function draw(name, attributes, parent, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  if (parent) parent.append(one);
  return one;
}
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const ease = (u) => u < .5 ? 2 * u * u : 1 - 2 * (1 - u) * (1 - u);
const cut = (text, length) => text.length > length ? text.slice(0, length - 1) + "\u2026" : text;
const isUp = (state) => state.term !== null && state.role !== "down" && state.role !== "refuses";

// -- where everything stands ------------------------------------------------------------------------------------------
const CENTRE = {x: 430, y: 372}, COUNT = D.nodes.length;
const BODY = COUNT > 6 ? 38 : 47, RING = BODY + 9;
const RADIUS = COUNT === 1 ? 0 : COUNT === 2 ? 190 : COUNT > 6 ? 252 : 232;
const angleOf = (place) => -Math.PI / 2 + 2 * Math.PI * place / COUNT + (COUNT === 2 ? -Math.PI / 2 : 0);
const SPOTS = new Map(D.nodes.map((name, place) => [name, {
  x: CENTRE.x + RADIUS * Math.cos(angleOf(place)), y: CENTRE.y + RADIUS * Math.sin(angleOf(place)), r: RING + 3,
}]));
// A client stands outside the ring, behind the server that it asks first.
const homes = new Map();
for (const frame of D.frames) {
  for (const [flight] of frame[MOTIONS]) {
    const [source, target] = D.flights[flight];
    if (D.clients.includes(source) && !homes.has(source) && SPOTS.has(target)) homes.set(source, target);
  }
}
D.clients.forEach((name) => {
  const home = homes.get(name) || D.nodes[0], place = D.nodes.indexOf(home);
  const mates = D.clients.filter((one) => (homes.get(one) || D.nodes[0]) === home);
  const turn = (mates.indexOf(name) - (mates.length - 1) / 2) * .5;
  const spread = COUNT === 1 ? 230 : RADIUS + 134, angle = angleOf(place) + turn + (COUNT === 1 ? Math.PI : 0);
  SPOTS.set(name, {
    x: clamp(CENTRE.x + spread * Math.cos(angle) * 1.12, 78, 782),
    y: clamp(CENTRE.y + spread * Math.sin(angle), 24, 690), r: 26, isClient: true,
  });
});

const [LEFT, TOP, RIGHT, BOTTOM] = [...SPOTS.values()].reduce(([left, top, right, bottom], spot) => {
  const [side, over, under] = spot.isClient ? [80, 24, 60] : [RING + 30, RING + 16, RING + 44];
  return [Math.min(left, spot.x - side), Math.min(top, spot.y - over), Math.max(right, spot.x + side), Math.max(bottom, spot.y + under)];
}, [1e4, 1e4, 0, 0]);

// -- the drawing --------------------------------------------------------------------------------------------------------
const stage = byId("stage");
stage.setAttribute("viewBox", `${LEFT} ${TOP} ${RIGHT - LEFT} ${BOTTOM - TOP}`);
const layers = ["links", "clients", "nodes", "pills"].map((id) => draw("g", {class: id}, stage));
const [linkLayer, clientLayer, nodeLayer, pillLayer] = layers;
const links = new Map();
D.nodes.forEach((a, i) => D.nodes.slice(i + 1).forEach((b) => {
  const from = SPOTS.get(a), to = SPOTS.get(b);
  const line = draw("line", {class: "link", x1: from.x, y1: from.y, x2: to.x, y2: to.y}, linkLayer);
  const cross = draw("g", {visibility: "hidden"}, linkLayer);
  links.set(a + ">" + b, {line, cross, from, to});
}));
function shape(name) {
  const spot = SPOTS.get(name), group = draw("g", {class: "node", transform: `translate(${spot.x} ${spot.y})`}, nodeLayer);
  const flash = draw("circle", {class: "flash", r: RING + 7, opacity: 0}, group);
  draw("circle", {class: "track", r: RING}, group);
  const timer = draw("path", {class: "timer", d: ""}, group);
  draw("circle", {class: "body", r: BODY}, group);
  draw("text", {class: "name inside", y: -15}, group, name);
  const value = draw("text", {class: "value inside", y: 7}, group, ""), term = draw("text", {class: "term inside", y: 26}, group, "");
  const role = draw("text", {class: "role", y: RING + 21}, group, ""), grants = draw("g", {}, group);
  return {group, flash, timer, value, term, role, grants, shown: -1};
}
const shapes = D.nodes.map(shape);
const customers = D.clients.map((name) => {
  const spot = SPOTS.get(name), group = draw("g", {class: "client idle", transform: `translate(${spot.x} ${spot.y})`}, clientLayer);
  draw("rect", {x: -24, y: -16, width: 48, height: 32, rx: 9}, group);
  draw("text", {class: "name", y: 5.5}, group, name);
  const op = draw("text", {y: 33}, group, ""), outcome = draw("text", {y: 50}, group, "");
  return {group, op, outcome, shown: -2};
});

function arc(fraction) {
  const part = clamp(fraction, 0, .997) * 2 * Math.PI;
  if (part <= 0) return "";
  const x = RING * Math.sin(part), y = -RING * Math.cos(part);
  return `M0 ${-RING}A${RING} ${RING} 0 ${part > Math.PI ? 1 : 0} 1 ${x.toFixed(2)} ${y.toFixed(2)}`;
}
const ROLE_WORD = {"leader": "leader", "candidate": "candidate", "pre-candidate": "asks for pre-votes", "follower": "follower", "down": "down", "refuses": "refuses to start"};
function paintNode(place, at) {
  const one = shapes[place], state = D.states[at];
  if (one.shown === at) return;
  one.shown = at;
  one.group.setAttribute("class", `node ${state.role}${state.isMember ? "" : " stranger"}`);
  const records = state.machine;
  one.value.textContent = records.length === 0 ? "" : records.length === 1 ? cut(records[0], BODY > 40 ? 11 : 9) : `${records.length} records`;
  one.term.textContent = state.term === null ? "" : `term ${state.term}`;
  one.role.textContent = state.isMember ? ROLE_WORD[state.role] || state.role : "no member";
  one.grants.replaceChildren();
  if (state.role === "candidate" || state.role === "pre-candidate") {
    const needed = Math.max(state.needed, state.granted.length);
    for (let n = 0; n < needed; n++) {
      draw("circle", {class: "granted" + (n < state.granted.length ? " yes" : ""), r: 5, cx: (n - (needed - 1) / 2) * 15, cy: RING + 34}, one.grants);
    }
  }
}
function paintTimer(place, state, left) {
  const scale = state.role === "leader" ? D.heartbeat : D.election;
  shapes[place].timer.setAttribute("d", left < 0 || !isUp(state) ? "" : arc(left / scale));
}
function paintClient(place, at) {
  const one = customers[place];
  if (one.shown === at) return;
  one.shown = at;
  const [op, outcome, answer] = D.clientStates[at];
  one.group.setAttribute("class", op ? "client" : "client idle");
  one.op.textContent = cut(op, 20);
  one.outcome.setAttribute("class", outcome);
  const word = outcome === "info" ? "unknown" : outcome === "fail" ? "refused" : outcome;
  one.outcome.textContent = !op ? "" : !outcome ? "waits \u2026" : answer && outcome === "ok" ? `\u2192 ${cut(answer, 14)}` : answer ? `${word}: ${cut(answer, 14)}` : word;
}
function paintLinks(edges) {
  const there = new Set(edges.map(([a, b]) => a + ">" + b));
  for (const [key, {line, cross, from, to}] of links) {
    const [a, b] = key.split(">"), on = there.has(key), back = there.has(b + ">" + a);
    line.setAttribute("class", on || back ? "link cut" : "link");
    cross.replaceChildren();
    cross.setAttribute("visibility", on || back ? "visible" : "hidden");
    if (!on && !back) continue;
    // One direction only: the cross stands before the target that hears nothing.
    const part = on && back ? .5 : on ? .7 : .3, x = from.x + (to.x - from.x) * part, y = from.y + (to.y - from.y) * part;
    draw("path", {class: "cross", d: `M${x - 6} ${y - 6}L${x + 6} ${y + 6}M${x + 6} ${y - 6}L${x - 6} ${y + 6}`}, cross);
  }
}

// -- messages -----------------------------------------------------------------------------------------------------------
function label(kind, text) {
  const number = (pattern) => (text.match(pattern) || [])[1];
  const granted = text.endsWith("granted");
  switch (kind) {
    case "pre-vote": return ["pre-vote?", "vote"];
    case "vote": return [`vote t${number(/ t(\d+)/)}?`, "vote"];
    case "pre-vote-reply": case "vote-reply": return [granted ? "yes" : "no", granted ? "reply" : "reply no"];
    case "append": {
      const entries = [...text.matchAll(/(?:\[|, )(\d+) \(\d+\):/g)].map((found) => found[1]);
      return [entries.length > 1 ? `${entries[0]}\u2013${entries[entries.length - 1]}` : entries.length ? `entry ${entries[0]}` : "append", "append"];
    }
    case "append-reply": return [`has ${number(/match=(\d+)/)}`, "reply"];
    case "append-reject": return ["no", "reply no"];
    case "heartbeat": return ["\u2665", "beat"];
    case "heartbeat-reply": return ["\u2665 ok", "reply"];
    case "snapshot": return ["snapshot", "snap"];
    case "snapshot-reply": return ["has it", "reply"];
    case "timeout-now": return ["campaign!", "vote"];
    case "request": return ["ask", "client"];
    case "reply": return ["answer", "client"];
    case "hello": case "welcome": return [kind, "meta"];
    default: return [cut(kind, 10), "meta"];
  }
}
const pills = new Map();
function pillOf(flight) {
  let pill = pills.get(flight);
  if (pill) return pill;
  const [source, target, kind, text] = D.flights[flight], [word, family] = label(kind, text);
  const group = draw("g", {class: "pill " + family}, pillLayer), width = Math.max(26, word.length * 7.7 + 13);
  draw("title", {}, group, `${source} to ${target}: ${text}`);
  draw("rect", {x: -width / 2, y: -11, width, height: 22, rx: 11}, group);
  draw("text", {y: 4.5}, group, word);
  pill = {group, family, source: SPOTS.get(source), target: SPOTS.get(target)};
  pills.set(flight, pill);
  return pill;
}
// The place of a message on its way, from 0 (it leaves) to 1 (it arrives); the two directions keep to their own side.
function put(pill, part, opacity = 1) {
  const {source, target} = pill, dx = target.x - source.x, dy = target.y - source.y, length = Math.hypot(dx, dy) || 1;
  const from = source.r, to = length - target.r, along = from + (to - from) * part, aside = 11;
  const x = source.x + dx / length * along - dy / length * aside, y = source.y + dy / length * along + dx / length * aside;
  pill.group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  pill.group.setAttribute("opacity", opacity.toFixed(2));
}
// Where messages that wait stand: the oldest of a link in front.
function waits(frame) {
  const seen = new Map(), places = new Map();
  for (const flight of frame[WAITING]) {
    const key = D.flights[flight][0] + ">" + D.flights[flight][1], before = seen.get(key) || 0;
    seen.set(key, before + 1);
    places.set(flight, Math.max(.52 - .2 * before, .06));
  }
  return places;
}

// -- one moment -----------------------------------------------------------------------------------------------------------
let at = 0, beat = null;  // the frame that is shown or played to; null or the time in the beat, in slots
const lengths = D.frames.map((frame, f) => {
  let most = .5;
  for (const [, , slot] of frame[MOTIONS]) most = Math.max(most, slot + 1);
  frame[NODES].forEach(([state, , moved, slot], place) => {
    const before = f ? D.frames[f - 1][NODES][place][0] : state;
    if (before !== state) most = Math.max(most, slot + .7);
    if (moved) most = Math.max(most, 1);
  });
  return f ? most : 0;
});
function paint(f, u) {
  const frame = D.frames[f], before = D.frames[Math.max(f - 1, 0)], done = u === null;
  frame[NODES].forEach(([state, left, moved, slot], place) => {
    const [oldState, oldLeft] = before[NODES][place], turned = done || u >= slot;
    paintNode(place, turned ? state : oldState);
    const passed = moved && !done ? moved * clamp(u, 0, 1) : moved;
    const shownLeft = turned && (done || !moved || u >= 1) ? left : oldLeft < 0 ? oldLeft : Math.max(0, oldLeft - passed);
    paintTimer(place, D.states[turned ? state : oldState], shownLeft);
    const since = !done && turned && state !== oldState ? u - slot : 9;
    shapes[place].flash.setAttribute("opacity", since < .7 ? (1 - since / .7).toFixed(2) : "0");
  });
  const answered = done ? Infinity : u;
  frame[CLIENTS].forEach((state, place) => {
    // What a client knows changes when its first message leaves, and again when the answer is there.
    const last = frame[MOTIONS].filter(([flight]) => D.flights[flight][1] === D.clients[place]).reduce((most, [, , slot]) => Math.max(most, slot + 1), 0);
    paintClient(place, answered >= last || !D.clientStates[state][1] ? state : before[CLIENTS][place]);
  });
  paintLinks(frame[CUT]);
  const rest = waits(frame), restBefore = waits(before), shown = new Set();
  if (!done) {
    for (const [flight, fate, slot] of frame[MOTIONS]) {
      const pill = pillOf(flight), begin = restBefore.has(flight) ? restBefore.get(flight) : 0, part = clamp(u - slot, 0, 1);
      if ((u < slot && !restBefore.has(flight)) || (u >= slot + 1 && fate !== "leaves")) continue;
      shown.add(flight);
      pill.group.setAttribute("class", "pill " + pill.family + (fate === "lost" && part > .45 ? " lost" : ""));
      if (fate === "lost") put(pill, begin + (Math.max(begin, .5) - begin) * ease(Math.min(part * 1.6, 1)), 1 - clamp(part * 2 - 1, 0, 1));
      else put(pill, begin + ((fate === "leaves" ? rest.get(flight) ?? 1 : 1) - begin) * ease(part));
    }
  }
  const moving = new Set(frame[MOTIONS].map(([flight]) => flight));
  for (const [flight, place] of rest) {
    if (shown.has(flight) || (!done && moving.has(flight) && !restBefore.has(flight))) continue;
    const from = restBefore.get(flight) ?? place, pill = pillOf(flight);
    shown.add(flight);
    pill.group.setAttribute("class", "pill " + pill.family);
    put(pill, done ? place : from + (place - from) * ease(clamp(u, 0, 1)));
  }
  for (const [flight, pill] of pills) if (!shown.has(flight)) { pill.group.remove(); pills.delete(flight); }
}

// -- words beside it --------------------------------------------------------------------------------------------------------
const captionStep = (step) => { for (let s = step; s >= 0; s--) if (D.steps[s][1]) return s; return -1; };
const CHAPTERS = [];
D.frames.forEach((frame, f) => {
  const step = captionStep(frame[STEP]);
  if (!CHAPTERS.length || CHAPTERS[CHAPTERS.length - 1].step !== step) CHAPTERS.push({step, frame: f});
});
const rows = D.nodes.map((name) => {
  const row = make("tr"), head = make("th", name);
  head.scope = "row";
  row.dataset.node = name;
  row.append(head);
  const cells = {};
  for (const key of ["role", "term", "vote", "commit", "applied", "machine", "log"]) {
    cells[key] = make("td", undefined, key + (["commit", "applied"].includes(key) ? " number" : ""));
    row.append(cells[key]);
  }
  byId("state").tBodies[0].append(row);
  return {row, cells};
});
function command(words) {
  if (words === "no-op") return "\u00b7";
  const parts = words.replace(/ \[session.*\]$/, "").split(" ");
  if (parts[0] === "members") return "conf";
  if ((parts[0] === "write" || parts[0] === "set" || parts[0] === "put") && parts.length === 3) return `${parts[1]}=${parts[2]}`;
  if (parts[0].startsWith("add") && parts.length === 3) return `${parts[1]}+${parts[2]}`;
  if (words === "open session") return "session";
  return cut(parts.join(" "), 9);
}
const CELLS = 9;
function paintTable(f) {
  const frame = D.frames[f], before = D.frames[Math.max(f - 1, 0)];
  const longest = Math.max(...frame[NODES].map(([state]) => { const log = D.logs[D.states[state].log]; return log[0] + log[1].length - 1; }));
  const from = Math.max(1, longest - CELLS + 1);
  frame[NODES].forEach(([number], place) => {
    const state = D.states[number], old = D.states[before[NODES][place][0]], {row, cells} = rows[place];
    row.className = state.role;
    const set = (key, text, was) => { cells[key].textContent = text; cells[key].classList.toggle("changed", text !== was); };
    const termOf = (one) => one.term === null ? "-" : String(one.term), voteOf = (one) => one.term === null ? "-" : one.vote || "-";
    set("role", state.role, old.role);
    set("term", termOf(state), termOf(old));
    set("vote", voteOf(state), voteOf(old));
    set("commit", state.role === "refuses" ? "-" : String(state.commit), String(old.commit));
    set("applied", state.role === "refuses" ? "-" : String(state.applied), String(old.applied));
    set("machine", state.machine.map((one) => cut(one, 24)).join(", ") || "", old.machine.map((one) => cut(one, 24)).join(", ") || "");
    const [first, terms, words] = D.logs[state.log], [oldFirst, oldTerms] = D.logs[old.log];
    const box = make("div", undefined, "cells"), told = make("span", state.role === "refuses" ? "-" : `[${state.written}]`, "hidden log-text");
    const begin = Math.max(first, from);
    if (begin > 1) box.append(make("span", first > from ? `${first - 1} in a snapshot` : `${begin - 1} \u2026`, "cell gone"));
    for (let index = begin; index < first + terms.length; index++) {
      const term = terms[index - first], word = words.length ? words[index - first] || "" : "";
      const isNew = index < oldFirst || oldTerms[index - oldFirst] !== term;
      const cell = make("span", word ? command(word) : "t" + term, `cell t${1 + (term - 1) % 7}${index <= state.commit ? " committed" : ""}${isNew ? " new" : ""}`);
      cell.title = `entry ${index} of term ${term}${word ? ": " + word : ""}${index <= state.commit ? "" : ", not committed"}`;
      box.append(cell);
    }
    box.setAttribute("aria-hidden", "true");
    cells.log.replaceChildren(told, box);
  });
  byId("state").classList.toggle("plain", frame[NODES].every(([state]) => !D.states[state].machine.length));
  const members = [...new Set(frame[NODES].map(([state]) => D.states[state].members).filter(Boolean))];
  const first = D.frames[0][NODES].map(([state]) => D.states[state].members).find(Boolean);
  byId("members").textContent = members.length > 1 || members[0] !== first
    ? "Members: " + frame[NODES].map(([state], place) => [D.nodes[place], D.states[state].members]).filter(([, text]) => text).map(([name, text]) => `${name}: ${text}`).join("; ") : "";
}
// What happened since the paragraph began, the present beat last; what came before fades.
const LINES_SHOWN = 13;
function linesOf(f) {
  const frame = D.frames[f], [, , , quick] = D.steps[frame[STEP]];
  if (quick) return ["(told quickly)"];
  const arrived = frame[MOTIONS].filter(([, fate]) => fate === "arrives").map(([flight]) => {
    const [source, target, , text] = D.flights[flight];
    return `\u2192 ${target} receives ${source}\u2019s ${text}`;
  });
  const dropped = frame[MOTIONS].filter(([, fate]) => fate === "lost");
  const lost = dropped.length && !frame[LINES].length ? [`${dropped.length} message${dropped.length > 1 ? "s are" : " is"} lost`] : [];
  return [...arrived, ...lost, ...frame[LINES]];
}
function paintLines(f) {
  const caption = captionStep(D.frames[f][STEP]), shown = [];
  for (let g = f; g >= 0 && captionStep(D.frames[g][STEP]) === caption && shown.length < LINES_SHOWN; g--) {
    const lines = linesOf(g), isFirst = g === 0 || D.frames[g - 1][STEP] !== D.frames[g][STEP];
    for (let n = lines.length - 1; n >= 0; n--) shown.unshift([lines[n], g === f ? "now" : ""]);
    if (isFirst) shown.unshift([D.steps[D.frames[g][STEP]][0], g === f || D.frames[f][STEP] === D.frames[g][STEP] ? "command now" : "command"]);
  }
  byId("lines").replaceChildren(...shown.slice(-LINES_SHOWN).map(([line, kind]) => make("li", line, kind)));
}
let told = -1;
function paintWords(f) {
  const frame = D.frames[f], step = frame[STEP], caption = captionStep(step);
  byId("caption").textContent = caption < 0 ? D.title : D.steps[caption][1];
  paintLines(f);
  if (told !== step) {
    const items = byId("transcript").children;
    if (told >= 0) items[told].classList.remove("now");
    items[step].classList.add("now");
    told = step;
  }
  byId("scrubber").value = String(f);
  const chapter = CHAPTERS.filter((one) => one.frame <= f).length;
  byId("place").textContent = `event ${f} of ${D.frames.length - 1}, paragraph ${chapter} of ${CHAPTERS.length}`;
  byId("scrubber").setAttribute("aria-valuetext", byId("place").textContent);
  byId("back").disabled = byId("first").disabled = byId("chapter-back").disabled = f === 0;
  byId("on").disabled = byId("last").disabled = byId("chapter-on").disabled = f === D.frames.length - 1;
}
function say(f) {
  const frame = D.frames[f], who = frame[NODES].map(([number], place) => {
    const one = D.states[number];
    return `${D.nodes[place]} ${one.role}${one.term === null ? "" : " in term " + one.term}`;
  });
  byId("said").textContent = [...frame[LINES].slice(0, 6), who.join(", "), frame[WAITING].length ? `${frame[WAITING].length} messages wait` : ""].filter(Boolean).join(". ");
}

// -- time -------------------------------------------------------------------------------------------------------------------
let playing = false, queued = 0, last = 0, breath = 0;
const speed = () => Number(byId("speed").value);
const readTime = (f) => {
  if (D.begin !== undefined && f > D.begin) return 0;
  const step = D.frames[f][STEP], caption = captionStep(step);
  if (f && captionStep(D.frames[f - 1][STEP]) === caption) return 0;
  const text = caption < 0 ? D.title : D.steps[caption][1];
  return clamp(text.length * READ_MS_A_LETTER, READ_MIN_MS, READ_MAX_MS);
};
function show(f) {
  at = clamp(f, 0, D.frames.length - 1);
  beat = null;
  paint(at, null);
  paintTable(at);
  paintWords(at);
  if (!playing) say(at);
  document.documentElement.dataset.frame = String(at);
  delete document.documentElement.dataset.moving;
  clearTimeout(address);
  address = setTimeout(keepAddress, 250);
}
// The address names the moment, so that it can be passed on; not in every frame, since browsers limit that.
let address = 0;
function keepAddress() {
  if (playing) return;
  try { history.replaceState(null, "", at ? "#" + at : location.pathname + location.search); } catch { /* a page in a sandbox has none */ }
}
function begin(f, hold) {
  at = f;
  beat = -hold / SLOT_MS;
  document.documentElement.dataset.moving = "";
  paintWords(at);
  paint(at, 0);
  if (!queued) { last = 0; queued = requestAnimationFrame(tick); }
}
const isSmall = (frame) => frame[MOTIONS].every(([flight]) => D.flights[flight][2].startsWith("heartbeat"));
function tick(now) {
  queued = 0;
  const passed = last ? Math.min(now - last, 100) : 16;
  last = now;
  if (beat !== null) {
    const frame = D.frames[at], quickness = isSmall(frame) ? 1.7 : lengths[at] > 2.5 ? 1.25 : 1;
    beat += passed * speed() * (beat < 0 ? 1 : quickness) / SLOT_MS;
    if (reduced.matches && beat >= 0) beat = lengths[at];
    if (beat >= lengths[at]) { breath = reduced.matches ? 900 : BREATH_MS; show(at); } else if (beat >= 0) paint(at, beat);
  } else if (playing) {
    breath -= passed * speed();
    if (at === D.frames.length - 1) pause();
    else if (breath <= 0) begin(at + 1, readTime(at + 1));
  }
  if ((playing || beat !== null) && !queued) queued = requestAnimationFrame(tick);
}
function play() {
  playing = true;
  byId("play").textContent = "pause";
  byId("play").setAttribute("aria-pressed", "true");
  if (at === D.frames.length - 1) show(0);
  breath = at === 0 ? readTime(0) : 0;
  if (!queued) { last = 0; queued = requestAnimationFrame(tick); }
}
function pause() {
  playing = false;
  byId("play").textContent = "play";
  byId("play").setAttribute("aria-pressed", "false");
  say(at);
  keepAddress();
}
function stop() { if (playing) pause(); }
function on() {
  stop();
  if (beat !== null) { show(at); return; }
  if (at === D.frames.length - 1) return;
  if (reduced.matches) show(at + 1); else begin(at + 1, 0);
}
function back() { stop(); show(at - 1); }
function chapter(by) {
  stop();
  const here = CHAPTERS.filter((one) => one.frame <= at).length - 1;
  const wanted = by < 0 && CHAPTERS[here].frame < at ? here : here + by;
  show(wanted >= CHAPTERS.length ? D.frames.length - 1 : CHAPTERS[Math.max(wanted, 0)].frame);
}
const ACTIONS = {
  first: () => { stop(); show(0); }, last: () => { stop(); show(D.frames.length - 1); }, back, on,
  play: () => { if (playing) { pause(); if (beat !== null) show(at); } else play(); },
  "chapter-back": () => chapter(-1), "chapter-on": () => chapter(1),
};
for (const [id, act] of Object.entries(ACTIONS)) byId(id).addEventListener("click", act);
const scrubber = byId("scrubber");
scrubber.max = String(D.frames.length - 1);
scrubber.addEventListener("input", () => { stop(); show(Number(scrubber.value)); });
for (const {frame} of CHAPTERS) {
  const mark = make("i");
  mark.style.left = `${100 * frame / Math.max(D.frames.length - 1, 1)}%`;
  byId("chapters").append(mark);
}
const KEYS = {ArrowLeft: "back", ArrowRight: "on", PageUp: "chapter-back", PageDown: "chapter-on", Home: "first", End: "last", " ": "play", k: "play"};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target, name = KEYS[event.key];
  if (on.tagName === "SELECT" || (on.tagName === "INPUT" && on.type !== "range") || (on.closest && on.closest(".scroll") && event.key.startsWith("Arrow"))) return;
  if (event.key === " " && (on.tagName === "BUTTON" || on.tagName === "A")) return;
  if (name) { event.preventDefault(); ACTIONS[name](); } else if (event.key === "+" || event.key === "-") {
    const choice = byId("speed");
    choice.selectedIndex = clamp(choice.selectedIndex + (event.key === "+" ? 1 : -1), 0, choice.options.length - 1);
  }
});
byId("transcript").addEventListener("click", (event) => {
  const item = event.target.closest(".go") && event.target.closest("li");
  if (!item) return;
  const step = Number(item.dataset.step);
  stop();
  show(D.frames.reduce((found, frame, f) => frame[STEP] <= step ? f : found, 0));
  byId("stage-figure").scrollIntoView({block: "start", behavior: reduced.matches ? "auto" : "smooth"});
});
addEventListener("hashchange", () => { clearTimeout(address); const wanted = Number(location.hash.slice(1)); if (Number.isInteger(wanted) && wanted !== at) { stop(); show(wanted); } });
show(location.hash ? Number.parseInt(location.hash.slice(1), 10) || 0 : D.begin || 0);
// In a sandbox what was just done is shown once, as it happens.
if (D.begin !== undefined && !location.hash && at < D.frames.length - 1) { if (reduced.matches) show(D.frames.length - 1); else play(); }
document.documentElement.dataset.ready = "";
})();
