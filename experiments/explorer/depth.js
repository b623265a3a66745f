// View (d): the size of the gradient at every block of a deep net.
"use strict";

const Depth = (() => {
  const { svg } = Dom;
  const [HEIGHT, LEFT, BOTTOM, TOP] = [340, 46, 44, 12];
  const LARGEST = [2, 4, 8, 16, 24];
  const KINDS = [
    ["plain", "plain", "○"], ["plain_norm", "plain, batch norm", "△"],
    ["residual", "residual, branch × α", "□"], ["residual_norm", "residual, batch norm", "◇"],
  ];
  const LEAST = -8; // this exponent stands for alpha = 0

  const alphaOf = (exponent) => (exponent === LEAST ? 0 : 2 ** (exponent / 2));
  const depthOf = (state) => 2 ** state.depth;

  // log10 of the measured norms of a kind: [least, median, most] by block, and the blocks.
  function measured(depth, kind, state) {
    const table = depth[depthOf(state)];
    if (kind === "residual") return { blocks: table.blocks, logs: table.residual[state.alpha - LEAST] };
    if (kind !== "plain") return { blocks: table.blocks, logs: table[kind] };
    // A plain net's gradient is proportional to each layer's weights.
    const steps = table.blocks.map((block) => (depthOf(state) - block) * Math.log10(state.gain));
    return { blocks: table.blocks, logs: table.plain.map((logs) => logs.map((log, n) => log + steps[n])) };
  }

  const theory = (kind, state) =>
    Arithmetic.logGradients(kind, depthOf(state), { gain: state.gain, alpha: alphaOf(state.alpha) });

  function plot(depth, state, shown, width) {
    const total = depthOf(state);
    const curves = shown.map((kind) => ({ kind, line: theory(kind, state), ...measured(depth, kind, state) }));
    const all = curves.flatMap(({ line, logs }) => [...line, ...logs.flat()]);
    const reach = Math.max(...all.map(Math.abs));
    const largest = LARGEST.find((n) => n >= reach) || LARGEST.at(-1);
    const least = Math.min(...all) < -largest / 4 ? -largest : -largest / 4;
    const x = (block) => LEFT + ((width - LEFT - 12) * block) / total;
    const y = (log) => TOP + ((HEIGHT - TOP - BOTTOM) * (largest - log)) / (largest - least);
    const parts = [axes(x, y, total, least, largest)];
    for (const { kind, line, blocks, logs } of curves) {
      const [low, median, high] = logs;
      const band = [...blocks.map((b, n) => `${x(b)},${y(low[n])}`), ...blocks.map((b, n) => `${x(b)},${y(high[n])}`).reverse()];
      parts.push(svg("polygon", { points: band.join(" "), class: `band ${kind}` }));
      parts.push(svg("polyline", { points: line.map((log, b) => `${x(b)},${y(log)}`).join(" "), class: `theory ${kind}` }));
      parts.push(...blocks.map((b, n) => marker(kind, x(b), y(median[n]))));
    }
    return [width, HEIGHT, parts.join("")];
  }

  // Each kind has its own shape, so that color is not needed to tell them apart.
  function marker(kind, x, y) {
    const r = 4.5;
    const points = { plain_norm: [[0, -r], [r, r], [-r, r]], residual: [[-r, -r], [r, -r], [r, r], [-r, r]].map(([a, b]) => [0.85 * a, 0.85 * b]),
      residual_norm: [[0, -1.3 * r], [1.3 * r, 0], [0, 1.3 * r], [-1.3 * r, 0]] }[kind];
    return points
      ? svg("polygon", { points: points.map(([a, b]) => `${x + a},${y + b}`).join(" "), class: `point ${kind}` })
      : svg("circle", { cx: x, cy: y, r: 0.95 * r, class: `point ${kind}` });
  }

  function axes(x, y, total, least, largest) {
    const step = largest / 4;
    const ticks = [];
    for (let log = Math.ceil(least / step) * step; log <= largest; log += step) {
      ticks.push(svg("line", { x1: x(0), x2: x(total), y1: y(log), y2: y(log), class: log === 0 ? "axis" : "rule" }));
      const text = Number.isInteger(log) ? (log === 0 ? "1" : `10${Dom.superscript(log)}`) : `10^${log}`;
      ticks.push(svg("text", { x: LEFT - 6, y: y(log), dy: ".35em", class: "tick end" }, text));
    }
    const places = total <= 8 ? Arithmetic.range(total + 1) : Arithmetic.range(5).map((n) => (n * total) / 4);
    const labels = places.map((block) => svg("text", { x: x(block), y: HEIGHT - BOTTOM + 18, class: "tick" }, block));
    const title = svg("text", { x: x(total / 2), y: HEIGHT - 8, class: "tick" }, "block l, from the input to the output");
    return [...ticks, ...labels, title].join("");
  }

  // A strip of blocks, shaded by how far the size of the gradient is from that at the output.
  function strip(kind, state, width) {
    const logs = theory(kind, state);
    const block = width / (logs.length - 1);
    return logs.slice(0, -1).map((log, n) => svg("rect", { x: n * block, y: 0, width: Math.max(block - 0.6, 0.5), height: 16,
      class: `block ${log < 0 ? "small" : "large"}`, "fill-opacity": Math.min(1, 0.1 + Math.abs(log) / 8) })).join("");
  }

  function summary(state, shown) {
    const [depth, alpha] = [depthOf(state), alphaOf(state.alpha)];
    const at = { plain: `g^L with g = ${state.gain.toFixed(2)}`, plain_norm: "(π / (π − 1))^((L − 1)/2)",
      residual: `(1 + α²)^(L/2) with α² = ${Number((alpha ** 2).toPrecision(3))}`, residual_norm: "about the root of L" };
    return shown.map((kind) => `${KINDS.find(([k]) => k === kind)[1]}: ${at[kind]} = ${Dom.powerOfTen(theory(kind, state)[0])}`)
      .join("; ") + `. These are the gradient's norm at block 0 over that at the output, by theory, for L = ${depth}.`;
  }

  function start(root, { depth, about }) {
    const { element } = Dom;
    const state = { depth: 6, alpha: -6, follow: true, gain: 1, plain: true, plain_norm: true, residual: true, residual_norm: false };
    const [bar, toggles] = ["controls", "controls"].map((name) => element("div", { class: name }));
    const drawing = element("div", { class: "drawing" });
    const strips = element("div", { class: "strips" });
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const caption = element("figcaption", {}, "Gradient at the input of block l, as a multiple of the gradient at the output. " +
      `Lines: theory, nothing fitted. Marks and bands: median and range of ${about.depth.seeds} random nets of width ` +
      `${about.depth.width} on ${about.depth.examples} examples, ${about.depth.examples_norm} with batch norm, whose theory is for ` +
      "large batches. The median lies below the mean that theory gives, by about 5L/2n of the squared norm's logarithm.");
    const stage = element("div", { class: "stage", role: "application", "aria-label":
      "Gradient by block. Left and right change α, up and down the depth." }, drawing);
    root.append(bar, toggles, element("figure", {}, stage, caption), strips, readout);

    function draw() {
      const shown = KINDS.map(([kind]) => kind).filter((kind) => state[kind]);
      const width = Math.min(drawing.clientWidth || 680, 760);
      Dom.setSvg(drawing, ...plot(depth, state, shown.length ? shown : ["plain"], width), "Gradient's norm by block");
      strips.replaceChildren(...shown.map((kind) => {
        const box = element("div", { class: "drawing" });
        Dom.setSvg(box, width - LEFT - 12, 16, strip(kind, state, width - LEFT - 12), `Gradient by block, ${kind}`);
        return element("div", { class: "strip" }, element("span", { class: `key ${kind}` }, KINDS.find(([k]) => k === kind)[1]), box);
      }));
      readout.textContent = shown.length ? summary(state, shown) : "Choose a kind of net.";
    }

    function changed(key) {
      if (key === "alpha") state.follow = state.alpha === -state.depth;
      if (state.follow) state.alpha = -state.depth;
      sync.forEach((each) => each());
      draw();
    }
    const showAlpha = (e) => (e === LEAST ? "0" : `${alphaOf(e).toFixed(3)}${e === -state.depth ? " = 1/√L" : ""}`);
    const sync = [
      Dom.controls(bar, state, [
        { key: "depth", label: "blocks L", min: 1, max: 7, show: (n) => 2 ** n },
        { key: "alpha", label: "branch scale α", min: LEAST, max: 1, show: showAlpha },
        { key: "follow", label: "keep α = 1/√L", type: "check" },
        { key: "gain", label: "plain: weights × g", min: 0.8, max: 1.2, step: 0.05, show: (g) => g.toFixed(2) },
      ], changed),
      Dom.controls(toggles, state, KINDS.map(([key, text, mark]) => ({ key, label: `${mark} ${text}`, type: "check", class: `key ${key}` })), changed),
    ];
    const shift = (key, by, least, most) => () => {
      state[key] = Math.max(least, Math.min(most, state[key] + by));
      changed(key);
    };
    Dom.keys(stage, { ArrowLeft: shift("alpha", -1, LEAST, 1), ArrowRight: shift("alpha", 1, LEAST, 1),
      ArrowUp: shift("depth", 1, 1, 7), ArrowDown: shift("depth", -1, 1, 7) });
    changed("depth");
    Dom.onResize(root, draw);
  }

  return { start, theory, measured };
})();
