/* Blur, transpose, inverse and Wiener's filter on a small periodic picture, one multiplication for each frequency.

   The same as `sigdeconv` with boundary="periodic", and tested against it. An image is { rows, cols, data } with
   powers of two for sides; a spectrum is { rows, cols, re, im }. A PSF's origin is its sample floor(n / 2). */

(function (make) {
  "use strict";
  const api = make();
  globalThis.Restoration = api;
  if (typeof module === "object" && module.exports) module.exports = api;
})(function () {
  "use strict";

  // ---- Fourier transform -------------------------------------------------------------------------------------------

  const tables = new Map();

  function table(n) {
    if (!tables.has(n)) {
      if (n < 1 || (n & (n - 1)) !== 0) throw new RangeError(`A side of ${n} samples is no power of two.`);
      const cos = new Float64Array(n / 2);
      const sin = new Float64Array(n / 2);
      for (let i = 0; i < n / 2; i++) {
        cos[i] = Math.cos((2 * Math.PI * i) / n);
        sin[i] = Math.sin((2 * Math.PI * i) / n);
      }
      const source = new Uint32Array(n); // each index with its bits in reverse
      for (let i = 1; i < n; i++) source[i] = (source[i >> 1] >> 1) | (i & 1 ? n >> 1 : 0);
      tables.set(n, { cos, sin, source, re: new Float64Array(n), im: new Float64Array(n) });
    }
    return tables.get(n);
  }

  /** Cooley and Tukey's transform of n samples from `start`, `step` apart, in place; sign -1 forward, 1 back. */
  function fft(re, im, start, step, n, sign) {
    const { cos, sin, source, re: u, im: v } = table(n); // a line in one piece: columns would miss the cache
    for (let i = 0; i < n; i++) {
      const p = start + source[i] * step;
      u[i] = re[p];
      v[i] = im[p];
    }
    for (let half = 1; half < n; half *= 2) {
      const turn = n / (2 * half);
      for (let k = 0; k < half; k++) {
        const c = cos[k * turn];
        const s = sign * sin[k * turn];
        for (let p = k; p < n; p += 2 * half) {
          const q = p + half;
          const a = u[q] * c - v[q] * s;
          const b = u[q] * s + v[q] * c;
          u[q] = u[p] - a;
          v[q] = v[p] - b;
          u[p] += a;
          v[p] += b;
        }
      }
    }
    for (let i = 0, p = start; i < n; i++, p += step) {
      re[p] = u[i];
      im[p] = v[i];
    }
  }

  function fft2(re, im, rows, cols, sign) {
    for (let r = 0; r < rows; r++) fft(re, im, r * cols, 1, cols, sign);
    for (let c = 0; c < cols; c++) fft(re, im, c, cols, rows, sign);
  }

  function transform({ rows, cols, data }) {
    const re = Float64Array.from(data);
    const im = new Float64Array(re.length);
    fft2(re, im, rows, cols, -1);
    return { rows, cols, re, im };
  }

  /** The images of two spectra by one transform: the second as the imaginary part of the first. */
  function images(A, B) {
    const { rows, cols } = A;
    const count = rows * cols;
    const re = new Float64Array(count);
    const im = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      re[i] = (A.re[i] - B.im[i]) / count;
      im[i] = (A.im[i] + B.re[i]) / count;
    }
    fft2(re, im, rows, cols, 1);
    return [re, im].map((data) => ({ rows, cols, data }));
  }

  /** Transfer function of a PSF on a periodic grid, wrapped around where it is larger. */
  function transferOf(psf, rows, cols) {
    const data = new Float64Array(rows * cols);
    const [top, left] = [Math.floor(psf.rows / 2), Math.floor(psf.cols / 2)];
    const wrap = (i, n) => ((i % n) + n) % n;
    psf.data.forEach((v, i) => {
      data[wrap(Math.floor(i / psf.cols) - top, rows) * cols + wrap((i % psf.cols) - left, cols)] += v;
    });
    return transform({ rows, cols, data });
  }

  // ---- the filters --------------------------------------------------------------------------------------------------
  // All three begin with the transpose, conj(H) Y, and differ in the real number by which they weigh each frequency:
  // 1, or 1 / |H|², or 1 / (|H|² + balance |L|²).

  /** The spectrum of the blurred picture, H X, with `level` times the noise. */
  function blurred(X, H, N, level) {
    const re = new Float64Array(X.re.length);
    const im = new Float64Array(X.re.length);
    for (let i = 0; i < re.length; i++) {
      re[i] = H.re[i] * X.re[i] - H.im[i] * X.im[i] + level * N.re[i];
      im[i] = H.re[i] * X.im[i] + H.im[i] * X.re[i] + level * N.im[i];
    }
    return { rows: X.rows, cols: X.cols, re, im };
  }

  /** conj(H) Y: the transpose of the blur, applied. */
  function transposed(H, Y) {
    const re = new Float64Array(Y.re.length);
    const im = new Float64Array(Y.re.length);
    for (let i = 0; i < re.length; i++) {
      re[i] = H.re[i] * Y.re[i] + H.im[i] * Y.im[i];
      im[i] = H.re[i] * Y.im[i] - H.im[i] * Y.re[i];
    }
    return { rows: Y.rows, cols: Y.cols, re, im };
  }

  function weighed(T, weights) {
    return {
      rows: T.rows,
      cols: T.cols,
      re: each(T.re, (v, i) => v * weights[i]),
      im: each(T.im, (v, i) => v * weights[i]),
    };
  }

  /** As data.map(value), which browsers are slow at. */
  function each(data, value) {
    const result = new Float64Array(data.length);
    for (let i = 0; i < data.length; i++) result[i] = value(data[i], i);
    return result;
  }

  const powerOf = (H) => each(H.re, (a, i) => a * a + H.im[i] * H.im[i]);

  /** 1 / |H|², but 0 where |H| is below a share `cutoff` of its peak. */
  function inverseWeights(power, cutoff) {
    let peak = 0;
    for (let i = 0; i < power.length; i++) peak = Math.max(peak, power[i]);
    const floor = cutoff * Math.sqrt(peak);
    return each(power, (v) => (v > 0 && Math.sqrt(v) >= floor ? 1 / v : 0));
  }

  /** |L|² of the Laplacian: the roughness that Wiener's filter weighs against the data. */
  function roughness(rows, cols) {
    const line = (i, n) => 2 - 2 * Math.cos((2 * Math.PI * i) / n);
    const result = new Float64Array(rows * cols);
    for (let i = 0; i < result.length; i++) {
      result[i] = (line(Math.floor(i / cols), rows) + line(i % cols, cols)) ** 2;
    }
    return result;
  }

  /** 1 / (|H|² + balance |L|²). */
  function wienerWeights(power, balance, rough) {
    return each(power, (v, i) => 1 / Math.max(v + balance * rough[i], 1e-300)); // where both vanish, conj(H) does as well
  }

  /** The parameter 10^p, p in [low, high], whose weights bring T nearest to the scene X; by Parseval, no image needed. */
  function best(X, T, weightsFor, low, high) {
    const power = powerOf(T);
    const shared = each(T.re, (v, i) => v * X.re[i] + T.im[i] * X.im[i]);
    const error = (p) => {
      const weights = weightsFor(10 ** p);
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * (weights[i] * power[i] - 2 * shared[i]);
      return sum;
    };
    let [centre, step, least] = [(low + high) / 2, (high - low) / 2, Infinity];
    // First the whole range, as a cut-off has many local minima; then twice, finer, around the best.
    for (const count of [20, 6, 6]) {
      const middle = centre;
      for (let i = -count; i <= count; i++) {
        const p = Math.min(Math.max(middle + (i * step) / count, low), high);
        const e = error(p);
        if (e < least) [least, centre] = [e, p];
      }
      step /= count;
    }
    return 10 ** centre;
  }

  // ---- noise and its measure ----------------------------------------------------------------------------------------

  /** Standard normal numbers that repeat: Box and Muller's method on the generator mulberry32. */
  function noise(count, seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    const result = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const [radius, turn] = [Math.sqrt(-2 * Math.log(uniform())), 2 * Math.PI * uniform()];
      result[i] = radius * Math.cos(turn);
      if (i + 1 < count) result[i + 1] = radius * Math.sin(turn);
    }
    return result;
  }

  /** Peak signal-to-noise ratio in dB. */
  function psnr(truth, estimate, range = 1) {
    let sum = 0;
    for (let i = 0; i < truth.length; i++) sum += (truth[i] - estimate[i]) ** 2;
    return 10 * Math.log10((range * range * truth.length) / sum);
  }

  return {
    transform,
    images,
    transferOf,
    blurred,
    transposed,
    weighed,
    powerOf,
    inverseWeights,
    roughness,
    wienerWeights,
    best,
    noise,
    psnr,
  };
});
