// Draws the charts that the page describes, and shows it again when something was stored.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function draw() {
  if (!window.Plotly) return;
  const style = getComputedStyle(document.body);
  for (const place of document.querySelectorAll("[data-plot]")) {
    const plot = JSON.parse(place.dataset.plot);
    const layout = Object.assign({}, plot.layout, {
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: style.color, family: style.fontFamily, size: 12 },
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
      xaxis: Object.assign({ automargin: true, tickangle: 0, nticks: 6 }, plot.layout.xaxis),
    });
    // Its own bar of buttons would bring styles that stand in the page.
    window.Plotly.react(place, plot.data, layout, { responsive: true, displayModeBar: false });
  }
}

function save(figure) {
  const title = figure.querySelector("h2").innerText;
  window.Plotly.downloadImage(figure.querySelector("[data-plot]"), { format: "svg", filename: title });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".save");
  if (button) save(button.closest("figure"));
});

let source = null;

// What somebody is writing, or has asked for once, is not taken away.
function still() {
  const main = document.querySelector("main");
  const written = [...(main?.querySelectorAll("textarea, input") ?? [])].some((field) => field.value !== field.defaultValue);
  return written || main?.querySelector("form:focus-within, [data-still]");
}

async function again() {
  if (still()) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [old, next] = [document.querySelector("main"), page.querySelector("main")];
  if (!old || !next) return;
  const open = new Set([...old.querySelectorAll("details[open] summary")].map((s) => s.closest("figure")?.innerText.split("\n")[0]));
  old.replaceChildren(...next.childNodes);
  for (const figure of old.querySelectorAll("figure")) {
    if (open.has(figure.innerText.split("\n")[0])) figure.querySelector("details").open = true;
  }
  draw();
}

function live(on) {
  if (source) source.close();
  source = null;
  if (!on) return;
  source = new EventSource("/events");
  source.addEventListener("stored", again);
}

document.addEventListener("DOMContentLoaded", () => {
  draw();
  dark.addEventListener("change", draw);
  const box = document.getElementById("live");
  if (!box) return;
  box.checked = sessionStorage.getItem("live") !== "no";
  live(box.checked);
  box.addEventListener("change", () => {
    sessionStorage.setItem("live", box.checked ? "yes" : "no");
    live(box.checked);
  });
});
