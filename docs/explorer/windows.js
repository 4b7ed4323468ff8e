/* Drawings of the first panel: the moving window on one axis and on two, and the matrix. Each takes what is to be drawn
   as plain data, and returns where a pointer hits it. */

globalThis.Windows = (function () {
  "use strict";

  const { colour, mixed, readable, context, font } = Page;

  // Paul Tol's light scheme: seven taps that colour-blind readers can tell apart, all of them readable under black.
  const TAPS = ["#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff", "#44bb99", "#bbcc33"];
  const WIDEST = 40; // pixels a cell
  const NARROWEST = 21; // below, numbers are unreadable: the drawing scrolls instead
  const GAP = 22; // for a row's label

  function countColour(count, most) {
    return count === 0 ? colour("none") : mixed(colour("low"), colour("high"), most > 1 ? (count - 1) / (most - 1) : 0);
  }

  function box(c, x, y, w, h, { fill, edge, dashed = false, heavy = false, text = "", ink, size = 13, weight = 500 }) {
    if (w < 7) {
      c.fillStyle = heavy || !fill ? (edge ?? colour("track")) : fill; // too small for an edge of its own
      c.fillRect(x, y, w, h);
      return;
    }
    const inset = heavy ? 1.25 : 0.5;
    c.beginPath();
    c.roundRect(x + inset, y + inset, w - 2 * inset, h - 2 * inset, Math.min(4, w / 5));
    if (fill) {
      c.fillStyle = fill;
      c.fill();
    }
    c.setLineDash(dashed ? [3, 3] : []);
    c.lineWidth = heavy ? 2.5 : 1;
    c.strokeStyle = edge ?? colour("track");
    c.stroke();
    c.setLineDash([]);
    if (text === "") return;
    c.fillStyle = ink ?? (fill ? readable(fill) : colour("ink"));
    let fitted = size;
    c.font = font(fitted, weight);
    while (fitted > 8 && c.measureText(text).width > w - 3) c.font = font(--fitted, weight);
    c.fillText(text, x + w / 2, y + h / 2 + 0.5);
  }

  /** Rows of cells, and links between them. A row is { label, cells, flat }, a cell { at, text, look, tap, count, key },
      where `at` is its place in cells and may lie between two. Look: plain, pad, between, cut, tap, count,
      faint. A link goes from { row, at } to another. */
  function rows(canvas, room, { length, rows, links, most }) {
    const u = Math.max(NARROWEST, Math.min(WIDEST, Math.floor((room - 2) / length)));
    const low = Math.round(u * 0.72);
    let y = 0;
    const places = rows.map((row) => {
      const top = y + GAP;
      y = top + (row.flat ? low : u) + (row.space ?? 6);
      return top;
    });
    const c = context(canvas, Math.max(length * u + 2, Math.min(room, 300)), y + 2);
    for (const { from, to, tap } of links) {
      const [a, b] = [places[rows.indexOf(from.row)] + u, places[rows.indexOf(to.row)]];
      const [x0, x1] = [(from.at + 0.5) * u + 1, (to.at + 0.5) * u + 1];
      c.beginPath();
      c.moveTo(x0, a);
      c.bezierCurveTo(x0, (a + b) / 2, x1, (a + b) / 2, x1, b);
      c.lineWidth = 2.5;
      c.strokeStyle = tap === undefined ? colour("accent") : TAPS[tap];
      c.stroke();
    }
    const hits = [];
    rows.forEach((row, r) => {
      const h = row.flat ? low : u;
      for (const cell of row.cells) {
        const style = { text: cell.text ?? "", heavy: cell.active, size: Math.min(15, u * 0.45) };
        if (cell.active) style.edge = colour("ink");
        if (cell.look === "tap") style.fill = TAPS[cell.tap];
        else if (cell.look === "count") style.fill = countColour(cell.count, most);
        else if (cell.look === "pad")
          Object.assign(style, { fill: colour("pad"), dashed: !cell.active, ink: colour("soft") });
        else if (cell.look === "cut") Object.assign(style, { fill: colour("cut"), dashed: true, ink: colour("soft") });
        else if (cell.look === "between") Object.assign(style, { dashed: !cell.active, ink: colour("soft") });
        else if (cell.look === "faint") Object.assign(style, { ink: colour("soft"), edge: colour("line") });
        else style.fill = colour("cell");
        if (cell.look === "plain" || cell.look === "tap") style.weight = 650;
        box(c, cell.at * u + 1, places[r], u, h, style);
        if (cell.look === "cut") struck(c, cell.at * u + 1, places[r], u, h);
        if (cell.key !== undefined) hits.push({ x: cell.at * u, y: places[r], w: u, h, key: cell.key });
      }
      // Last, on the colour of the page, so that no link runs through a label.
      c.textAlign = "left";
      c.font = font(12.5);
      const wide = c.measureText(row.label).width;
      c.fillStyle = colour("card");
      c.globalAlpha = 0.85;
      c.fillRect(0, places[r] - GAP + 4, wide + 4, GAP - 6);
      c.globalAlpha = 1;
      c.fillStyle = colour("soft");
      c.fillText(row.label, 1, places[r] - GAP / 2 + 1);
      c.textAlign = "center";
    });
    return { hits, unit: u };
  }

  function struck(c, x, y, w, h) {
    c.beginPath();
    c.moveTo(x + 5, y + h - 5);
    c.lineTo(x + w - 5, y + 5);
    c.lineWidth = 1;
    c.strokeStyle = colour("soft");
    c.stroke();
  }

  /** Two square grids, beside or under each other. A grid is { label, size, cell(i, j) → as in rows }. */
  function grids(canvas, room, { left, right, most }) {
    const beside = room >= 560;
    const gap = 34;
    const cells = beside ? left.size + right.size : Math.max(left.size, right.size);
    const u = Math.max(
      2,
      Math.min(
        34,
        Math.floor((room - (beside ? gap : 0) - 4) / cells),
        beside ? 520 / Math.max(left.size, right.size) : 99,
      ),
    );
    const widths = [left, right].map((grid) => Math.ceil(grid.size * u));
    const height = beside ? Math.max(...widths) + GAP : widths[0] + widths[1] + 2 * GAP + 14;
    const c = context(
      canvas,
      Math.min(room, Math.max(beside ? widths[0] + widths[1] + gap : Math.max(...widths), 280)) + 2,
      height + 4,
    );
    const hits = [];
    [left, right].forEach((grid, g) => {
      const [x0, y0] = beside ? [g * (Math.max(widths[0], 130) + gap) + 1, GAP] : [1, g * (widths[0] + GAP + 14) + GAP];
      c.textAlign = "left";
      c.font = font(12.5);
      c.fillStyle = colour("soft");
      c.fillText(grid.label, x0, y0 - GAP / 2);
      c.textAlign = "center";
      for (let i = 0; i < grid.size; i++) {
        for (let j = 0; j < grid.size; j++) {
          const cell = grid.cell(i, j);
          const style = { text: u >= 15 ? (cell.text ?? "") : "", size: Math.min(14, u * 0.5) };
          if (cell.look === "tap") style.fill = TAPS[cell.tap];
          else if (cell.look === "count") style.fill = countColour(cell.count, most);
          else if (cell.look === "pad")
            Object.assign(style, { fill: colour("pad"), ink: colour("soft"), edge: colour("line") });
          else style.fill = colour("cell");
          if (cell.active && u >= 12) Object.assign(style, { heavy: true, edge: colour("ink") });
          else if (cell.active) style.edge = colour("ink");
          box(c, x0 + j * u, y0 + i * u, u, u, style);
          if (cell.key !== undefined) hits.push({ x: x0 + j * u, y: y0 + i * u, w: u, h: u, key: cell.key });
        }
      }
    });
    return { hits, unit: u };
  }

  /** A matrix with its taps (or, without taps, its values) in colours; `row`, `column` outlined, `cell` framed. */
  function matrix(canvas, room, { values, taps, row, column, cell }) {
    const [count, across] = [values.length, values[0].length];
    const u = Math.max(7, Math.min(34, Math.floor((room - 4) / across), 420 / count));
    const c = context(canvas, across * u + 4, count * u + 4);
    const peak = Math.max(...values.flat().map(Math.abs), 1);
    values.forEach((line, i) =>
      line.forEach((value, j) => {
        const style = {
          edge: colour("line"),
          size: Math.min(13, u * 0.45),
          text: u >= 17 && value !== 0 ? String(value) : "",
        };
        if (taps && taps[i][j] >= 0) style.fill = TAPS[taps[i][j]];
        else if (!taps && value !== 0) style.fill = mixed(colour("low"), colour("high"), Math.abs(value) / peak);
        box(c, 2 + j * u, 2 + i * u, u, u, style);
      }),
    );
    c.lineWidth = 2.5;
    c.strokeStyle = colour("ink");
    if (row !== undefined) c.strokeRect(2, 2 + row * u, across * u, u);
    if (column !== undefined) c.strokeRect(2 + column * u, 2, u, count * u);
    if (cell) {
      c.strokeStyle = colour("accent");
      c.lineWidth = 4;
      c.strokeRect(2 + cell[1] * u, 2 + cell[0] * u, u, u);
    }
    return { unit: u };
  }

  return { TAPS, countColour, rows, grids, matrix };
})();
