/* The first panel: its controls, its moving window, its table of sizes and its matrix. */

(function () {
  "use strict";

  const { element, slider, radio, redrawn, still } = Page;
  const A = Arithmetic;

  const NAMES = ["size", "kernel", "stride", "padding", "dilation", "outputPadding"];
  const PACE = 900; // ms a step
  const MANY = 24; // steps from which playing is faster

  const EXAMPLES = [
    ["Three sizes, one output: 17 → 6", "convolution", 17, 5, 3, 2, 1, 0],
    ["Back from 6 to 17: output_padding", "transposed", 6, 5, 3, 2, 1, 1],
    ["Uneven overlap: kernel 3, stride 2", "transposed", 6, 3, 2, 1, 1, 1],
    ["Even overlap: kernel 4, stride 2", "transposed", 6, 4, 2, 1, 1, 0],
    ["No overlap: kernel 2, stride 2", "transposed", 6, 2, 2, 0, 1, 0],
    ["Gaps: kernel 2, stride 3", "transposed", 5, 2, 3, 0, 1, 0],
    ["Dilated transpose", "transposed", 5, 3, 2, 2, 2, 1],
    ["Dilated convolution", "convolution", 12, 3, 1, 2, 2, 0],
    ["The size is kept: kernel 3, padding 1", "convolution", 8, 3, 1, 1, 1, 0],
  ];

  const kind = radio("kind", update);
  const axes = radio("axes", update);
  const seen = radio("seen", update);
  const shown = radio("shown", draw);
  const settings = Object.fromEntries(NAMES.map((name) => [name, slider(name, update)]));
  const position = slider("position", () => {
    stop();
    draw();
  });

  let now = null; // the layer on the page; null while it is not a valid one

  function update() {
    stop();
    const forward = kind.value === "convolution";
    element("seen-choice").hidden = forward;
    settings.outputPadding.input.disabled = forward;
    const layer = Object.fromEntries(NAMES.map((name) => [name, settings[name].value]));
    if (forward) layer.outputPadding = 0;
    const problem = forward ? A.convolutionFault(layer) : A.transposedFault(layer);
    element("fault").hidden = !problem;
    element("working").hidden = Boolean(problem);
    now = problem
      ? null
      : Steps.described(layer, { forward, flat: axes.value === "1", stamps: !forward && seen.value === "stamps" });
    if (problem) {
      refuse(problem);
      return;
    }
    position.limit(0, now.steps - 1);
    position.label((i) => `${i + 1} of ${now.steps}`);
    element("shape").textContent = Words.shape(now);
    element("formula").innerHTML = Words.formula(now);
    element("notes").innerHTML = Words.notes(now)
      .map((note) => `<li>${note}</li>`)
      .join("");
    element("python").textContent = Words.python(now);
    table();
    draw();
  }

  function refuse({ fault, remedy, repair }) {
    const [name, value] = Object.entries(repair)[0];
    element("fault-text").textContent = `${fault} ${remedy}`;
    element("repair").hidden = value > Number(settings[name].input.max);
    element("repair").onclick = () => {
      settings[name].value = value;
      update();
      settings[name].input.focus();
    };
  }

  /** The sizes that one output size can have come from, each with the output_padding that leads back to it. */
  function table() {
    const { forward, stride, dilation } = now;
    const [before, after] = forward ? [now.size, now.out] : [now.out, now.size];
    const base = { ...now.layer, size: after, outputPadding: 0 };
    const from = A.inputSizes(base);
    element("sizes-title").textContent =
      from.length === 1 ? `One size leads to ${after}` : `${from.length} sizes lead to ${after}`;
    element("sizes-text").textContent = Words.sizes(now, after, from);
    const least = before - A.outputPaddingFor(base, before);
    const body = element("sizes");
    body.replaceChildren();
    for (let extra = 0; extra < (forward ? stride : Math.max(stride, dilation)); extra++) {
      const n = least + extra;
      if (n < 1) continue;
      const fits = !A.convolutionFault({ ...base, size: n });
      const button = document.createElement("button");
      const [name, value] = forward ? ["size", n] : ["outputPadding", extra];
      button.type = "button";
      button.textContent = value;
      button.setAttribute("aria-label", `Set ${forward ? "input size" : "output_padding"} ${value}`);
      button.disabled = value > Number(settings[name].input.max);
      button.onclick = () => {
        settings[name].value = value;
        update();
        body.querySelector(".now button")?.focus();
      };
      const row = body.insertRow();
      if (n === before) {
        row.className = "now";
        button.setAttribute("aria-current", "true");
      }
      row.insertCell().append(forward ? button : n);
      row.insertCell().append(fits ? A.convolvedSize({ ...base, size: n }) : "does not fit");
      row.insertCell().append(forward ? extra : button);
    }
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  let hits = [];

  function draw() {
    if (!now) return;
    const step = Math.min(position.value, now.steps - 1);
    const [holder, canvas] = [element("moving-frame"), element("moving")];
    const room = holder.clientWidth - 8;
    if (now.flat) {
      const picture = Steps.line(now, step);
      const drawing = Windows.rows(canvas, room, picture);
      hits = drawing.hits;
      holder.scrollLeft = (picture.centre + 0.5) * drawing.unit - holder.clientWidth / 2;
    } else {
      hits = Windows.grids(canvas, room, Steps.square(now, step)).hits;
    }
    element("sum").innerHTML = Words.step(now, step);
    canvas.setAttribute("aria-label", Words.drawing(now, step, element("sum").textContent));
    element("legend").replaceChildren(...legend());
    drawMatrix(step);
  }

  function legend() {
    const entry = (fills, text, dashed) => {
      const span = document.createElement("span");
      for (const fill of fills) {
        const swatch = document.createElement("i");
        swatch.style.background = fill;
        if (dashed) swatch.style.borderStyle = "dashed";
        span.append(swatch);
      }
      span.append(text);
      return span;
    };
    const result = [entry(Windows.TAPS.slice(0, now.kernel), now.flat ? "taps of the kernel" : "kernel")];
    if (now.forward && now.before) result.push(entry(["var(--pad)"], "padding", true));
    if (now.stamps && now.span > now.out) result.push(entry(["var(--cut)"], "cut off by padding", true));
    if (!now.forward && !now.stamps) result.push(entry(["var(--pad)"], "zeros put in", true));
    const counts = now.flat ? now.counts : now.counts.flatMap((a) => now.counts.map((b) => a * b));
    const distinct = [...new Set(counts)].sort((a, b) => a - b);
    const top = now.flat ? now.most : now.most ** 2;
    const text = (count) =>
      now.forward ? `read ${count === 1 ? "once" : `${count} times`}` : `${count} ${count === 1 ? "input" : "inputs"}`;
    for (const count of distinct.length > 5 ? [distinct[0], distinct.at(-1)] : distinct) {
      result.push(entry([Windows.countColour(count, top)], text(count)));
    }
    return result;
  }

  // ---- the matrix ---------------------------------------------------------------------------------------------------

  const canvas = element("matrix");
  let matrix = null; // what is drawn
  let cell = [0, 0]; // where the pointer or the keyboard is
  let pointed = false;

  function drawMatrix(step = position.value) {
    const product = shown.value === "return";
    const name = Words.matrixName(now);
    element("layer-matrix").innerHTML = name;
    element("matrix-title").innerHTML =
      product && now.flat ? "There and back: <var>A</var><sup>H</sup><var>A</var>" : `The matrix ${name}`;
    for (const id of ["matrix-choice", "matrix-frame"]) element(id).hidden = !now.flat;
    matrix = null;
    if (!now.flat) {
      element("cell").innerHTML = Words.matrixOfSquare(now);
      return;
    }
    const own = A.matrix(now.taps, now.weights);
    const values = product ? thereAndBack(now.forward ? own : A.swapped(own, now.size)) : own;
    cell = [Math.min(cell[0], values.length - 1), Math.min(cell[1], values[0].length - 1)];
    const active = pointed || document.activeElement === canvas;
    const marks = product ? {} : now.stamps ? { column: step } : { row: step };
    const taps = product ? null : now.taps;
    const room = element("matrix-frame").clientWidth - 8;
    matrix = { values, ...Windows.matrix(canvas, room, { values, taps, cell: active ? cell : null, ...marks }) };
    const spoken = product ? "A transposed times A" : now.forward ? "Matrix A" : "Matrix A, transposed";
    canvas.setAttribute(
      "aria-label",
      `${spoken}: ${values.length} rows, ${values[0].length} columns. The arrow keys go from cell to cell.`,
    );
    element("cell").innerHTML = active
      ? Words.matrixCell(now, product, ...cell, values[cell[0]][cell[1]])
      : Words.matrixHint(now, product);
  }

  /** AᵀA: what is left of each sample after the convolution and its transpose. */
  function thereAndBack(rows) {
    return rows[0].map((_, i) => rows[0].map((_, j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0)));
  }

  function select(i, j) {
    if (!now || !matrix) return; // hidden while a setting is refused, which takes the focus away
    cell = [Math.max(0, Math.min(i, matrix.values.length - 1)), Math.max(0, Math.min(j, matrix.values[0].length - 1))];
    drawMatrix();
  }

  canvas.addEventListener("pointermove", (event) => {
    if (!matrix) return;
    const [i, j] = [event.offsetY, event.offsetX].map((v) => Math.floor((v - 2) / matrix.unit));
    if (pointed && i === cell[0] && j === cell[1]) return;
    pointed = true;
    select(i, j);
  });
  canvas.addEventListener("pointerleave", () => {
    pointed = false;
    select(...cell);
  });
  for (const event of ["focus", "blur"]) canvas.addEventListener(event, () => select(...cell));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    select(cell[0] + move[0], cell[1] + move[1]);
  });

  // ---- playing ------------------------------------------------------------------------------------------------------

  let timer = 0;

  function playing(yes) {
    element("play").textContent = yes ? "Pause" : "Play";
    // A screen reader would never come to the end of a sentence.
    element("sum").setAttribute("aria-live", yes ? "off" : "polite");
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    playing(false);
  }

  function move(to) {
    position.value = Math.max(0, Math.min(to, now.steps - 1));
    draw();
  }

  function play() {
    if (position.value >= now.steps - 1) move(0);
    playing(true);
    const pace = still.matches ? 2 * PACE : now.steps > MANY ? PACE / 4 : PACE;
    timer = setInterval(() => {
      move(position.value + 1);
      if (position.value >= now.steps - 1) stop();
    }, pace);
  }

  element("play").addEventListener("click", () => (timer ? stop() : play()));
  for (const [id, by] of [
    ["back-step", -1],
    ["next-step", 1],
  ]) {
    element(id).addEventListener("click", () => {
      stop();
      move(position.value + by);
    });
  }

  element("moving").addEventListener("click", ({ offsetX: x, offsetY: y }) => {
    const hit = hits.find((h) => x >= h.x && x < h.x + h.w && y >= h.y && y < h.y + h.h);
    if (!hit) return;
    stop();
    move(hit.key);
  });

  const example = element("example");
  EXAMPLES.forEach(([text], i) => example.append(new Option(text, i)));
  example.addEventListener("change", () => {
    if (example.value === "") return;
    const [, which, ...values] = EXAMPLES[example.value];
    kind.value = which;
    NAMES.forEach((name, i) => (settings[name].value = values[i]));
    position.value = 0;
    update();
  });

  redrawn(draw);
  update();
})();
