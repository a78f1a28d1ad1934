// What the tabs share: the elements of the page, the state in its address, colours, and how images are painted.
"use strict";

(function () {
  const tabs = [];
  const SEPARATOR = "?";

  /** An element with properties (attributes where no property has the name) and children. */
  zoo.el = function (name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element && key !== "list" && key !== "style") element[key] = value;
      else if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** A labelled control: a select, with [value, text] for each choice. */
  zoo.select = function (label, choices, value, change) {
    const options = choices.map(([each, text]) => zoo.el("option", { value: each, selected: each === value }, text));
    const select = zoo.el("select", { onchange: () => change(select.value) }, options);
    return zoo.el("label", { className: "field" }, zoo.el("span", {}, label), select);
  };

  /** A labelled slider; `text` says its value in words, and `settled` is called when it rests. */
  zoo.slider = function (label, { min = 0, max = 1, step = 0.01, value, text = String }, change, settled = null) {
    const output = zoo.el("output", {}, text(value));
    const input = zoo.el("input", { type: "range", min, max, step, value });
    input.setAttribute("aria-valuetext", text(value));
    input.oninput = () => {
      zoo.moveSlider(field, Number(input.value));
      change(Number(input.value));
    };
    input.onchange = settled;
    const field = zoo.el("label", { className: "field slider" }, zoo.el("span", {}, label), input, output);
    field.moved = (number) => {
      input.value = number;
      output.textContent = text(number);
      input.setAttribute("aria-valuetext", text(number));
    };
    return field;
  };
  zoo.moveSlider = (field, number) => field.moved(number);

  zoo.button = (text, press, properties = {}) => zoo.el("button", { type: "button", onclick: press, ...properties }, text);

  /** Have the screen reader say something, once the reader rests. */
  let waiting = 0;
  zoo.say = function (text) {
    clearTimeout(waiting);
    waiting = setTimeout(() => (document.getElementById("said").textContent = text), 250);
  };

  /** A colour of the style sheet, as it is now. */
  zoo.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  zoo.rgb = (name) => zoo.colour(name).match(/[\da-f]{2}/gi).map((pair) => parseInt(pair, 16));
  zoo.stillness = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  zoo.onColours = (call) => dark.addEventListener("change", call);

  /** Numbers with three significant digits, or as whole numbers with commas. */
  zoo.number = function (value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en");
    if (size < 1e-3) return value.toExponential(1);
    return String(Number(value.toPrecision(3)));
  };

  /** Paint a grey image (height x width numbers) into a canvas context, at a place, from paper to ink. */
  zoo.paint = function (context, image, { height, width, ink }, x = 0, y = 0) {
    const [low, high] = ink ? [zoo.rgb("paper"), zoo.rgb("ink")] : [[0, 0, 0], [255, 255, 255]];
    const pixels = context.createImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const value = Math.min(Math.max(image[i], 0), 1);
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = low[c] + value * (high[c] - low[c]);
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, x, y);
  };

  /** Fit a canvas to its place on the screen: its context, in CSS pixels, and its width and height in these. */
  zoo.fitted = function (canvas) {
    const { width, height } = canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  };

  /** The numbers of the pixels of a PNG, given as bytes, as arrays of one image each. */
  zoo.pixels = function (png, height, width, count, across) {
    return new Promise((resolve) => {
      const picture = new Image();
      picture.onload = () => {
        URL.revokeObjectURL(picture.src);
        const canvas = zoo.el("canvas", { width: picture.width, height: picture.height });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(picture, 0, 0);
        const { data } = context.getImageData(0, 0, picture.width, picture.height);
        resolve(Array.from({ length: count }, (_, n) => {
          const start = Math.floor(n / across) * height * picture.width + (n % across) * width;
          const image = new Float32Array(height * width);
          for (let y = 0, i = 0; y < height; y++) {
            for (let x = 0; x < width; x++) image[i++] = data[4 * (start + y * picture.width + x)] / 255;
          }
          return image;
        }));
      };
      picture.src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    });
  };

  /** A tab: its title, and mount(element, data, state), called when it is opened first. */
  zoo.tab = (name, title, mount) => tabs.push({ name, title, mount });

  /** The address of the page: its tab, and the tab's state. */
  function address() {
    const [name, query = ""] = location.hash.slice(1).split(SEPARATOR);
    return { name: tabs.some((tab) => tab.name === name) ? name : tabs[0].name, state: new URLSearchParams(query) };
  }

  /** Keep values in the address, so that the link shows the same; values that are null are left out. */
  zoo.keep = function (name, values) {
    const state = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== ""));
    const query = state.toString();
    history.replaceState(null, "", `#${name}${query ? SEPARATOR + query : ""}`);
  };

  /** The data of a tab, as zoo/report/page/assemble.py packed it. */
  async function dataOf(name) {
    const packed = zoo.bytes(document.getElementById(`data-${name}`).textContent);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const whole = await new Response(stream).arrayBuffer();
    const length = new DataView(whole).getUint32(0, true);
    const json = new TextDecoder().decode(new Uint8Array(whole, 4, length));
    const bytes = new Uint8Array(whole, 4 + length);
    return JSON.parse(json, (_, value) => (value && value.$bytes ? bytes.subarray(...value.$bytes) : value));
  }

  async function mount(tab, state) {
    const data = await dataOf(tab.name);
    if (!tab.panel.hidden && !tab.opened) tab.opened = tab.mount(tab.panel, data, state) || {};
  }

  function open(name, state) {
    for (const tab of tabs) {
      const chosen = tab.name === name;
      tab.link.setAttribute("aria-selected", chosen);
      tab.link.tabIndex = chosen ? 0 : -1;
      tab.panel.hidden = !chosen;
      if (!chosen) continue;
      if (!tab.opened) mount(tab, state);
      else if (tab.opened.shown) tab.opened.shown();
    }
  }

  function choose(tab) {
    history.replaceState(null, "", `#${tab.name}`);
    open(tab.name, new URLSearchParams());
  }

  function begin() {
    const list = document.getElementById("tabs");
    const main = document.querySelector("main");
    tabs.forEach((tab, place) => {
      tab.link = zoo.button(tab.title, () => choose(tab), { role: "tab", id: `tab-${tab.name}` });
      tab.link.setAttribute("aria-controls", `panel-${tab.name}`);
      tab.link.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = tabs[(place + step + tabs.length) % tabs.length];
        choose(next);
        next.link.focus();
      };
      tab.panel = zoo.el("section", { id: `panel-${tab.name}`, className: tab.name, role: "tabpanel", hidden: true });
      tab.panel.setAttribute("aria-labelledby", `tab-${tab.name}`);
      list.append(tab.link);
      main.append(tab.panel);
    });
    const { name, state } = address();
    open(name, state);
    addEventListener("hashchange", () => location.reload());
  }
  addEventListener("DOMContentLoaded", begin);
})();
