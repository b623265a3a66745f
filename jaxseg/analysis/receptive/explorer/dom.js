// Elements, controls and canvases: what every view of the explorer is drawn with.
"use strict";

const Dom = (() => {
  // An element with attributes; a function among them listens to the event of that name.
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((child) => child != null));
    return made;
  }

  // Text of SVG elements. Only numbers and our own words go into it.
  const svg = (tag, attributes, inner = "") =>
    `<${tag} ${Object.entries(attributes).map(([n, v]) => `${n}="${v}"`).join(" ")}>${inner}</${tag}>`;

  const setSvg = (node, width, height, inner, label) => {
    node.innerHTML =
      `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"` +
      ` style="width:${width}px">${inner}</svg>`;
  };

  // Controls for the entries of `state`, described by specs:
  //   {key, label, type: "range", min, max, step, show}, {..., type: "select", options: [[value, text]]},
  //   {..., type: "check"}. Returns `sync`, which shows what another hand wrote into `state`.
  function controls(parent, state, specs, changed) {
    const updates = specs.map((spec) => control(parent, state, spec, changed));
    const sync = () => updates.forEach((update) => update());
    sync();
    return sync;
  }

  function control(parent, state, given, changed) {
    const spec = { type: "range", ...given };
    const shown = element("output", {});
    const commit = (value) => {
      state[spec.key] = value;
      update();
      changed(spec.key);
    };
    let input;
    if (spec.type === "select") {
      const options = spec.options.map(([value, text]) => element("option", { value }, text));
      input = element("select", { change: () => commit(input.value) }, options);
    } else if (spec.type === "check") {
      input = element("input", { type: "checkbox", change: () => commit(input.checked) });
    } else {
      const { min, max, step = 1 } = spec;
      input = element("input", { type: "range", min, max, step, input: () => commit(Number(input.value)) });
    }
    input.dataset.key = spec.key;
    const label = element("label", { class: `control ${spec.type} ${spec.class || ""}` });
    if (spec.type === "check") label.append(input, element("span", {}, spec.label));
    else label.append(element("span", {}, spec.label, " ", shown), input);
    parent.append(label);
    function update() {
      const value = state[spec.key];
      if (spec.type === "check") input.checked = value;
      else input.value = value;
      if (spec.type === "range") shown.textContent = spec.show ? spec.show(value) : value;
      label.hidden = spec.when ? !spec.when(state) : false;
    }
    return update;
  }

  // Runs through `count()` steps: buttons, and keys while the stage has the focus.
  function player(parent, stage, { count, show, interval = 550 }) {
    let step = 0;
    let timer = null;
    const go = (to) => {
      step = Math.max(0, Math.min(count() - 1, to));
      show(step);
      position.textContent = `${step + 1} / ${count()}`;
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶ Play";
    };
    const start = () => {
      if (step >= count() - 1) go(0);
      play.textContent = "❚❚ Pause";
      timer = setInterval(() => (step >= count() - 1 ? stop() : go(step + 1)), interval);
    };
    const toggle = () => (timer ? stop() : start());
    const move = (to) => {
      stop();
      go(to);
    };
    const play = element("button", { type: "button", class: "play", click: toggle }, "▶ Play");
    const position = element("output", { class: "position" });
    parent.append(
      play,
      element("button", { type: "button", "aria-label": "Step back", click: () => move(step - 1) }, "‹"),
      element("button", { type: "button", "aria-label": "Step forward", click: () => move(step + 1) }, "›"),
      position,
    );
    keys(stage, {
      ArrowRight: () => move(step + 1),
      ArrowLeft: () => move(step - 1),
      Home: () => move(0),
      End: () => move(count() - 1),
      " ": toggle,
    });
    return { go, move, stop, step: () => step };
  }

  function keys(stage, actions) {
    stage.tabIndex = 0;
    stage.addEventListener("keydown", (event) => {
      const action = actions[event.key];
      if (!action || event.target !== stage || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      action();
    });
  }

  // Buttons that each hand their values to `apply`.
  function presets(parent, list, apply) {
    parent.append(...list.map(([text, values]) =>
      element("button", { type: "button", click: () => apply(values) }, text)));
  }

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Calls `draw` anew when the colors change.
  const onTheme = (draw) => {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  };

  // Calls `draw` anew when the width of an element changes.
  const onResize = (node, draw) => {
    let width = node.clientWidth;
    new ResizeObserver(() => {
      if (node.clientWidth === width) return;
      width = node.clientWidth;
      draw();
    }).observe(node);
  };

  // A number given by its logarithm: exact where it is small, else as a power of ten.
  function powerOfTen(log10) {
    if (log10 === -Infinity) return "0";
    if (log10 > -3 && log10 < 6) {
      const value = 10 ** log10;
      const rounded = Math.round(value);
      return Math.abs(value - rounded) < 1e-3 * Math.max(1, value / 1e3)
        ? grouped(rounded)
        : String(Number(value.toPrecision(3)));
    }
    const exponent = Math.floor(log10 + 1e-9);
    return `${(10 ** (log10 - exponent)).toFixed(2)} × 10${superscript(exponent)}`;
  }

  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const superscript = (n) => [...String(n)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
  const subscript = (n) => [...String(n)].map((c) => "₀₁₂₃₄₅₆₇₈₉"[c]).join("");

  return {
    element, svg, setSvg, controls, player, keys, presets, color, onTheme, onResize,
    powerOfTen, grouped, superscript, subscript,
  };
})();
