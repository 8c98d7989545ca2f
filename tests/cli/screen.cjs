// Takes a picture of a page that shows a terminal. Arguments: page, folder for screenshots, browser program.
"use strict";

const path = require("node:path");
const { chromium } = require("playwright-core");

const [page, shots, program] = process.argv.slice(2);

(async () => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext({ viewport: { width: 1000, height: 600 }, offline: true });
    const tab = await context.newPage();
    const messages = [];
    tab.on("console", (message) => messages.push(message.text()));
    await tab.goto(`file://${page}`, { waitUntil: "load" });
    const shot = path.join(shots, "terminal.png");
    await tab.locator("#screen").screenshot({ path: shot });
    const text = await tab.locator("#screen").innerText();
    process.stdout.write(JSON.stringify({ shot, text, messages }));
  } finally {
    await browser.close();
  }
})();
