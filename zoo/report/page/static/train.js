// The tab Train: a small autoencoder learns in a worker, while its code plane, drawings and errors are watched.
"use strict";

(function () {
  const LEFT = 44;
  const [TOP, BOTTOM, RIGHT] = [10, 26, 12];

  zoo.tab("train", "Train", function (element, data, address) {
    const settings = { width: 2, activation: "gelu", noise: 0, sparsity: 0, beta: 0 };
    for (const key of Object.keys(settings)) {
      const given = address.get(key);
      if (given !== null) settings[key] = key === "activation" ? given : Number(given);
    }
    settings.width = Math.min(Math.max(Math.round(settings.width) || 2, 1), data.pca.length);
    let worker, images, latest, history, running, map = false, seed = 1;

    // ---- what is drawn

    const plane = zoo.el("canvas", { role: "img", "aria-label": "Codes of the digits, before the first epoch" });
    const chart = zoo.el("canvas", { role: "img", "aria-label": "Squared error by epoch, before the first" });
    const words = zoo.el("p", { className: "note" });
    const verdict = zoo.el("p", { className: "verdict" });
    const pairs = data.pictured.map(() => [0, 1].map(() => zoo.el("canvas", { width: data.width, height: data.height })));
    const strip = zoo.el("div", { className: "pairs", role: "img", "aria-label": "Test images above, the drawings of the autoencoder below" }, pairs.map((pair) => zoo.el("div", {}, pair)));

    function paintPlane() {
      const { context, width, height } = zoo.fitted(plane);
      if (!width || !latest) return;
      if (map && latest.map) return paintMap(context, width, height);
      const palette = Array.from({ length: 10 }, (_, i) => zoo.colour(`class${i}`));
      const { codes, ranges } = latest;
      const second = latest.width > 1 ? 1 : null;
      const place = (n, d) => (codes[n * latest.width + d] - ranges[d][0]) / (ranges[d][1] - ranges[d][0]);
      for (let n = 0; n < data.labels.length; n++) {
        const x = place(n, 0) * width;
        const y = second === null ? ((data.labels[n] + 0.5) / 10 + ((n % 17) - 8) / 260) * height : (1 - place(n, 1)) * height;
        context.fillStyle = palette[data.labels[n] % 10];
        context.globalAlpha = n < data.train ? 0.55 : 1;
        context.beginPath();
        context.arc(x, y, n < data.train ? 2 : 3, 0, 7);
        context.fill();
      }
      context.globalAlpha = 1;
    }

    function paintMap(context, width, height) {
      const side = Math.sqrt(latest.map.length);
      const tile = zoo.el("canvas", { width: data.width, height: data.height });
      context.imageSmoothingEnabled = false;
      latest.map.forEach((image, n) => {
        zoo.paint(tile.getContext("2d"), image, data);
        context.drawImage(tile, ((n % side) * width) / side, (Math.floor(n / side) * height) / side, width / side + 0.5, height / side + 0.5);
      });
    }

    function paintPairs() {
      if (!latest) return;
      pairs.forEach(([above, below], i) => {
        zoo.paint(above.getContext("2d"), images[data.train + data.pictured[i]], data);
        zoo.paint(below.getContext("2d"), latest.drawn[i], data);
      });
    }

    const line = () => data.pca[latest.width - 1];

    function paintChart() {
      const { context, width, height } = zoo.fitted(chart);
      if (!width || !latest) return;
      const values = history.flatMap(({ train, test }) => [train, test]).concat(line());
      const [low, high] = [Math.log(Math.min(...values) * 0.93), Math.log(Math.min(Math.max(...values), 30 * Math.min(...values)) * 1.05)];
      const most = Math.max(20, history.at(-1).epoch);
      const x = (epoch) => LEFT + (epoch / most) * (width - LEFT - RIGHT);
      const y = (error) => TOP + (1 - (Math.log(error) - low) / (high - low)) * (height - TOP - BOTTOM);
      Object.assign(context, { font: "11.5px system-ui, sans-serif", textBaseline: "middle", textAlign: "right" });
      for (const tick of [0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50].filter((each) => Math.log(each) > low && Math.log(each) < high)) {
        context.fillStyle = zoo.colour("quiet");
        context.fillText(String(tick), LEFT - 7, y(tick));
        stroke(context, [[LEFT, y(tick)], [width - RIGHT, y(tick)]], zoo.colour("line"), 1);
      }
      stroke(context, [[LEFT, y(line())], [width - RIGHT, y(line())]], zoo.colour("class1"), 2, [6, 4]);
      stroke(context, history.map((each) => [x(each.epoch), y(each.train)]), zoo.colour("quiet"), 1.5);
      stroke(context, history.map((each) => [x(each.epoch), y(each.test)]), zoo.colour("accent"), 2.5);
      context.textAlign = "right";
      context.fillStyle = zoo.colour("class1");
      context.fillText(`PCA with ${latest.width} number${latest.width > 1 ? "s" : ""}: ${line().toFixed(2)}`, width - RIGHT, y(line()) - 9);
      context.fillStyle = zoo.colour("quiet");
      context.textAlign = "center";
      context.fillText(`epoch (now ${latest.epoch})`, (LEFT + width) / 2, height - 9);
    }

    function stroke(context, points, colour, width, dashes = []) {
      context.beginPath();
      points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.setLineDash(dashes);
      Object.assign(context, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
      context.stroke();
      context.setLineDash([]);
    }

    function describe() {
      const crossed = history.find(({ test }) => test < line());
      const units = `${latest.width} number${latest.width > 1 ? "s" : ""}`;
      words.textContent = `Epoch ${latest.epoch}${latest.took ? `, ${Math.round(latest.took)} ms` : ""}: squared error ${latest.test.toFixed(2)} on test images, ${latest.train.toFixed(2)} on training images.`;
      verdict.textContent = crossed
        ? `Below PCA${latest.test < line() ? "" : " once"}: since epoch ${crossed.epoch}, the autoencoder reconstructs better than PCA with ${units}.`
        : `PCA's ${units} are still better: the line to cross is ${line().toFixed(2)}.`;
      verdict.classList.toggle("crossed", Boolean(crossed) && latest.test < line());
      plane.setAttribute("aria-label", `Codes of ${data.labels.length} digits after epoch ${latest.epoch}, coloured by digit.`);
      chart.setAttribute("aria-label", `Squared error by epoch. ${words.textContent} ${verdict.textContent}`);
    }

    function paint() {
      paintPlane();
      paintPairs();
      paintChart();
      if (latest) describe();
    }

    // ---- the worker

    function start() {
      history = [];
      worker.postMessage({ kind: "begin", images, train: data.train, pictured: data.pictured, settings, seed });
      if (running) worker.postMessage({ kind: "go" });
    }

    function run(on) {
      running = on;
      worker.postMessage({ kind: on ? "go" : "pause" });
      play.textContent = on ? "Pause" : "Train";
      step.disabled = on;
      zoo.say(on ? "training" : `paused. ${words.textContent} ${verdict.textContent}`);
    }

    function change(key, value) {
      settings[key] = value;
      keep();
      if (key === "width" || key === "activation") start();
      else worker.postMessage({ kind: "settings", settings });
    }

    const keep = () => zoo.keep("train", Object.fromEntries(Object.entries(settings).filter(([key, value]) => value !== { width: 2, activation: "gelu" }[key] && value !== 0)));

    // ---- controls

    const play = zoo.button("Train", () => run(!running), { className: "main" });
    const step = zoo.button("One epoch", () => worker.postMessage({ kind: "step" }));
    const again = zoo.button("Start again", () => { seed += 1; start(); });
    const mapped = zoo.button("Decoded map", () => { map = !map; mapped.setAttribute("aria-pressed", map); paintPlane(); });
    mapped.setAttribute("aria-pressed", false);
    const slider = (key, label, options) => zoo.slider(label, { value: settings[key], ...options }, (value) => change(key, value));
    const activation = zoo.select("Activation", [["gelu", "GELU"], ["relu", "ReLU"], ["tanh", "tanh"], ["identity", "none (linear)"]], settings.activation, (value) => change("activation", value));
    element.append(
      zoo.el(
        "div", { className: "side" },
        zoo.el("p", {}, `An autoencoder ${data.height * data.width} – 32 – code – 32 – ${data.height * data.width} learns ${data.train.toLocaleString("en")} handwritten digits, here in your browser.`),
        zoo.el("div", { className: "row" }, play, step, again, mapped),
        slider("width", "Numbers in the code", { min: 1, max: data.pca.length, step: 1 }),
        activation,
        slider("noise", "Noise on the input (denoising)", { max: 1, step: 0.05, text: (value) => value.toFixed(2) }),
        slider("sparsity", "Sparsity: weight of |z|", { max: 3, step: 0.1, text: (value) => value.toFixed(1) }),
        slider("beta", "β: weight of the KL term", { max: 4, step: 0.1, text: (value) => (value === 0 ? "0 (no VAE)" : value === 1 ? "1 (VAE)" : value.toFixed(1)) }),
        zoo.el("p", { className: "note" }, "Width and activation start again; the others act at once. With no activation the best it can reach is PCA.")
      ),
      zoo.el("figure", { className: "watch" }, zoo.el("div", { className: "plane" }, plane), zoo.el("figcaption", { className: "note" }, "The code of every digit; larger dots are test images. With more than two numbers, the first two.")),
      zoo.el("div", { className: "progress" }, zoo.el("h2", {}, "Squared error per image"), zoo.el("div", { className: "chart" }, chart), zoo.el("p", { className: "note key" }, zoo.el("span", { className: "key1" }, "test images"), zoo.el("span", { className: "key0" }, "training images")), words, verdict, strip)
    );

    async function load() {
      images = await zoo.pixels(data.sprite, data.height, data.width, data.train + data.test, data.across);
      const source = ["core", "train_worker"].map((id) => document.getElementById(id).textContent).join("\n");
      worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      worker.onmessage = (event) => {
        latest = event.data;
        history.push({ epoch: latest.epoch, train: latest.train, test: latest.test });
        paint();
        element.dataset.epoch = latest.epoch;
      };
      start();
      run(!zoo.stillness.matches);
      element.dataset.ready = "true";
    }
    new ResizeObserver(paint).observe(element);
    zoo.onColours(paint);
    load();
    return { shown: () => { paint(); keep(); } };
  });
})();
