// Clicks through every page of a running server, as a person would: light and dark, on a desk and on a phone.
//
//   node drive.mjs http://127.0.0.1:4319 http://127.0.0.1:4318 PATH-OF-CHROMIUM [FOLDER-FOR-SCREENSHOTS]
//
// The modules playwright-core and axe-core are looked for in TAXIMETER_NODE_MODULES. What is wrong is printed, a line
// each, and ends the program with 1.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [page, otlp, chromium, screenshots] = process.argv.slice(2);
const modules = createRequire(join(process.env.TAXIMETER_NODE_MODULES, "none.js"));
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

const LOOKS = [
  { name: "wide-light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "wide-dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "phone-light", colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true },
  { name: "phone-dark", colorScheme: "dark", viewport: { width: 390, height: 844 }, hasTouch: true },
];
// So many pages are visited with each look.
const MOST = 24;

const wrong = [];
const say = (what) => wrong.push(what);

// Listens to all that a browser complains about.
async function listened(browser, look) {
  const context = await browser.newContext({ ...look, locale: "en-GB", timezoneId: "UTC" });
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} by ${event.blockedURI || event.sourceFile}`));
  });
  const tab = await context.newPage();
  const at = () => `${look.name} ${new URL(tab.url()).pathname}`;
  tab.on("console", (message) => {
    if (message.type() === "error") say(`${at()}: console: ${message.text()}`);
  });
  tab.on("pageerror", (error) => say(`${at()}: error: ${error.message}`));
  tab.on("response", (response) => {
    if (response.status() >= 400) say(`${at()}: ${response.url()} is ${response.status()}`);
    if (!response.url().startsWith(page)) say(`${at()}: asks elsewhere: ${response.url()}`);
  });
  return { context, tab, at };
}

// What every page has, and what the audit of accessibility says of it.
async function looked(tab, at) {
  await tab.waitForFunction(() => document.readyState === "complete");
  if (await tab.locator("main h1").count() !== 1) say(`${at()}: it has no title of its own`);
  const over = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 1) say(`${at()}: it is ${over} pixels too wide`);
  await tab.evaluate(axe);
  const found = await tab.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"] }));
  for (const { id, impact, help, nodes } of found.violations) {
    if (!["serious", "critical"].includes(impact)) continue;
    const first = nodes[0];
    say(`${at()}: ${impact}: ${id}: ${help}; ${nodes.length} times, first ${first.target}: ${first.html.slice(0, 160)}`
      + ` ${(first.any[0] ?? first.all[0] ?? first.none[0])?.message ?? ""}`);
  }
}

// Links of one kind lead to pages of one kind: two operations are enough.
function kind(address) {
  const { pathname, searchParams } = new URL(address);
  return pathname.replace(/[0-9a-f-]{36}/, "ID") + "?" + [...searchParams.keys()].sort();
}

async function clickedThrough(browser, look) {
  const { context, tab, at } = await listened(browser, look);
  await tab.goto(page);
  const kinds = new Map();
  const next = [];
  const gather = async () => {
    for (const address of await tab.locator("a[href]").evaluateAll((links) => links.map((link) => link.href))) {
      const of = address.startsWith(page) ? kind(address) : null;
      if (of === null || /\/api\/|\/assets\/|\/metrics|format=csv/.test(address) || (kinds.get(of) ?? 0) >= 2) continue;
      if (!next.includes(address)) {
        kinds.set(of, (kinds.get(of) ?? 0) + 1);
        next.push(address);
      }
    }
  };
  await looked(tab, at);
  await gather();
  // The navigation by clicks, from wherever the last one led.
  const names = await tab.locator("nav a").allInnerTexts();
  if (names.length < 5) say(`${at()}: the navigation has ${names.length} links`);
  for (let place = 0; place < names.length; place++) {
    await tab.locator("nav a").nth(place).click();
    await looked(tab, at);
    await gather();
    if (screenshots) {
      const name = new URL(tab.url()).pathname.replaceAll("/", "-").replace(/^-$/, "-overview");
      await tab.screenshot({ path: join(screenshots, `${look.name}${name}.png`), fullPage: true });
    }
  }
  // By the keyboard alone, something is reached.
  await tab.keyboard.press("Tab");
  if (await tab.evaluate(() => document.activeElement === document.body)) say(`${at()}: nothing is reached by Tab`);
  let visited = 0;
  for (; visited < next.length && visited < MOST; visited++) {
    await tab.goto(next[visited]);
    await looked(tab, at);
    await gather();
  }
  await context.close();
  return names.length + visited;
}

// What the API of alerts says, once it is so.
async function alerts(what, isSo) {
  for (let tries = 0; tries < 900; tries++) {
    const said = await (await fetch(page + "/api/v1/alerts")).json();
    if (isSo(said)) return said;
    await new Promise((done) => setTimeout(done, 100));
  }
  say(`alerts: never so: ${what}`);
}

// A rule is made, tried, changed, muted and taken out by the forms of the page, and what fires and was told is there.
async function ruled(browser) {
  await alerts("two rules fire, and one is told", ({ firing, log }) =>
    new Set(firing.map((one) => one.rule)).size >= 2 && log.some((one) => one.status === "firing"));
  const { context, tab, at } = await listened(browser, { ...LOOKS[0], name: "rules" });
  const holds = async (...texts) => {
    const main = await tab.locator("main").innerText();
    for (const text of texts) if (!main.includes(text)) say(`${at()}: it does not say: ${text}`);
  };
  await tab.goto(page + "/alerts");
  await holds("answers come", "(muted)", "500", "delivered", "each user");
  await looked(tab, at);
  await tab.getByRole("link", { name: "No data", exact: true }).click();
  const rule = tab.locator("#rule");
  const toml = tab.locator("#toml");
  await toml.fill((await toml.inputValue()).replace("nothing comes", "nothing at all"));
  await tab.getByRole("button", { name: "Try it over the past" }).click();
  await holds("nothing at all would have fired");
  await looked(tab, at);
  await rule.getByRole("button", { name: "Put it into the file" }).click();
  await alerts("the new rule is one of them", ({ rules }) => rules.some((rule) => rule.name === "nothing at all"));
  await tab.getByRole("link", { name: "Change nothing at all" }).click();
  await toml.fill((await toml.inputValue()).replace('"1h"', '"3h"'));
  await rule.getByRole("button", { name: "Save the change" }).click();
  await alerts("it was changed", ({ rules }) => rules.some((rule) => rule.says === "nothing for 3h"));
  const row = tab.locator("tr", { has: tab.getByRole("link", { name: "Change nothing at all" }) });
  await row.getByRole("button", { name: "Mute" }).click();
  await alerts("it is muted", ({ rules }) => rules.some((rule) => rule.name === "nothing at all" && rule.muted_until));
  // What fires of a rule that goes is over, and that is told too.
  await tab.getByRole("link", { name: "Change answers come" }).click();
  await rule.getByRole("button", { name: "Take it out of the file" }).click();
  await alerts("what fired is over", ({ log }) => log.some((one) => one.status === "resolved" && one.fate === "delivered"));
  await tab.goto(page + "/alerts");
  await holds("End it", "over", "nothing at all");
  // A budget is made and changed, and a receiver made, told that this is a test, and taken out; no secret comes back.
  const budget = tab.getByRole("form", { name: "A new budget" });
  await budget.getByLabel("Name").fill("team");
  await budget.getByLabel("US dollars").fill("12.50");
  await budget.locator("select").selectOption("week");
  await budget.getByLabel("Of each").fill("user");
  await budget.getByRole("button", { name: "Put it into the file" }).click();
  await holds("team · ann by week");
  await tab.getByRole("link", { name: "Change the budget team" }).click();
  const changed = tab.getByRole("form", { name: "Change the budget team" });
  await changed.getByLabel("US dollars").fill("15");
  await looked(tab, at);
  if (screenshots) await tab.screenshot({ path: join(screenshots, "budget-changed.png"), fullPage: true });
  await changed.getByRole("button", { name: "Save the change" }).click();
  await holds("of $15.00 spent in this week");
  const hook = (await (await fetch(page + "/api/v1/alerts")).json()).receivers[0].host;
  const receiver = tab.getByRole("form", { name: "A new receiver" });
  await receiver.getByLabel("Name").fill("ops");
  await receiver.getByLabel("Address").fill(`${hook}/K3Y`);
  await receiver.getByLabel("Token").fill("K3Y");
  await receiver.getByRole("button", { name: "Put it into the file" }).click();
  await tab.getByRole("button", { name: "Test ops" }).click();
  await holds("ops was told, and took it.");
  await tab.getByRole("link", { name: "Change the receiver ops" }).click();
  await looked(tab, at);
  if ((await tab.content()).includes("K3Y")) say(`${at()}: a secret comes back`);
  if (screenshots) await tab.screenshot({ path: join(screenshots, "receiver-changed.png"), fullPage: true });
  await tab.getByRole("form", { name: "Change the receiver ops" }).getByRole("button", { name: "Take it out of the file" }).click();
  await tab.waitForLoadState();
  if ((await tab.locator("#receivers").innerText()).includes("ops")) say(`${at()}: the receiver is still there`);
  // What a table shows can be taken along.
  const [taken] = await Promise.all([
    tab.waitForEvent("download"),
    tab.getByRole("link", { name: "What was told as CSV" }).click(),
  ]);
  const csv = readFileSync(await taken.path(), "utf8");
  if (!csv.startsWith("at,receiver,id,about,") || !csv.includes("delivered")) say(`${at()}: the table as CSV is ${csv.slice(0, 200)}`);
  // So can one that the API has no list of.
  await tab.goto(page + "/?since=7d");
  const [shown] = await Promise.all([
    tab.waitForEvent("download"),
    tab.getByRole("button", { name: "Tokens, as shown, as CSV" }).click(),
  ]);
  const tokens = readFileSync(await shown.path(), "utf8");
  if (!tokens.startsWith("Of,Tokens,Share")) say(`${at()}: the table as shown is ${tokens.slice(0, 200)}`);
  // And a chart, whether it is drawn already or not: those below the screen come last.
  const [drawn] = await Promise.all([
    tab.waitForEvent("download"),
    tab.getByRole("button", { name: /critical path as SVG/ }).click(),
  ]);
  const chart = readFileSync(await drawn.path(), "utf8");
  if (!chart.startsWith("<svg")) say(`${at()}: the chart as SVG is ${chart.slice(0, 200)}`);
  const bare = tab.locator("[data-plot]:not(.js-plotly-plot)");
  await bare.first().waitFor({ state: "detached" });
  if (await bare.count()) say(`${at()}: ${await bare.count()} charts are not drawn`);
  await tab.goto(page + "/costs?since=7d");
  await holds("each user", "month", "spent in this");
  await tab.goto(page + "/?since=7d&spend=kinds&latency=calls");
  await holds("Tokens of each kind", "p95 of a call", "Firing now");
  await context.close();
}

// The box in the header leads on, by the keyboard; what the first screen says of causes leads to operations.
async function found(browser) {
  const { context, tab, at } = await listened(browser, { ...LOOKS[0], name: "found" });
  await tab.goto(page + "/?since=7d");
  const box = () => tab.getByRole("searchbox");
  await box().fill("ann");
  await box().press("Enter");
  await tab.waitForURL(/operations\?since=7d&only=user%3Dann/);
  await box().fill("index did not answer");
  await box().press("Enter");
  await tab.waitForURL(/search\?/);
  const main = () => tab.locator("main").innerText();
  if (!(await main()).includes("By the text of an error")) say(`${at()}: no error is found: ${await main()}`);
  await looked(tab, at);
  if (screenshots) await tab.screenshot({ path: join(screenshots, "search.png"), fullPage: true });
  const id = (await (await fetch(page + "/api/v1/operations?since=7d&limit=1")).json()).operations[0].operation_id;
  await box().fill(id);
  await box().press("Enter");
  await tab.waitForURL(new RegExp(id));
  await tab.goto(page + "/?since=7d&spend=cost");
  for (const told of ["Spend on each kind of token", "The slowest sessions", "Where the time goes by hour", "since 20"]) {
    if (!(await main()).includes(told)) say(`${at()}: the first screen does not say: ${told}`);
  }
  if (screenshots) await tab.screenshot({ path: join(screenshots, "causes.png"), fullPage: true });
  await tab.getByRole("link", { name: "these operations" }).first().click();
  await tab.waitForURL(/operations\?/);
  await looked(tab, at);
  if ((await tab.locator("main table").count()) === 0) say(`${at()}: no operation is behind the cause`);
  await context.close();
}

// What arrives is on the page that is open, without anybody asking for it.
async function live(browser) {
  const { context, tab, at } = await listened(browser, { ...LOOKS[0], name: "live" });
  await tab.goto(page + "/?since=1h");
  const before = await tab.locator("main").innerText();
  const now = BigInt(Date.now()) * 1000000n;
  const text = (key, value) => ({ key, value: { stringValue: value } });
  const span = {
    traceId: "f".repeat(32), spanId: "f".repeat(16), name: "live", startTimeUnixNano: `${now - 1000000000n}`,
    endTimeUnixNano: `${now}`,
    attributes: [text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "gpt-4o"),
      { key: "gen_ai.usage.input_tokens", value: { intValue: "70000" } }],
  };
  const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
  const sent = await fetch(otlp + "/v1/traces", { method: "POST", headers: { "content-type": "application/json" }, body });
  if (sent.status !== 200) say(`telemetry is answered with ${sent.status}`);
  await tab
    .waitForFunction((before) => document.querySelector("main")?.innerText !== before, before, { timeout: 60000 })
    .catch(() => say(`${at()}: what arrives does not appear`));
  await context.close();
}

const { chromium: engine } = modules("playwright-core");
const browser = await engine.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
let pages = 0;
try {
  await ruled(browser);
  await found(browser);
  for (const look of LOOKS) pages += await clickedThrough(browser, look);
  await live(browser);
} finally {
  await browser.close();
}
console.log(`${pages} pages were looked at`);
for (const what of new Set(wrong)) console.log(what);
process.exit(wrong.length ? 1 : 0);
