// Starts every view, and the switch between light and dark.
"use strict";

(() => {
  const at = (id) => document.getElementById(id);
  Convolution.start(at("view-convolution"));
  Chain.start(at("view-chain"));
  Depth.start(at("view-depth"), DATA);
  Checkerboard.start(at("view-checkerboard"));
  window.ready = Field.start(at("view-field"), DATA.fields);

  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  at("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
  });
})();
