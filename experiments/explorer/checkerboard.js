// View (e): the checkerboards of upconvolutions.
"use strict";

const Checkerboard = (() => {
  const { range } = Arithmetic;
  const { svg } = Dom;
  const SIZE = 24; // output pixels that are drawn

  const PRESETS = [
    ["k3, s2", { kernel: 3, stride: 2, depth: 1 }], ["k5, s2", { kernel: 5, stride: 2, depth: 1 }],
    ["k4, s2: even", { kernel: 4, stride: 2, depth: 1 }], ["k2, s3: gaps", { kernel: 2, stride: 3, depth: 1 }],
    ["k3, s2, three layers", { kernel: 3, stride: 2, depth: 3 }],
  ];

  const ratio = (most, least) => (least === 0 ? "∞" : Number((most / least).toFixed(2)));

  // One line of output: the stamps that meet in it, staggered, and their sum as bars.
  function line(state, width) {
    const { kernel, stride } = state;
    const unit = width / SIZE;
    const lanes = Math.ceil(kernel / stride) + 1;
    const first = -Math.ceil(kernel / stride);
    const stamps = range(Math.ceil(SIZE / stride) - first).map((n) => n + first);
    const parts = stamps.map((input) => range(kernel).map((tap) => {
      const x = input * stride + tap;
      if (x < 0 || x >= SIZE) return "";
      const lane = ((input % lanes) + lanes) % lanes;
      return svg("rect", { x: x * unit + 1, y: lane * 13, width: unit - 2, height: 10, class: `stamp lane${((input % 2) + 2) % 2}` });
    }).join(""));
    const counts = Arithmetic.overlap(kernel, stride);
    const top = lanes * 13 + 8;
    const largest = Math.max(...counts);
    range(SIZE).forEach((x) => {
      const count = counts[x % stride];
      const height = (70 * count) / largest;
      parts.push(svg("rect", { x: x * unit + 1, y: top + 70 - height, width: unit - 2, height: Math.max(height, 1),
        class: count ? "bar" : "gap" }));
      parts.push(svg("text", { x: (x + 0.5) * unit, y: top + 84, class: "count" }, count));
    });
    return [width, top + 90, parts.join("")];
  }

  function paint(canvas, values) {
    const side = 10;
    canvas.width = SIZE * side;
    canvas.height = SIZE * side;
    const context = canvas.getContext("2d");
    const largest = Math.max(...values) ** 2;
    context.fillStyle = Dom.color("--bg");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = Dom.color("--fg");
    values.forEach((a, i) => values.forEach((b, j) => {
      context.globalAlpha = (a * b) / largest;
      context.fillRect(j * side, i * side, side, side);
    }));
  }

  function story({ kernel, stride, depth }) {
    const counts = Arithmetic.overlap(kernel, stride);
    const [most, least] = [Math.max(...counts), Math.min(...counts)];
    const taps = `Along a line, an output pixel gets ${[...new Set(counts)].sort((a, b) => a - b).join(" or ")} tap${most === 1 && least === 1 ? "" : "s"}`;
    const evenness = least === 0
      ? `${taps}: the kernel is smaller than the stride, and pixels between the stamps are never painted. They stay zero whatever the weights are`
      : most === least ? `${taps}: the stride divides the kernel, so the overlap is even. Training can still learn uneven weights`
        : `${taps}: ${ratio(most, least)} times as many at most as at least. In an image the ratio is squared: ${ratio(most ** 2, least ** 2)}`;
    const stacked = Arithmetic.stackedOverlap(kernel, stride, depth, Math.max(SIZE, stride ** depth));
    const compound = depth === 1 ? "" : ` After ${depth} such layers the ratio in an image is ${ratio(Math.max(...stacked) ** 2, Math.min(...stacked) ** 2)}.`;
    return `${evenness}.${compound}`;
  }

  function start(root) {
    const { element } = Dom;
    const state = { kernel: 3, stride: 2, depth: 1 };
    const [presets, bar] = ["presets", "controls"].map((name) => element("div", { class: name }));
    const drawing = element("div", { class: "drawing" });
    const canvas = element("canvas", { class: "square", role: "img", "aria-label": "Overlap in two dimensions" });
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const stage = element("div", { class: "stage row", role: "application",
      "aria-label": "Overlap. Left and right change the kernel, up and down the stride." },
      element("figure", { class: "panel wide" }, element("figcaption", {}, "Stamps along a line, and the number of taps in each output pixel"), drawing),
      element("figure", { class: "panel" }, element("figcaption", {}, "In an image: what ones make of a constant input"), canvas));
    root.append(presets, bar, stage, readout);

    function draw() {
      Dom.setSvg(drawing, ...line(state, drawing.clientWidth || 680), "Stamps and their overlap");
      paint(canvas, Arithmetic.stackedOverlap(state.kernel, state.stride, state.depth, SIZE));
      readout.textContent = story(state);
    }
    const changed = () => {
      sync();
      draw();
    };
    const sync = Dom.controls(bar, state, [
      { key: "kernel", label: "kernel k", min: 1, max: 8 },
      { key: "stride", label: "stride s", min: 1, max: 5 },
      { key: "depth", label: "layers", min: 1, max: 3 },
    ], changed);
    Dom.presets(presets, PRESETS, (values) => {
      Object.assign(state, values);
      changed();
    });
    const shift = (key, by, most) => () => {
      state[key] = Math.max(1, Math.min(most, state[key] + by));
      changed();
    };
    Dom.keys(stage, { ArrowLeft: shift("kernel", -1, 8), ArrowRight: shift("kernel", 1, 8),
      ArrowUp: shift("stride", 1, 5), ArrowDown: shift("stride", -1, 5) });
    draw();
    Dom.onTheme(draw);
    Dom.onResize(root, draw);
  }

  return { start, story };
})();
