// The tab Compare: the tables of studies, sorted and filtered, beside a plot of any two metrics and the details of a row.
"use strict";

(function () {
  const ARROWS = { lower: " ↓", higher: " ↑", none: "" };
  const MARGIN = { left: 62, right: 16, top: 14, bottom: 40 };
  const CONTROL = "control";  // fitted for comparison only; its values would stretch every axis
  const SVG = "http://www.w3.org/2000/svg";
  const SIDES = { x0: -Infinity, x1: Infinity, y0: -Infinity, y1: Infinity };  // of a selection in the plot that is open

  /** A selection as text for the address, and back; an open side is empty. */
  const asText = (brush) => brush && Object.keys(SIDES).map((side) => (Number.isFinite(brush[side]) ? brush[side] : "")).join();
  function asBrush(text) {
    const parts = (text || "").split(",");
    const brush = Object.fromEntries(Object.entries(SIDES).map(([side, open], i) => [side, parts[i] ? Number(parts[i]) : open]));
    return parts.length === 4 && !Object.values(brush).some(Number.isNaN) ? brush : null;
  }

  function svg(name, properties = {}, ...children) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  zoo.tab("compare", "Compare", function (element, data, address) {
    if (!data.studies.length) return element.append(zoo.el("p", {}, "No study has been run yet: zoo study mnist"));
    const named = (list, name) => list.find((each) => each.name === name);
    let study = named(data.studies, address.get("study")) || named(data.studies, "mnist") || data.studies[0];
    const metric = (name) => named(study.metrics, name);
    const first = (...names) => names.find(metric) || study.metrics[0].name;
    const list = (key) => (address.get(key) ? address.get(key).split(",") : null);
    const state = {
      x: address.get("x"), y: address.get("y"), logX: address.get("logx"), logY: address.get("logy"),
      sort: address.get("sort"), down: address.get("down") === "1", text: address.get("name") || "",
      families: list("families"), columns: list("columns"), row: address.get("row"), brush: asBrush(address.get("brush")),
    };

    /** Best first, by the first column. */
    function best() {
      const sort = first(study.shown[0]);
      return { sort, down: metric(sort).direction === "higher" };
    }

    function settle() {
      if (!metric(state.x)) state.x = first("macs", "parameters");
      if (!metric(state.y)) state.y = first("mse", study.shown[0]);
      if (!metric(state.sort) && state.sort !== "name") Object.assign(state, best());
      for (const axis of ["X", "Y"]) {
        if (state[`log${axis}`] === null) state[`log${axis}`] = spread(axis) > 20 ? "1" : "0";
      }
      state.columns = (state.columns || study.shown).filter(metric);
      const families = present();
      state.families = state.families ? families.filter((each) => state.families.includes(each)) : families.filter((each) => each !== CONTROL);
      if (!state.families.length) state.families = families;
      if (!named(study.rows, state.row)) state.row = null;
    }

    const present = () => data.families.map(([family]) => family).filter((family) => study.rows.some((row) => row.family === family));
    const value = (row, name) => (row.cells[name] ? row.cells[name][0] : undefined);
    const hues = Object.fromEntries(data.families);
    const colour = (family) => (hues[family] === null ? "var(--quiet)" : `oklch(var(--shade-of-family) ${hues[family]}turn)`);

    function spread(axis) {
      const values = study.rows.filter((row) => row.family !== CONTROL).map((row) => value(row, state[axis.toLowerCase()])).filter((each) => each !== undefined);
      return Math.min(...values) > 0 ? Math.max(...values) / Math.min(...values) : 0;
    }

    const matching = () => study.rows.filter(
      (row) => state.families.includes(row.family) && state.text.toLowerCase().split(/\s+/).every((word) => row.name.toLowerCase().includes(word))
    );

    function inBrush(row) {
      if (!state.brush) return true;
      const [x, y] = [value(row, state.x), value(row, state.y)];
      if (x === undefined || y === undefined) return false;
      const { x0, x1, y0, y1 } = state.brush;
      return x >= x0 && x <= x1 && y >= y0 && y <= y1;
    }

    function sorted(rows) {
      if (state.sort === "name") return [...rows].sort((a, b) => (state.down ? -1 : 1) * a.name.localeCompare(b.name));
      const sign = state.down ? -1 : 1;
      return [...rows].sort((a, b) => {
        const [p, q] = [value(a, state.sort), value(b, state.sort)];
        if (p === undefined || q === undefined) return (p === undefined) - (q === undefined);
        return sign * (p - q);
      });
    }

    function keep() {
      const every = present().filter((each) => each !== CONTROL);
      zoo.keep("compare", {
        study: study.name, x: state.x, y: state.y, logx: state.logX, logy: state.logY, sort: state.sort, down: state.down ? "1" : null,
        name: state.text, families: state.families.join() === every.join() ? null : state.families.join(),
        columns: state.columns.join() === study.shown.filter(metric).join() ? null : state.columns.join(), row: state.row,
        brush: asText(state.brush),
      });
    }

    // ---- table

    const table = zoo.el("table");
    const count = zoo.el("span", { className: "quiet" });

    function heading(name, text, title, order) {
      const on = state.sort === name;
      const press = () => {
        Object.assign(state, { sort: name, down: on ? !state.down : order === "higher" });
        update();
        table.querySelector(`[data-sort="${name}"]`).focus();
      };
      const button = zoo.button(text, press, { title });
      button.dataset.sort = name;
      if (on) button.append(zoo.el("span", { "aria-hidden": "true" }, state.down ? " ▾" : " ▴"));
      const cell = zoo.el("th", { scope: "col" }, button);
      if (on) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      return cell;
    }

    function cell(row, name) {
      const found = row.cells[name];
      if (!found) return zoo.el("td", { className: "empty", title: "does not apply, or was not measured" }, "–");
      if (!row.best.includes(name)) return zoo.el("td", {}, found[2]);
      const about = "best, or not distinguishable from best";
      return zoo.el("td", { className: "best", title: about }, found[2], zoo.el("span", { className: "unseen" }, ` (${about})`));
    }

    function paintTable() {
      const rows = sorted(matching().filter(inBrush));
      const heads = state.columns.map((name) => {
        const { unit, direction, definition } = metric(name);
        return heading(name, name.replaceAll("_", " ") + ARROWS[direction], `${unit === "1" ? "" : `${unit}. `}${definition}`, direction);
      });
      const body = rows.map((row) => {
        const [variant, ...changes] = row.name.split(" ");
        const open = zoo.button(variant, () => select(row.name));
        if (changes.length) open.append(" ", zoo.el("small", {}, changes.join(" ")));
        const name = zoo.el("th", { scope: "row" }, zoo.el("i", { className: "dot", style: `--dot: ${colour(row.family)}` }), open);
        const line = zoo.el("tr", {}, name, state.columns.map((each) => cell(row, each)));
        if (row.name === state.row) line.className = "selected";
        line.onclick = () => select(row.name);
        return line;
      });
      table.replaceChildren(
        zoo.el("caption", { className: "unseen" }, `Study ${study.name}: ${study.scope}`),
        zoo.el("thead", {}, zoo.el("tr", {}, heading("name", "method", "name of the method"), heads)), zoo.el("tbody", {}, body)
      );
      count.textContent = `${rows.length} of ${study.rows.length} rows`;
      clear.hidden = !state.brush;
    }

    // ---- plot

    const plot = svg("svg", { role: "img", class: "plot" });

    function axis(name, log, length, flipped) {
      const rows = matching();
      const ends = rows.flatMap((row) => (row.cells[name] ? [-1, 0, 1].map((sign) => row.cells[name][0] + sign * row.cells[name][1]) : []));
      const values = log ? ends.filter((each) => each > 0) : ends;
      const f = log ? Math.log10 : (each) => each;
      let [low, high] = values.length ? [Math.min(...values.map(f)), Math.max(...values.map(f))] : [0, 1];
      const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
      [low, high] = [low - room, high + room];
      const at = (each) => {
        const part = (f(each) - low) / (high - low);
        return (flipped ? 1 - part : part) * length;
      };
      const back = (place) => {
        const part = low + ((flipped ? length - place : place) / length) * (high - low);
        return log ? 10 ** part : part;
      };
      return { at, back, ticks: log ? logTicks(low, high) : ticks(low, high) };
    }

    function ticks(low, high) {
      const rough = (high - low) / 5;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
      const found = [];
      for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
      return found;
    }

    function logTicks(low, high) {
      const found = [];
      const parts = high - low < 1.5 ? [1, 2, 5] : [1];
      for (let power = Math.floor(low); power <= high; power++) {
        for (const part of parts) {
          const tick = part * 10 ** power;
          if (Math.log10(tick) >= low && Math.log10(tick) <= high) found.push(tick);
        }
      }
      return found.length > 1 ? found : ticks(10 ** low, 10 ** high);
    }

    const short = (number) => (Math.abs(number) >= 1e4 ? Intl.NumberFormat("en", { notation: "compact" }).format(number) : zoo.number(number));
    const title = (name) => {
      const { unit, direction } = metric(name);
      return name.replaceAll("_", " ") + ARROWS[direction] + (unit === "1" || unit === name ? "" : ` (${unit})`);
    };

    let scales = null;
    function paintPlot() {
      const width = plot.clientWidth || 560;
      const height = plot.clientHeight || 400;
      plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const [w, h] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
      const x = axis(state.x, state.logX === "1", w, false);
      const y = axis(state.y, state.logY === "1", h, true);
      scales = { x, y, w, h };
      const inner = svg("g", { transform: `translate(${MARGIN.left} ${MARGIN.top})` });
      for (const tick of x.ticks) {
        inner.append(svg("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: 0, y2: h }), svg("text", { class: "tick", x: x.at(tick), y: h + 15, "text-anchor": "middle" }, zoo.tick(tick, x.ticks)));
      }
      for (const tick of y.ticks) {
        inner.append(svg("line", { class: "grid", x1: 0, x2: w, y1: y.at(tick), y2: y.at(tick) }), svg("text", { class: "tick", x: -6, y: y.at(tick) + 4, "text-anchor": "end" }, zoo.tick(tick, y.ticks)));
      }
      inner.append(svg("text", { class: "label", x: w / 2, y: h + 34, "text-anchor": "middle" }, title(state.x)));
      inner.append(svg("text", { class: "label", transform: `translate(-50 ${h / 2}) rotate(-90)`, "text-anchor": "middle" }, title(state.y)));
      if (state.brush) {
        const place = (at, value, length, open) => (Number.isFinite(at(value)) ? Math.min(Math.max(at(value), 0), length) : open);
        const { x0, x1, y0, y1 } = state.brush;
        const [left, right] = [place(x.at, x0, w, 0), place(x.at, x1, w, w)];
        const [bottom, top] = [place(y.at, y0, h, h), place(y.at, y1, h, 0)];
        inner.append(svg("rect", { class: "brush", x: left, width: right - left, y: top, height: bottom - top }));
      }
      const drawable = (number, log) => number !== undefined && (log !== "1" || number > 0);
      const rows = matching().filter((row) => drawable(value(row, state.x), state.logX) && drawable(value(row, state.y), state.logY));
      const dots = rows.map((row) => ({ row, x: x.at(value(row, state.x)), y: y.at(value(row, state.y)) }));
      for (const { row, x: cx, y: cy } of dots) inner.append(...bars(row, cx, cy, x, y));
      for (const { row, x: cx, y: cy } of dots) {
        const dot = svg("circle", { cx, cy, r: row.name === state.row ? 8 : 5.5, class: row.name === state.row ? "dot selected" : inBrush(row) ? "dot" : "dot out", style: `fill: ${colour(row.family)}` });
        dot.append(svg("title", {}, `${row.name}: ${state.y} ${row.cells[state.y][2]}, ${state.x} ${row.cells[state.x][2]}`));
        dot.onclick = () => select(row.name);
        inner.append(dot);
      }
      inner.append(...labels(dots, w, h));
      plot.replaceChildren(inner);
      plot.setAttribute("aria-label", `Plot of ${state.y} against ${state.x} for ${dots.length} methods; the table has the numbers.`);
    }

    function bars(row, cx, cy, x, y) {
      const line = (name) => {
        const [mean, half] = row.cells[name];
        return half ? [mean - half, mean + half] : null;
      };
      const [across, down] = [line(state.x), line(state.y)];
      const placed = (at, value, end) => (Number.isFinite(at(value)) ? at(value) : end); // below 0 on a logarithmic axis
      const style = `stroke: ${colour(row.family)}`;
      return [
        ...(across ? [svg("line", { class: "interval", style, x1: placed(x.at, across[0], 0), x2: x.at(across[1]), y1: cy, y2: cy })] : []),
        ...(down ? [svg("line", { class: "interval", style, x1: cx, x2: cx, y1: placed(y.at, down[0], scales.h), y2: y.at(down[1]) })] : []),
      ];
    }

    /** Names beside the dots, wherever there is room for one: the selected row first. */
    function labels(dots, w, h) {
      const taken = dots.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
      const free = (box) => box[0] >= 0 && box[2] <= w + MARGIN.right && box[1] >= -MARGIN.top && box[3] <= h && !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
      const order = [...dots].sort((a, b) => (b.row.name === state.row) - (a.row.name === state.row));
      return order.flatMap(({ row, x, y }) => {
        const text = row.variant === row.name || study.rows.filter((each) => each.variant === row.variant).length === 1 ? row.variant : row.name;
        const wide = 6.6 * text.length;
        const places = [[x + 9, y + 4, "start"], [x - 9, y + 4, "end"], [x, y - 9, "middle"], [x, y + 17, "middle"], [x + 8, y - 7, "start"], [x - 8, y + 14, "end"]];
        for (const [at, base, anchor] of places) {
          const left = anchor === "start" ? at : anchor === "end" ? at - wide : at - wide / 2;
          const box = [left, base - 10, left + wide, base + 2];
          if (!free(box)) continue;
          taken.push(box);
          return [svg("text", { class: row.name === state.row ? "name selected" : "name", x: at, y: base, "text-anchor": anchor }, text)];
        }
        return [];
      });
    }

    let start = null;
    const inPlot = (event) => {
      const box = plot.getBoundingClientRect();
      return [Math.min(Math.max(event.clientX - box.left - MARGIN.left, 0), scales.w), Math.min(Math.max(event.clientY - box.top - MARGIN.top, 0), scales.h)];
    };
    plot.addEventListener("pointerdown", (event) => {
      if (event.target.classList.contains("dot") || event.pointerType === "touch") return;
      start = inPlot(event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      if (!start) return;
      const here = inPlot(event);
      if (Math.hypot(here[0] - start[0], here[1] - start[1]) < 4) return;
      const order = (a, b) => [Math.min(a, b), Math.max(a, b)];
      const [[x0, x1], [top, bottom]] = [order(start[0], here[0]), order(start[1], here[1])];
      state.brush = { x0: scales.x.back(x0), x1: scales.x.back(x1), y0: scales.y.back(bottom), y1: scales.y.back(top) };
      paintPlot();
      paintTable();
      fillRanges();
    });
    plot.addEventListener("pointerup", (event) => {
      if (start && Math.hypot(...inPlot(event).map((each, i) => each - start[i])) < 4) state.brush = null;
      if (start) update();
      start = null;
    });

    // ---- details of a row

    const details = zoo.el("section", { className: "details", "aria-label": "Details of the chosen method" });

    function select(name) {
      state.row = name;
      update();
      reveal();
      zoo.say(`${name}: details below the plot`);
    }

    /** Scroll the table, and nothing else, to the chosen row. */
    function reveal() {
      const line = table.querySelector(".selected");
      if (!line) return;
      const [inside, outside] = [line.getBoundingClientRect(), scroller.getBoundingClientRect()];
      if (inside.top < outside.top + 36 || inside.bottom > outside.bottom) scroller.scrollTop += inside.top - outside.top - outside.height / 2;
    }

    const STRIPS = {
      original: "test images", reconstruction: "reconstructions", corrupted: "corrupted", restored: "restored",
      samples: "samples", atoms: "atoms of the decoder", planted: "atoms of the data",
    };

    const ABSENT = {  // what a row without such images says
      corrupted: "Fitted without a corruption, so no corrupted images are shown.",
      samples: "Its code has no prior, so there are no samples.",
    };

    function paintDetails() {
      const row = named(study.rows, state.row);
      if (!row) return details.replaceChildren(zoo.el("p", { className: "note" }, "Choose a row or a dot: its images, training curve, configuration and command appear here. Drag in the plot to filter the table."));
      const pictures = Object.entries(STRIPS).filter(([kind]) => kind in row.strips).map(([kind, label]) =>
        zoo.el("div", { className: "strip" }, zoo.el("span", {}, label), zoo.el("img", { src: `data:image/png;base64,${data.strips[row.strips[kind]]}`, alt: `${label} of ${row.name}` }))
      );
      const absent = pictures.length ? Object.keys(ABSENT).filter((kind) => !(kind in row.strips)).map((kind) => ABSENT[kind]) : [];
      const code = zoo.el("code", {}, row.command);
      const copy = zoo.button("Copy", () => navigator.clipboard.writeText(row.command).then(() => (copy.textContent = "Copied"), () => getSelection().selectAllChildren(code)));
      const json = JSON.stringify(recordOf(row), null, 1);
      const save = zoo.el("a", { download: `${row.variant}-${row.hash}.json`, href: URL.createObjectURL(new Blob([json], { type: "application/json" })) }, "save as JSON");
      details.replaceChildren(
        zoo.el("div", { className: "title" }, zoo.el("h2", {}, row.name), zoo.el("span", { className: "quiet" }, `${row.family} · seed${row.seeds.length > 1 ? "s" : ""} ${row.seeds.join(", ")}`)),
        zoo.el("p", { className: "quiet" }, data.methods[row.variant] || ""),
        zoo.el("div", { className: "strips" }, pictures),
        ...(absent.length ? [zoo.el("p", { className: "note" }, absent.join(" "))] : []),
        curve(row),
        zoo.el("div", { className: "command" }, code, copy),
        zoo.el("details", {}, zoo.el("summary", {}, "Configuration"), zoo.el("pre", { tabIndex: 0 }, yaml(row.config))),
        zoo.el("details", {}, zoo.el("summary", {}, "Record (fit of the first seed, means of all)"), zoo.el("p", {}, save, " · ", zoo.el("a", { href: row.record }, "whole record")), zoo.el("pre", { tabIndex: 0 }, json))
      );
    }

    function recordOf(row) {
      const metrics = Object.fromEntries(Object.entries(row.cells).map(([name, [mean, half]]) => [name, { mean, half_width: half, ...metric(name), name: undefined }]));
      return { name: row.name, variant: row.variant, data: study.data, seeds: row.seeds, hash: row.hash, config: row.config, fit: row.fit, environment: row.environment, metrics };
    }

    function yaml(node, indent = "") {
      return Object.entries(node).map(([key, each]) => {
        const nested = each && typeof each === "object" && !Array.isArray(each) && Object.keys(each).length;
        return nested ? `${indent}${key}:\n${yaml(each, `${indent}  `)}` : `${indent}${key}: ${JSON.stringify(each)}`;
      }).join("\n");
    }

    function curve(row) {
      const { epoch, ...lines } = row.curves;
      const names = Object.keys(lines);
      if (!epoch || epoch.length < 2 || !names.length) return zoo.el("p", { className: "note" }, "No training curve: a closed form, or a single epoch.");
      const [w, h, left] = [360, 110, 52];
      const all = names.flatMap((name) => lines[name]);
      const [low, high] = [zoo.quantile(all, 0), zoo.quantile(all, 0.97)];
      const at = (n, number) => `${left + ((epoch[n] - epoch[0]) / (epoch.at(-1) - epoch[0])) * (w - left - 8)},${(8 + (1 - (Math.min(number, high) - low) / (high - low || 1)) * (h - 30)).toFixed(1)}`;
      const drawing = svg("svg", { class: "curve", viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `Training curve of ${row.name}: ${names.map((name) => `${name} ends at ${zoo.number(lines[name].at(-1))}`).join(", ")}` });
      names.forEach((name, i) => drawing.append(svg("polyline", { class: `line${i}`, points: lines[name].map((number, n) => at(n, number)).join(" ") })));
      drawing.append(
        svg("text", { class: "tick", x: left - 4, y: 16, "text-anchor": "end" }, short(high)), svg("text", { class: "tick", x: left - 4, y: h - 22, "text-anchor": "end" }, short(low)),
        svg("text", { class: "tick", x: left, y: h - 5 }, `epoch ${epoch[0]}`), svg("text", { class: "tick", x: w - 8, y: h - 5, "text-anchor": "end" }, `epoch ${epoch.at(-1)}`)
      );
      const key = zoo.el("p", { className: "note key" }, names.map((name, i) => zoo.el("span", { className: `key${i}` }, name.startsWith("train") ? "training" : "validation")), " negative log-likelihood (nats per sample)");
      return zoo.el("div", {}, drawing, key);
    }

    // ---- controls

    const controls = zoo.el("div", { className: "row controls" });
    const families = zoo.el("div", { className: "classes families", role: "group", "aria-label": "Families" });
    const picker = zoo.el("details", { className: "picker" });
    const axes = zoo.el("div", { className: "row axes" });
    const ranges = zoo.el("details", { className: "picker" });
    const about = zoo.el("p", { className: "note" });
    const clear = zoo.button("Clear the selection in the plot", () => { state.brush = null; update(); });
    const search = zoo.el("input", { type: "search", placeholder: "vae, topk …", value: state.text, size: 12 });
    search.oninput = () => { state.text = search.value; update(); };

    const tick = (text, checked, change) => {
      const box = zoo.el("input", { type: "checkbox", checked });
      box.onchange = () => change(box.checked);
      return zoo.el("label", { className: "field" }, box, text);
    };

    function grouped() {
      const groups = new Map();
      for (const each of study.metrics) groups.set(each.group, [...(groups.get(each.group) || []), each.name]);
      return [...groups];
    }

    function metricSelect(label, key) {
      const select = zoo.el("select", {}, grouped().map(([group, names]) => zoo.el("optgroup", { label: group }, names.map((name) => zoo.el("option", { value: name, selected: name === state[key] }, name.replaceAll("_", " "))))));
      select.onchange = () => {
        Object.assign(state, { [key]: select.value, [`log${key.toUpperCase()}`]: null, brush: null });
        arrange();
      };
      return zoo.el("label", { className: "field" }, zoo.el("span", {}, label), select);
    }

    /** The selection in the plot as numbers, for those who have no mouse. */
    const bounds = Object.fromEntries(Object.entries(SIDES).map(([side, open]) => {
      const input = zoo.el("input", { type: "number", step: "any" });
      input.onchange = () => {
        const brush = { ...SIDES, ...state.brush, [side]: input.value === "" ? open : Number(input.value) };
        state.brush = Object.values(brush).some(Number.isFinite) ? brush : null;
        update();
      };
      return [side, input];
    }));

    function fillRanges() {
      for (const [side, input] of Object.entries(bounds)) {
        input.value = state.brush && Number.isFinite(state.brush[side]) ? Number(state.brush[side].toPrecision(4)) : "";
      }
    }

    function range(name, low, high) {
      const field = (label, side) => zoo.el("label", { className: "field" }, zoo.el("span", {}, label), bounds[side]);
      return zoo.el("fieldset", {}, zoo.el("legend", {}, name.replaceAll("_", " ")), field("from", low), field("to", high));
    }

    /** Rebuild the controls that depend on the study or the axes. */
    function arrange() {
      settle();
      const choices = data.studies.map((each) => [each.name, `${each.name} (${each.rows.length})`]);
      controls.replaceChildren(
        zoo.select("Study", choices, study.name, (name) => {
          study = named(data.studies, name);
          Object.assign(state, { families: null, columns: null, row: null, brush: null, logX: null, logY: null });
          arrange();
        }),
        zoo.el("label", { className: "field" }, zoo.el("span", {}, "Name"), search), count, clear
      );
      about.textContent = `${study.about}. ${study.data}: ${study.scope}${study.shared.length ? `, all with ${study.shared.join(" ")}` : ""}. Mean ± half of the 95 % interval; ↓ lower is better; bold: best, or not distinguishable from best.`;
      families.replaceChildren(...present().map((family) => {
        const press = () => {
          const on = state.families.includes(family);
          const next = on ? state.families.filter((each) => each !== family) : [...state.families, family];
          state.families = next.length ? next : present();
          arrange();
          families.querySelector(`[value="${family}"]`).focus();
        };
        const button = zoo.button("", press, { value: family });
        button.append(zoo.el("i", { style: `--dot: ${colour(family)}` }), family);
        button.setAttribute("aria-pressed", state.families.includes(family));
        return button;
      }));
      picker.replaceChildren(
        zoo.el("summary", {}, "Columns"),
        ...grouped().map(([group, names]) => zoo.el("fieldset", {}, zoo.el("legend", {}, group), names.map((name) =>
          tick(name.replaceAll("_", " "), state.columns.includes(name), (on) => {
            const chosen = on ? [...state.columns, name] : state.columns.filter((each) => each !== name);
            state.columns = study.metrics.map((each) => each.name).filter((each) => chosen.includes(each));
            update();
          })
        )))
      );
      axes.replaceChildren(
        metricSelect("Down", "y"), tick("log", state.logY === "1", (on) => { state.logY = on ? "1" : "0"; state.brush = null; update(); }),
        metricSelect("Across", "x"), tick("log", state.logX === "1", (on) => { state.logX = on ? "1" : "0"; state.brush = null; update(); })
      );
      ranges.replaceChildren(zoo.el("summary", {}, "Show a range only"), range(state.y, "y0", "y1"), range(state.x, "x0", "x1"));
      update();
    }

    function update() {
      paintTable();
      paintPlot();
      fillRanges();
      paintDetails();
      keep();
      element.dataset.ready = "true";
    }

    const scroller = zoo.el("div", { className: "scroller", tabIndex: 0, role: "region", "aria-label": "Table of results" }, table);
    element.append(
      zoo.el("div", { className: "left" }, controls, families, about, scroller, picker),
      zoo.el("div", { className: "right" }, axes, plot, ranges, details)
    );
    arrange();
    reveal();
    new ResizeObserver(paintPlot).observe(plot);
    return { shown: update };
  });
})();
