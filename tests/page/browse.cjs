// Drives a page in a real browser and prints, as one JSON document, what it saw; the judgement is the Python test's.
// Arguments: page, folder for screenshots, browser program, windows with a comma between, `use` or `look`. Needs playwright-core and axe-core (NODE_PATH).
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [page, shots, program, windows, purpose] = process.argv.slice(2);
const address = `file://${page}`;
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WINDOWS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: "light" },
};

const said = { messages: [], requests: [], violations: {}, load: {}, overflow: {}, hiddenShown: {}, shots: [] };

const open = async (browser, settings) => {
  const context = await browser.newContext({ ...settings, reducedMotion: "reduce", offline: true });
  const tab = await context.newPage();
  tab.on("console", (message) => said.messages.push(message.text()));
  tab.on("pageerror", (error) => said.messages.push(String(error)));
  tab.on("request", (request) => {
    if (request.url().split("#")[0] !== address && !request.url().startsWith("data:")) said.requests.push(request.url());
  });
  await tab.goto(address, { waitUntil: "load" });
  return tab;
};

const ids = (tab) => tab.locator("th.volume button").allTextContents();
const column = (tab, label) => tab.locator(`td[data-label="${label}"]`).allTextContents();
const status = (tab) => tab.locator("#status").textContent();

const look = async (browser, name) => {
  const tab = await open(browser, WINDOWS[name]);
  said.load[name] = await tab.evaluate(() => {
    const [entry] = performance.getEntriesByType("navigation");
    return { load: entry.loadEventEnd, heap: performance.memory ? performance.memory.usedJSHeapSize : null };
  });
  said.overflow[name] = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  said.hiddenShown[name] = await tab.locator("[hidden]:visible").count();
  for (const summary of await tab.locator("summary").all()) await summary.click();
  const volume = tab.locator("th.volume button").first(); // a page of several datasets has none
  if (await volume.count()) await volume.click();
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  said.violations[name] = found.violations.map(
    (violation) => `${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 150)).join(" | ")}`,
  );
  const shot = path.join(shots, `${name}.png`);
  await tab.reload({ waitUntil: "load" });
  for (const name of ["beforeprint", "afterprint"]) await tab.evaluate((one) => dispatchEvent(new Event(one)), name); // draws what is out of sight too
  await tab.screenshot({ path: shot, fullPage: true });
  said.shots.push(shot);
  if (name === "light") {
    const paper = path.join(shots, "print.pdf");
    await tab.pdf({ path: paper, format: "A4" });
    said.shots.push(paper);
  }
  await tab.context().close();
};

const use = async (browser) => {
  const tab = await open(browser, WINDOWS.light);
  const heading = (name) => tab.locator("thead button", { hasText: name });
  const sorted = async () => tab.locator("th[aria-sort]").evaluateAll((cells) => cells.map((cell) => [cell.dataset.name, cell.getAttribute("aria-sort")]));

  said.first = { status: await status(tab), rows: (await ids(tab)).length, strips: await tab.locator("td.strip path").count() };
  await tab.evaluate(() => scrollTo(0, document.body.scrollHeight));
  said.paper = {};
  for (const [event, when] of [["beforeprint", "on"], ["afterprint", "after"]]) {
    await tab.evaluate((name) => dispatchEvent(new Event(name)), event);
    said.paper[when] = { rows: (await ids(tab)).length, strips: await tab.locator("td.strip:has(svg)").count(), status: await status(tab) };
  }
  if (await tab.locator("#show-all").isVisible()) await tab.locator("#show-all").click();
  said.all = { status: await status(tab), ids: await ids(tab), sorted: await sorted() };

  await heading(/^slices$/).click();
  said.bySlices = { values: await column(tab, "slices"), sorted: await sorted() };
  await heading(/^slices$/).press("Enter");
  said.bySlicesAgain = { values: await column(tab, "slices"), sorted: await sorted(), focus: await tab.evaluate(() => document.activeElement.textContent) };

  await tab.locator("#search").fill(said.all.ids[3].toUpperCase());
  await tab.waitForFunction(() => document.querySelectorAll("th.volume").length < 20);
  said.search = { ids: await ids(tab), status: await status(tab) };
  await tab.locator("#search").fill("no such volume");
  await tab.waitForFunction(() => document.querySelectorAll("th.volume").length === 0);
  said.nothing = await status(tab);
  await tab.locator("#search").fill("");
  await tab.waitForFunction(() => document.querySelectorAll("th.volume").length > 0);

  await tab.getByLabel("train", { exact: true }).uncheck();
  await tab.getByLabel("test", { exact: true }).uncheck();
  said.onlyVal = await tab.locator("td.split").allTextContents();
  await tab.getByLabel("train", { exact: true }).check();
  await tab.getByLabel("test", { exact: true }).check();
  await tab.locator("#positive-only").check();
  said.positiveOnly = await column(tab, "positive");
  await tab.locator("#scale").uncheck();
  await tab.locator("td.strip svg").first().waitFor();
  said.ownScale = await tab.locator("td.strip svg").first().getAttribute("viewBox");

  const volume = tab.locator("th.volume button").first();
  await volume.focus();
  await tab.keyboard.press("Enter");
  said.detail = { open: await volume.getAttribute("aria-expanded"), text: await tab.locator("tr.detail").innerText() };
  await tab.keyboard.press("Enter");
  said.closed = { open: await volume.getAttribute("aria-expanded"), rows: await tab.locator("tr.detail").count() };

  const theme = () => tab.evaluate(() => [document.documentElement.dataset.theme || "system", getComputedStyle(document.body).backgroundColor]);
  said.themes = [await theme()];
  for (let click = 0; click < 3; click += 1) {
    await tab.locator("#theme").click();
    said.themes.push(await theme());
  }

  await tab.reload({ waitUntil: "load" });
  await tab.keyboard.press("Tab");
  said.skip = await tab.evaluate(() => [document.activeElement.textContent, document.activeElement.getBoundingClientRect().left >= 0]);
  await tab.keyboard.press("Enter");
  said.skipped = await tab.evaluate(() => document.activeElement.id);
  await tab.locator("button.copy").first().click();
  said.copied = await tab.waitForFunction(() => document.getElementById("said").textContent).then((handle) => handle.jsonValue());

  const phone = await open(browser, WINDOWS.phone);
  await phone.locator("#sort").selectOption("positives true");
  said.phone = await column(phone, "positive");
};

(async () => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  try {
    for (const name of windows.split(",")) await look(browser, name);
    if (purpose === "use") await use(browser);
  } finally {
    await browser.close();
  }
  process.stdout.write(JSON.stringify(said));
})();
