/* What the first panel says about a layer, and about one step of its moving window. */

globalThis.Words = (function () {
  "use strict";

  const A = Arithmetic;
  const { X, value } = Steps;

  const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
  const sub = (name, i) => `<var>${name}</var><sub>${i}</sub>`;
  const listed = (items) =>
    items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
  const frame = ({ flat }, n) => (flat ? String(n) : `${n} × ${n}`);

  const shape = (now) =>
    `${now.forward ? "Convolution" : "Transposed convolution"}: ${frame(now, now.size)} → ${frame(now, now.out)}`;

  function formula({ forward, size: n, kernel: k, stride: s, before: p, dilation: d, extra, reach, out }) {
    return forward
      ? `⌊(<var>n</var> + 2<var>p</var> − <var>d</var>(<var>k</var> − 1) − 1) / <var>s</var>⌋ + 1 = ` +
          `⌊(${n} + 2·${p} − ${d}·(${k} − 1) − 1) / ${s}⌋ + 1 = ⌊${n + 2 * p - reach - 1} / ${s}⌋ + 1 = <b>${out}</b>`
      : `(<var>n</var> − 1)<var>s</var> − 2<var>p</var> + <var>d</var>(<var>k</var> − 1) + output_padding + 1 = ` +
          `(${n} − 1)·${s} − 2·${p} + ${d}·(${k} − 1) + ${extra} + 1 = <b>${out}</b>`;
  }

  // ---- what is worth knowing about a layer --------------------------------------------------------------------------

  const notes = (now) =>
    (now.forward ? [unread(now)] : [overlap(now), cropped(now), atTheEnd(now), notTransposed(now)]).filter(Boolean);

  function unread({ counts, flat }) {
    const which = counts.map((count, j) => (count ? -1 : j)).filter((j) => j >= 0);
    if (!which.length) return "";
    const subject = flat
      ? which.length > 6
        ? `${which.length} inputs`
        : `Input ${listed(which)}`
      : counted(which.length, "row") + " and as many columns";
    return `${subject} ${flat && which.length === 1 ? "is" : "are"} never read. Nothing of them is in the output, and nothing can bring them back from it alone.`;
  }

  /** How many taps meet at an output depends on its place between two inputs. */
  function overlap({ kernel, stride, dilation, flat }) {
    if (stride === 1) return "";
    const axis = flat ? "" : " on each axis";
    const phases = new Array(stride).fill(0);
    for (let t = 0; t < kernel; t++) phases[(t * dilation) % stride] += 1;
    const [least, most] = [Math.min(...phases), Math.max(...phases)];
    if (least === 0) {
      const empty = phases.filter((count) => !count).length;
      return (
        `Gaps: away from the ends, ${empty} of every ${stride} outputs${axis} ${empty === 1 ? "gets" : "get"} nothing from any input. ` +
        (kernel < stride ? "The kernel is smaller than the stride." : "The dilation shares a factor with the stride.")
      );
    }
    if (least === most)
      return `Even overlap: away from the ends, ${counted(least, "input")} ${least === 1 ? "meets" : "meet"} at every output${axis}.`;
    return `Uneven overlap: away from the ends, ${least} or ${most} inputs meet at an output${axis}, in turn. That invites checkerboards, unless the weights make up for it. A kernel size that the stride divides overlaps evenly.`;
  }

  function cropped({ before, reach }) {
    return before > reach
      ? `Padding ${before} is more than the kernel reaches (${reach}): the equivalent convolution crops ${before - reach} off each end of its input.`
      : "";
  }

  function atTheEnd({ extra, counts }) {
    if (!extra) return "";
    const last = counts.slice(-extra);
    const reached = Math.max(...last)
      ? `${listed(last.map(String))} ${last.length === 1 && last[0] === 1 ? "input reaches it" : `inputs reach ${extra > 1 ? "them" : "it"}`}.`
      : `No input reaches ${extra > 1 ? "them: they are" : "it: it is"} zero.`;
    return `output_padding leaves ${counted(extra, "sample")} more at the end. ${reached}`;
  }

  function notTransposed({ extra, stride, size, out, layer }) {
    if (extra < stride) return "";
    const again = A.convolvedSize({ ...layer, size: out, outputPadding: 0 });
    return `output_padding is not smaller than the stride, which the dilation allows. Then this is no convolution’s transpose: of ${out} samples the convolution would leave ${again}, not ${size}.`;
  }

  function sizes({ stride }, after, from) {
    if (stride === 1) return `With stride 1 only ${from[0]} does, so the transpose has nothing to choose.`;
    return from.length > 1
      ? `Dividing by the stride forgets the remainder: a convolution takes ${from.length > 2 ? "all of" : "both"} ${listed(from.map(String))} to ${after}. The transpose cannot know which it was; output_padding says so.`
      : `Only ${from[0]} does: the other ${stride - 1} would have less than one sample.`;
  }

  function python({ forward, flat, size, kernel, stride, before, dilation, extra, out }) {
    const rest = `${kernel}, stride=${stride}, padding=${before}, dilation=${dilation}${extra ? `, output_padding=${extra}` : ""}`;
    const name = forward ? "conv_shape" : "transposed_shape";
    const [input, output] = [size, out].map((n) => (flat ? String(n) : `${n}, ${n}`));
    return [
      `from sigdeconv.transposed import ${name}`,
      `${name}(${flat ? input : `(${input})`}, ${rest})  # (${output}${flat ? "," : ""})`,
      "",
      "import torch",
      `layer = torch.nn.${forward ? "Conv" : "ConvTranspose"}${flat ? 1 : 2}d(1, 1, ${rest})`,
      `layer(torch.zeros(1, 1, ${input})).shape  # torch.Size([1, 1, ${output}])`,
    ].join("\n");
  }

  // ---- one step -----------------------------------------------------------------------------------------------------

  const meeting = (now, i) => now.taps[i].map((t, j) => ({ t, j })).filter(({ t }) => t >= 0);
  const reached = (now, j) => now.taps.filter((row) => row[j] >= 0).length;

  const step = (now, i) => (now.flat ? stepOnLine(now, i) : stepOnSquare(now, Math.floor(i / now.side), i % now.side));

  function stepOnLine(now, i) {
    if (now.stamps) {
      const lost = now.kernel - reached(now, i);
      return (
        `Input ${sub("x", i)} = ${X[i]} stamps ${X[i]} · (${now.weights.join(", ")}) onto the output` +
        (lost ? `; ${lost} of the ${now.kernel} ${lost === 1 ? "falls" : "fall"} past its ends.` : ".")
      );
    }
    const met = meeting(now, i);
    if (!met.length)
      return `${sub("y", i)} = 0: ${now.forward ? "the window sees padding only." : "no input reaches it."}`;
    const symbols = met.map(({ t, j }) => sub("w", t) + sub("x", j)).join(" + ");
    return `${sub("y", i)} = ${symbols} = ${met.map(({ t, j }) => `${now.weights[t]}·${X[j]}`).join(" + ")} = <b>${value(now, i)}</b>`;
  }

  function stepOnSquare(now, r, c) {
    if (now.stamps)
      return `Input (${r}, ${c}) stamps its value times the kernel onto ${counted(reached(now, r) * reached(now, c), "output")}.`;
    const met = meeting(now, r).length * meeting(now, c).length;
    const rest = now.forward
      ? met < now.kernel ** 2
        ? "; the other taps meet padding"
        : ""
      : met < now.kernel ** 2
        ? "; the other taps meet zeros"
        : "";
    return `Output (${r}, ${c}) is ${met ? `a sum of ${counted(met, "product")} of an input and a tap${rest}` : "zero: no input reaches it"}.`;
  }

  /** The drawing in words. */
  function drawing(now, i, sentence) {
    const name = now.forward
      ? "Convolution"
      : now.stamps
        ? "Transposed convolution: inputs stamp the kernel"
        : "Transposed convolution: a convolution of the input with zeros put in";
    const extra = now.forward ? "" : `, output_padding ${now.extra}`;
    return (
      `${name}. ${frame(now, now.size)} to ${frame(now, now.out)}, kernel ${now.kernel}, stride ${now.stride}, padding ${now.before}, dilation ${now.dilation}${extra}. ` +
      `Step ${i + 1} of ${now.steps}: ${sentence} ${now.forward ? "Times that each input is read" : "Inputs that meet at each output"}${now.flat ? "" : ", on each axis"}: ${now.counts.join(", ")}.`
    );
  }

  // ---- the matrix ---------------------------------------------------------------------------------------------------

  const matrixName = ({ forward }) => (forward ? "<var>A</var>" : "<var>A</var><sup>H</sup>");

  function matrixOfSquare(now) {
    const filled = now.taps.flat().filter((t) => t >= 0).length ** 2;
    const [rows, columns] = [now.out ** 2, now.size ** 2];
    const number = (n) => n.toLocaleString("en");
    return `On two axes it has ${number(rows)} rows, one an output, and ${number(columns)} columns, one an input; ${number(filled)} of its ${number(rows * columns)} entries are not zero. Choose 1-D to see one.`;
  }

  const matrixHint = (now, product) =>
    product
      ? "The convolution, then its transpose. Were that the inverse, 1 would stand on the diagonal and 0 elsewhere."
      : `A row is an output, a column an input${now.forward ? "" : ": the kernel, where this input stamps it"}. Point at a cell, or use the arrow keys.`;

  function matrixCell(now, product, i, j, entry) {
    if (product)
      return `Row ${i}, column ${j}: of a 1 at sample ${j}, sample ${i} gets ${entry} back. The inverse would give it ${i === j ? 1 : 0}.`;
    const t = now.taps[i][j];
    return `Row ${i}, column ${j}: output ${sub("y", i)} ${t < 0 ? `does not meet input ${sub("x", j)}` : `takes input ${sub("x", j)} times tap ${sub("w", t)} = ${entry}`}.`;
  }

  return { shape, formula, notes, sizes, python, step, drawing, matrixName, matrixOfSquare, matrixHint, matrixCell };
})();
