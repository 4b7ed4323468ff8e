/* What the drawings of the first panel show, as plain data: a layer, and one step of its moving window. */

globalThis.Steps = (function () {
  "use strict";

  const A = Arithmetic;
  const X = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3]; // the input's values: any would do

  /** A valid layer with all that the page says about it. `stamps`: a transposed one, seen as stamping. */
  function described(layer, { forward, flat, stamps }) {
    const a = A.axis(layer);
    const out = forward ? A.convolvedSize(layer) : A.transposedSize(layer);
    const taps = forward ? A.convolutionTaps(layer) : A.transposedTaps(layer);
    const counts = forward ? A.readCount(layer) : A.overlapCount(layer);
    const weights = Array.from({ length: a.kernel }, (_, t) => t + 1);
    const side = stamps ? a.size : out; // positions of the window along an axis
    const most = Math.max(...counts, 1);
    const made = (a.size - 1) * a.stride + a.reach + 1; // by a transposed convolution, before padding cuts off
    const span = Math.max(made, out + a.before); // with what output_padding adds beyond
    return {
      ...a,
      layer,
      forward,
      flat,
      stamps,
      out,
      taps,
      counts,
      weights,
      side,
      most,
      made,
      span,
      steps: flat ? side : side ** 2,
    };
  }

  /** Output i, from the inputs up to `last`. */
  function value({ taps, weights }, i, last = Infinity) {
    return taps[i].reduce((sum, t, j) => (t < 0 || j > last ? sum : sum + weights[t] * X[j]), 0);
  }

  // ---- one axis: rows of cells, as Windows.rows draws them ----------------------------------------------------------

  function countRow(now, label, place) {
    const cells = now.counts.map((count, i) => ({ at: place(i), text: String(count), look: "count", count }));
    return { label, flat: true, cells };
  }

  function kernelRow(now, label, start, text, flipped = false) {
    const cells = now.weights.map((_, t) => {
      const tap = flipped ? now.kernel - 1 - t : t;
      return { at: start + t * now.dilation, text: String(text(tap)), look: "tap", tap };
    });
    return { label, cells };
  }

  /** The kernel over a row of inputs; output i in the middle of its window. */
  function sliding(now, step, input, stride, flipped) {
    const place = (i) => i * stride + now.reach / 2;
    const kernel = kernelRow(
      now,
      flipped ? "kernel w, flipped" : "kernel w",
      step * stride,
      (t) => now.weights[t],
      flipped,
    );
    kernel.space = 30;
    for (const { at, tap } of kernel.cells) Object.assign(input.cells[at], { look: "tap", tap, active: true });
    const cells = Array.from({ length: now.out }, (_, i) => ({
      at: place(i),
      text: String(value(now, i)),
      look: i <= step ? "plain" : "faint",
      active: i === step,
      key: i,
    }));
    const output = { label: "output y", cells };
    const links = kernel.cells.map(({ at, tap }) => ({
      from: { row: kernel, at },
      to: { row: output, at: place(step) },
      tap,
    }));
    return { length: input.cells.length, input, kernel, output, links, place, most: now.most, centre: place(step) };
  }

  function convolution(now, step) {
    const cells = Array.from({ length: now.size + 2 * now.before }, (_, q) => {
      const j = q - now.before;
      const inside = j >= 0 && j < now.size;
      return { at: q, text: String(inside ? X[j] : 0), look: inside ? "plain" : "pad" };
    });
    const picture = sliding(now, step, { label: now.before ? "input x, padded" : "input x", cells }, now.stride, false);
    const counts = countRow(now, "how often each input is read", (j) => j + now.before);
    return { ...picture, rows: [counts, picture.input, picture.kernel, picture.output] };
  }

  function zeroInsertion(now, step) {
    const { padding, insertedSize } = A.equivalent(now.layer);
    const cells = A.insertedSources(now.layer).map((j, q) => {
      const between = q >= padding[0] && q < padding[0] + insertedSize;
      return { at: q, text: String(j < 0 ? 0 : X[j]), look: j >= 0 ? "plain" : between ? "between" : "pad" };
    });
    const picture = sliding(now, step, { label: "input x, with zeros put in", cells }, 1, true);
    picture.output.space = 0;
    const counts = countRow(now, "inputs that meet there", picture.place);
    return { ...picture, rows: [picture.input, picture.kernel, picture.output, counts] };
  }

  function stamping(now, step) {
    const middle = (j) => j * now.stride + now.reach / 2;
    const input = {
      label: "input x",
      space: 26,
      cells: X.slice(0, now.size).map((x, j) => ({
        at: middle(j),
        text: String(x),
        look: j <= step ? "plain" : "faint",
        active: j === step,
        key: j,
      })),
    };
    const stamp = kernelRow(now, `kernel times ${X[step]}`, step * now.stride, (t) => now.weights[t] * X[step]);
    const cells = Array.from({ length: now.span }, (_, q) => {
      const i = q - now.before;
      if (i < 0 || i >= now.out) return { at: q, look: "cut" };
      const tap = now.taps[i][step];
      return { at: q, text: String(value(now, i, step)), look: tap >= 0 ? "tap" : "plain", tap, active: tap >= 0 };
    });
    const progress = step + 1 < now.size ? `after ${step + 1} of ${now.size} stamps` : "complete";
    const output = { label: `output y, ${progress}`, cells, space: 0 };
    const counts = countRow(now, "inputs that meet there", (i) => i + now.before);
    const links = stamp.cells.map(({ at, tap }) => ({
      from: { row: input, at: middle(step) },
      to: { row: stamp, at },
      tap,
    }));
    return { length: now.span, rows: [input, stamp, output, counts], links, most: now.most, centre: middle(step) };
  }

  const line = (now, step) => (now.forward ? convolution : now.stamps ? stamping : zeroInsertion)(now, step);

  // ---- two axes: grids of cells, as Windows.grids draws them --------------------------------------------------------

  /** The tap of a window from `start` that lies on sample q, -1 where none does. */
  function tapOn({ reach, dilation }, q, start) {
    const distance = q - start;
    return distance >= 0 && distance <= reach && distance % dilation === 0 ? distance / dilation : -1;
  }

  function square(now, step) {
    const [r, c] = [Math.floor(step / now.side), step % now.side];
    const stride = now.forward || now.stamps ? now.stride : 1;
    const p = now.before;
    const pixel = (i, j) => String(X[(5 * i + j) % X.length]);
    const target = (i, j) => ({ key: i * now.side + j, active: i === r && j === c });
    const counted = (i, j) => {
      const count = now.counts[i] * now.counts[j]; // NaN past the frame
      return count >= 0 ? { look: "count", count, text: String(count) } : { look: "pad" };
    };
    const window = (i, j) => {
      const [t, u] = [tapOn(now, i, r * stride), tapOn(now, j, c * stride)];
      return t >= 0 && u >= 0 ? { look: "tap", tap: (t + u) % now.kernel, active: true } : {};
    };
    const met = now.taps.map((row) => row.filter((t) => t >= 0).length);
    const inputs = (i, j) => String(met[i] * met[j]);
    const plain = (i, j) => ({ look: "plain", ...target(i, j) });
    if (now.forward) {
      return {
        left: {
          label: "input x: how often it is read",
          size: now.size + 2 * p,
          cell: (i, j) => ({ ...counted(i - p, j - p), ...window(i, j) }),
        },
        right: {
          label: "output y: inputs that meet there",
          size: now.out,
          cell: (i, j) => ({ ...plain(i, j), text: inputs(i, j) }),
        },
        most: now.most ** 2,
      };
    }
    if (now.stamps) {
      return {
        left: { label: "input x", size: now.size, cell: (i, j) => ({ ...plain(i, j), text: pixel(i, j) }) },
        right: {
          label: "output y: inputs that meet there",
          size: now.span,
          cell: (i, j) => ({ ...counted(i - p, j - p), ...window(i, j) }),
        },
        most: now.most ** 2,
      };
    }
    const sources = A.insertedSources(now.layer);
    const inserted = (i, j) =>
      sources[i] >= 0 && sources[j] >= 0
        ? { look: "plain", text: pixel(sources[i], sources[j]) }
        : { look: "pad", text: "0" };
    return {
      left: {
        label: "input x, with zeros put in",
        size: sources.length,
        cell: (i, j) => ({ ...inserted(i, j), ...window(i, j) }),
      },
      right: {
        label: "output y: inputs that meet there",
        size: now.out,
        cell: (i, j) => ({ ...counted(i, j), ...target(i, j) }),
      },
      most: now.most ** 2,
    };
  }

  return { X, described, value, line, square };
})();
