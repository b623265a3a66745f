// View (b): what one pixel sees through a chain of layers, and the rule of hybrid dilation.
"use strict";

const Chain = (() => {
  const { range, sum } = Arithmetic;
  const { svg } = Dom;
  const MOST_LAYERS = 6;
  const LEVEL = 52;

  const rates = (...list) => list.map((dilation) => ({ kernel: 3, stride: 1, dilation }));
  const PRESETS = [
    ["Three 3-taps", rates(1, 1, 1)],
    ["Strided", range(3).map(() => ({ kernel: 3, stride: 2, dilation: 1 }))],
    ["Rates 1, 2, 4, 8", rates(1, 2, 4, 8)],
    ["Rates 2, 2, 2: holes", rates(2, 2, 2)],
    ["Rates 1, 2, 5", rates(1, 2, 5)],
    ["Rates 1, 2, 9", rates(1, 2, 9)],
    ["Strided, then dilated", [{ kernel: 3, stride: 2, dilation: 1 }, ...rates(2, 4)]],
  ];

  // Output pixels that are drawn: as many as fit, an odd number.
  function outputs(field) {
    const most = Math.floor((64 - field.size) / field.step) + 1;
    const fitting = Math.max(1, Math.min(9, most));
    return fitting - (fitting % 2 === 0 ? 1 : 0);
  }

  // The center of a pixel of a level on the axis of the image's pixels.
  const center = (level, pixel) => pixel * level.step + (level.size - 1) / 2;

  // For each level, the first pixel that output pixel `chosen` sees, and the number of pixels there.
  function cone(field, layers, chosen) {
    let first = chosen;
    const levels = [...field.levels].reverse().map((level, up) => {
      if (up > 0) first *= layers[layers.length - up].stride;
      return { first, counts: level.counts };
    });
    return levels.reverse();
  }

  function diagram(layers, field, chosen, width) {
    const shown = outputs(field);
    const extent = (shown - 1) * field.step + field.size;
    const unit = width / extent;
    const side = Math.min(unit * 0.8, 26);
    const height = LEVEL * layers.length + 34 + 84;
    const y = (number) => 24 + LEVEL * (layers.length - number);
    const x = (level, pixel) => (center(level, pixel) + 0.5) * unit;
    const seen = cone(field, layers, chosen);
    const parts = [];
    layers.forEach((layer, number) => parts.push(edges(layer, field, seen, number, x, y)));
    field.levels.forEach((level, number) => {
      const total = Math.floor((extent - level.size) / level.step) + 1;
      for (const pixel of range(total)) {
        const count = seen[number].counts[pixel - seen[number].first];
        const kind = count > 0 ? "seen" : count === 0 ? "hole" : "unseen";
        parts.push(svg("rect", { x: x(level, pixel) - side / 2, y: y(number) - side / 2, width: side,
          height: side, rx: 2, class: `pixel ${kind} ${number === layers.length ? "top" : ""}`, "data-output":
          number === layers.length ? pixel : "" }));
      }
    });
    parts.push(bars(seen[0], field, unit, y(0) + side / 2 + 8));
    return [width, height, parts.join("")];
  }

  function edges(layer, field, seen, number, x, y) {
    const [below, above] = [field.levels[number], field.levels[number + 1]];
    return seen[number + 1].counts.map((count, place) => {
      if (!count) return "";
      const pixel = seen[number + 1].first + place;
      return range(layer.kernel).map((tap) => svg("line", { x1: x(above, pixel), y1: y(number + 1),
        x2: x(below, pixel * layer.stride + tap * layer.dilation), y2: y(number), class: "edge" })).join("");
    }).join("");
  }

  function bars({ first, counts }, field, unit, top) {
    const largest = Math.max(...counts);
    return counts.map((count, place) => {
      const x = (first + place) * unit;
      const height = (46 * count) / largest;
      const text = unit >= 15 ? svg("text", { x: x + unit / 2, y: top + height + 12, class: "count",
        "font-size": Math.min(12, (unit * 1.6) / String(count).length) }, count) : "";
      return svg("rect", { x: x + unit * 0.1, y: top, width: unit * 0.8, height, class: "bar" }) + text;
    }).join("");
  }

  // Path counts over an image whose axes both have this chain: the product of the two axes'.
  function paintSquare(canvas, counts) {
    const n = counts.length;
    const [side, largest] = [Math.max(1, Math.floor(320 / n)), Math.max(...counts)];
    canvas.width = n * side;
    canvas.height = n * side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, n * side, n * side);
    context.fillStyle = Dom.color("--first");
    counts.forEach((a, i) => counts.forEach((b, j) => {
      if (!(a * b)) return;
      context.globalAlpha = 0.15 + (0.85 * Math.log1p(a * b)) / Math.log1p(largest ** 2);
      context.fillRect(j * side, i * side, side - (side > 4 ? 1 : 0), side - (side > 4 ? 1 : 0));
    }));
  }

  function formula(layers, field) {
    let step = 1;
    const terms = layers.map(({ kernel, stride, dilation }) => {
      const term = `${dilation * (kernel - 1)}·${step}`;
      step *= stride;
      return term;
    });
    return `r = 1 + Σ d(k − 1)·∏s = 1 + ${terms.join(" + ")} = ${field.size} pixels, stride ${field.step}`;
  }

  function coverage(field) {
    const { counts, size } = field;
    const seen = counts.filter((count) => count > 0).length;
    const holes = seen === size ? `It sees all ${size} pixels` : `It sees ${seen} of these ${size} pixels; ${size - seen} are holes`;
    return `${holes}; in an image, ${Dom.grouped(seen ** 2)} of ${Dom.grouped(size ** 2)}. ` +
      `${Dom.grouped(sum(counts))} paths, at most ${Dom.grouped(Math.max(...counts))} to one pixel.`;
  }

  // What the rule of Wang et al. says of a chain without strides and of one kernel, and the truth.
  function rule(layers) {
    const kernel = layers[0].kernel;
    if (layers.length < 2 || layers.some((layer) => layer.stride > 1 || layer.kernel !== kernel)) return "";
    const judged = Arithmetic.hybridDilation(layers.map((layer) => layer.dilation), kernel);
    const distances = judged.distances.map((distance, n) => `M${Dom.subscript(n + 1)} = ${distance}`);
    const verdict = `M₂ ${judged.passes ? "≤" : ">"} k = ${kernel}: the rule ${judged.passes ? "passes" : "fails"} this chain`;
    const truth = judged.full ? "has no holes" : "has holes";
    const link = judged.passes === judged.full ? "and rightly: it" : "but it";
    return `Hybrid dilation (Wang et al. 2018): ${distances.reverse().join(", ")}. ${verdict}, ${link} ${truth}.`;
  }

  const KINDS = [["passes, no holes", "✓"], ["passes, yet has holes", "!"], ["fails, yet has no holes", "○"], ["fails, has holes", "×"]];
  const kindOf = ({ passes, full }) => (passes ? 0 : 2) + (full ? 0 : 1);
  const symbol = (kind) => KINDS[kind === 2 ? 2 : kind][1];

  function atlas(first, [row, column]) {
    const size = 30;
    const tally = [0, 0, 0, 0];
    const cells = range(9).flatMap((i) => range(9).map((j) => {
      const kind = kindOf(Arithmetic.hybridDilation([first, i + 1, j + 1], 3));
      tally[kind] += 1;
      const [x, y] = [(j + 1) * size, (i + 1) * size];
      return svg("rect", { x: x + 1, y: y + 1, width: size - 2, height: size - 2, rx: 3,
        class: `triple kind${kind} ${i === row && j === column ? "lit" : ""}`, "data-triple": `${i},${j}` }) +
        svg("text", { x: x + size / 2, y: y + size / 2, dy: ".35em", class: "number mark" }, symbol(kind));
    }));
    const heads = range(9).flatMap((n) => [
      svg("text", { x: (n + 1.5) * size, y: size / 2, dy: ".35em", class: "count" }, n + 1),
      svg("text", { x: size / 2, y: (n + 1.5) * size, dy: ".35em", class: "count" }, n + 1)]);
    return { tally, drawing: [10 * size + 2, 10 * size + 2, [...cells, ...heads].join("")] };
  }

  // --- the view -------------------------------------------------------------------------------

  function editor(table, state, changed) {
    const { element } = Dom;
    const number = (layer, key, most) => element("input", { type: "number", min: 1, max: most, value: layer[key],
      inputmode: "numeric", "aria-label": key, change: (event) => {
        layer[key] = Math.max(1, Math.min(most, Math.round(Number(event.target.value)) || 1));
        changed();
      } });
    table.replaceChildren(
      element("tr", {}, ["layer", "kernel", "stride", "dilation"].map((head) => element("th", {}, head))),
      ...[...state.layers].reverse().map((layer, n) => element("tr", {},
        element("th", {}, `${state.layers.length - n}${n === state.layers.length - 1 ? " (on the image)" : ""}`),
        [["kernel", 7], ["stride", 4], ["dilation", 16]].map(([key, most]) => element("td", {}, number(layer, key, most))))));
  }

  function start(root) {
    const { element } = Dom;
    const state = { layers: rates(2, 2, 2), output: 0, first: 1, triple: [1, 4] };
    const [presets, buttons] = ["presets", "player"].map((name) => element("div", { class: name }));
    const table = element("table", { class: "editor" });
    const drawing = element("div", { class: "drawing" });
    const stage = element("div", { class: "stage", role: "application",
      "aria-label": "Chain. Left and right choose an output pixel." }, drawing);
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const verdict = element("p", { class: "readout" });
    const canvas = element("canvas", { class: "square", role: "img", "aria-label": "Path counts in two dimensions" });
    const bar = element("div", { class: "controls" });
    const map = element("div", { class: "drawing" });
    const mapStage = element("div", { class: "stage", role: "application",
      "aria-label": "Rates of layers 2 and 3. Arrow keys choose them." }, map);
    const legend = element("ul", { class: "legend" });
    root.append(presets, element("div", { class: "row" }, element("div", { class: "panel" }, table, buttons),
      element("figure", { class: "panel" }, element("figcaption", {}, "In two dimensions: paths to each pixel"), canvas)),
      stage, readout, verdict, element("h3", {}, "All triples of rates"), bar,
      element("div", { class: "row" }, element("div", { class: "panel" }, mapStage), element("div", { class: "panel" }, legend)));

    function draw() {
      const field = Arithmetic.chain(state.layers);
      state.output = Math.max(0, Math.min(outputs(field) - 1, state.output));
      Dom.setSvg(drawing, ...diagram(state.layers, field, state.output, drawing.clientWidth || 900), "Layers from the image, below, to the output");
      readout.textContent = `${formula(state.layers, field)}. ${coverage(field)}`;
      verdict.textContent = rule(state.layers);
      paintSquare(canvas, field.counts);
    }

    function replace(layers) {
      state.layers = layers.map((layer) => ({ ...layer }));
      editor(table, state, draw);
      state.output = Math.floor(outputs(Arithmetic.chain(state.layers)) / 2);
      draw();
    }

    function drawAtlas() {
      const { tally, drawing: parts } = atlas(state.first, state.triple);
      Dom.setSvg(map, ...parts, "Rates of layer 2 down, of layer 3 across");
      legend.replaceChildren(...KINDS.map(([text, mark], kind) =>
        element("li", {}, element("b", { class: `kind${kind}` }, mark), ` ${text}: ${tally[kind]} of 81`)));
    }

    function choose(row, column) {
      state.triple = [row, column].map((n) => Math.max(0, Math.min(8, n)));
      drawAtlas();
      replace(rates(state.first, ...state.triple.map((n) => n + 1)));
    }

    Dom.presets(presets, PRESETS, replace);
    buttons.append(
      element("button", { type: "button", click: () => state.layers.length < MOST_LAYERS &&
        replace([...state.layers, { kernel: 3, stride: 1, dilation: 1 }]) }, "+ layer"),
      element("button", { type: "button", click: () => state.layers.length > 1 && replace(state.layers.slice(0, -1)) }, "− layer"));
    const point = (event) => {
      const field = Arithmetic.chain(state.layers);
      const box = drawing.firstElementChild.getBoundingClientRect();
      const extent = (outputs(field) - 1) * field.step + field.size;
      const place = ((event.clientX - box.left) / box.width) * extent - 0.5;
      state.output = Math.round((place - (field.size - 1) / 2) / field.step);
      draw();
    };
    stage.addEventListener("pointermove", point);
    stage.addEventListener("pointerdown", point);
    const step = (by) => () => {
      state.output += by;
      draw();
    };
    Dom.keys(stage, { ArrowLeft: step(-1), ArrowRight: step(1) });
    Dom.controls(bar, state, [{ key: "first", label: "rate of layer 1", min: 1, max: 9 }], () => choose(...state.triple));
    map.addEventListener("click", (event) => {
      const triple = event.target.dataset.triple;
      if (triple) choose(...triple.split(",").map(Number));
    });
    const move = (down, across) => () => choose(state.triple[0] + down, state.triple[1] + across);
    Dom.keys(mapStage, { ArrowUp: move(-1, 0), ArrowDown: move(1, 0), ArrowLeft: move(0, -1), ArrowRight: move(0, 1) });
    replace(state.layers);
    drawAtlas();
    Dom.onTheme(draw);
    Dom.onResize(root, draw);
  }

  return { start, cone, rule };
})();
