/* The second panel: blur a picture, add noise, and compare the transpose, the inverse and Wiener's filter. */

(function () {
  "use strict";

  const { element, slider, radio, redrawn, colour, context, font } = Page;
  const R = Restoration;
  const { SIDE } = Pictures;

  const BLURS = {
    gaussian: { label: "Standard deviation", low: 0.5, high: 5, step: 0.25, psf: (width) => Kernels.gaussian(width) },
    disc: { label: "Radius", low: 0.5, high: 8, step: 0.25, psf: (width) => Kernels.disc(width) },
    motion: { label: "Length", low: 1, high: 25, step: 0.5, psf: (width, angle) => Kernels.motion(width, angle) },
  };
  const KERNEL_VIEW = 41; // pixels: the largest kernel
  const RANGES = { cutoff: [-6, -0.3], balance: [-9, 2] }; // powers of ten

  const decibels = (v) => (Number.isFinite(v) ? `${v.toFixed(1)} dB`.replace("-", "−") : "exact");
  const signed = (v) => `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(1)} dB`;
  const power = (p) =>
    p > -2.01
      ? (10 ** p).toPrecision(2)
      : (10 ** p)
          .toExponential(1)
          .replace("e-", "·10⁻")
          .replace(/⁻(\d+)/, (_, d) => `⁻${[...d].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`);
  /** From a step of the slider to a share of white: none, then 0.01 % to 10 %. */
  const level = (i) => (i === 0 ? 0 : 10 ** (-4 + ((i - 1) * 3) / 39));

  const pictures = { drawn: Pictures.drawn(), photograph: Pictures.photograph() };
  const rough = R.roughness(SIDE, SIDE);
  let seed = 1;
  let scene, X, N, H, gain, psf;

  const blur = radio("blur", () => {
    shapeOfBlur(true);
    request();
  });
  const width = slider("width", blurChanged, (v) => `${v} px`);
  const angle = slider("angle", blurChanged, (v) => `${v}°`);
  const noise = slider("noise", request, (i) => (i ? `${Number((100 * level(i)).toPrecision(2))} %` : "none"));
  const cutoff = slider("cutoff", request, power);
  const balance = slider("balance", request, power);

  // ---- what changes what --------------------------------------------------------------------------------------------

  function sceneChanged() {
    scene = pictures[element("scene").value];
    X = R.transform(scene);
    request();
  }

  function noiseChanged() {
    N = R.transform({ rows: SIDE, cols: SIDE, data: R.noise(SIDE * SIDE, seed) });
    request();
  }

  /** The slider's range and name are the blur's; a new blur starts as strong as it likes to be seen. */
  function shapeOfBlur(fresh) {
    const { label, low, high, step } = BLURS[blur.value];
    element("width-label").textContent = label;
    width.limit(low, high, step);
    if (fresh) width.value = { gaussian: 2, disc: 3, motion: 11 }[blur.value];
    element("angle-field").hidden = blur.value !== "motion";
    blurChanged();
  }

  function blurChanged() {
    psf = BLURS[blur.value].psf(width.value, angle.value);
    H = R.transferOf(psf, SIDE, SIDE);
    gain = R.powerOf(H);
    request();
  }

  let requested = false;

  /** Once for each picture that the screen shows, however many events come. */
  function request() {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => {
      requested = false;
      update();
    });
  }

  // ---- computing ----------------------------------------------------------------------------------------------------

  let result = null;

  function update() {
    const Y = R.blurred(X, H, N, level(noise.value));
    const T = R.transposed(H, Y);
    const weights = {
      inverse: R.inverseWeights(gain, 10 ** cutoff.value),
      wiener: R.wienerWeights(gain, 10 ** balance.value, rough),
    };
    const [blurred, transpose] = R.images(Y, T);
    const [inverse, wiener] = R.images(R.weighed(T, weights.inverse), R.weighed(T, weights.wiener));
    const images = { blurred, transpose, inverse, wiener };
    const psnr = Object.fromEntries(
      Object.entries(images).map(([name, image]) => [name, R.psnr(scene.data, image.data)]),
    );
    result = { images, psnr, weights };
    show();
  }

  function bestOf(control, weightsFor) {
    const T = R.transposed(H, R.blurred(X, H, N, level(noise.value)));
    control.value = Math.log10(R.best(X, T, weightsFor, ...RANGES[control.input.id]));
    request();
  }

  // ---- showing ------------------------------------------------------------------------------------------------------

  function paint(id, { rows, cols, data }, label, peak = 1) {
    const canvas = element(id);
    if (canvas.width !== cols) [canvas.width, canvas.height] = [cols, rows];
    const c = canvas.getContext("2d");
    const pixels = c.createImageData(cols, rows);
    data.forEach((v, i) => {
      pixels.data.fill((255 * v) / peak, 4 * i, 4 * i + 3); // clips by itself
      pixels.data[4 * i + 3] = 255;
    });
    c.putImageData(pixels, 0, 0);
    canvas.setAttribute("aria-label", label);
  }

  function show() {
    if (!result) return;
    const { images, psnr } = result;
    paint("original", scene, `Original picture: ${element("scene").selectedOptions[0].text}`);
    const how = `${blur.value}, ${BLURS[blur.value].label.toLowerCase()} ${width.value} pixels`;
    const view = { rows: KERNEL_VIEW, cols: KERNEL_VIEW, data: new Float64Array(KERNEL_VIEW ** 2) };
    psf.data.forEach((v, i) => {
      const r = Math.floor(i / psf.cols) + (KERNEL_VIEW - psf.rows) / 2;
      view.data[r * KERNEL_VIEW + (i % psf.cols) + (KERNEL_VIEW - psf.cols) / 2] = v;
    });
    paint("psf", view, `Kernel of the blur: ${how}`, Math.max(...psf.data));
    element("psf-text").textContent = `${psf.rows} × ${psf.cols}, three times as large`;
    for (const name of Object.keys(images)) {
      const text = decibels(psnr[name]);
      paint(
        name,
        images[name],
        `${name === "blurred" ? "Blurred and noisy picture" : `Result of the ${name === "wiener" ? "Wiener filter" : name}`}: ${text}`,
      );
      element(`${name}-psnr`).innerHTML =
        text + (name === "blurred" ? "" : ` <small>${signed(psnr[name] - psnr.blurred)}</small>`);
    }
    element("verdict").innerHTML = verdict();
    drawGains();
  }

  function verdict() {
    const { psnr, weights } = result;
    const change = (name) => {
      const by = psnr[name] - psnr.blurred;
      return Math.abs(by) < 0.05
        ? "changes nothing"
        : `${by > 0 ? "gains" : "loses"} <b>${Math.abs(by).toFixed(1)} dB</b>`;
    };
    let loudest = 0;
    let passed = 0;
    for (let i = 0; i < gain.length; i++) {
      loudest = Math.max(loudest, weights.inverse[i] * Math.sqrt(gain[i]));
      passed += weights.inverse[i] > 0;
    }
    const times = loudest >= 10 ? Math.round(loudest).toLocaleString("en") : loudest.toFixed(1);
    const share =
      passed === gain.length
        ? "every frequency"
        : `${Math.min(99, Math.round((100 * passed) / gain.length))} % of the frequencies`;
    return (
      `The transpose ${change("transpose")}: it gives the shape back and blurs a second time. ` +
      `Division ${change("inverse")}: it restores ${share} and multiplies noise by up to ${times}. ` +
      `Wiener’s filter ${change("wiener")}: it divides where the picture is stronger than the noise.`
    );
  }

  function drawGains() {
    const { weights } = result;
    const canvas = element("gains");
    const room = Math.min(canvas.parentElement.clientWidth, 760);
    const [left, right, top, bottom] = [46, 12, 12, 40];
    const height = 230;
    const c = context(canvas, room, height);
    const [low, high, half] = [-3, 3, SIDE / 2];
    const x = (k) => left + ((room - left - right) * k) / half;
    const y = (v) => top + ((height - top - bottom) * (high - v)) / (high - low);
    c.font = font(12);
    c.fillStyle = colour("soft");
    c.strokeStyle = colour("line");
    c.lineWidth = 1;
    for (let v = low; v <= high; v++) {
      c.beginPath();
      c.moveTo(left, y(v));
      c.lineTo(room - right, y(v));
      c.stroke();
      c.textAlign = "right";
      c.fillText({ "-3": "0.001", "-2": "0.01", "-1": "0.1", 0: "1", 1: "10", 2: "100", 3: "1000" }[v], left - 6, y(v));
    }
    c.textAlign = "center";
    for (const f of [0, 0.1, 0.2, 0.3, 0.4, 0.5]) c.fillText(String(f), x(f * SIDE), height - bottom + 14);
    c.fillText("cycles a pixel", (left + room - right) / 2, height - 9);
    c.save();
    c.beginPath();
    c.rect(left, top, room - left - right, height - top - bottom);
    c.clip();
    const line = (name, thick, value) => {
      c.beginPath();
      let drawing = false;
      for (let k = 0; k <= half; k++) {
        const v = value(k);
        if (v > 0) drawing ? c.lineTo(x(k), y(Math.log10(v))) : c.moveTo(x(k), y(Math.log10(v)));
        drawing = v > 0;
      }
      c.strokeStyle = colour(name);
      c.lineWidth = thick ? 3 : 1.25;
      c.stroke();
    };
    const filters = { transpose: () => 1, inverse: (k) => weights.inverse[k], wiener: (k) => weights.wiener[k] };
    for (const [name, weight] of Object.entries(filters)) {
      line(name, false, (k) => weight(k) * Math.sqrt(gain[k]));
      line(name, true, (k) => weight(k) * gain[k]);
    }
    c.restore();
    c.textAlign = "left";
    c.font = font(12.5, 650);
    let place = left + 10;
    for (const name of Object.keys(filters)) {
      c.fillStyle = colour(name);
      c.fillRect(place, top + 8, 14, 4);
      c.fillText(name === "wiener" ? "Wiener" : name, place + 19, top + 10);
      place += 34 + c.measureText(name).width;
    }
    canvas.setAttribute(
      "aria-label",
      "Gains over frequency, on a logarithmic axis. " +
        [8, 16, 32]
          .map(
            (k) =>
              `At ${k / SIDE} cycles a pixel, blur and filter together: ${Object.entries(filters)
                .map(([name, weight]) => `${name} ${(weight(k) * gain[k]).toPrecision(2)}`)
                .join(", ")}.`,
          )
          .join(" "),
    );
  }

  // ---- controls -----------------------------------------------------------------------------------------------------

  element("best-cutoff").addEventListener("click", () => bestOf(cutoff, (v) => R.inverseWeights(gain, v)));
  element("best-balance").addEventListener("click", () => bestOf(balance, (v) => R.wienerWeights(gain, v, rough)));
  element("new-noise").addEventListener("click", () => {
    seed += 1;
    noiseChanged();
  });
  element("scene").addEventListener("change", sceneChanged);

  /** The middle square of the reader's picture, in grey; it is read in this page and goes nowhere. */
  element("own").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file);
      const side = Math.min(bitmap.width, bitmap.height);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = SIDE;
      const c = canvas.getContext("2d");
      c.fillStyle = "white";
      c.fillRect(0, 0, SIDE, SIDE);
      c.imageSmoothingQuality = "high";
      c.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
      const pixels = c.getImageData(0, 0, SIDE, SIDE).data;
      const grey = (_, i) => (0.2126 * pixels[4 * i] + 0.7152 * pixels[4 * i + 1] + 0.0722 * pixels[4 * i + 2]) / 255;
      pictures.own = { rows: SIDE, cols: SIDE, data: Float64Array.from({ length: SIDE * SIDE }, grey) };
      const option = element("scene").querySelector('[value="own"]');
      option.disabled = false;
      element("scene").value = "own";
      sceneChanged();
    } catch {
      element("verdict").textContent = `${file.name} cannot be read as a picture. Choose a PNG, JPEG or WebP file.`;
    }
  });

  redrawn(show);
  shapeOfBlur(false);
  noiseChanged();
  sceneChanged();
})();
