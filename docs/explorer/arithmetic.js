/* The arithmetic of convolutions and transposed convolutions along one axis: sizes, zero insertion, overlap, matrices.

   The same as `sigdeconv.transposed.arithmetic`, and tested against it. A layer is an object
   { size, kernel, stride, padding, dilation, outputPadding }; all but size and kernel may be left out, and padding is a
   number or a pair [before, after]. Kernels are applied as networks apply them: without a flip.

   A convolution takes `size` samples to `convolvedSize`; its output i sees the inputs i stride - before + t dilation.
   A transposed convolution goes the other way, from `size` samples to `transposedSize`. */

(function (make) {
  "use strict";
  const api = make();
  globalThis.Arithmetic = api;
  if (typeof module === "object" && module.exports) module.exports = api;
})(function () {
  "use strict";

  /** A layer with its defaults filled in, and its reach: the distance from the first tap to the last. */
  function axis(layer) {
    const { size, kernel, stride = 1, padding = 0, dilation = 1, outputPadding = 0 } = layer;
    const [before, after] = Array.isArray(padding) ? padding : [padding, padding];
    return { size, kernel, stride, before, after, dilation, extra: outputPadding, reach: dilation * (kernel - 1) };
  }

  function convolved(a) {
    return Math.floor((a.size + a.before + a.after - a.reach - 1) / a.stride) + 1;
  }

  function transposed(a) {
    return (a.size - 1) * a.stride + a.reach + 1 - a.before - a.after + a.extra;
  }

  const samples = (n) => `${n} ${n === 1 ? "sample" : "samples"}`;

  /** What is wrong with a convolution: null, or { fault, remedy, repair } with the change that repairs it. */
  function convolutionFault(layer) {
    const a = axis(layer);
    const padded = a.size + a.before + a.after;
    if (convolved(a) >= 1) return null;
    const missing = a.reach + 1 - padded;
    return {
      fault:
        `The kernel does not fit: its ${a.kernel} taps with dilation ${a.dilation} span ${samples(a.reach + 1)}, ` +
        `but the padded input has only ${padded}.`,
      remedy:
        `Raise the input size to ${a.size + missing}, pad by ${Math.ceil(missing / 2)} more on each side, ` +
        `or take a smaller kernel or dilation.`,
      repair: { size: a.size + missing },
    };
  }

  /** What is wrong with a transposed convolution: null, or { fault, remedy, repair }. */
  function transposedFault(layer) {
    const a = axis(layer);
    const most = Math.max(a.stride, a.dilation) - 1;
    if (a.extra > most) {
      return {
        fault:
          `output_padding is ${a.extra}, but it must be smaller than the stride (${a.stride}) or the dilation ` +
          `(${a.dilation}).`,
        remedy: `Lower output_padding to ${most}, or raise the stride to ${a.extra + 1}.`,
        repair: { outputPadding: most },
      };
    }
    const made = transposed(a) + a.before + a.after;
    if (made - a.before - a.after >= 1) return null;
    const padding = Math.floor((made - 1) / 2);
    return {
      fault:
        `Nothing is left: the layer makes ${samples(made)}, and padding ${a.before} cuts ${a.before} off at the start ` +
        `and ${a.after} at the end. (Padding of a transposed convolution cuts off.)`,
      remedy: `Lower the padding to ${padding}, or raise the input size, the stride or the kernel size.`,
      repair: { padding },
    };
  }

  function refuse(problem) {
    if (problem) throw new RangeError(`${problem.fault} ${problem.remedy}`);
  }

  function convolvedSize(layer) {
    refuse(convolutionFault(layer));
    return convolved(axis(layer));
  }

  function transposedSize(layer) {
    refuse(transposedFault(layer));
    return transposed(axis(layer));
  }

  /** All input sizes from which a convolution comes to `layer.size` output samples. */
  function inputSizes(layer) {
    const a = axis({ ...layer, outputPadding: 0 });
    const least = transposed(a);
    const result = [];
    for (let n = Math.max(least, 1); n < least + a.stride; n++) result.push(n);
    return result;
  }

  /** The output_padding with which `layer` comes to the size `wanted`; null where none does. */
  function outputPaddingFor(layer, wanted) {
    const a = axis({ ...layer, outputPadding: 0 });
    const extra = wanted - transposed(a);
    return extra >= 0 && extra < Math.max(a.stride, a.dilation) ? extra : null;
  }

  /** A transposed convolution as an ordinary one of stride 1 with a flipped kernel, on its input with zeros put in. */
  function equivalent(layer) {
    const a = axis(layer);
    const size = transposedSize(layer);
    return {
      zerosBetween: a.stride - 1,
      insertedSize: (a.size - 1) * a.stride + 1,
      padding: [a.reach - a.before, a.reach - a.after + a.extra],
      paddedSize: size + a.reach,
      dilation: a.dilation,
      size,
    };
  }

  /** For each sample that the equivalent convolution runs over: the input sample that it is, or -1 for a zero. */
  function insertedSources(layer) {
    const a = axis(layer);
    const { padding, paddedSize, insertedSize } = equivalent(layer);
    return Array.from({ length: paddedSize }, (_, p) => {
      const q = p - padding[0];
      return q >= 0 && q < insertedSize && q % a.stride === 0 ? q / a.stride : -1;
    });
  }

  function insertZeros(x, layer) {
    return insertedSources(layer).map((j) => (j < 0 ? 0 : x[j]));
  }

  /** The tap by which each pair meets: rows for outputs, columns for inputs, -1 where none does. */
  function convolutionTaps(layer) {
    return meetings(convolvedSize(layer), layer.size, axis(layer));
  }

  function transposedTaps(layer) {
    const size = transposedSize(layer);
    return swapped(meetings(layer.size, size, axis(layer)), size);
  }

  /** The sparse side sees the dense one: sparse sample i meets dense sample j by tap (j - i stride + before) / dilation. */
  function meetings(sparse, dense, a) {
    return Array.from({ length: sparse }, (_, i) =>
      Array.from({ length: dense }, (_, j) => {
        const distance = j - i * a.stride + a.before;
        const tap = distance / a.dilation;
        return distance >= 0 && distance <= a.reach && Number.isInteger(tap) ? tap : -1;
      }),
    );
  }

  function swapped(rows, columns) {
    return Array.from({ length: columns }, (_, j) => rows.map((row) => row[j]));
  }

  /** Rows of taps as a matrix of weights. */
  function matrix(taps, weights) {
    return taps.map((row) => row.map((t) => (t < 0 ? 0 : weights[t])));
  }

  function applied(taps, weights, x) {
    return taps.map((row) => row.reduce((sum, t, j) => (t < 0 ? sum : sum + weights[t] * x[j]), 0));
  }

  const convolve = (x, weights, layer) => applied(convolutionTaps({ ...layer, size: x.length }), weights, x);
  const transpose = (x, weights, layer) => applied(transposedTaps({ ...layer, size: x.length }), weights, x);

  /** On two axes: taps of the rows and of the columns, weights and x as arrays of rows. */
  function applied2(down, across, weights, x) {
    return down.map((row) =>
      across.map((column) => {
        let sum = 0;
        row.forEach((t, i) => {
          if (t >= 0) column.forEach((u, j) => (sum += u < 0 ? 0 : weights[t][u] * x[i][j]));
        });
        return sum;
      }),
    );
  }

  const sized = ([down, across], x) => [
    { ...down, size: x.length },
    { ...across, size: x[0].length },
  ];
  const convolve2 = (x, weights, layers) => applied2(...sized(layers, x).map(convolutionTaps), weights, x);
  const transpose2 = (x, weights, layers) => applied2(...sized(layers, x).map(transposedTaps), weights, x);

  const met = (taps) => taps.map((row) => row.filter((t) => t >= 0).length);

  /** How many pairs of an input and a tap meet at each output of a transposed convolution. */
  const overlapCount = (layer) => met(transposedTaps(layer));

  /** How often a convolution reads each of its input samples. */
  const readCount = (layer) => met(swapped(convolutionTaps(layer), layer.size));

  return {
    axis,
    convolutionFault,
    transposedFault,
    convolvedSize,
    transposedSize,
    inputSizes,
    outputPaddingFor,
    equivalent,
    insertedSources,
    insertZeros,
    convolutionTaps,
    transposedTaps,
    swapped,
    matrix,
    convolve,
    transpose,
    convolve2,
    transpose2,
    overlapCount,
    readCount,
  };
});
