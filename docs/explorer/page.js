/* What both panels share: controls and their numbers, colours of the theme, canvases, and the address that keeps the
   settings (index.html#kind=transposed&size=6 opens the page with them). */

globalThis.Page = (function () {
  "use strict";

  const element = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const drawings = [];
  let colours = null;

  /** A colour of the style sheet. */
  function colour(name) {
    colours ??= getComputedStyle(document.documentElement);
    return colours.getPropertyValue(`--${name}`).trim();
  }

  const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

  function mixed(from, to, share) {
    const [a, b] = [channels(from), channels(to)];
    return `#${a
      .map((v, i) =>
        Math.round(v + share * (b[i] - v))
          .toString(16)
          .padStart(2, "0"),
      )
      .join("")}`;
  }

  /** Black or white, whichever is read better on a colour. */
  function readable(hex) {
    const [r, g, b] = channels(hex).map((v) =>
      v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#10151c" : "#ffffff";
  }

  /** A canvas of this size in CSS pixels, sharp on any screen; its context. */
  function context(canvas, width, height) {
    const ratio = globalThis.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.textAlign = "center";
    c.textBaseline = "middle";
    return c;
  }

  const font = (size, weight = 500) =>
    `${weight} ${size}px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif`;

  /** Call `draw` whenever the theme or the width of the window changes. */
  function redrawn(draw) {
    drawings.push(draw);
  }

  function redraw() {
    colours = null;
    drawings.forEach((draw) => draw());
  }

  dark.addEventListener("change", redraw);
  let width = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return; // a phone's address bar comes and goes
    width = document.documentElement.clientWidth;
    redraw();
  });

  // ---- controls and the address -------------------------------------------------------------------------------------

  const address = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const standard = {};

  function keep(name, value) {
    if (String(value) === standard[name]) address.delete(name);
    else address.set(name, value);
    const hash = address.toString();
    if (!hash && !location.hash.includes("=")) return; // the anchor of a section stays
    try {
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    } catch {
      // Without an address to keep them in (some browsers, for files), the settings are still on the page.
    }
  }

  /** A slider with its number: read and set `value`; `changed` is called when the reader moves it. */
  function slider(name, changed, shown = String) {
    const input = element(name);
    const output = document.querySelector(`output[for="${name}"]`);
    let text = shown;
    standard[name] ??= input.value;
    if (address.has(name)) input.value = address.get(name); // the browser puts it within the range
    const show = () => {
      output.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      keep(name, input.value);
      changed(name);
    });
    show();
    return {
      input,
      get value() {
        return Number(input.value);
      },
      set value(value) {
        input.value = value;
        show();
        keep(name, input.value);
      },
      limit(low, high, step) {
        if (low !== undefined) input.min = low;
        input.max = high;
        if (step !== undefined) input.step = step;
        show();
      },
      label(described) {
        text = described;
        show();
      },
    };
  }

  /** Radio buttons of one name: read and set `value`. */
  function radio(name, changed) {
    const inputs = [...document.querySelectorAll(`input[name="${name}"]`)];
    const chosen = () => inputs.find((input) => input.checked).value;
    const set = (value) => inputs.forEach((input) => (input.checked = input.value === value));
    standard[name] = inputs.find((input) => input.defaultChecked).value;
    set(inputs.some((input) => input.value === address.get(name)) ? address.get(name) : standard[name]);
    inputs.forEach((input) =>
      input.addEventListener("change", () => {
        keep(name, chosen());
        changed(name);
      }),
    );
    return {
      get value() {
        return chosen();
      },
      set value(value) {
        set(value);
        keep(name, value);
      },
    };
  }

  return { element, colour, mixed, readable, context, font, redrawn, slider, radio, still };
})();
