// The tab Words: word embeddings on planes, side by side. One word and its nearest neighbours are shown in all of them.
"use strict";

(function () {
  const ENDS = [0.004, 0.996];  // quantiles of the coordinates that a plane shows
  const EDGE = 0.04;  // the part of a plane that is left free around them
  const REACH = 16;  // pixels from the pointer within which a word is found
  const SECTORS = 10;  // colours: the direction of a word in the first plane
  const ROOM = 7000;  // square pixels of a plane for each word that is written in it
  const LINE = 13;  // pixels of a line of text
  const FONT = "12px system-ui, sans-serif";
  const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  zoo.tab("words", "Words", function (element, data, address) {
    const { words, methods } = data;
    const count = methods[0].neighbours.length / words.length;
    const numberOf = new Map(words.map((word, i) => [word, i]));
    const state = { chosen: numberOf.get(address.get("word")) ?? data.first, pointed: null, marked: null };
    const current = () => state.pointed ?? state.chosen;
    const neighbours = (method, i) => method.neighbours.slice(i * count, (i + 1) * count);

    // ---- a plane for each method

    function makeCard(method) {
      const ground = zoo.el("canvas", { "aria-hidden": "true" });
      const hand = zoo.el("canvas", { className: "hand", tabIndex: 0, role: "application" });
      const points = zoo.floats(method.points);
      const places = words.map(() => [0, 0]);
      for (const d of [0, 1]) {
        const values = points.filter((_, i) => i % 2 === d);
        const [low, high] = ENDS.map((q) => zoo.quantile(values, q));
        values.forEach((value, i) => {
          const part = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
          places[i][d] = EDGE + (1 - 2 * EDGE) * (d ? 1 - part : part);
        });
      }
      const share = `plane: ${Math.round(100 * method.share)} % of variance`;
      const card = zoo.el(
        "article", { className: "embedding" },
        zoo.el("header", {}, zoo.el("h2", {}, method.name), zoo.el("p", { title: method.about }, method.about), zoo.el("span", {}, share)),
        zoo.el("div", { className: "plane" }, ground, hand)
      );
      const made = { method, card, ground, hand, places };
      listen(made);
      return made;
    }

    function listen(made) {
      made.hand.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(under(made, event)); });
      made.hand.addEventListener("pointerleave", () => point(null));
      made.hand.addEventListener("click", (event) => {
        const found = under(made, event);
        if (found !== null) choose(found);
      });
      made.hand.addEventListener("keydown", (event) => {
        const step = STEPS[event.key];
        if (!step) return;
        event.preventDefault();
        const found = towards(made, step);
        if (found !== null) choose(found);
      });
    }

    /** The word whose dot is next to the pointer. */
    function under({ hand, places }, event) {
      const box = hand.getBoundingClientRect();
      const distances = places.map(([x, y]) => Math.hypot(x * box.width - event.clientX + box.left, y * box.height - event.clientY + box.top));
      const least = Math.min(...distances);
      return least < REACH ? distances.indexOf(least) : null;
    }

    /** The word nearest to the chosen one among those that lie in a direction, within 45 degrees. */
    function towards({ places }, [right, down]) {
      const [x0, y0] = places[state.chosen];
      let [best, least] = [null, Infinity];
      places.forEach(([x, y], i) => {
        const along = (x - x0) * right + (y - y0) * down;
        const across = Math.abs((x - x0) * down + (y - y0) * right);
        const distance = Math.hypot(along, across);
        if (along > 0 && across <= along && distance < least) [best, least] = [i, distance];
      });
      return best;
    }

    /** Colours of the words: their directions from the middle of the first plane. */
    function sectors([first]) {
      const middle = [0, 1].map((d) => zoo.quantile(first.places.map((place) => place[d]), 0.5));
      return first.places.map(([x, y]) => {
        const turn = Math.atan2(y - middle[1], x - middle[0]) / (2 * Math.PI) + 0.5;
        return Math.min(Math.floor(turn * SECTORS), SECTORS - 1);
      });
    }

    function dot(context, [x, y], radius) {
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
    }

    const onScreen = ([x, y], width, height) => [x * width, y * height];
    const apart = (a, b) => a.right < b.left || b.right < a.left || a.bottom < b.top || b.bottom < a.top;

    /** Where a text of some width beside a point lies within the plane and apart from other texts; else null. */
    function boxOf(wide, [x, y], taken, width, height) {
      for (const lines of [0, -1, 1, -2, 2, -3, 3]) {
        for (const left of [x + 6, x - 6 - wide, x - wide / 2]) {
          if (lines === 0 && left === x - wide / 2) continue;
          const middle = y + lines * LINE;
          const box = { left, right: left + wide, top: middle - LINE / 2, bottom: middle + LINE / 2, middle };
          if (left > 1 && box.right < width - 1 && box.top > 0 && box.bottom < height && taken.every((other) => apart(box, other))) return box;
        }
      }
      return null;
    }

    function paintGround({ ground, places }) {
      const { context, width, height } = zoo.fitted(ground);
      if (!width) return;
      const palette = Array.from({ length: SECTORS }, (_, i) => zoo.colour(`class${i}`));
      context.globalAlpha = 0.75;
      places.forEach((place, i) => {
        context.fillStyle = palette[sector[i]];
        dot(context, onScreen(place, width, height), 2);
        context.fill();
      });
      context.globalAlpha = 1;
      Object.assign(context, { font: FONT, textBaseline: "middle", lineWidth: 3, lineJoin: "round", strokeStyle: zoo.colour("plane"), fillStyle: zoo.colour("quiet") });
      const taken = [];
      for (let i = 0; i < words.length && taken.length < (width * height) / ROOM; i++) {
        const box = boxOf(context.measureText(words[i]).width, onScreen(places[i], width, height), taken, width, height);
        if (!box) continue;
        taken.push({ ...box, left: box.left - 20, right: box.right + 20, top: box.top - LINE, bottom: box.bottom + LINE });
        context.strokeText(words[i], box.left, box.middle);
        context.fillText(words[i], box.left, box.middle);
      }
    }

    /** The current word, with lines to its neighbours; the other words fade. */
    function paintHand({ method, hand, places }) {
      const { context, width, height } = zoo.fitted(hand);
      if (!width) return;
      const at = (i) => onScreen(places[i], width, height);
      const near = neighbours(method, current());
      context.globalAlpha = 0.55;
      context.fillStyle = zoo.colour("plane");
      context.fillRect(0, 0, width, height);
      context.globalAlpha = 1;
      Object.assign(context, { strokeStyle: zoo.colour("accent"), fillStyle: zoo.colour("accent"), lineWidth: 1.2 });
      for (const i of near) {
        context.beginPath();
        context.moveTo(...at(current()));
        context.lineTo(...at(i));
        context.stroke();
        dot(context, at(i), 3.5);
        context.fill();
      }
      if (state.marked !== null) {
        dot(context, at(state.marked), 8);
        Object.assign(context, { strokeStyle: zoo.colour("good"), lineWidth: 3 });
        context.stroke();
      }
      dot(context, at(current()), 6);
      context.fill();
      const taken = [];
      for (const i of [current(), ...near]) {
        const own = i === current();
        Object.assign(context, { font: own ? "700 15px system-ui, sans-serif" : FONT, textBaseline: "middle", lineWidth: 4, lineJoin: "round" });
        const wide = context.measureText(words[i]).width;
        const [x, y] = at(i);
        const box = boxOf(wide, [x, y], taken, width, height);
        if (!box) continue;
        taken.push(box);
        Object.assign(context, { strokeStyle: zoo.colour("plane"), fillStyle: zoo.colour(i === state.marked ? "good" : "text") });
        context.strokeText(words[i], box.left, box.middle);
        context.fillText(words[i], box.left, box.middle);
      }
    }

    // ---- the neighbours in words

    const title = zoo.el("h2");
    const lists = methods.map((method) => {
      const buttons = Array.from({ length: count }, (_, place) => {
        const mark = () => { state.marked = neighbours(method, state.chosen)[place]; cards.forEach(paintHand); };
        const unmark = () => { state.marked = null; cards.forEach(paintHand); };
        const press = () => { unmark(); choose(neighbours(method, state.chosen)[place]); };
        return zoo.button("", press, { onmouseenter: mark, onmouseleave: unmark, onfocus: mark, onblur: unmark });
      });
      return { method, buttons };
    });
    const near = zoo.el("dl", { className: "near" }, lists.flatMap(({ method, buttons }) => [zoo.el("dt", {}, method.name), zoo.el("dd", {}, buttons)]));

    function paintLists() {
      title.textContent = words[current()];
      const named = methods.flatMap((method) => neighbours(method, current()));
      for (const { method, buttons } of lists) {
        neighbours(method, current()).forEach((i, place) => {
          buttons[place].textContent = words[i];
          buttons[place].classList.toggle("several", named.filter((each) => each === i).length > 1);
        });
      }
    }

    function describe() {
      const each = methods.map((method) => `${method.name}: ${neighbours(method, state.chosen).map((i) => words[i]).join(", ")}`);
      return `${words[state.chosen]}. Nearest words by ${each.join("; by ")}.`;
    }

    // ---- what is chosen and pointed at

    function update() {
      cards.forEach(paintHand);
      paintLists();
    }

    function point(i) {
      if (i === state.pointed) return;
      state.pointed = i;
      update();
    }

    function choose(i) {
      Object.assign(state, { chosen: i, pointed: null });
      missing.textContent = "";
      update();
      keep();
      zoo.say(describe());
    }

    const keep = () => zoo.keep("words", { word: state.chosen === data.first ? null : words[state.chosen] });

    const missing = zoo.el("p", { className: "note", role: "status" });
    function search(text) {
      const asked = text.trim().toLowerCase();
      const found = numberOf.get(asked) ?? words.findIndex((word) => word.startsWith(asked));
      if (asked && found >= 0) choose(found);
      missing.textContent = asked && found < 0 ? `“${asked}” is not among the ${words.length} words.` : "";
    }

    const field = zoo.el("input", { type: "search", autocomplete: "off", spellcheck: false, list: "every-word", oninput: () => search(field.value) });
    const random = zoo.uniform(11);
    const another = zoo.button("Another word", () => { field.value = ""; choose(Math.floor(random() * words.length)); });
    const options = zoo.el("datalist", { id: "every-word" }, [...words].sort().map((word) => zoo.el("option", { value: word })));
    const number = (each) => each.toLocaleString("en");
    const cards = methods.map(makeCard);
    const sector = sectors(cards);
    cards.forEach((made) => made.hand.setAttribute("aria-label", `${made.method.name}: plane of ${number(words.length)} words; arrow keys go to the next word in their direction`));
    const planes = zoo.el("div", { className: "planes" }, cards.map((made) => made.card));
    element.append(
      zoo.el(
        "div", { className: "side" },
        zoo.el("label", { className: "field" }, zoo.el("span", {}, "Find a word"), field), options, missing,
        zoo.el("div", { className: "row" }, title, another), near,
        zoo.el("p", { className: "note" }, `Each method turns each of the ${data.title} into ${methods[0].width} numbers. Its neighbours are the nearest of the ${number(words.length)} frequent words shown, by the cosine of all ${methods[0].width} numbers; bold: named by more than one method. A plane shows the two directions in which these words differ most, so neighbours may lie apart in it. Colours: direction in the first plane.`),
        zoo.el("p", { className: "note" }, "Point at a word, or click to keep it. Keyboard: Tab to a plane, arrow keys go to the next word.")
      ),
      planes
    );

    function paint() {
      cards.forEach(paintGround);
      update();
    }
    new ResizeObserver(paint).observe(planes);
    zoo.onColours(paint);
    paint();
    keep();
    element.dataset.ready = "true";
    return { shown: () => { paint(); keep(); } };
  });
})();
