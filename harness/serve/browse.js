// Keys, and live pages that stay fresh. Pages work without this; it sets text and attributes, and parses no markup.
"use strict";
(() => {
const PARTS = ["/", "/runs", "/failures", "/compare", "/mutants", "/walkthroughs", "/sandbox"];
const rows = [...document.querySelectorAll("table.rows tbody tr, ul.rows li")].filter((row) => row.querySelector("a"));
let at = -1;
function go(to) {
  if (!rows.length) return;
  if (at >= 0) rows[at].classList.remove("at");
  at = Math.min(Math.max(to, 0), rows.length - 1);
  rows[at].classList.add("at");
  rows[at].querySelector("a").focus();
  rows[at].scrollIntoView({block: "nearest"});
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target, typing = ["INPUT", "SELECT", "TEXTAREA"].includes(on.tagName);
  if (typing) { if (event.key === "Escape") on.blur(); return; }
  const follow = (selector) => { const link = document.querySelector(selector); if (link) location.href = link.href; };
  switch (event.key) {
    case "/": {
      event.preventDefault();
      const search = document.getElementById("search");
      if (search) { search.focus(); search.select(); } else location.href = "/runs#search";
      break;
    }
    case "j": go(at + 1); break;
    case "k": go(at - 1); break;
    case "n": follow("a[rel=next]"); break;
    case "p": follow("a[rel=prev]"); break;
    default: if (/^[1-7]$/.test(event.key)) location.href = PARTS[Number(event.key) - 1];
  }
});
if (location.hash === "#search" && document.getElementById("search")) document.getElementById("search").focus();
for (const select of document.querySelectorAll(".filter[role=search] select")) select.addEventListener("change", () => select.form.requestSubmit());
// An empty field is no part of an address that somebody passes on.
for (const form of document.querySelectorAll(".filter")) {
  form.addEventListener("submit", () => { for (const field of form.elements) if (field.name && !field.value) field.disabled = true; });
  addEventListener("pageshow", () => { for (const field of form.elements) field.disabled = false; });
}

const EVERY_MS = 1500, SVG = "http://www.w3.org/2000/svg", WORDS = ["valid", "invalid", "unknown", "error"];
const number = (value) => value.toLocaleString("en");
function show(card, row) {
  const part = (name) => card.querySelector(`[data-part=${name}]`), state = part("state");
  state.textContent = row.state;
  state.className = "state " + row.state;
  const told = WORDS.filter((word) => row[word]).map((word) => `${number(row[word])} ${word}`).join(", ");
  const text = `${number(row.runs)}${row.total ? " of " + number(row.total) : ""} runs: ${told}`;
  part("counts").textContent = text + (row.allowed ? ` (${row.allowed} allowed)` : "");
  const bar = part("bar").querySelector("svg"), all = Math.max(row.total || 0, row.runs, 1);
  let x = 0;
  bar.setAttribute("aria-label", text);
  bar.replaceChildren(...WORDS.map((word) => {
    const piece = document.createElementNS(SVG, "rect"), width = 100 * row[word] / all;
    for (const [key, value] of Object.entries({class: word, x, y: 0, width, height: 8})) piece.setAttribute(key, value);
    x += width;
    return piece;
  }));
}
async function watch(card) {
  let signatures = null, spoken = 0;
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    let row;
    try {
      const answer = await fetch("/api/campaigns/" + encodeURIComponent(card.dataset.campaign));
      if (!answer.ok) continue;
      row = await answer.json();
    } catch { continue; }  // the server was stopped, perhaps to be started again
    show(card, row);
    const seen = JSON.stringify(row.signatures.map((one) => [one.signature, one.runs]));
    const said = card.querySelector("[data-part=said]");
    if (said && Date.now() - spoken > 15000) { said.textContent = card.querySelector("[data-part=counts]").textContent; spoken = Date.now(); }
    if ("reload" in card.dataset && ((signatures !== null && seen !== signatures) || row.state !== "running")) { location.reload(); return; }
    signatures = seen;
    if (row.state !== "running") return;
  }
}
for (const card of document.querySelectorAll("[data-live]")) watch(card);
})();
