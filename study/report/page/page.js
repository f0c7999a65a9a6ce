"use strict";
// Everything below makes the page quicker to ask. Without it the page shows the same maps, lines and tables.
// Words come from users' specs, so that nothing is ever parsed as HTML: `textContent` and `setAttribute` alone.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 46, TOP = 6, MOST = 6, LETTERS = "ABCDEF";
  const data = JSON.parse(document.getElementById("data").textContent);
  const inspector = document.getElementById("inspector");
  const readout = document.getElementById("cell");
  const compared = document.getElementById("compared");
  const live = document.getElementById("live");
  const picked = [];
  let shown = "metric";

  function make(name, attributes = {}, ...children) {
    const svg = ["svg", "g", "path", "text", "rect", "circle"].includes(name);
    const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  function number(value) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replaceAll("-", "−");
    let text = Number(value).toPrecision(3);
    if (text.includes("e")) text = Number(text).toExponential().replace("e+", "e");
    else if (text.includes(".")) text = text.replace(/\.?0+$/, "");
    return text.replaceAll("-", "−");
  }

  function bytes(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  // ---- Cells

  function indices(setting, at) {
    const size = setting.tops.length * setting.columns;
    return setting.seeds.map((_, seed) => seed * size + at.row * setting.columns + at.column);
  }

  function runOf(panel, index) {
    if (!panel.runs) return "";
    panel.runBytes ??= bytes(panel.runs);
    const own = panel.runBytes.slice(16 * index, 16 * index + 16);
    return own.some(Boolean) ? Array.from(own, (byte) => byte.toString(16).padStart(2, "0")).join("") : "";
  }

  function curvesOf(panel, quantity, index) {
    const found = panel.curves && panel.curves[quantity];
    if (!found || !found.numbers) return null;
    if (!found.whole) {
      const raw = bytes(found.numbers);
      found.whole = Array.from({ length: raw.length / 2 }, (_, k) => raw[2 * k] + 256 * raw[2 * k + 1]);
    }
    const length = panel.curves.steps.length;
    return found.whole.slice(index * length, index * length + length).map((whole) => {
      if (whole === 65535) return null;
      const value = found.low + (whole / 65534) * found.width;
      return found.log ? Math.exp(value) : value;
    });
  }

  function called(at) {
    const setting = data.settings[at.setting];
    const place = `lr ${setting.lr[at.column]}, weight decay ${setting.wd[at.row]}`;
    const where = data.settings.length > 1 ? `${setting.name}, ` : "";
    return `${where}${setting.panels[at.panel].name}: ${place}`;
  }

  function columnsOf(setting, panel) {
    const state = (k) => data.states[panel.outcome[k]];
    const reason = (k) => (panel.reasons && panel.reasons[panel.reason[k]] ? ` (${panel.reasons[panel.reason[k]]})` : "");
    return [
      ["outcome", (k) => state(k) + reason(k), (k) => state(k)],
      [setting.metric, (k) => number(panel.metric[k]), (k) => panel.metric[k]],
      [`best ${setting.metric}`, (k) => number(panel.best && panel.best[k]), (k) => panel.best && panel.best[k]],
      ["final loss", (k) => number(panel.loss[k]), (k) => panel.loss[k]],
      ["diverged at step", (k) => number(panel.step && panel.step[k]), (k) => panel.step && panel.step[k]],
      ["seconds", (k) => number(panel.seconds && panel.seconds[k]), (k) => panel.seconds && panel.seconds[k]],
    ];
  }

  function means(at) {
    const setting = data.settings[at.setting];
    return setting.views.map((view) => [view.title, number(view.values[at.panel][at.row * setting.columns + at.column])]);
  }

  function summary(at) {
    const setting = data.settings[at.setting];
    const panel = setting.panels[at.panel];
    const all = indices(setting, at);
    const counts = {};
    for (const k of all) counts[data.states[panel.outcome[k]]] = (counts[data.states[panel.outcome[k]]] || 0) + 1;
    const ends = Object.entries(counts).map(([word, count]) => `${count} of ${all.length} seeds ${word}`).join(", ");
    return `${called(at)}: ${setting.metric} ${means(at)[0][1]}; ${ends}`;
  }

  function describe(at) {
    const setting = data.settings[at.setting];
    const panel = setting.panels[at.panel];
    const all = indices(setting, at);
    const table = make("table", {},
      make("caption", { class: "hidden" }, called(at)),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "seed"),
        ...setting.seeds.map((seed) => make("th", { scope: "col" }, String(seed))))),
      make("tbody", {}, ...columnsOf(setting, panel).map(([name, text]) => make("tr", {},
        make("th", { scope: "row" }, name), ...all.map((k) => make("td", {}, text(k)))))));
    const runs = all.map((k) => runOf(panel, k));
    const about = make("p", {}, ...means(at).flatMap(([title, value], k) => [k ? "; " : "", `${title} `, make("b", {}, value)]));
    readout.replaceChildren(
      make("h3", {}, called(at)), about,
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of each seed" }, table),
      ...(runs.some(Boolean) ? [make("details", {}, make("summary", {}, "MLflow runs"),
        ...runs.map((run, k) => make("div", {}, `seed ${setting.seeds[k]}: `, make("code", {}, run || "none"))))] : []));
    inspector.classList.add("used");
  }

  // ---- Maps

  const figures = Array.from(document.querySelectorAll("figure.map"));

  function figureOf(at) {
    return document.querySelector(`.setting[data-setting="${at.setting}"] figure[data-panel="${at.panel}"]`);
  }

  function box(at) {
    const setting = data.settings[at.setting];
    const [width, height] = setting.cell;
    return { x: LEFT + at.column * width, y: TOP + setting.tops[at.row] * height, width, height };
  }

  function point(at) {
    for (const cursor of document.querySelectorAll(".cursor")) cursor.setAttribute("width", 0);
    const cursor = figureOf(at).querySelector(".cursor");
    for (const [key, value] of Object.entries(box(at))) cursor.setAttribute(key, value);
    describe(at);
  }

  function cellAt(figure, event) {
    const svg = figure.querySelector(".heat");
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const at = placeOf(figure);
    const setting = data.settings[at.setting];
    const column = Math.floor((spot.x - LEFT) / setting.cell[0]);
    const depth = (spot.y - TOP) / setting.cell[1];
    const row = setting.tops.findIndex((top) => depth >= top && depth < top + 1);
    return column < 0 || column >= setting.columns || row < 0 ? null : { ...at, column, row };
  }

  function placeOf(figure) {
    return { setting: Number(figure.closest(".setting").dataset.setting), panel: Number(figure.dataset.panel) };
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  function moved(at, key) {
    const setting = data.settings[at.setting];
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    const [right, up] = MOVES[key] || [key === "Home" ? -Infinity : Infinity, 0];
    return { ...at, column: within(at.column + right, setting.columns - 1), row: within(at.row + up, setting.tops.length - 1) };
  }

  function prepare(figure) {
    const svg = figure.querySelector(".heat");
    const setting = data.settings[placeOf(figure).setting];
    let current = { ...placeOf(figure), column: Math.floor(setting.columns / 2), row: Math.floor(setting.tops.length / 2) };
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-roledescription", "map");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")} Arrow keys move from cell to cell, enter chooses one.`);
    const show = (at, aloud) => {
      current = at;
      point(at);
      if (aloud) live.textContent = summary(at);
    };
    svg.addEventListener("pointermove", (event) => {
      const at = cellAt(figure, event);
      if (at && (at.column !== current.column || at.row !== current.row || !inspector.classList.contains("used"))) show(at, false);
    });
    svg.addEventListener("click", (event) => {
      const at = cellAt(figure, event);
      if (at) { show(at, false); choose(at); }
    });
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible")) show(current, true); });
    svg.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key in MOVES || event.key === "Home" || event.key === "End") show(moved(current, event.key), true);
      else if (event.key === "Enter" || event.key === " ") choose(current);
      else if (event.key === "Escape") { picked.length = 0; compare(); }
      else return;
      event.preventDefault();
    });
  }

  // Runs of equal letters are one rectangle, as in the paths that came with the page.
  function repaint(holder, setting, view) {
    const [width, height] = setting.cell;
    holder.querySelectorAll("figure.map").forEach((figure, k) => {
      const paths = {};
      setting.tops.forEach((top, row) => {
        const line = view.letters[k].slice(row * setting.columns, (row + 1) * setting.columns);
        for (const run of line.matchAll(/(.)\1*/g)) {
          const letter = run[1], length = run[0].length;
          if (letter === " ") continue;
          paths[letter] = (paths[letter] || "") + (/[A-Z]/.test(letter)
            ? `M${LEFT + run.index * width} ${TOP + top * height}h${length * width}v${height}h${-length * width}z`
            : `M${run.index} ${top}h${length}v1h-${length}z`);
        }
      });
      const drawn = (wanted) => Object.entries(paths).filter(([letter]) => /[A-Z]/.test(letter) === wanted)
        .map(([letter, d]) => make("path", { class: `${wanted ? "p" : "k"}${letter}`, d }));
      figure.querySelector(".cells").replaceChildren(...drawn(false));
      figure.querySelector(".patterned").replaceChildren(...drawn(true));
      for (const dots of figure.querySelectorAll(".over .dots, .over .dots-rim")) dots.toggleAttribute("hidden", view.name !== "score");
    });
    holder.querySelector(".colours figcaption").textContent = view.title;
    holder.querySelector(".colours svg").setAttribute("aria-label", `Colours from dark to light: ${view.ticks.map((one) => one[1]).join(", ")}`);
    holder.querySelector(".colour-ticks").replaceChildren(...view.ticks.flatMap(([where, text]) => [
      make("path", { d: `M${10 + where * 300} 14v4` }),
      make("text", { x: 10 + where * 300, y: 28, "text-anchor": "middle" }, text)]));
  }

  // ---- Chosen cells

  const same = (a, b) => ["setting", "panel", "column", "row"].every((key) => a[key] === b[key]);

  function choose(at) {
    const there = picked.findIndex((one) => same(one, at));
    if (there >= 0) picked.splice(there, 1);
    else {
      if (picked.length === MOST) picked.shift();
      picked.push(at);
    }
    live.textContent = `${there >= 0 ? "no longer chosen" : "chosen"}: ${called(at)}; ${picked.length} chosen`;
    compare();
  }

  function compare() {
    for (const group of document.querySelectorAll(".picked")) group.replaceChildren();
    picked.forEach((at, k) => {
      const { x, y, width, height } = box(at);
      figureOf(at).querySelector(".picked").append(make("text", { x: x + width / 2, y: y + height / 2 + 4 }, LETTERS[k]));
    });
    if (!picked.length) { compared.replaceChildren(); return; }
    const button = (words, act) => { const one = make("button", { type: "button" }, words); one.addEventListener("click", act); return one; };
    const chips = picked.map((at, k) => {
      const own = data.settings[at.setting];
      const drop = button("Remove", () => choose(at));
      drop.setAttribute("aria-label", `Remove ${called(at)}`);
      return make("li", {},
        make("svg", { class: `swatch c${k}`, viewBox: "0 0 28 12", "aria-hidden": "true" }, make("path", { class: `series d${k}`, d: "M0 6h28" })),
        make("span", {}, make("b", {}, LETTERS[k]), ` ${called(at)}, ${own.metric} ${means(at)[0][1]}`), drop);
    });
    const text = make("textarea", { readonly: "", "aria-label": "Numbers of the chosen cells as CSV" });
    text.value = csv();
    const other = shown === "metric" ? "loss" : "metric";
    const names = { metric: "score", loss: "training loss" };
    compared.replaceChildren(
      make("h3", {}, `Curves of the chosen cells: ${names[shown]}`), drawCurves() || make("p", {}, "This page has no curves of them."),
      button(`Show ${names[other]}`, () => { shown = other; compare(); }), " ",
      button("Clear", () => { picked.length = 0; compare(); }),
      make("ul", { class: "chips" }, ...chips),
      make("details", { class: "csv" }, make("summary", {}, "As CSV, to be copied"), text));
    text.addEventListener("focus", () => text.select());
  }

  function csv() {
    const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
    const rows = picked.flatMap((at) => {
      const setting = data.settings[at.setting], panel = setting.panels[at.panel];
      return indices(setting, at).map((k, seed) => [setting.name, panel.name, setting.exact.lr[at.column], setting.exact.wd[at.row],
        setting.seeds[seed], ...columnsOf(setting, panel).map(([, , exact]) => exact(k)), runOf(panel, k)]);
    });
    const head = ["setting", "transform", "lr", "weight_decay", "seed", "outcome", "metric", "best_metric", "loss", "diverged_step", "seconds", "run"];
    return [head, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
  }

  function rounds(low, high) {
    if (!(high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high)))) return [low];
    const raw = (high - low) / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= raw * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-9); k += 1) found.push(k * step);
    return found;
  }

  function powers(low, high) {
    const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high));
    const thin = Math.max(Math.ceil((last - first + 1) / 5), 1);
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, k) => 10 ** (first + k)).filter((_, k) => k % thin === 0);
  }

  function drawCurves() {
    const lines = picked.map((at, k) => {
      const setting = data.settings[at.setting], panel = setting.panels[at.panel];
      const found = indices(setting, at).map((index) => curvesOf(panel, shown, index)).filter(Boolean);
      if (!found.length) return null;
      const points = panel.curves.steps.map((step, j) => {
        const values = found.map((one) => one[j]).filter((value) => value !== null && value !== undefined);
        return values.length ? { step, low: Math.min(...values), high: Math.max(...values), mean: values.reduce((a, b) => a + b) / values.length } : null;
      }).filter(Boolean);
      return points.length ? { k, points } : null;
    }).filter(Boolean);
    if (!lines.length) return null;
    const all = lines.flatMap((line) => line.points);
    const low = Math.min(...all.map((one) => one.low)), high = Math.max(...all.map((one) => one.high));
    const last = Math.max(...all.map((one) => one.step)) || 1;
    const log = low > 0 && high / low > 100;
    const bend = log ? Math.log10 : (value) => value;
    const bottom = bend(low), room = bend(high) - bottom || 1;
    const x = (step) => 46 + (step / last) * 320;
    const y = (value) => 176 - ((bend(value) - bottom) / room) * 164;
    const svg = make("svg", { class: "chart", viewBox: "0 0 400 210", role: "img",
      "aria-label": `${shown} over steps of ${picked.map((at, k) => `${LETTERS[k]}: ${called(at)}`).join("; ")}` });
    svg.append(make("path", { class: "frame", d: "M46 8V180H372" }));
    const ups = log ? powers(low, high) : rounds(low, high);
    const told = new Set(ups.map(number)).size === ups.length;
    const decimals = ups.length > 1 ? Math.max(-Math.floor(Math.log10(ups[1] - ups[0]) + 1e-6), 0) : 0;
    for (const value of ups) {
      const words = told ? number(value) : value.toFixed(decimals).replaceAll("-", "−");
      svg.append(make("text", { x: 41, y: y(value) + 4, "text-anchor": "end" }, words));
    }
    for (const step of rounds(0, last)) svg.append(make("text", { x: x(step), y: 195, "text-anchor": "middle" }, number(step)));
    svg.append(make("text", { x: 372, y: 208, "text-anchor": "end" }, "step →"));
    // Names at the ends of lines, moved apart where they would cover each other.
    const ends = lines.map(({ k, points }) => ({ k, x: x(points[points.length - 1].step), y: y(points[points.length - 1].mean) }));
    ends.sort((a, b) => a.y - b.y).forEach((end, k) => { if (k) end.y = Math.max(end.y, ends[k - 1].y + 12); });
    for (const { k, points } of lines) {
      const band = [...points.map((one) => `${x(one.step)} ${y(one.high)}`), ...points.slice().reverse().map((one) => `${x(one.step)} ${y(one.low)}`)];
      const end = ends.find((one) => one.k === k);
      svg.append(make("g", { class: `c${k}` },
        make("path", { class: "series-band", d: `M${band.join("L")}z` }),
        make("path", { class: `series d${k}`, d: `M${points.map((one) => `${x(one.step)} ${y(one.mean)}`).join("L")}` }),
        make("text", { class: "series-name", x: end.x + 4, y: end.y + 4 }, LETTERS[k])));
    }
    return svg;
  }

  // ---- Begin

  document.documentElement.classList.add("js");
  inspector.hidden = !figures.length;
  figures.forEach(prepare);
  for (const holder of document.querySelectorAll(".setting")) {
    const setting = data.settings[Number(holder.dataset.setting)];
    const select = holder.querySelector(".view");
    setting.views.forEach((view) => select.append(make("option", { value: view.name }, view.title)));
    select.addEventListener("change", () => repaint(holder, setting, setting.views[select.selectedIndex]));
    holder.querySelector(".tools").hidden = setting.views.length < 2;
  }
})();
