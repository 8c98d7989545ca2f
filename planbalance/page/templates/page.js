"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const number = new Intl.NumberFormat("en");

  const make = (name, settings = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(settings)) {
      if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  };

  const draw = (name, settings) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(settings)) element.setAttribute(key, value);
    return element;
  };

  const say = (text) => { byId("said").textContent = text; };

  // ---- light and dark ----

  const THEMES = { system: "as the system", light: "light", dark: "dark" };
  const themeButton = byId("theme");
  const remembered = () => { try { return localStorage.getItem("planbalance-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("planbalance-theme", theme); } catch { /* a file may have none */ } };

  const setTheme = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    themeButton.textContent = `Theme: ${THEMES[theme]}`;
    themeButton.dataset.now = theme;
  };

  setTheme(remembered() in THEMES ? remembered() : "system");
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(themeButton.dataset.now) + 1) % names.length];
    setTheme(next);
    remember(next);
  });

  // ---- commands ----

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(code.textContent);
        say("Copied.");
      } catch {
        getSelection().selectAllChildren(code);
        say("Selected: copy it with the keyboard.");
      }
    });
  }

  // ---- volumes ----

  if (!byId("volume-data")) return;

  const data = JSON.parse(byId("volume-data").textContent);
  const PAGE = 100;
  // A longer gap would push the slices out of sight: it is drawn this wide.
  const WIDEST_GAP = 24;
  const STATES = { p: "positive", k: data.found ? "negative" : "negative, kept", d: "negative, left out", m: "missing" };
  const SHAPES = { p: [0, 18], k: [7, 11], d: [15, 3] };

  const runsOf = (text) => Array.from(text.matchAll(/(\d*)([pkdm])/g), ([, count, state]) => [state, count ? Number(count) : 1]);
  const drawnLength = ([state, count]) => (state === "m" ? Math.min(count, WIDEST_GAP) : count);

  const volumes = data.rows.map(([id, group, split, slices, positives, kept, first, text]) => {
    const runs = runsOf(text);
    const missing = runs.reduce((sum, [state, count]) => sum + (state === "m" ? count : 0), 0);
    const length = runs.reduce((sum, run) => sum + drawnLength(run), 0);
    const words = `${id}\n${group}`.toLowerCase();
    return { id, group, split, slices, positives, kept, dropped: slices - kept, missing, first, runs, length, words };
  });
  const splitsOf = new Map();
  for (const { id, split } of volumes) splitsOf.set(id, [...(splitsOf.get(id) || []), split]);
  const elsewhere = (volume) => splitsOf.get(volume.id).filter((split) => split !== volume.split).map((split) => data.splits[split]);
  const longest = Math.max(1, ...volumes.map((volume) => volume.length));

  const text = new Intl.Collator("en", { numeric: true });
  const byText = (key) => (a, b) => text.compare(a[key], b[key]);
  const byNumber = (key) => (a, b) => a[key] - b[key];
  const COLUMNS = [
    { key: "id", name: "volume", compare: byText("id") },
    ...(data.grouped ? [{ key: "group", name: "group", compare: byText("group") }] : []),
    { key: "split", name: "split", compare: byNumber("split") },
    { key: "strip", name: "slices in order" },
    { key: "slices", name: "slices", compare: byNumber("slices") },
    { key: "positives", name: "positive", compare: byNumber("positives") },
    ...(data.found ? [] : [{ key: "kept", name: "kept", compare: byNumber("kept") }, { key: "dropped", name: "left out", compare: byNumber("dropped") }]),
    { key: "missing", name: "missing", compare: byNumber("missing") },
  ];
  const NUMBERS = ["slices", "positives", ...(data.found ? [] : ["kept", "dropped"]), "missing"];
  const view = { sort: "id", down: false, words: "", splits: new Set([0, 1, 2]), positiveOnly: false, sharedOnly: false, oneScale: true, limit: PAGE };

  const stripOf = (volume, whole) => {
    const svg = draw("svg", { viewBox: `0 0 ${whole} 18`, preserveAspectRatio: "none", focusable: "false", "aria-hidden": "true" });
    const paths = { p: "", k: "", d: "" };
    let x = 0;
    for (const run of volume.runs) {
      const width = drawnLength(run);
      if (run[0] !== "m") {
        const [y, height] = SHAPES[run[0]];
        paths[run[0]] += `M${x} ${y}h${width}v${height}h-${width}z`;
      }
      x += width;
    }
    for (const [state, path] of Object.entries(paths)) {
      if (path) svg.append(draw("path", { class: `s-${state}`, d: path }));
    }
    return svg;
  };

  const spoken = (volume) =>
    `${number.format(volume.positives)} positive, ${number.format(volume.kept - volume.positives)} ${STATES.k}, ` +
    `${data.found ? "" : `${number.format(volume.dropped)} left out, `}${number.format(volume.missing)} missing`;

  // Strips are drawn when they come near the window, and before they are printed.
  const waiting = new WeakMap();
  const fill = (cell) => {
    const volume = waiting.get(cell);
    if (!volume) return;
    waiting.delete(cell);
    nearby.unobserve(cell);
    cell.append(stripOf(volume, view.oneScale ? longest : volume.length));
  };
  const nearby = new IntersectionObserver(
    (entries) => { for (const entry of entries) if (entry.isIntersecting) fill(entry.target); },
    { rootMargin: "600px" },
  );

  const numbersOf = (volume, wanted) => {
    if (volume.first === null) return null;
    const parts = [];
    let at = volume.first;
    for (const [state, count] of volume.runs) {
      if (state === wanted) parts.push(count === 1 ? `${at}` : `${at}–${at + count - 1}`);
      at += count;
    }
    return parts.join(", ");
  };

  const detailOf = (volume) => {
    const list = make("dl");
    for (const [state, name] of Object.entries(STATES)) {
      const count = volume.runs.reduce((sum, run) => sum + (run[0] === state ? run[1] : 0), 0);
      if (!count) continue;
      const numbers = numbersOf(volume, state);
      const value = numbers === null ? number.format(count) : `${number.format(count)}: ${numbers}`;
      list.append(make("dt", {}, name), make("dd", {}, value));
    }
    const parts = [stripOf(volume, volume.length)];
    if (volume.first !== null) {
      const last = volume.first + volume.runs.reduce((sum, run) => sum + run[1], 0) - 1;
      parts.push(make("div", { class: "ends" }, make("span", {}, `slice ${volume.first}`), make("span", {}, `slice ${last}`)));
    } else {
      parts.push(make("p", { class: "small soft" }, "Positions are not slice numbers: a name has none, or two slices share one."));
    }
    const cell = make("td", { colspan: COLUMNS.length, role: "cell" }, ...parts, list);
    return make("tr", { class: "detail", role: "row" }, cell);
  };

  const toggle = (button, row, volume) => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) row.nextSibling.remove();
    else row.after(detailOf(volume));
  };

  const rowOf = (volume) => {
    const button = make("button", { type: "button", class: "plain", "aria-expanded": "false" }, make("bdi", {}, volume.id));
    const strip = make("td", { class: "strip", role: "cell" }, make("span", { class: "visually-hidden" }, spoken(volume)));
    const row = make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader", class: "volume" }, button));
    if (data.grouped) row.append(make("td", { class: "word", role: "cell" }, make("bdi", {}, volume.group)));
    const others = elsewhere(volume);
    const also = others.length ? [make("small", {}, `also in ${others.join(", ")}`)] : [];
    row.append(make("td", { class: "word split", role: "cell" }, data.splits[volume.split], ...also), strip);
    for (const key of NUMBERS) {
      const name = COLUMNS.find((column) => column.key === key).name;
      row.append(make("td", { role: "cell", "data-label": name, class: volume[key] ? null : "none" }, number.format(volume[key])));
    }
    button.addEventListener("click", () => toggle(button, row, volume));
    waiting.set(strip, volume);
    return row;
  };

  // Rows are made once: sorting a thousand of them moves them only. A volume that is sorted away closes.
  const made = new Map();
  const keptRowOf = (volume) => {
    if (!made.has(volume)) made.set(volume, rowOf(volume));
    const row = made.get(volume);
    row.querySelector("button").setAttribute("aria-expanded", "false");
    const strip = row.querySelector("td.strip");
    if (waiting.has(strip)) nearby.observe(strip);
    return row;
  };

  const body = make("tbody", { role: "rowgroup" });
  const headings = new Map();

  const headingOf = (column) => {
    const cell = make("th", { scope: "col", role: "columnheader", class: column.compare && NUMBERS.includes(column.key) ? null : "word" });
    if (column.compare) {
      const button = make("button", { type: "button", class: "plain" }, column.name);
      button.addEventListener("click", () => sortBy(column.key, view.sort === column.key ? !view.down : NUMBERS.includes(column.key)));
      cell.append(button);
      cell.dataset.name = column.name;
      headings.set(column.key, cell);
    } else {
      cell.append(column.name);
    }
    return cell;
  };

  const found = () => {
    const column = COLUMNS.find((one) => one.key === view.sort);
    const direction = view.down ? -1 : 1;
    return volumes
      .filter((volume) => view.splits.has(volume.split) && volume.words.includes(view.words) && (!view.positiveOnly || volume.positives) && (!view.sharedOnly || elsewhere(volume).length))
      .sort((a, b) => direction * column.compare(a, b) || text.compare(a.id, b.id));
  };

  const tell = (shown, count) => {
    const whole = splitsOf.size === 1 ? "1 volume" : `${number.format(splitsOf.size)} volumes`;
    const all = splitsOf.size === volumes.length ? whole : `${number.format(volumes.length)} parts of ${whole}`;
    const of = count === volumes.length ? all : `${number.format(count)} found of ${all}`;
    byId("status").textContent = shown < count ? `${number.format(shown)} shown, ${of}` : of;
  };

  const show = () => {
    const rows = found();
    const shown = rows.slice(0, view.limit);
    nearby.disconnect();
    body.replaceChildren(...shown.map(keptRowOf));
    tell(shown.length, rows.length);
    byId("more").hidden = shown.length === rows.length;
    byId("show-all").textContent = `Show all ${number.format(rows.length)}`;
    for (const [key, cell] of headings) {
      if (key === view.sort) cell.setAttribute("aria-sort", view.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    byId("sort").value = `${view.sort} ${view.down}`;
  };

  const sortBy = (key, down) => {
    view.sort = key;
    view.down = down;
    show();
  };

  // Paper shows every volume that the search and the filters leave; afterwards the window is as it was.
  let onPaperOnly = [];
  addEventListener("beforeprint", () => {
    const rows = found();
    onPaperOnly = rows.slice(view.limit).map(keptRowOf);
    body.append(...onPaperOnly);
    for (const cell of body.querySelectorAll("td.strip")) fill(cell);
    tell(rows.length, rows.length);
  });
  addEventListener("afterprint", () => {
    for (const row of onPaperOnly.splice(0)) row.remove();
    const count = found().length;
    tell(Math.min(count, view.limit), count);
  });

  const again = () => { view.limit = PAGE; show(); };

  const table = make(
    "table",
    { class: volumes.some((volume) => volume.id.length > 24) ? "volumes long-ids" : "volumes", role: "table" },
    make("caption", { class: "visually-hidden" }, "Volumes with their slices in order"),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...COLUMNS.map(headingOf))),
    body,
  );
  byId("volume-table").append(table);

  for (const column of COLUMNS.filter((one) => one.compare)) {
    for (const down of NUMBERS.includes(column.key) ? [true, false] : [false, true]) {
      byId("sort").append(make("option", { value: `${column.key} ${down}` }, `${column.name}, ${down ? "descending" : "ascending"}`));
    }
  }
  byId("sort").addEventListener("change", (event) => {
    const [key, down] = event.target.value.split(" ");
    sortBy(key, down === "true");
  });
  let pause = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(pause);
    pause = setTimeout(() => { view.words = event.target.value.trim().toLowerCase(); again(); }, 120);
  });
  for (const box of document.querySelectorAll("input[name=split]")) {
    box.addEventListener("change", () => {
      if (box.checked) view.splits.add(Number(box.value));
      else view.splits.delete(Number(box.value));
      again();
    });
  }
  byId("positive-only").addEventListener("change", (event) => { view.positiveOnly = event.target.checked; again(); });
  byId("shared-only")?.addEventListener("change", (event) => { view.sharedOnly = event.target.checked; again(); });
  byId("scale").addEventListener("change", (event) => { view.oneScale = event.target.checked; made.clear(); show(); });
  byId("show-more").addEventListener("click", () => { view.limit += PAGE; show(); });
  byId("show-all").addEventListener("click", () => { view.limit = Infinity; show(); });
  byId("volume-tools").hidden = false;
  show();
})();
