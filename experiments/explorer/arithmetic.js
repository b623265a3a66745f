// The explorer's arithmetic: plain functions of numbers, checked against jaxseg in the tests.
"use strict";

const Arithmetic = (() => {
  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

  // --- one layer ------------------------------------------------------------------------------
  // Options: {size, kernel, stride, dilation, padding}, padding being "same", "valid" or a number.

  const span = (kernel, dilation) => dilation * (kernel - 1) + 1;

  // Input pixel, tap and output pixel meet where input = output * stride + tap * dilation - low.
  function convGeometry({ size, kernel, stride = 1, dilation = 1, padding = "same" }) {
    const reach = span(kernel, dilation);
    if (padding === "same") {
      const output = Math.ceil(size / stride);
      return { output, low: Math.max((output - 1) * stride + reach - size, 0) >> 1, span: reach };
    }
    const low = padding === "valid" ? 0 : padding;
    const travel = size + 2 * low - reach;
    if (travel < 0) {
      throw new RangeError(`The window spans ${reach} pixels, more than the ${size + 2 * low} of the ` +
        "padded input: pad more, or dilate less.");
    }
    return { output: Math.floor(travel / stride) + 1, low, span: reach };
  }

  // Output pixel = input * stride + tap * dilation - low, where the kernel is turned around.
  function upconvGeometry({ size, kernel, stride = 2, dilation = 1, padding = "same", outputPadding = 0 }) {
    const reach = span(kernel, dilation);
    if (outputPadding >= Math.max(stride, dilation)) {
      throw new RangeError(`Output padding ${outputPadding} must be smaller than the stride ${stride} ` +
        `or the dilation ${dilation}.`);
    }
    const low = padding === "same" ? Math.max(reach - stride, 0) >> 1 : padding === "valid" ? 0 : padding;
    const cropped = padding === "same" ? size * stride : (size - 1) * stride + reach - 2 * low;
    const output = cropped + outputPadding;
    if (output < 1) throw new RangeError(`The output would have ${output} pixels: pad less.`);
    return { output, low, span: reach };
  }

  const zeros = (rows, columns) => range(rows).map(() => Array(columns).fill(0));
  const transpose = (matrix) => matrix[0].map((_, column) => matrix.map((row) => row[column]));
  const multiply = (a, b) => a.map((row) => b[0].map((_, j) => sum(row.map((v, i) => v * b[i][j]))));

  // The matrix A of y = A x along one axis: a row for each output pixel.
  function convMatrix(options, weights) {
    const { stride = 1, dilation = 1 } = options;
    const { output, low } = convGeometry(options);
    const matrix = zeros(output, options.size);
    for (const row of range(output)) {
      weights.forEach((weight, tap) => {
        const column = row * stride + tap * dilation - low;
        if (column >= 0 && column < options.size) matrix[row][column] += weight;
      });
    }
    return matrix;
  }

  // The matrix of an upconvolution: that of the convolution with the turned kernel, transposed.
  function upconvMatrix(options, weights) {
    const { stride = 2, dilation = 1 } = options;
    const { output, low } = upconvGeometry(options);
    const matrix = zeros(output, options.size);
    for (const column of range(options.size)) {
      [...weights].reverse().forEach((weight, tap) => {
        const row = column * stride + tap * dilation - low;
        if (row >= 0 && row < output) matrix[row][column] += weight;
      });
    }
    return matrix;
  }

  // The same map along both axes of an image, whose kernel is the outer product of the weights.
  const onBothAxes = (matrix, image) => multiply(multiply(matrix, image), transpose(matrix));

  // --- chains ---------------------------------------------------------------------------------
  // Layers {kernel, stride, dilation}, the one next to the image first; no borders.

  // What one pixel sees, level by level from the image on: its extent, the step between neighbors'
  // fields in pixels of the image, and the number of paths to each pixel of that level.
  function chain(layers) {
    const levels = [{ counts: [1] }];
    for (const { kernel, stride, dilation } of [...layers].reverse()) {
      const above = levels[0].counts;
      const counts = Array((above.length - 1) * stride + span(kernel, dilation)).fill(0);
      above.forEach((count, pixel) => {
        for (const tap of range(kernel)) counts[pixel * stride + tap * dilation] += count;
      });
      levels.unshift({ counts });
    }
    let [size, step] = [1, 1];
    levels.forEach((level, number) => {
      Object.assign(level, { size, step });
      if (number < layers.length) {
        const { kernel, stride, dilation } = layers[number];
        size += (span(kernel, dilation) - 1) * step;
        step *= stride;
      }
    });
    return { levels, size, step, counts: levels[0].counts };
  }

  // Wang et al. 2018: the largest distances that the rule of hybrid dilation expects, and the truth.
  function hybridDilation(rates, kernel) {
    const distances = [rates.at(-1)];
    for (const rate of rates.slice(0, -1).reverse()) {
      const later = distances[0];
      distances.unshift(Math.max(later - 2 * rate, later - 2 * (later - rate), rate));
    }
    const { counts } = chain(rates.map((dilation) => ({ kernel, stride: 1, dilation })));
    const passes = rates.length > 1 ? distances[1] <= kernel : distances[0] <= 1;
    return { distances, counts, passes, full: counts.every((count) => count > 0) };
  }

  // --- checkerboards --------------------------------------------------------------------------

  // The number of taps that meet in an output pixel of each phase, away from the borders.
  function overlap(kernel, stride) {
    const counts = Array(stride).fill(0);
    for (const tap of range(kernel)) counts[tap % stride] += 1;
    return counts;
  }

  // Most over fewest taps along one axis; infinite where some output pixel gets none.
  const unevenness = (counts) => Math.max(...counts) / Math.min(...counts);

  // What several upconvolutions of ones make of a constant image, `size` pixels in the interior.
  function stackedOverlap(kernel, stride, depth, size) {
    let line = Array(Math.ceil(size / stride ** depth) + 2 * kernel).fill(1);
    for (const _ of range(depth)) {
      const wider = Array((line.length - 1) * stride + kernel).fill(0);
      line.forEach((value, pixel) => {
        for (const tap of range(kernel)) wider[pixel * stride + tap] += value;
      });
      line = wider;
    }
    const period = stride ** depth;
    const first = Math.ceil((line.length - size) / 2 / period) * period;
    return line.slice(first, first + size);
  }

  // --- gradients through depth ----------------------------------------------------------------

  const BATCH_NORM_GAIN = Math.PI / (Math.PI - 1);

  // Theory of wide nets: log10 of the gradient's norm at the inputs of blocks 0 ... depth, relative
  // to the last. Kinds: "plain" with its weights' gain over He's, "plain_norm", "residual" with the
  // branch scale alpha, "residual_norm".
  function logGradients(kind, depth, { gain = 1, alpha = 1 } = {}) {
    const growth = (block) => ({
      plain: gain ** 2,
      plain_norm: block === 0 ? 1 : BATCH_NORM_GAIN,
      residual: 1 + alpha ** 2,
      residual_norm: 1 + 1 / (1 + block / BATCH_NORM_GAIN),
    })[kind];
    const logs = [0];
    for (const block of range(depth).reverse()) logs.unshift(logs[0] + Math.log10(growth(block)) / 2);
    return logs;
  }

  return {
    range, sum, span, convGeometry, upconvGeometry, convMatrix, upconvMatrix, transpose, multiply,
    onBothAxes, chain, hybridDilation, overlap, unevenness, stackedOverlap, logGradients,
  };
})();
