// Draws the charts that the page describes, leads from them to the operations behind, and shows the page again when
// something was stored. Without it everything is there but the pictures.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const COLOURS = {
  light: ["#0b5cad", "#c2410c", "#18713a", "#7c3aed", "#b3261e", "#0f766e", "#a16207", "#4b5563"],
  dark: ["#7ab8ff", "#fb923c", "#6fd394", "#c4b5fd", "#ff9a92", "#5eead4", "#fcd34d", "#cbd5e1"],
};

// Days are named once, below the first hour of each.
const DATES = {
  tickangle: 0,
  nticks: 6,
  tickformatstops: [
    { dtickrange: [null, 86399999], value: "%H:%M\n%-d %b" },
    { dtickrange: [86400000, null], value: "%-d %b\n%Y" },
  ],
};

const isDate = (plot) => plot.layout.xaxis?.type === "date";

const bare = (place) => !place.classList.contains("js-plotly-plot");

// The charts below the screen, which are drawn when what stands on it can be seen.
let below = [];

function draw() {
  if (!window.Plotly) return;
  const all = [...document.querySelectorAll("[data-plot]")];
  const isBelow = (place) => place.getBoundingClientRect().top > window.innerHeight;
  below = all.filter(isBelow);
  all.filter((place) => !below.includes(place)).forEach(drawOne);
  setTimeout(drawBelow);
}

// One at a time, so that the page can be used in between.
function drawBelow() {
  const place = below.shift();
  if (!place) return;
  drawOne(place);
  setTimeout(drawBelow);
}

function drawOne(place) {
  const plot = JSON.parse(place.dataset.plot);
  const style = getComputedStyle(document.body);
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  const layout = Object.assign({}, plot.layout, {
    autosize: true,
    // As much as most labels and legends need: where it is too little, the chart is laid out a second time.
    margin: { l: 60, r: 24, t: 20, b: plot.data.length > 1 ? 77 : 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    colorway: COLOURS[dark.matches ? "dark" : "light"],
    font: { color: style.color, family: style.fontFamily, size: 12 },
    hoverlabel: { font: { family: style.fontFamily } },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
    xaxis: Object.assign({ nticks: 8 }, axis, isDate(plot) ? DATES : {}, plot.layout.xaxis),
    yaxis: Object.assign({ rangemode: "tozero", fixedrange: true }, axis, plot.layout.yaxis),
  });
  const isNew = bare(place);
  // Its own bar of buttons would bring styles that stand in the page.
  const config = { responsive: true, displayModeBar: false };
  window.Plotly.react(place, plot.data, layout, config).then(() => makeRoom(place));
  if (isNew) {
    place.on("plotly_click", (event) => follow(place, event.points[0]));
    place.on("plotly_relayout", (moved) => zoom(plot, moved));
  }
}

// A legend of many names is cut off at the lower end of its chart, on a narrow screen above all: the chart grows by what is
// hidden of it.
function makeRoom(place) {
  const legend = place.querySelector(".legend");
  if (!legend) return;
  const hidden = legend.getBoundingClientRect().bottom - place.getBoundingClientRect().bottom;
  if (hidden > 1) window.Plotly.relayout(place, { height: place.layout.height + Math.ceil(hidden) });
}

// What is clicked on stands in the table below: its row says when, the head of its column which.
function follow(place, point) {
  const figure = place.closest("figure");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const at = point.data.x?.[point.pointNumber];
  const row =
    rows.find((row) => row.dataset.at && row.dataset.at === at) ??
    rows.find((row) => row.dataset.point === String(point.pointNumber)) ??
    rows[point.pointNumber];
  const to = row?.querySelector("th a");
  if (!to) return;
  const address = new URL(to.href);
  const which = figure.querySelectorAll("thead th")[point.curveNumber + 1]?.dataset.only;
  if (which) {
    const only = [address.searchParams.get("only"), which];
    address.searchParams.set("only", only.filter(Boolean).join(","));
  }
  location.href = address;
}

// A stretch of a chart over time that is drawn over becomes the stretch of the page.
function zoom(plot, moved) {
  const ends = [moved["xaxis.range[0]"], moved["xaxis.range[1]"]];
  if (!isDate(plot) || !ends.every((end) => typeof end === "string")) return;
  const moment = (text) => new Date(`${text.replace(" ", "T")}Z`);
  const [from, to] = ends.map((end) => moment(end.length > 10 ? end : `${end} 00:00`));
  if (to - from < 120000) to.setTime(from.getTime() + 120000);
  const address = new URL(location.href);
  address.searchParams.delete("since");
  address.searchParams.set("from", `${from.toISOString().slice(0, 16)}`);
  address.searchParams.set("to", `${to.toISOString().slice(0, 16)}`);
  location.href = address;
}

function save(figure) {
  const title = figure.querySelector("h2").innerText;
  const place = figure.querySelector("[data-plot]");
  if (bare(place)) drawOne(place);
  window.Plotly.downloadImage(place, { format: "svg", filename: title, width: 1000, height: 400 });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".save");
  if (button) save(button.closest("figure"));
  const drawn = event.target.closest(".picture");
  if (drawn) picture(drawn.closest(".card").querySelector("svg"));
  const kind = event.target.closest("[data-take]")?.dataset.take;
  if (kind) take(event.target.closest(".taken").nextElementSibling, kind);
});

