// View (a): convolutions and upconvolutions, one step at a time.
"use strict";

const Convolution = (() => {
  const { range } = Arithmetic;
  const { svg } = Dom;
  const CELL = 30;

  const weightsOf = (kernel) => range(kernel).map((tap) => tap + 1);
  const imageOf = (size) => range(size).map((i) => range(size).map((j) => (2 * i + 3 * j + i * j) % 5));

  // Everything that is drawn of a setting, except for the step: sizes, matrices and values.
  function work(state) {
    const options = { ...state, padding: Number.isNaN(Number(state.padding)) ? state.padding : Number(state.padding) };
    const weights = weightsOf(state.kernel);
    const image = imageOf(state.size);
    const up = state.mode !== "conv";
    const geometry = up ? Arithmetic.upconvGeometry(options) : Arithmetic.convGeometry(options);
    const matrix = up ? Arithmetic.upconvMatrix(options, weights) : Arithmetic.convMatrix(options, weights);
    const side = state.mode === "stamp" ? state.size : geometry.output;
    return { ...geometry, options, weights, image, matrix, up, side, result: Arithmetic.onBothAxes(matrix, image) };
  }

  // --- grids ----------------------------------------------------------------------------------

  // A square of cells from `first` to `last`; `cellAt(row, column)` is {kind, text, lit}.
  function grid(first, last, cellAt, extra = "") {
    const side = (last - first + 1) * CELL;
    const cells = range(last - first + 1).flatMap((i) => range(last - first + 1).map((j) => {
      const { kind, text = "", lit = "" } = cellAt(first + i, first + j);
      return svg("rect", { x: j * CELL + 1, y: i * CELL + 1, width: CELL - 2, height: CELL - 2, rx: 2,
        class: `cell ${kind} ${lit}` }) + label(j * CELL + CELL / 2, i * CELL + CELL / 2, text);
    }));
    return { side: side + 4, inner: svg("g", { transform: "translate(2 2)" }, cells.join("") + extra) };
  }

  const label = (x, y, text) => (text === "" ? "" : svg("text", { x, y, dy: ".35em",
    class: "number", "font-size": [14, 14, 14, 12, 10][Math.min(4, String(text).length)] }, text));

  // The outline of a window of `span` cells.
  const outline = (first, row, column, span) => svg("rect", { x: (column - first) * CELL, y: (row - first) * CELL,
    width: span * CELL, height: span * CELL, rx: 3, class: "window" });

  const inside = (i, j, size) => i >= 0 && j >= 0 && i < size && j < size;

  // The tap of a dilated window that begins at `start`, or -1.
  function tapAt(place, start, { kernel, dilation }) {
    const distance = place - start;
    return distance >= 0 && distance % dilation === 0 && distance / dilation < kernel ? distance / dilation : -1;
  }

  function windowed(state, w, row, column, first, last, cellOf, step) {
    return grid(first, last, (i, j) => {
      const cell = cellOf(i, j);
      const [a, b] = [tapAt(i, row, state), tapAt(j, column, state)];
      return a < 0 || b < 0 ? cell : { ...cell, lit: "lit" };
    }, outline(first, row, column, w.span));
  }

  function inputPanel(state, w, row, column) {
    const text = (value) => (state.numbers ? value : "");
    const pixel = (i, j) => (inside(i, j, state.size)
      ? { kind: "input", text: text(w.image[i][j]) } : { kind: "padding", text: text(0) });
    if (state.mode === "conv") {
      const last = Math.max(state.size - 1, (w.output - 1) * state.stride + w.span - 1 - w.low);
      return windowed(state, w, row * state.stride - w.low, column * state.stride - w.low, -w.low, last, pixel);
    }
    if (state.mode === "stamp") {
      return grid(0, state.size - 1, (i, j) => ({ ...pixel(i, j), lit: i === row && j === column ? "lit" : "" }));
    }
    // Between the pixels stand stride - 1 zeros; the window moves over them pixel by pixel.
    const before = w.span - 1 - w.low;
    const dilated = (state.size - 1) * state.stride;
    const stretched = (i, j) => {
      if (!inside(i, j, dilated + 1)) return { kind: "padding", text: text(0) };
      return i % state.stride || j % state.stride ? { kind: "zero", text: text(0) }
        : pixel(i / state.stride, j / state.stride);
    };
    const [first, last] = [Math.min(0, -before), Math.max(dilated, w.output - 1 + w.low)];
    return windowed(state, w, row - before, column - before, first, last, stretched);
  }

  function outputPanel(state, w, step, row, column) {
    const text = (value) => (state.numbers ? value : "");
    if (state.mode !== "stamp") {
      return grid(0, w.output - 1, (i, j) => {
        const at = i * w.output + j;
        return { kind: at <= step ? "output" : "future", text: at <= step ? text(w.result[i][j]) : "",
          lit: at === step ? "lit" : "" };
      });
    }
    const last = Math.max(w.output - 1, (state.size - 1) * state.stride + w.span - 1 - w.low);
    const [top, left] = [row * state.stride - w.low, column * state.stride - w.low];
    const sums = stamped(state, w, step);
    return grid(-w.low, last, (i, j) => {
      const lit = tapAt(i, top, state) >= 0 && tapAt(j, left, state) >= 0 ? "lit" : "";
      if (!inside(i, j, w.output)) return { kind: "cropped", lit };
      const touched = sums.has(`${i},${j}`);
      return { kind: touched ? "output" : "future", text: touched ? text(sums.get(`${i},${j}`)) : "", lit };
    }, outline(-w.low, top, left, w.span));
  }

  // The sums of the stamps of input pixels 0 ... step, where the turned kernel was put down.
  function stamped(state, w, step) {
    const sums = new Map();
    const turned = [...w.weights].reverse();
    for (const at of range(step + 1)) {
      const [i, j] = [Math.floor(at / state.size), at % state.size];
      for (const a of range(state.kernel)) {
        for (const b of range(state.kernel)) {
          const place = [i * state.stride + a * state.dilation - w.low, j * state.stride + b * state.dilation - w.low];
          sums.set(String(place), (sums.get(String(place)) || 0) + w.image[i][j] * turned[a] * turned[b]);
        }
      }
    }
    return sums;
  }

  function kernelPanel(state, w) {
    const shown = state.mode === "stamp" ? [...w.weights].reverse() : w.weights;
    return grid(0, state.kernel - 1, (i, j) => ({ kind: "tap", text: state.numbers ? shown[i] * shown[j] : "" }));
  }

  // --- matrices -------------------------------------------------------------------------------

  function matrixPanel(matrix, state, { row = -1, column = -1 }) {
    const size = 24;
    const [rows, columns] = [matrix.length, matrix[0].length];
    const cells = matrix.flatMap((line, i) => line.map((value, j) => {
      const lit = i === row || j === column ? "lit" : "";
      const shade = value ? 0.3 + (0.7 * value) / state.kernel : 1;
      return svg("rect", { x: j * size + 0.5, y: i * size + 0.5, width: size - 1, height: size - 1,
        class: `entry ${value ? "" : "empty"} ${lit}`, "fill-opacity": shade }) +
        (state.numbers && value ? svg("text", { x: (j + 0.5) * size, y: (i + 0.5) * size, dy: ".35em",
          class: "number entry-number", "font-size": 13 }, value) : "");
    }));
    const [x, y, w, h] = row >= 0 ? [0, row * size, columns * size, size] : [column * size, 0, size, rows * size];
    const frame = svg("rect", { x, y, width: w, height: h, class: "window" });
    return [columns * size + 4, rows * size + 4, svg("g", { transform: "translate(2 2)" }, cells.join("") + frame)];
  }

  function sizeFormula(state, w) {
    const { size: i, kernel: k, stride: s, dilation: d } = state;
    if (state.padding === "same") {
      return w.up ? `“same” crops so that the output has s·i = ${s * i} pixels` +
        `${state.outputPadding ? `, and ${state.outputPadding} more of output padding` : ""}: o = ${w.output}`
        : `“same” pads so that o = ⌈i / s⌉ = ⌈${i} / ${s}⌉ = ${w.output}`;
    }
    const p = w.low;
    return w.up
      ? `o = s(i − 1) + d(k − 1) + 1 − 2p + a = ${s}·${i - 1} + ${d}·${k - 1} + 1 − ${2 * p} + ${state.outputPadding} = ${w.output}`
      : `o = ⌊(i + 2p − d(k − 1) − 1) / s⌋ + 1 = ⌊(${i} + ${2 * p} − ${d * (k - 1)} − 1) / ${s}⌋ + 1 = ${w.output}`;
  }

  const ACTS = {
    conv: ["A, this convolution", "Aᵀ, its gradient: an upconvolution"],
    gather: ["A, the strided convolution that Aᵀ belongs to", "Aᵀ, this upconvolution: a row gathers an output pixel"],
    stamp: ["A, the strided convolution that Aᵀ belongs to", "Aᵀ, this upconvolution: a column is a stamp"],
  };

  function story(state, w, row, column) {
    const value = state.numbers ? ` = ${w.result[row]?.[column]}` : "";
    return {
      conv: `Output (${row}, ${column})${value}: the window over the input, multiplied by the kernel and summed.`,
      gather: `Output (${row}, ${column})${value}: the window over the dilated input. It moves by one pixel, whatever the stride.`,
      stamp: `Input (${row}, ${column}) puts its value times the kernel, turned by 180°, onto the output; stamps that overlap add up.`,
    }[state.mode];
  }

  const PRESETS = [
    ["No padding", { mode: "conv", size: 5, kernel: 3, stride: 1, dilation: 1, padding: "valid" }],
    ["Same size", { mode: "conv", size: 5, kernel: 3, stride: 1, dilation: 1, padding: "same" }],
    ["Strided", { mode: "conv", size: 7, kernel: 3, stride: 2, dilation: 1, padding: "1" }],
    ["Dilated", { mode: "conv", size: 7, kernel: 3, stride: 1, dilation: 2, padding: "2" }],
    ["Up: dilate, convolve", { mode: "gather", size: 3, kernel: 3, stride: 2, dilation: 1, padding: "1", outputPadding: 1 }],
    ["Up: stamp, sum", { mode: "stamp", size: 3, kernel: 3, stride: 2, dilation: 1, padding: "valid", outputPadding: 0 }],
    ["Up, even overlap", { mode: "stamp", size: 3, kernel: 4, stride: 2, dilation: 1, padding: "1", outputPadding: 0 }],
  ];

  function start(root) {
    const { element } = Dom;
    const state = { mode: "conv", size: 5, kernel: 3, stride: 1, dilation: 1, padding: "valid", outputPadding: 0, numbers: true };
    const parts = Object.fromEntries(["input", "kernel", "output", "A", "At"].map((name) => {
      const [title, box] = [element("figcaption"), element("div", { class: "drawing" })];
      return [name, { title, box, figure: element("figure", { class: `panel ${name}` }, title, box) }];
    }));
    const [presets, bar, buttons] = ["presets", "controls", "player"].map((name) => element("div", { class: name }));
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const stage = element("div", { class: "stage", role: "application",
      "aria-label": "Animation. Left and right step, space plays." },
      element("div", { class: "row" }, parts.input.figure, parts.kernel.figure, parts.output.figure),
      element("div", { class: "row matrices" }, parts.A.figure, parts.At.figure));
    root.append(presets, bar, buttons, stage, readout);
    let w = work(state);

    const fill = (part, title, width, height, inner) => {
      part.title.textContent = title;
      Dom.setSvg(part.box, width, height, inner, title);
    };

    function show(step) {
      const [row, column] = [Math.floor(step / w.side), step % w.side];
      const panels = { input: inputPanel(state, w, row, column), kernel: kernelPanel(state, w),
        output: outputPanel(state, w, step, row, column) };
      const titles = {
        input: state.mode === "gather" ? `Input ${state.size} × ${state.size}, dilated by ${state.stride}` : `Input ${state.size} × ${state.size}`,
        kernel: state.mode === "stamp" ? "Stamp: the kernel turned" : `Kernel ${state.kernel} × ${state.kernel}`,
        output: `Output ${w.output} × ${w.output}`,
      };
      for (const [name, { side, inner }] of Object.entries(panels)) fill(parts[name], titles[name], side, side, inner);
      const [A, At] = w.up ? [Arithmetic.transpose(w.matrix), w.matrix] : [w.matrix, Arithmetic.transpose(w.matrix)];
      // A convolution's output, and a stamp's input, is a row of A and a column of its transpose.
      const alongRows = state.mode !== "gather";
      fill(parts.A, `${ACTS[state.mode][0]}`, ...matrixPanel(A, state, alongRows ? { row: column } : { column }));
      fill(parts.At, `${ACTS[state.mode][1]}`, ...matrixPanel(At, state, alongRows ? { column } : { row: column }));
      readout.textContent = `${story(state, w, row, column)}\n${sizeFormula(state, w)}.`;
    }

    const player = Dom.player(buttons, stage, { count: () => w.side ** 2, show });
    function reset() {
      player.stop();
      try {
        w = work(state);
        stage.classList.remove("impossible");
        player.go(0);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        stage.classList.add("impossible");
        readout.textContent = error.message;
      }
    }
    const padding = ["valid", "same", "0", "1", "2", "3", "4"].map((value) => [value, value]);
    const sync = Dom.controls(bar, state, [
      { key: "mode", label: "Operation", type: "select", options: [["conv", "convolution"],
        ["gather", "upconvolution: dilate and convolve"], ["stamp", "upconvolution: stamp and sum"]] },
      { key: "size", label: "input i", min: 1, max: 7 },
      { key: "kernel", label: "kernel k", min: 1, max: 5 },
      { key: "stride", label: "stride s", min: 1, max: 4 },
      { key: "dilation", label: "dilation d", min: 1, max: 3 },
      { key: "padding", label: "Padding p", type: "select", options: padding },
      { key: "outputPadding", label: "output padding a", min: 0, max: 3, when: (s) => s.mode !== "conv" },
      { key: "numbers", label: "numbers in the cells", type: "check" },
    ], () => {
      sync();
      reset();
    });
    Dom.presets(presets, PRESETS, (values) => {
      Object.assign(state, { outputPadding: 0 }, values);
      sync();
      reset();
    });
    reset();
  }

  return { start, work, stamped };
})();
