// The numeric runtime: models that zoo/report/page/portable.py wrote, computed on flat arrays. No browser is needed.
"use strict";

const zoo = {};

(function () {
  const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

  /** The bytes of a text that `as_text` of assemble.py wrote: five digits of base 85 hold four bytes. */
  zoo.bytes = function (text) {
    const value = new Uint8Array(128);
    for (let i = 0; i < 85; i++) value[DIGITS.charCodeAt(i)] = i;
    const whole = text.padEnd(Math.ceil(text.length / 5) * 5, "~");
    const bytes = new DataView(new ArrayBuffer((whole.length / 5) * 4));
    for (let i = 0, at = 0; i < whole.length; i += 5, at += 4) {
      let number = 0;
      for (let k = 0; k < 5; k++) number = number * 85 + value[whole.charCodeAt(i + k)];
      bytes.setUint32(at, number);
    }
    return new Uint8Array(bytes.buffer, 0, bytes.byteLength - (whole.length - text.length));
  };

  /** One of the ticks of an axis, with as many digits as tell it from its neighbours. */
  zoo.tick = function (tick, ticks) {
    const step = Math.min(...ticks.slice(1).map((each, i) => Math.abs(each - ticks[i])), Math.abs(tick) || 1);
    const digits = Math.max(1, Math.floor(Math.log10(Math.abs(tick) || 1)) - Math.floor(Math.log10(step) + 1e-9) + 1);
    const exact = Number(tick.toPrecision(Math.min(digits, 12)));
    if (exact !== 0 && Math.abs(exact) < 1e-3) return exact.toExponential();
    const notation = Math.abs(exact) >= 1e4 ? "compact" : "standard";
    return Intl.NumberFormat("en", { notation, maximumSignificantDigits: 12 }).format(exact);
  };

  /** The numbers of float16, of which all low bytes come before all high ones, as Float32Array. */
  zoo.floats = function (bytes) {
    const scale = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));
    const numbers = new Float32Array(bytes.length / 2);
    for (let i = 0; i < numbers.length; i++) {
      const half = bytes[i] | (bytes[numbers.length + i] << 8);
      const exponent = (half >> 10) & 31;
      const size = ((half & 1023) + (exponent ? 1024 : 0)) * scale[exponent];
      numbers[i] = half & 32768 ? -size : size;
    }
    return numbers;
  };

  /** The error function, by formula 7.1.26 of Abramowitz and Stegun, 1964: exact to 1.5e-7. */
  zoo.erf = function (x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const size = 1 - series * Math.exp(-x * x);
    return x < 0 ? -size : size;
  };

  const pointwise = {
    gelu: (x) => 0.5 * x * (1 + zoo.erf(x * Math.SQRT1_2)),
    relu: (x) => Math.max(x, 0),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    tanh: Math.tanh,
  };

  /** W x + b; zeros of x, of which images have many, cost nothing. */
  function linear({ inputs, outputs }, x, [weight, bias]) {
    const used = [];
    for (let i = 0; i < inputs; i++) if (x[i] !== 0) used.push(i);
    const sparse = used.length < inputs / 2;
    const y = new Float32Array(outputs);
    for (let o = 0, row = 0; o < outputs; o++, row += inputs) {
      let sum = bias[o];
      if (sparse) for (let j = 0; j < used.length; j++) sum += weight[row + used[j]] * x[used[j]];
      else for (let i = 0; i < inputs; i++) sum += weight[row + i] * x[i];
      y[o] = sum;
    }
    return y;
  }

  /** max(x, 0) of the k largest numbers, else 0. */
  function topk({ k }, x) {
    const order = Array.from(x.keys()).sort((i, j) => x[j] - x[i]);
    const y = new Float32Array(x.length);
    for (const i of order.slice(0, k)) y[i] = Math.max(x[i], 0);
    return y;
  }

  /** Each group of numbers replaced by the nearest entry of a codebook. */
  function nearest({ entries, dimensions }, x, [codebook]) {
    const y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += dimensions) {
      let best = 0;
      let least = Infinity;
      for (let e = 0; e < entries; e++) {
        let distance = 0;
        for (let d = 0; d < dimensions; d++) distance += (x[start + d] - codebook[e * dimensions + d]) ** 2;
        if (distance < least) [best, least] = [e, distance];
      }
      for (let d = 0; d < dimensions; d++) y[start + d] = codebook[best * dimensions + d];
    }
    return y;
  }

  const kinds = { linear, topk, nearest, first: ({ count }, x) => x.slice(0, count) };
  for (const [kind, f] of Object.entries(pointwise)) kinds[kind] = (_, x) => x.map(f);

  /** How many numbers each weight of a layer has. */
  function sizes(layer) {
    if (layer.kind === "linear") return [layer.inputs * layer.outputs, layer.outputs];
    if (layer.kind === "nearest") return [layer.entries * layer.dimensions];
    return [];
  }

  function run(layers, x) {
    return layers.reduce((y, { layer, weights }) => kinds[layer.kind](layer, y, weights), x);
  }

  /**
   * A model from its data: encode(image) and decode(code), from and to flat Float32Arrays; and snap(code), the nearest
   * code that the encoder could give, which is the code itself unless codes are discrete.
   */
  zoo.model = function (data) {
    const numbers = zoo.floats(data.weights);
    let at = 0;
    const [encoder, decoder] = [data.encoder, data.decoder].map((layers) =>
      layers.map((layer) => ({ layer, weights: sizes(layer).map((n) => numbers.subarray(at, (at += n))) }))
    );
    const discrete = encoder.filter(({ layer }) => layer.kind === "nearest");
    return {
      encode: (x) => run(encoder, x),
      decode: (z) => run(decoder, z),
      snap: (z) => run(discrete, z),
      discrete: discrete.length > 0,
    };
  };

  /** Sum of squared differences. */
  zoo.squaredError = function (x, y) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += (x[i] - y[i]) ** 2;
    return sum;
  };

  /** A generator of uniform numbers in [0, 1) from a seed (mulberry32). */
  zoo.uniform = function (seed) {
    let state = seed >>> 0;
    return function () {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  };

  /** n draws from N(0, 1), by Box and Muller, from a generator of uniform numbers. */
  zoo.normals = function (n, uniform) {
    const draws = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      draws[i] = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    }
    return draws;
  };

  /** The q quantile of numbers, by linear interpolation. */
  zoo.quantile = function (numbers, q) {
    const sorted = Float64Array.from(numbers).sort();
    const at = q * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  };

  /** Handwriting put where a set has it: scaled so that its longer side fills a box, and centred by its mass.
   *  ink: darkness (side x side) of what was drawn; the result has height x width numbers in [0, 1]. */
  zoo.centred = function (ink, side, height, width, box) {
    let [top, bottom, left, right] = [side, -1, side, -1];
    let [mass, sumX, sumY] = [0, 0, 0];
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const value = ink[y * side + x];
        if (value <= 0) continue;
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
        [left, right] = [Math.min(left, x), Math.max(right, x)];
        [mass, sumX, sumY] = [mass + value, sumX + value * (x + 0.5), sumY + value * (y + 0.5)];
      }
    }
    const image = new Float32Array(height * width);
    if (mass === 0) return image;
    const scale = Math.max(bottom - top + 1, right - left + 1) / box;  // drawn pixels per pixel of the image
    const [x0, y0] = [sumX / mass - (scale * width) / 2, sumY / mass - (scale * height) / 2];
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        image[row * width + column] = area(ink, side, x0 + column * scale, y0 + row * scale, scale);
      }
    }
    return image;
  };

  /** The mean of the ink over a square of a drawing; outside it there is none. */
  function area(ink, side, x, y, size) {
    let sum = 0;
    for (let i = Math.max(0, Math.floor(y)); i < Math.min(side, y + size); i++) {
      const high = Math.min(i + 1, y + size) - Math.max(i, y);
      for (let j = Math.max(0, Math.floor(x)); j < Math.min(side, x + size); j++) {
        sum += ink[i * side + j] * high * (Math.min(j + 1, x + size) - Math.max(j, x));
      }
    }
    return sum / (size * size);
  }
})();
