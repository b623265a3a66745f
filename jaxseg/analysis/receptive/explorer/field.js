// What the pixels of a net see, from tables that `jaxseg.analysis.receptive_field` computed.
"use strict";

const Field = (() => {
  const SHADES = 15;
  const names = [["paths", "number of paths"], ["coverage", "coverage"], ["effective", "effective field"]];

  // --- tables, without drawing ---------------------------------------------------------------

  // The bytes of all maps, one after another.
  async function unpack(maps) {
    const bytes = Uint8Array.from(atob(maps.data), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const all = new Uint8Array(await new Response(stream).arrayBuffer());
    let start = 0;
    return maps.shapes.map(([height, width, block]) => {
      const shades = all.subarray(start, start + height * width);
      start += height * width;
      return { height, width, block, shades };
    });
  }

  // The shade of a map at one of its rows and columns.
  const shadeAt = (map, transposed, row, column) =>
    map.shades[transposed ? column * map.width + row : row * map.width + column];

  // An entry of a table with names.
  function readPixel(entry) {
    if (!entry) return null;
    const [top, bottom, left, right, seen, paths, most, map, transposed] = entry;
    const area = (bottom - top + 1) * (right - left + 1);
    return { top, bottom, left, right, seen, area, paths, most, map, transposed };
  }

  const pixelAt = (layer, row, column) => readPixel(layer.pixels[row * layer.columns.length + column]);

  // The place in a rising list whose number is nearest to a value.
  function nearest(numbers, value) {
    let best = 0;
    numbers.forEach((n, place) => {
      if (Math.abs(n - value) < Math.abs(numbers[best] - value)) best = place;
    });
    return best;
  }

  const strideOf = (text) => {
    if (text == null) return null;
    const [top, bottom = "1"] = text.split("/");
    return Number(top) / Number(bottom);
  };

  // The effective field that was measured at one pixel, moved to another by the stride.
  function effectiveAt(layer, row, column) {
    const { pixel, window, map, width } = layer.effective;
    const [down, across] = [row, column].map((n, i) => {
      const stride = strideOf(layer.stride.at(i - 2) ?? layer.stride.at(-1));
      return stride === null ? 0 : Math.round((n - pixel[i]) * stride);
    });
    const [top, bottom, left, right] = window;
    return { top: top + down, bottom: bottom + down, left: left + across, right: right + across,
             map: map[0], transposed: map[1], width };
  }

  function sentence(layer, row, column, pixel) {
    const [height, width] = layer.output;
    const where = `Output pixel (${row}, ${column}) of ${height} × ${width}`;
    if (!pixel) return `${where} sees nothing of the image.`;
    const rows = pixel.bottom - pixel.top + 1;
    const columns = pixel.right - pixel.left + 1;
    const share = pixel.seen === pixel.area ? "all of them"
      : `${Dom.grouped(pixel.seen)} of these ${Dom.grouped(pixel.area)}, ` +
        `${(100 * pixel.seen / pixel.area).toFixed(1)} %; the rest are holes`;
    const paths = pixel.paths < 1e-9 ? "One path leads" : `${Dom.powerOfTen(pixel.paths)} paths lead`;
    return `${where} sees rows ${pixel.top}–${pixel.bottom} and columns ${pixel.left}–${pixel.right}: ` +
      `${rows} × ${columns} pixels, ${share}. ${paths} to the image, at most ` +
      `${Dom.powerOfTen(pixel.most)} to one pixel.`;
  }

  // --- drawing --------------------------------------------------------------------------------

  // Paints the shades of a map into its window on an image of `scale` canvas pixels a pixel.
  function paintMap(context, scale, map, box, rgb, alpha) {
    const [height, width] = box.transposed ? [map.width, map.height] : [map.height, map.width];
    const picture = new ImageData(width, height);
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const shade = shadeAt(map, box.transposed, row, column);
        picture.data.set([...rgb, shade ? 255 * alpha(shade / SHADES) : 0], 4 * (row * width + column));
      }
    }
    const small = Object.assign(document.createElement("canvas"), { width, height });
    small.getContext("2d").putImageData(picture, 0, 0);
    const block = map.block * scale;
    context.save();
    context.beginPath();
    const [w, h] = [box.right - box.left + 1, box.bottom - box.top + 1];
    context.rect(box.left * scale, box.top * scale, w * scale, h * scale);
    context.clip();
    context.imageSmoothingEnabled = false;
    context.drawImage(small, box.left * scale, box.top * scale, width * block, height * block);
    context.restore();
  }

  function fit(canvas, [height, width]) {
    const ratio = window.devicePixelRatio || 1;
    const side = Math.min(canvas.parentElement.clientWidth || 300, 420);
    const scale = (side * ratio) / Math.max(height, width);
    canvas.width = Math.round(width * scale);
    canvas.height = Math.max(Math.round(height * scale), Math.round(14 * ratio));
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    return scale;
  }

  const RGB = { paths: [47, 127, 193], coverage: [47, 127, 193], effective: [213, 94, 0] };
  const ALPHA = {
    paths: (share) => 0.1 + 0.9 * share,
    coverage: () => 0.55,
    effective: (share) => share,
  };

  function paintImage(canvas, net, layer, maps, state, pixel) {
    const scale = fit(canvas, net.input);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!pixel) return;
    const box = state.shade === "effective"
      ? effectiveAt(layer, layer.rows[state.row], layer.columns[state.column]) : pixel;
    paintMap(context, scale, maps[box.map], box, RGB[state.shade], ALPHA[state.shade]);
    context.strokeStyle = Dom.color("--fg");
    context.lineWidth = 1.5 * (window.devicePixelRatio || 1);
    context.strokeRect(pixel.left * scale, pixel.top * scale,
      (pixel.right - pixel.left + 1) * scale, Math.max((pixel.bottom - pixel.top + 1) * scale, 4));
  }

  function paintOutput(canvas, layer, state) {
    const scale = fit(canvas, layer.output);
    const context = canvas.getContext("2d");
    const [height, width] = layer.output;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = Dom.color("--line");
    if (scale > 8) {
      for (let x = 1; x < width; x += 1) context.strokeRect(x * scale, -1, 0, canvas.height + 2);
      for (let y = 1; y < height; y += 1) context.strokeRect(-1, y * scale, canvas.width + 2, 0);
    }
    const dot = Math.max(scale / 4, 4 * (window.devicePixelRatio || 1));
    context.fillStyle = Dom.color("--muted");
    for (const y of layer.rows) {
      for (const x of layer.columns) {
        context.fillRect((x + 0.5) * scale - dot / 2, (y + 0.5) * scale - dot / 2, dot, dot);
      }
    }
    const side = Math.max(scale, 9 * (window.devicePixelRatio || 1));
    context.fillStyle = Dom.color("--second");
    context.fillRect((layer.columns[state.column] + 0.5) * scale - side / 2,
      Math.max((layer.rows[state.row] + 0.5) * scale - side / 2, 0), side, side);
  }

  // --- the view -------------------------------------------------------------------------------

  // Puts the view into `root`; resolves when its maps are unpacked and drawn.
  async function start(root, { nets, maps: packed }) {
    const state = { net: 0, layer: 0, shade: "paths", row: 0, column: 0 };
    const { element } = Dom;
    const bar = element("div", { class: "controls" });
    const output = element("canvas", { "aria-hidden": "true" });
    const image = element("canvas", { "aria-hidden": "true" });
    const [outputTitle, imageTitle] = [element("figcaption"), element("figcaption")];
    const stage = element("div", { class: "stage pair", role: "application", "aria-label":
      "Output and image. Arrow keys choose an output pixel, page keys a layer." },
      element("figure", { class: "panel" }, outputTitle, element("div", {}, output)),
      element("figure", { class: "panel" }, imageTitle, element("div", {}, image)));
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const ladder = element("div", { class: "ladder", role: "group", "aria-label": "Layers" });
    root.append(bar, stage, readout, ladder);
    if (typeof DecompressionStream === "undefined") {
      readout.textContent = "This view needs a browser of 2023 or later (DecompressionStream).";
      return;
    }
    const maps = await unpack(packed);
    const net = () => nets[state.net];
    const layer = () => net().layers[state.layer];

    function toMiddle() {
      state.row = nearest(layer().rows, layer().output[0] >> 1);
      state.column = nearest(layer().columns, layer().output[1] >> 1);
    }

    function draw() {
      const chosen = layer();
      if (state.shade === "effective" && !chosen.effective) state.shade = "paths";
      const [row, column] = [chosen.rows[state.row], chosen.columns[state.column]];
      const pixel = pixelAt(chosen, state.row, state.column);
      outputTitle.textContent = `Output of ${chosen.name}: ${chosen.output.join(" × ")}`;
      imageTitle.textContent = `Image: ${net().input.join(" × ")}`;
      paintOutput(output, chosen, state);
      paintImage(image, net(), chosen, maps, state, pixel);
      readout.textContent = sentence(chosen, row, column, pixel) + (state.shade === "effective"
        ? ` The effective field has a standard deviation of ${chosen.effective.width.map((w) =>
          w.toFixed(1)).join(" × ")} pixels; it was measured at the middle pixel.` : "");
      [...ladder.children].forEach((rung, n) => rung.setAttribute("aria-pressed", n === state.layer));
      sync();
    }

    function chooseLayer(number) {
      state.layer = Math.max(0, Math.min(net().layers.length - 1, number));
      toMiddle();
      draw();
    }

    function chooseNet() {
      const largest = Math.max(...net().input, ...net().layers.flatMap((l) => l.size));
      ladder.replaceChildren(...net().layers.map((each, number) =>
        element("button", { type: "button", class: "rung", click: () => chooseLayer(number) },
          element("span", {}, each.name),
          element("span", { class: "length" },
            element("i", { style: `width:${(100 * Math.max(...each.size, 0)) / largest}%` })),
          element("span", {}, `${[...new Set(each.size)].join("×")} px`))));
      chooseLayer(net().layers.length - 1);
    }

    const options = nets.map((each, number) => [number, each.name]);
    const hasEffective = nets.some((each) => each.layers.some((l) => l.effective));
    const sync = Dom.controls(bar, state, [
      ...(nets.length > 1 ? [{ key: "net", label: "Net", type: "select", options }] : []),
      { key: "shade", label: "Shade", type: "select",
        options: names.filter(([key]) => key !== "effective" || hasEffective) },
    ], (key) => {
      state.net = Number(state.net);
      if (key === "net") chooseNet();
      else draw();
    });

    function point(event, canvas, size) {
      const box = canvas.getBoundingClientRect();
      const [height, width] = layer().output;
      const down = ((event.clientY - box.top) / box.height) * height - 0.5;
      const across = ((event.clientX - box.left) / box.width) * width - 0.5;
      state.row = nearest(layer().rows, down);
      state.column = nearest(layer().columns, across);
      draw();
    }
    for (const canvas of [output, image]) {
      for (const type of ["pointermove", "pointerdown"]) {
        canvas.addEventListener(type, (event) => point(event, canvas));
      }
    }
    const move = (key, list, by) => () => {
      state[key] = Math.max(0, Math.min(layer()[list].length - 1, state[key] + by));
      draw();
    };
    Dom.keys(stage, {
      ArrowUp: move("row", "rows", -1), ArrowDown: move("row", "rows", 1),
      ArrowLeft: move("column", "columns", -1), ArrowRight: move("column", "columns", 1),
      PageUp: () => chooseLayer(state.layer + 1), PageDown: () => chooseLayer(state.layer - 1),
    });
    ladder.hidden = nets.every((each) => each.layers.length < 2);
    chooseNet();
    Dom.onTheme(draw);
    Dom.onResize(root, draw);
  }

  return { start, unpack, shadeAt, pixelAt, nearest, effectiveAt, sentence };
})();
