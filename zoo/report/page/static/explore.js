// The tab Explore: code planes side by side. Drag in one, and its method draws; the others look at its drawing.
"use strict";

(function () {
  const ENDS = [0.015, 0.985];  // quantiles of the codes that a plane shows
  const MAP = 13;  // images a side in a decoded map
  const PEN = 0.085;  // width of the pen, as a fraction of the drawing
  const CANVAS = 140;  // pixels a side of a drawing
  const MOST_HIDDEN = 0.8;  // of the shorter side

  zoo.tab("explore", "Explore", function (element, sets, address) {
    const state = {
      set: Math.max(0, sets.findIndex((set) => set.name === address.get("data"))),
      view: 0, image: 0, target: 1, noise: 0, hidden: 0, at: [0.5, 0.5], morph: 0,
      map: address.get("map") === "1", drawer: null, code: null, drawing: null, pen: false, only: null, chosen: 0,
    };
    const numbers = Number(address.get("numbers"));
    state.view = Math.max(0, sets[state.set].views.findIndex((view) => view.numbers === numbers));
    const share = (name) => Math.min(Math.max(Number(address.get(name)) || 0, 0), 1);
    let asked = { image: Number(address.get("image")), target: Number(address.get("to")), noise: share("noise"), hidden: share("hidden"), morph: share("morph") };
    let set, models, images, cards, noise;
    const random = zoo.uniform(7);

    // ---- what every method sees

    function clean() {
      if (state.drawer) return state.drawer.model.decode(state.drawer.model.snap(state.code));
      if (state.drawing) return state.drawing;
      const image = images[state.image];
      if (!state.morph) return image;
      return image.map((value, i) => value + state.morph * (images[state.target][i] - value));
    }

    function corrupted(image) {
      const { height, width } = set;
      const side = state.hidden * Math.min(height, width);
      const [x0, y0] = [state.at[0] * (width - side), state.at[1] * (height - side)];
      return image.map((value, i) => {
        const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
        const masked = x > x0 && x < x0 + side && y > y0 && y < y0 + side;
        return masked ? 0 : value + state.noise * noise[i];
      });
    }

    const morphing = () => state.morph > 0 && !state.drawer && !state.drawing;
    const changed = () => state.noise > 0 || state.hidden > 0;

    /** The code of each method, its drawing, and its squared error; no error where there is nothing to compare with. */
    function results(target, seen) {
      const ends = morphing() ? [state.image, state.target].map((each) => corrupted(images[each])) : null;
      return models.map(({ model, ...method }) => {
        if (state.drawer && state.drawer.name === method.name) return { code: model.snap(state.code), image: target };
        if (ends) {
          const [a, b] = ends.map((end) => model.encode(end));
          const code = model.snap(a.map((value, i) => value + state.morph * (b[i] - value)));
          return { code, image: model.decode(code), path: [a, b] };
        }
        const code = model.encode(seen);
        const image = model.decode(code);
        return { code, image, error: zoo.squaredError(image, target) };
      });
    }

    // ---- the picture at the left

    const subject = zoo.el("canvas", { role: "img" });
    const strokes = zoo.el("canvas", { width: CANVAS, height: CANVAS }).getContext("2d", { willReadFrequently: true });
    const caption = zoo.el("figcaption");
    const frame = zoo.el("div", { className: "frame" }, subject);
    const figure = zoo.el("figure", { className: "subject" }, frame, caption);

    function describe() {
      const name = set.classes.length ? `test image (${set.classes[set.labels[state.image]]})` : `test image (${state.image + 1})`;
      if (state.drawer) return `Drawn by ${state.drawer.name}; the other methods encode its drawing.`;
      if (state.pen && !state.drawing) return "Draw a digit here, with the mouse or a finger.";
      if (state.drawing) return "Your drawing, centred and scaled like the training images.";
      if (morphing()) return `Pixels mixed; each method interpolates linearly between the two codes.`;
      const image = `All methods encode this ${name}`;
      if (changed()) return `${image}; errors are against the clean one.`;
      return `${image}. Drag in a plane to draw another.`;
    }

    function paintSubject(seen) {
      if (subject.width !== set.width || subject.height !== set.height) [subject.width, subject.height] = [set.width, set.height];
      zoo.paint(subject.getContext("2d"), seen, set);
      const text = describe();
      caption.textContent = text;
      subject.setAttribute("aria-label", `What the methods encode. ${text}`);
      figure.classList.toggle("drawing", state.pen);
      figure.classList.toggle("masking", !state.pen && state.hidden > 0);
    }

    const place = (event, box) => [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];

    function drag(area, down, move) {
      area.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || !down(event)) return;
        event.preventDefault();
        area.setPointerCapture(event.pointerId);
        area.onpointermove = move;
        area.onpointerup = area.onpointercancel = () => (area.onpointermove = null);
      });
    }

    let last = null;
    function stroke(event) {
      const box = frame.getBoundingClientRect();
      const here = place(event, box).map((part) => part * CANVAS);
      Object.assign(strokes, { lineWidth: PEN * CANVAS, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
      strokes.beginPath();
      strokes.moveTo(...(last || here));
      strokes.lineTo(here[0] + 0.01, here[1]);
      strokes.stroke();
      last = here;
      const { data } = strokes.getImageData(0, 0, CANVAS, CANVAS);
      const ink = Float32Array.from({ length: CANVAS * CANVAS }, (_, i) => data[4 * i + 3] / 255);
      state.drawing = zoo.centred(ink, CANVAS, set.height, set.width, set.box);
      state.drawer = null;
      update();
    }

    function moveMask(event) {
      state.at = place(event, frame.getBoundingClientRect()).map((part) => Math.min(Math.max(part, 0), 1));
      update();
    }
    drag(
      frame,
      (event) => {
        last = null;
        if (state.pen) stroke(event);
        else if (state.hidden) moveMask(event);
        return state.pen || state.hidden > 0;
      },
      (event) => (state.pen ? stroke(event) : moveMask(event))
    );

    // ---- a card for each method

    function makeCard(method, index) {
      const hand = zoo.el("canvas", { className: "hand", tabIndex: 0, role: "application" });
      const ground = zoo.el("canvas", { "aria-hidden": "true" });
      const drawn = zoo.el("canvas", { width: set.width, height: set.height, role: "img" });
      const error = zoo.el("strong");
      const bar = zoo.el("i");
      const about = zoo.el("p", { title: method.about }, method.about.split(",")[0]);
      const title = zoo.el("h2", {}, method.name);
      const result = zoo.el("div", { className: "result" }, drawn, error, zoo.el("div", { className: "bar" }, bar));
      const unit = zoo.el("span", {}, "squared error");
      result.append(unit);
      const pick = zoo.button("", () => choose(index), { className: "choose" });
      pick.setAttribute("aria-label", `Show the plane of ${method.name}`);
      const plane = zoo.el("div", { className: "plane" }, ground, hand);
      const card = zoo.el(
        "article", { className: "card" },
        zoo.el("header", {}, title, about), zoo.el("div", { className: "body" }, plane, result), pick
      );
      const size = method.codes.length / set.count;
      const codes = Array.from({ length: set.count }, (_, n) => method.codes.subarray(n * size, (n + 1) * size));
      const ranges = rangesOf(codes, size);
      const sparse = size > 2 && set.views[state.view].numbers === 2;
      const axes = size === 2 || sparse ? [0, 1] : null;
      const units = sparse ? `the two strongest of ${size} units` : "codes";
      const words = axes ? `plane of ${units}; arrow keys move, with Shift further` : `code of ${size} units; left and right choose a unit, up and down change it`;
      hand.setAttribute("aria-label", `${method.name}: ${words}`);
      const made = { method, card, hand, ground, drawn, error, bar, unit, plane, size, sparse, axes, codes, ranges, unitAt: 0, tip: null };
      listen(made);
      return made;
    }

    /** What is shown of each unit; one range for all where some are almost never active, as in a sparse code. */
    function rangesOf(codes, size) {
      const ranges = Array.from({ length: size }, (_, d) => ENDS.map((q) => zoo.quantile(codes.map((code) => code[d]), q)));
      const sparse = ranges.some(([low, high]) => low === high);
      const all = sparse && [Math.min(...codes.map((code) => Math.min(...code))), Math.max(...codes.map((code) => Math.max(...code)))];
      return ranges.map((own) => {
        const [low, high] = sparse ? all : own;
        const margin = 0.07 * (high - low);
        return [low - margin, high + margin];
      });
    }

    function choose(index) {
      state.chosen = index;
      cards.forEach((each, i) => each.card.classList.toggle("chosen", i === index));
      paintGrounds();
      update();
    }

    /** From a place in a plane, in [0, 1] from its top left, to a code; where there is no plane, one unit changes. */
    function codeAt(made, [x, y], from) {
      const inside = (part) => Math.min(Math.max(part, 0), 1);
      const value = (d, part) => {
        const [low, high] = made.ranges[d];
        const found = low + inside(part) * (high - low);
        return made.sparse ? Math.max(found, 0) : found;
      };
      const code = made.axes ? new Float32Array(made.size) : Float32Array.from(from);
      if (made.axes) made.axes.forEach((d, i) => (code[d] = value(d, i ? 1 - y : x)));
      else code[made.unitAt] = value(made.unitAt, 1 - y);
      return code;
    }

    const unitUnder = (made, x) => Math.min(made.size - 1, Math.max(0, Math.floor(x * made.size)));
    const placeOn = (made, code, d) => Math.min(Math.max((code[d] - made.ranges[d][0]) / (made.ranges[d][1] - made.ranges[d][0]), 0), 1);
    const placeOf = (made, code) => made.axes.map((d) => placeOn(made, code, d));
    const inPlane = (made, code) => !made.sparse || made.axes.some((d) => code[d] !== 0);
    const current = (made) => (state.drawer === made.method ? state.code : made.result.code);

    /** Turn the plane of a sparse code to the two strongest units of the image. */
    function turn(made) {
      const { code } = made.result;
      const strongest = Array.from(code.keys()).sort((i, j) => code[j] - code[i]).slice(0, 2).sort((i, j) => i - j);
      if (strongest.join() === made.axes.join()) return;
      made.axes = strongest;
      paintGround(made);
    }

    function draws(made, code) {
      Object.assign(state, { drawer: made.method, code, morph: 0, drawing: null, pen: false });
      update();
      const near = set.classes.length && made.axes ? `; the nearest test image is ${set.classes[set.labels[nearestTo(made, code)]]}` : "";
      zoo.say(`${made.method.name} at ${(made.axes || [made.unitAt]).map((d) => zoo.number(code[d])).join(", ")}${near}`);
    }

    function nearestTo(made, code) {
      const distance = (other) => other.reduce((sum, value, d) => sum + ((value - code[d]) / (made.ranges[d][1] - made.ranges[d][0])) ** 2, 0);
      const distances = made.codes.map(distance);
      return distances.indexOf(Math.min(...distances));
    }

    function listen(made) {
      const at = (event) => place(event, made.hand.getBoundingClientRect());
      const follow = (event) => draws(made, codeAt(made, at(event), current(made)));
      drag(
        made.hand,
        (event) => {
          point(made, null);
          made.unitAt = unitUnder(made, at(event)[0]);
          made.hand.focus({ preventScroll: true });
          follow(event);
          return true;
        },
        follow
      );
      made.hand.addEventListener("pointermove", (event) => {
        if (event.buttons === 0 && event.pointerType === "mouse") point(made, under(made, event));
      });
      made.hand.addEventListener("pointerleave", () => point(made, null));
      made.hand.addEventListener("keydown", (event) => {
        const [right, up] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] || [0, 0];
        if (!right && !up) return;
        event.preventDefault();
        if (!made.axes && right) {
          made.unitAt = (made.unitAt + right + made.size) % made.size;
          paintHand(made);
          return zoo.say(`unit ${made.unitAt + 1} of ${made.size}`);
        }
        const step = event.shiftKey ? 0.1 : 0.02;
        const [x, y] = made.axes ? placeOf(made, current(made)) : [0, placeOn(made, current(made), made.unitAt)];
        draws(made, codeAt(made, [x + step * right, 1 - y - step * up], current(made)));
      });
    }

    /** The test image whose dot is below the mouse. */
    function under(made, event) {
      if (!made.axes) return null;
      const box = made.hand.getBoundingClientRect();
      const mouse = place(event, box);
      const distances = made.codes.map((code) => {
        if (!inPlane(made, code)) return Infinity;
        const [x, y] = placeOf(made, code);
        return Math.hypot((x - mouse[0]) * box.width, (1 - y - mouse[1]) * box.height);
      });
      const least = Math.min(...distances);
      return least < 7 ? distances.indexOf(least) : null;
    }

    let pointed = null;
    function point(made, index) {
      if (index === pointed && (index === null || made.tip)) return;
      pointed = index;
      for (const each of cards) {
        if (each.tip) each.tip.remove();
        each.tip = null;
        paintHand(each);
      }
      if (index === null) return;
      const canvas = zoo.el("canvas", { width: set.width, height: set.height });
      zoo.paint(canvas.getContext("2d"), images[index], set);
      const text = set.classes.length ? set.classes[set.labels[index]] : "";
      made.tip = zoo.el("div", { className: "tip", "aria-hidden": "true" }, canvas, text);
      const [x, y] = placeOf(made, made.codes[index]);
      const left = x < 0.6 ? `calc(${100 * x}% + 10px)` : `calc(${100 * x}% - 62px)`;
      const top = y > 0.5 ? `${100 * (1 - y)}%` : `calc(${100 * (1 - y)}% - 66px)`;
      made.tip.style.cssText = `left: ${left}; top: ${top}`;
      made.plane.append(made.tip);
    }

    // ---- planes: the ground with dots or the decoded map, and what moves above it

    const colours = () => Array.from({ length: 10 }, (_, i) => zoo.colour(`class${i}`));

    function paintGrounds() {
      for (const made of cards) paintGround(made);
    }

    function paintGround(made) {
      const { context, width, height } = zoo.fitted(made.ground);
      if (!width || !made.axes) return;
      if (state.map) return paintMap(made, context, width, height);
      const palette = colours();
      const radius = width > 260 ? 3 : 2;
      made.codes.forEach((code, n) => {
        if (!inPlane(made, code)) return;
        const label = set.labels[n] ?? 6;
        const [x, y] = placeOf(made, code);
        context.globalAlpha = state.only === null ? 0.8 : state.only === label ? 1 : 0.1;
        context.fillStyle = palette[label % 10];
        context.beginPath();
        context.arc(x * width, (1 - y) * height, radius, 0, 7);
        context.fill();
      });
      context.globalAlpha = 1;
      if (made.sparse) paintAxes(made, context, width, height);
      else if (set.classes.length) paintNames(made, context, width, height);
    }

    /** The units that are the axes of a sparse code's plane, and where they are 0. */
    function paintAxes(made, context, width, height) {
      const [x, y] = placeOf(made, new Float32Array(made.size));
      context.fillStyle = zoo.colour("line");
      context.fillRect(x * width, 0, 1, height);
      context.fillRect(0, (1 - y) * height, width, 1);
      const [across, up] = made.axes.map((d) => `unit ${d + 1}`);
      Object.assign(context, { font: "12px system-ui, sans-serif", textAlign: "right", textBaseline: "bottom", fillStyle: zoo.colour("quiet") });
      context.fillText(`${across} →`, width - 4, (1 - y) * height - 4);
      Object.assign(context, { textAlign: "left", textBaseline: "top" });
      context.fillText(`↑ ${up}`, x * width + 5, 4);
    }

    /** The names of the classes at the medians of their codes, where they are short. */
    function paintNames(made, context, width, height) {
      Object.assign(context, { font: "700 13px system-ui, sans-serif", textAlign: "center", textBaseline: "middle", lineWidth: 3 });
      set.classes.forEach((name, label) => {
        const own = made.codes.filter((_, n) => set.labels[n] === label);
        if (!own.length || (state.only !== null && state.only !== label) || (name.length > 2 && state.only === null)) return;
        const [x, y] = placeOf(made, [0, 1].map((d) => zoo.quantile(own.map((code) => code[d]), 0.5)));
        Object.assign(context, { strokeStyle: zoo.colour("plane"), fillStyle: zoo.colour("text") });
        context.strokeText(name, x * width, (1 - y) * height);
        context.fillText(name, x * width, (1 - y) * height);
      });
    }

    /** What each place of the plane decodes to; hatched where no test image has its code. */
    function paintMap(made, context, width, height) {
      const rows = Math.max(1, Math.round((MAP * height) / width));
      const [wide, high] = [width / MAP, height / rows];
      const tile = zoo.el("canvas", { width: set.width, height: set.height });
      const places = made.codes.filter((code) => inPlane(made, code)).map((code) => placeOf(made, code));
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < MAP; column++) {
          const [x, y] = [(column + 0.5) / MAP, (row + 0.5) / rows];
          zoo.paint(tile.getContext("2d"), made.method.model.decode(made.method.model.snap(codeAt(made, [x, y]))), set);
          context.drawImage(tile, column * wide, row * high, wide, high);
          const near = places.some(([px, py]) => Math.hypot(px - x, 1 - py - y) < 1 / MAP);
          if (!near) hatch(context, column * wide, row * high, wide, high);
        }
      }
    }

    function hatch(context, x, y, width, height) {
      context.save();
      context.beginPath();
      context.rect(x, y, width, height);
      context.clip();
      context.globalAlpha = 0.55;
      context.fillStyle = zoo.colour("plane");
      context.fillRect(x, y, width, height);
      context.globalAlpha = 0.9;
      Object.assign(context, { strokeStyle: zoo.colour("shade"), lineWidth: 1 });
      for (let offset = -height; offset < width; offset += 5) {
        context.beginPath();
        context.moveTo(x + offset, y + height);
        context.lineTo(x + offset + height, y);
        context.stroke();
      }
      context.restore();
    }

    function paintHand(made) {
      const { context, width, height } = zoo.fitted(made.hand);
      if (!width || !made.result) return;
      if (!made.axes) return paintUnits(made, context, width, height);
      const at = (code) => {
        const [x, y] = placeOf(made, code);
        return [7 + x * (width - 14), 7 + (1 - y) * (height - 14)];
      };
      const ring = (code, radius, line) => {
        for (const [style, wide] of [[zoo.colour("plane"), line + 2.5], [zoo.colour("accent"), line]]) {
          context.beginPath();
          context.arc(...at(code), radius, 0, 7);
          Object.assign(context, { strokeStyle: style, lineWidth: wide });
          context.stroke();
        }
      };
      if (made.result.path) {
        const [a, b] = made.result.path;
        context.beginPath();
        context.moveTo(...at(a));
        context.lineTo(...at(b));
        Object.assign(context, { strokeStyle: zoo.colour("accent"), lineWidth: 2 });
        context.stroke();
        ring(a, 3, 2);
        ring(b, 3, 2);
      }
      if (state.drawer === made.method && made.method.model.discrete) ring(made.result.code, 3, 2);
      ring(current(made), 8, 3);
      if (pointed !== null) {
        const [x, y] = placeOf(made, made.codes[pointed]);
        context.beginPath();
        context.arc(x * width, (1 - y) * height, 5, 0, 7);
        Object.assign(context, { strokeStyle: zoo.colour("text"), lineWidth: 2 });
        context.stroke();
      }
    }

    /** A code of more than two units: a bar for each, from 0, within the range of the test images. */
    function paintUnits(made, context, width, height) {
      const code = current(made);
      const wide = width / made.size;
      const focused = document.activeElement === made.hand || state.drawer === made.method;
      const share = ([low, high], value) => Math.min(Math.max(1 - (value - low) / (high - low), 0.01), 0.99) * height;
      const gap = wide > 6 ? 1 : 0.4;
      code.forEach((value, d) => {
        const [from, to] = [share(made.ranges[d], 0), share(made.ranges[d], value)];
        context.fillStyle = zoo.colour("line");
        context.globalAlpha = 0.4;
        context.fillRect(d * wide + gap, 0, wide - 2 * gap, height);
        context.globalAlpha = 1;
        context.fillStyle = zoo.colour(focused && d === made.unitAt ? "good" : "accent");
        context.fillRect(d * wide + gap, Math.min(from, to) - 1, wide - 2 * gap, Math.abs(to - from) + 2);
      });
    }

    // ---- update

    function update() {
      const target = clean();
      const seen = state.drawer || changed() ? corrupted(target) : target;
      paintSubject(seen);
      const found = results(target, seen);
      const errors = found.map(({ error }) => error).filter((error) => error !== undefined);
      const [least, most] = [Math.min(...errors), Math.max(...errors)];
      cards.forEach((made, i) => {
        const { image, error } = (made.result = found[i]);
        zoo.paint(made.drawn.getContext("2d"), image, set);
        const words = error !== undefined ? error.toFixed(1) : morphing() ? "between" : "draws";
        made.error.textContent = words;
        made.error.className = error !== undefined && error.toFixed(1) === least.toFixed(1) ? "best" : "";
        made.unit.textContent = error !== undefined ? "squared error" : morphing() ? "two codes" : "this image";
        made.bar.style.width = error !== undefined ? `${(100 * error) / most}%` : "0";
        made.drawn.setAttribute("aria-label", `drawing of ${made.method.name}${error !== undefined ? `, squared error ${words}` : ""}`);
        made.card.classList.toggle("draws", state.drawer === made.method);
        if (made.sparse && state.drawer !== made.method) turn(made);
        paintHand(made);
      });
      refresh();
    }

    function keep() {
      zoo.keep("explore", {
        data: state.set ? set.name : null,
        numbers: state.view ? set.views[state.view].numbers : null,
        image: state.image || null,
        map: state.map ? 1 : null,
        noise: state.noise || null,
        hidden: state.hidden || null,
        morph: state.morph || null,
        to: state.morph ? state.target : null,
      });
    }

    // ---- controls

    const percent = (value) => `${Math.round(100 * value)} %`;
    const data = zoo.select("Data", sets.map((each, i) => [String(i), each.title]), String(state.set), (value) => {
      Object.assign(state, { set: Number(value), view: 0, only: null });
      load();
    });
    const views = zoo.el("div", { className: "row", role: "group", "aria-label": "Size of the code" });
    const another = zoo.button("Another image", () => { show(Math.floor(random() * set.count)); });
    const draw = zoo.button("Draw a digit", () => {
      Object.assign(state, { pen: !state.pen, drawing: null, drawer: null, morph: 0 });
      strokes.clearRect(0, 0, CANVAS, CANVAS);
      if (state.pen) state.drawing = new Float32Array(set.height * set.width);
      update();
      if (state.pen) {
        state.drawing = null;
        caption.textContent = describe();
      }
    });
    const undo = zoo.button("Reset", () => show(state.image));
    const noisy = zoo.slider("Noise", { value: 0, text: (value) => value.toFixed(2) }, (value) => { state.noise = value; update(); }, keep);
    const hide = zoo.slider("Masked square", { value: 0, max: MOST_HIDDEN, text: percent }, (value) => { state.hidden = value; update(); }, keep);
    const morph = zoo.slider("Morph to another image", { value: 0, text: percent }, (value) => {
      if (state.drawer || state.drawing) Object.assign(state, { drawer: null, drawing: null, pen: false });
      state.morph = value;
      update();
    }, keep);
    const map = zoo.button("Decoded map", () => { state.map = !state.map; paintGrounds(); refresh(); keep(); });
    const classes = zoo.el("div", { className: "classes wide", role: "group", "aria-label": "Show one class" });
    const help = zoo.el("p", { className: "note wide" });

    function show(index) {
      Object.assign(state, { image: index, target: other(index), drawer: null, drawing: null, pen: false, morph: 0, noise: 0, hidden: 0, at: [0.5, 0.5] });
      noise = zoo.normals(set.height * set.width, random);
      strokes.clearRect(0, 0, CANVAS, CANVAS);
      update();
      keep();
      zoo.say(caption.textContent);
    }

    /** Another image, of another class where there are classes. */
    function other(index) {
      const others = images.map((_, n) => n).filter((n) => n !== index && (!set.classes.length || set.labels[n] !== set.labels[index]));
      return others[Math.floor(random() * others.length)];
    }

    function refresh() {
      zoo.moveSlider(noisy, state.noise);
      zoo.moveSlider(hide, state.hidden);
      zoo.moveSlider(morph, state.morph);
      draw.setAttribute("aria-pressed", state.pen);
      map.setAttribute("aria-pressed", state.map);
      for (const button of views.children) button.setAttribute("aria-pressed", Number(button.value) === state.view);
      for (const button of classes.children) button.setAttribute("aria-pressed", Number(button.value) === state.only);
    }

    function choices() {
      views.replaceChildren(
        ...set.views.map((view, i) => zoo.button(`${view.numbers} numbers`, () => { state.view = i; build(); keep(); }, { value: i }))
      );
      views.hidden = set.views.length < 2;
      classes.replaceChildren(
        ...set.classes.map((name, label) => {
          const dot = zoo.el("i", { style: `--dot: var(--class${label % 10})` });
          const press = () => { state.only = state.only === label ? null : label; paintGrounds(); refresh(); };
          const button = zoo.button("", press, { value: label });
          button.append(dot, name);
          return button;
        })
      );
      draw.hidden = !set.box;
    }

    function build() {
      const view = set.views[state.view];
      const plane = view.numbers === 2;
      for (const method of view.methods) {
        method.model ||= zoo.model(method);
        if (method.codes instanceof Uint8Array) method.codes = zoo.floats(method.codes);
      }
      models = view.methods;
      state.drawer = null;
      state.chosen = Math.min(state.chosen, models.length - 1);
      cards = models.map(makeCard);
      cards[state.chosen].card.classList.add("chosen");
      deck.replaceChildren(...cards.map((made) => made.card));
      deck.classList.toggle("few", cards.length <= 4);
      map.hidden = !plane;
      classes.hidden = !plane || !set.classes.length;
      const pixels = (set.height * set.width).toLocaleString("en");
      const sparse = cards.find((made) => made.sparse);
      help.textContent = plane
        ? `Each method turns ${pixels} pixels into two numbers, a place in its plane. Drag in a plane: its method draws what that place means, and the others encode the drawing. Keyboard: Tab to a plane, arrow keys move, Shift moves further.${sparse ? ` ${sparse.method.name} has ${sparse.size} numbers; its plane is that of the image's two strongest.` : ""}`
        : `Each method turns ${pixels} pixels into ${view.numbers} numbers, the bars. Add noise or mask a square and see who repairs the image. Drag a bar: its method draws.`;
      update();
      paintGrounds();
    }

    async function load() {
      set = sets[state.set];
      images = await zoo.pixels(set.sprite, set.height, set.width, set.count, set.across);
      choices();
      noise = zoo.normals(set.height * set.width, random);
      state.image = asked.image in images ? asked.image : 0;
      state.target = asked.morph && asked.target in images ? asked.target : other(state.image);
      Object.assign(state, { morph: asked.morph, noise: asked.noise, hidden: Math.min(asked.hidden, MOST_HIDDEN), drawing: null, pen: false });
      asked = { image: 0, noise: 0, hidden: 0, morph: 0 };
      build();
      keep();
      element.dataset.ready = "true";
    }

    const deck = zoo.el("div", { className: "cards" });
    element.append(
      zoo.el(
        "div", { className: "side" }, figure,
        zoo.el("div", { className: "row" }, data, views), zoo.el("div", { className: "row" }, another, draw, undo, map),
        zoo.el("div", { className: "wide" }, noisy, hide, morph), classes, help
      ),
      deck
    );
    new ResizeObserver(() => { if (cards) { paintGrounds(); cards.forEach(paintHand); } }).observe(deck);
    zoo.onColours(() => { paintGrounds(); update(); });
    load();
    return { shown: () => { paintGrounds(); update(); keep(); } };
  });
})();
