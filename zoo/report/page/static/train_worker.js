// A dense autoencoder, fitted by Adam on |x - x_hat|^2 / (2 0.2^2) + sparsity sum |z| + beta KL, in a worker of its own.
// The page puts core.js before it.
"use strict";

const HIDDEN = 32;
const BATCH = 32;
const RATE = 4e-3;
const VARIANCE = 0.2 ** 2;
const FRAME = 60;  // ms that an epoch takes at least, so that one can watch
const MAP = 12;  // images a side of the decoded map
const ENDS = [0.01, 0.99];

const activations = {
  gelu: [
    (x) => 0.5 * x * (1 + zoo.erf(x * Math.SQRT1_2)),
    (x) => 0.5 * (1 + zoo.erf(x * Math.SQRT1_2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  ],
  relu: [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  identity: [(x) => x, () => 1],
};

/** y = W x + b with its gradients and Adam's moments. */
class Dense {
  constructor(inputs, outputs, normal) {
    Object.assign(this, { inputs, outputs, steps: 0 });
    const size = inputs * outputs + outputs;
    [this.w, this.g, this.m, this.v] = Array.from({ length: 4 }, () => new Float32Array(size));
    for (let i = 0; i < inputs * outputs; i++) this.w[i] = normal() / Math.sqrt(inputs);
  }

  forward(x) {
    const { inputs, outputs, w } = this;
    const y = new Float32Array(outputs);
    for (let o = 0, row = 0; o < outputs; o++, row += inputs) {
      let sum = w[inputs * outputs + o];
      for (let i = 0; i < inputs; i++) sum += w[row + i] * x[i];
      y[o] = sum;
    }
    return y;
  }

  /** Adds the gradients of the weights for the gradient of y, and returns that of x. */
  backward(x, dy) {
    const { inputs, outputs, w, g } = this;
    const dx = new Float32Array(inputs);
    for (let o = 0, row = 0; o < outputs; o++, row += inputs) {
      const d = dy[o];
      if (d === 0) continue;
      g[inputs * outputs + o] += d;
      for (let i = 0; i < inputs; i++) {
        g[row + i] += d * x[i];
        dx[i] += d * w[row + i];
      }
    }
    return dx;
  }

  step(count) {
    this.steps += 1;
    const [c1, c2] = [1 - 0.9 ** this.steps, 1 - 0.999 ** this.steps];
    for (let i = 0; i < this.w.length; i++) {
      const g = this.g[i] / count;
      this.m[i] += 0.1 * (g - this.m[i]);
      this.v[i] += 0.001 * (g * g - this.v[i]);
      this.w[i] -= (RATE * (this.m[i] / c1)) / (Math.sqrt(this.v[i] / c2) + 1e-8);
    }
    this.g.fill(0);
  }
}

class Autoencoder {
  constructor(pixels, width, seed, mean) {
    const uniform = zoo.uniform(seed);
    const normal = () => zoo.normals(1, uniform)[0];
    this.width = width;
    this.layers = [[pixels, HIDDEN], [HIDDEN, 2 * width], [width, HIDDEN], [HIDDEN, pixels]].map(([i, o]) => new Dense(i, o, normal));
    this.layers[3].w.set(mean, HIDDEN * pixels);  // the bias starts at the mean image
    Object.assign(this, { normal, uniform });
  }

  encode(x, f) {
    return this.layers[1].forward(this.layers[0].forward(x).map(f)).slice(0, this.width);
  }

  decode(z, f) {
    return this.layers[3].forward(this.layers[2].forward(z).map(f));
  }

  /** Adds the gradients of the objective for one image. */
  learn(x, { activation, noise, sparsity, beta }) {
    const [f, df] = activations[activation];
    const { width, layers, normal } = this;
    const seen = noise ? x.map((value) => value + noise * normal()) : x;
    const before = layers[0].forward(seen);
    const hidden = before.map(f);
    const code = layers[1].forward(hidden);
    const mean = code.subarray(0, width);
    const logVariance = code.subarray(width).map((value) => Math.min(Math.max(value, -12), 8));
    const draws = Float32Array.from({ length: width }, () => (beta ? normal() : 0));
    const z = mean.map((value, i) => value + draws[i] * Math.exp(logVariance[i] / 2));
    const beforeOut = layers[2].forward(z);
    const hiddenOut = beforeOut.map(f);
    const image = layers[3].forward(hiddenOut);
    const dImage = image.map((value, i) => (value - x[i]) / VARIANCE);
    const dBeforeOut = layers[3].backward(hiddenOut, dImage).map((d, i) => d * df(beforeOut[i]));
    const dz = layers[2].backward(z, dBeforeOut).map((d, i) => d + sparsity * Math.sign(z[i]));
    const dCode = new Float32Array(2 * width);
    for (let i = 0; i < width; i++) {
      dCode[i] = dz[i] + beta * mean[i];
      const variance = Math.exp(logVariance[i]);
      dCode[width + i] = beta ? 0.5 * (dz[i] * draws[i] * Math.sqrt(variance) + beta * (variance - 1)) : 0;
    }
    const dHidden = layers[1].backward(hidden, dCode);
    layers[0].backward(seen, dHidden.map((d, i) => d * df(before[i])));
  }

  epoch(images, settings) {
    const order = Array.from(images.keys());
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (let start = 0; start < order.length; start += BATCH) {
      const batch = order.slice(start, start + BATCH);
      for (const i of batch) this.learn(images[i], settings);
      for (const layer of this.layers) layer.step(batch.length);
    }
  }
}

let state = null;
let timer = null;

function begin({ images, train, pictured, settings, seed }) {
  const x = images.slice(0, train);
  const mean = new Float32Array(x[0].length);
  for (const image of x) for (let i = 0; i < mean.length; i++) mean[i] += image[i] / x.length;
  state = { images, train, pictured, settings, epoch: 0, model: new Autoencoder(mean.length, settings.width, seed, mean) };
  report(0);
}

/** What the page shows after an epoch. */
function report(took) {
  const { images, train, pictured, settings, model, epoch } = state;
  const [f] = activations[settings.activation];
  const errors = [0, 0];
  const codes = new Float32Array(images.length * model.width);
  images.forEach((x, n) => {
    const z = model.encode(x, f);
    const image = model.decode(z, f);
    codes.set(z, n * model.width);
    errors[n < train ? 0 : 1] += zoo.squaredError(x, image);
  });
  const drawn = pictured.map((n) => model.decode(model.encode(images[train + n], f), f));
  const ranges = Array.from({ length: model.width }, (_, d) => {
    const values = codes.filter((_, i) => i % model.width === d);
    const [low, high] = ENDS.map((q) => zoo.quantile(values, q));
    const margin = 0.06 * (high - low) || 1;
    return [low - margin, high + margin];
  });
  const map = model.width === 2 ? decodedMap(model, ranges, f) : null;
  postMessage({ epoch, took, train: errors[0] / train, test: errors[1] / (images.length - train), codes, drawn, ranges, map, width: model.width });
}

function decodedMap(model, ranges, f) {
  const at = ([low, high], part) => low + part * (high - low);
  return Array.from({ length: MAP * MAP }, (_, n) => {
    const [column, row] = [n % MAP, Math.floor(n / MAP)];
    return model.decode(Float32Array.of(at(ranges[0], (column + 0.5) / MAP), at(ranges[1], 1 - (row + 0.5) / MAP)), f);
  });
}

function step() {
  const start = performance.now();
  state.model.epoch(state.images.slice(0, state.train), state.settings);
  state.epoch += 1;
  report(performance.now() - start);
  return performance.now() - start;
}

function go() {
  const took = step();
  timer = setTimeout(go, Math.max(0, FRAME - took));
}

onmessage = ({ data }) => {
  if (data.kind === "settings") state.settings = { ...data.settings, width: state.settings.width };
  else {
    clearTimeout(timer);
    if (data.kind === "begin") begin(data);
    if (data.kind === "step") step();
    if (data.kind === "go") go();
  }
};
