/* Kernels of three blurs: Gaussian, defocus, motion. Integrated over the pixels, sum 1, origin at sample floor(n / 2).

   The same as `sigdeconv.psf`, and tested against it. */

(function (make) {
  "use strict";
  const api = make();
  globalThis.Kernels = api;
  if (typeof module === "object" && module.exports) module.exports = api;
})(function () {
  "use strict";

  const SIMPSON = 64; // pairs of intervals a pixel: the mass of a Gaussian of half a pixel to nine digits

  function gaussian(sigma, half = Math.ceil(4 * sigma)) {
    const profile = [];
    for (let i = -half; i <= half; i++) {
      let mass = 0;
      for (let s = 0; s <= 2 * SIMPSON; s++) {
        const u = (i - 0.5 + s / (2 * SIMPSON)) / sigma;
        mass += Math.exp(-0.5 * u * u) * (s === 0 || s === 2 * SIMPSON ? 1 : s % 2 ? 4 : 2);
      }
      profile.push(mass);
    }
    const n = profile.length;
    return whole(n, n, (r, c) => profile[r] * profile[c]);
  }

  /** Defocus: a sample is the area that circle and pixel share. */
  function disc(radius) {
    const half = Math.max(Math.ceil(radius - 0.5), 0);
    const under = (u) => 0.5 * (u * Math.sqrt(1 - u * u) + Math.asin(u));
    const quarter = (x, y) => {
      // Area of the disc in [0, x] by [0, y], odd in both; in units of radius squared.
      const u = Math.min(Math.abs(x) / radius, 1);
      const v = Math.min(Math.abs(y) / radius, 1);
      const meets = Math.min(Math.sqrt(1 - v * v), u);
      return Math.sign(x) * Math.sign(y) * (v * meets + under(u) - under(meets));
    };
    return whole(2 * half + 1, 2 * half + 1, (r, c) => {
      const [y, x] = [r - half, c - half];
      const area =
        quarter(x + 0.5, y + 0.5) - quarter(x - 0.5, y + 0.5) - quarter(x + 0.5, y - 0.5) + quarter(x - 0.5, y - 0.5);
      return area > 1e-9 / (radius * radius) ? area : 0;
    });
  }

  /** Motion along a straight line of `length` pixels, one wide; the angle in degrees, counter-clockwise. */
  function motion(length, angle) {
    const turn = ((angle % 180) * Math.PI) / 180;
    const [ax, ay] = [Math.cos(turn), -Math.sin(turn)];
    const corners = [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ].map(([s, t]) => [0.5 * (s * length * ax - t * ay), 0.5 * (s * length * ay + t * ax)]);
    const reach = (k) => Math.max(Math.ceil(Math.max(...corners.map((p) => p[k])) - 0.5 - 1e-9), 0);
    const [halfX, halfY] = [reach(0), reach(1)];
    return whole(2 * halfY + 1, 2 * halfX + 1, (r, c) => {
      const area = overlap(corners, c - halfX, r - halfY);
      return area > 1e-9 ? area : 0;
    });
  }

  /** Area that a convex polygon shares with the pixel about (x, y): Sutherland and Hodgman's clipping. */
  function overlap(polygon, x, y) {
    let points = polygon;
    for (const [k, sign, limit] of [
      [0, 1, x + 0.5],
      [0, -1, 0.5 - x],
      [1, 1, y + 0.5],
      [1, -1, 0.5 - y],
    ]) {
      const kept = [];
      points.forEach((p, i) => {
        const q = points[(i + 1) % points.length];
        const [a, b] = [limit - sign * p[k], limit - sign * q[k]];
        if (a >= 0) kept.push(p);
        if (a > 0 !== b > 0 && a !== b) {
          const f = a / (a - b);
          kept.push([p[0] + f * (q[0] - p[0]), p[1] + f * (q[1] - p[1])]);
        }
      });
      points = kept;
    }
    let twice = 0;
    points.forEach((p, i) => {
      const q = points[(i + 1) % points.length];
      twice += p[0] * q[1] - q[0] * p[1];
    });
    return Math.abs(twice) / 2;
  }

  function whole(rows, cols, value) {
    const data = new Float64Array(rows * cols);
    for (let i = 0; i < data.length; i++) data[i] = value(Math.floor(i / cols), i % cols);
    const sum = data.reduce((a, b) => a + b, 0);
    return { rows, cols, data: data.map((v) => v / sum) };
  }

  return { gaussian, disc, motion };
});