// What a table shows is taken along as it is shown, also where the API has no list of it.
function takeable() {
  for (const region of document.querySelectorAll("main .scroll")) {
    const listed = region.closest("figure") ? null : region.closest(".card")?.querySelector('.exports a[aria-label$="as CSV"]');
    if (listed || region.previousElementSibling?.classList.contains("taken")) continue;
    const what = region.getAttribute("aria-label");
    const buttons = ["CSV", "JSON"].map((kind) => {
      const button = Object.assign(document.createElement("button"), { type: "button", innerText: kind });
      button.dataset.take = kind;
      button.setAttribute("aria-label", `${what}, as shown, as ${kind}`);
      return button;
    });
    const line = document.createElement("p");
    line.className = "exports taken";
    line.append(...buttons);
    region.before(line);
  }
}

function take(region, kind) {
  const text = (cell) => cell.querySelector("time")?.dateTime ?? cell.innerText.replace(/\s+/g, " ").trim();
  const rows = [...region.querySelectorAll("tr")].map((row) => [...row.cells].map(text));
  const [names, ...cells] = rows;
  const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const written = kind === "CSV"
    ? rows.map((row) => row.map(quoted).join(",") + "\r\n").join("")
    : JSON.stringify(cells.map((row) => Object.fromEntries(row.map((cell, at) => [names[at] || `column ${at + 1}`, cell]))), null, 2);
  const type = kind === "CSV" ? "text/csv" : "application/json";
  keep(written, type, `${region.getAttribute("aria-label")}.${kind.toLowerCase()}`);
}

// A picture that is not drawn by the library: its colours stand in the sheet of styles, and go along with it.
function picture(svg) {
  const copy = svg.cloneNode(true);
  const parts = [...copy.querySelectorAll("*")];
  for (const [at, part] of [...svg.querySelectorAll("*")].entries()) {
    const style = getComputedStyle(part);
    for (const name of ["fill", "stroke", "font-size", "font-family"]) parts[at].setAttribute(name, style.getPropertyValue(name));
  }
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", svg.clientWidth);
  keep(new XMLSerializer().serializeToString(copy), "image/svg+xml", `${svg.getAttribute("aria-label")}.svg`);
}

function keep(written, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([written], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// What is known of a field is asked for when somebody writes into it, and not before.
document.addEventListener("focusin", async (event) => {
  const field = event.target.closest("input[data-suggest]");
  if (!field || !field.dataset.suggest || field.list?.options.length) return;
  const since = new URL(location.href).searchParams.get("since") ?? "";
  const query = new URLSearchParams({ by: field.dataset.suggest, ...(since && { since }) });
  const answer = await fetch(`/api/v1/groups?${query}`);
  if (!answer.ok) return;
  const { groups } = await answer.json();
  const known = groups.filter((group) => group.key).slice(0, 100);
  field.list.replaceChildren(...known.map((group) => Object.assign(document.createElement("option"), { value: group.key })));
});

// What somebody is writing, or has asked for once, is not taken away.
function still() {
  const main = document.querySelector("main");
  const written = [...(main?.querySelectorAll("textarea, input") ?? [])].some((field) => field.value !== field.defaultValue);
  return written || main?.querySelector("form:focus-within, [data-still]");
}

const name = (place) => place.querySelector("h2")?.innerText;

let asking = false;
let stale = false;

// One question at a time: what is stored while one is answered is asked for afterwards.
async function again() {
  stale = true;
  if (asking) return;
  asking = true;
  try {
    while (stale) {
      stale = false;
      await renew();
    }
  } finally {
    asking = false;
  }
}

async function renew() {
  if (still() || document.hidden) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [old, next] = [document.querySelector("main"), page.querySelector("main")];
  if (!old || !next) return;
  const open = new Set([...old.querySelectorAll("figure")].filter((figure) => figure.querySelector("details[open]")).map(name));
  const scrolled = [...old.querySelectorAll(".scroll")].map((place) => [place.scrollLeft, place.scrollTop]);
  old.replaceChildren(...next.childNodes);
  for (const figure of old.querySelectorAll("figure")) {
    if (open.has(name(figure))) figure.querySelector("details").open = true;
  }
  for (const [at, place] of old.querySelectorAll(".scroll").entries()) {
    [place.scrollLeft, place.scrollTop] = scrolled[at] ?? [0, 0];
  }
  draw();
  takeable();
}

document.addEventListener("DOMContentLoaded", () => {
  draw();
  takeable();
  dark.addEventListener("change", draw);
  if (document.querySelector("[data-live]")?.dataset.live !== "on") return;
  new EventSource("/events").addEventListener("stored", again);
});
