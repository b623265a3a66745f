// Winograd's F(2x2, 3x3) for 3x3 windows without strides, in all three modes.
//
// The minimal filtering algorithm (Lavin & Gray 2016, arXiv:1509.09308, section 4.1) computes a tile
// of 2x2 output pixels from 4x4 input pixels by 16 products instead of 36:
//
//   Y = At [(G K Gt) * (Bt X B)] A        for each pair of channels, * entry by entry
//
// It is trilinear, as the convolution itself is, so the weight gradient is its transpose,
// K' = Gt [(A Y At) * (Bt X B)] G; the input gradient is a convolution with the kernel turned by half
// a turn. The sums over channels, or over tiles, become 16 matrix products, which oneDNN computes.
//
// With dilation d the image falls into d x d images of every d-th pixel, each with tiles of its own.
//
// Only sums of at most four entries stand around the products, so that float32 keeps the digits that
// it has in a direct sum, but for one or two bits. Larger tiles, such as F(4x4, 3x3), lose a digit.
// An infinite or undefined pixel makes all of its tile's output undefined.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "primitives.h"
#include "threads.h"

namespace jaxseg {

// Where it is faster than oneDNN's direct form (one Zen 4 core, time over that of the direct form, in
// modes y, x and k):
//
//   8x8, 256 > 256       .88 .87 .74        16x16, 256 > 256, rate 2    .66 .79 .68
//   16x16, 256 > 256     .61 .70 .62        33x33, 128 > 64, rate 6     .96 .95 .84
//   64x64, 64 > 64       .61 .64 .56        4x4, 64 > 64 (6e5)         1.50 1.48 1.39
//   128x128, 32 > 32     .73 .76 .81        9x9, 128 > 128 (tiles .81) 1.03 1.14 1.04
//   32x32, 32 > 32       .68 .71 .86        128x128, 16 > 16           1.05  .98 1.28
constexpr double kLeastWinogradWork = 5e6;  // multiply-adds of an image
constexpr int64_t kLeastWinogradChannels = 32;
constexpr double kLeastTileShare = 0.83;  // of the tiles' pixels that lie in the image

constexpr int64_t kPoints = 16;                // entries of a transformed tile
constexpr int64_t kLanes = 16;                 // channels at once
constexpr size_t kBlockBytes = size_t{3} << 18;  // of transformed tiles, which should stay in cache

typedef float Lanes __attribute__((vector_size(4 * kLanes)));

inline Lanes Load(const float* from) {
  Lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline Lanes Half(Lanes value) {
  for (int64_t i = 0; i < kLanes; ++i) value[i] *= 0.5f;
  return value;
}

inline void Store(float* to, const Lanes& value) { std::memcpy(to, &value, sizeof value); }

// Four numbers by Bt: (a - c, b + c, c - b, b - d).
inline void InputRow(Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
  const Lanes sum = b + c, difference = c - b;
  a -= c, d = b - d, b = sum, c = difference;
}

// ---- The shape of the work ----------------------------------------------------------------------

struct Tiling {
  int64_t images, rows, columns, in, out;  // of the image that is written in 2x2 tiles
  int64_t seen_rows, seen_columns;         // of the image that the window slides over
  int64_t low_row, low_column;             // its padding
  int64_t row_gap, column_gap;             // the dilation
  int64_t tile_rows, tile_columns;         // of each of the images of every d-th pixel
  int64_t block;                           // tiles computed at once

  int64_t Tiles() const {
    return images * tile_rows * row_gap * tile_columns * column_gap;
  }
  int64_t Blocks() const { return (Tiles() + block - 1) / block; }
};

inline Tiling MakeTiling(const Problem& p) {
  const bool back = p.mode == kBackwardData;
  const Dims &seen = back ? p.y : p.x, &tiled = back ? p.x : p.y;
  Tiling t{};
  t.images = tiled[0], t.rows = tiled[1], t.columns = tiled[2];
  t.seen_rows = seen[1], t.seen_columns = seen[2];
  t.in = seen[3], t.out = tiled[3];
  t.row_gap = p.dilation[0], t.column_gap = p.dilation[1];
  t.low_row = back ? 2 * t.row_gap - p.low[0] : p.low[0];
  t.low_column = back ? 2 * t.column_gap - p.low[1] : p.low[1];
  const auto tiles = [](int64_t pixels, int64_t gap) { return (pixels + 2 * gap - 1) / (2 * gap); };
  t.tile_rows = tiles(t.rows, t.row_gap), t.tile_columns = tiles(t.columns, t.column_gap);
  const int64_t fitting = kBlockBytes / (kPoints * sizeof(float) * (t.in + t.out));
  t.block = std::min<int64_t>(std::clamp<int64_t>(fitting / 16 * 16, 48, 192), t.Tiles());
  return t;
}

// ---- The transforms -----------------------------------------------------------------------------

// An image of which every `row_gap`-th row and `column_gap`-th column belong together.
struct Image {
  float* data;
  int64_t rows, columns, channels, row_gap, column_gap;

  int64_t RowStep() const { return row_gap * columns * channels; }
  int64_t ColumnStep() const { return column_gap * channels; }
  float* At(int64_t row, int64_t column) const {
    return data + (row * columns + column) * channels;
  }
  bool Holds(int64_t row, int64_t column, int64_t side) const {
    return row >= 0 && column >= 0 && row + (side - 1) * row_gap < rows &&
           column + (side - 1) * column_gap < columns;
  }
};

// Copies 4x4 or 2x2 pixels of which some lie outside of the image, where they are zero.
inline void CopyPatch(const Image& image, int64_t row, int64_t column, int64_t side, float* patch) {
  const size_t bytes = image.channels * sizeof(float);
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t j = 0; j < side; ++j, patch += image.channels) {
      const int64_t r = row + i * image.row_gap, c = column + j * image.column_gap;
      if (image.Holds(r, c, 1))
        std::memcpy(patch, image.At(r, c), bytes);
      else
        std::memset(patch, 0, bytes);
    }
  }
}

// Bt X B of one tile: 16 vectors of channels, `step` floats apart.
inline void TransformInput(const float* from, int64_t row_step, int64_t column_step,
                           int64_t channels, float* to, int64_t step) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Lanes x[4][4];
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) x[i][j] = Load(from + i * row_step + j * column_step + c);
    for (int j = 0; j < 4; ++j) InputRow(x[0][j], x[1][j], x[2][j], x[3][j]);
    for (int i = 0; i < 4; ++i) {
      InputRow(x[i][0], x[i][1], x[i][2], x[i][3]);
      for (int j = 0; j < 4; ++j) Store(to + (4 * i + j) * step + c, x[i][j]);
    }
  }
}

// A Y At of one tile of 2x2 pixels.
inline void TransformCotangent(const float* from, int64_t row_step, int64_t column_step,
                               int64_t channels, float* to, int64_t step) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Lanes y[4][2];
    for (int j = 0; j < 2; ++j) {
      const float* column = from + j * column_step + c;
      const Lanes a = Load(column), b = Load(column + row_step);
      y[0][j] = a, y[1][j] = a + b, y[2][j] = a - b, y[3][j] = -b;
    }
    for (int i = 0; i < 4; ++i) {
      const Lanes a = y[i][0], b = y[i][1];
      float* row = to + 4 * i * step + c;
      Store(row, a), Store(row + step, a + b), Store(row + 2 * step, a - b);
      Store(row + 3 * step, -b);
    }
  }
}

// At M A of one tile: 2x2 pixels.
inline void TransformOutput(const float* from, int64_t step, int64_t channels, float* to,
                            int64_t row_step, int64_t column_step) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Lanes y[2][4];
    for (int j = 0; j < 4; ++j) {
      const float* column = from + j * step + c;
      const Lanes b = Load(column + 4 * step), d = Load(column + 8 * step);
      y[0][j] = Load(column) + b + d, y[1][j] = b - d - Load(column + 12 * step);
    }
    for (int i = 0; i < 2; ++i) {
      float* row = to + i * row_step + c;
      Store(row, y[i][0] + y[i][1] + y[i][2]);
      Store(row + column_step, y[i][1] - y[i][2] - y[i][3]);
    }
  }
}

// G K Gt: 16 kernels (in, out) from (3, 3, in, out), turned by half a turn for the input gradient.
inline void TransformKernel(const float* k, int64_t size, bool turned, float* u) {
  for (int64_t c = 0; c < size; c += kLanes) {
    Lanes rows[4][3];
    for (int b = 0; b < 3; ++b) {
      const auto entry = [&](int a) {
        return Load(k + (turned ? 8 - (3 * a + b) : 3 * a + b) * size + c);
      };
      const Lanes first = entry(0), last = entry(2);
      const Lanes ends = Half(first + last), middle = Half(entry(1));
      rows[0][b] = first, rows[1][b] = ends + middle, rows[2][b] = ends - middle, rows[3][b] = last;
    }
    for (int a = 0; a < 4; ++a) {
      const Lanes ends = Half(rows[a][0] + rows[a][2]), middle = Half(rows[a][1]);
      float* to = u + 4 * a * size + c;
      Store(to, rows[a][0]), Store(to + size, ends + middle), Store(to + 2 * size, ends - middle);
      Store(to + 3 * size, rows[a][2]);
    }
  }
}

// Gt U G: (3, 3, in, out) from 16 kernels (in, out).
inline void TransformKernelGradient(const float* u, int64_t size, float* k) {
  for (int64_t c = 0; c < size; c += kLanes) {
    Lanes rows[3][4];
    for (int b = 0; b < 4; ++b) {
      const float* column = u + b * size + c;
      const Lanes p = Half(Load(column + 4 * size)), q = Half(Load(column + 8 * size));
      rows[0][b] = Load(column) + p + q, rows[1][b] = p - q;
      rows[2][b] = p + q + Load(column + 12 * size);
    }
    for (int a = 0; a < 3; ++a) {
      const Lanes p = Half(rows[a][1]), q = Half(rows[a][2]);
      float* to = k + 3 * a * size + c;
      Store(to, rows[a][0] + p + q), Store(to + size, p - q), Store(to + 2 * size, p + q + rows[a][3]);
    }
  }
}

// ---- The matrix products ------------------------------------------------------------------------

struct Products {
  dnnl::matmul product;
  memory::desc left, right, out, scratch;
};

// 16 products of each mode: "y" (m, k) (k, n), "x" (m, k) (n, k)t, and "k" (k, m)t (k, n), added to
// what is there.
inline std::shared_ptr<const Products> MakeProducts(int mode, int64_t m, int64_t k, int64_t n) {
  const auto f32 = memory::data_type::f32;
  auto made = std::make_shared<Products>();
  made->left = {{kPoints, m, k}, f32, mode == kBackwardWeights ? Dims{m * k, 1, m}
                                                               : Dims{m * k, k, 1}};
  made->right = {{kPoints, k, n}, f32, mode == kBackwardData ? Dims{k * n, 1, k}
                                                             : Dims{k * n, n, 1}};
  made->out = {{kPoints, m, n}, f32, Dims{m * n, n, 1}};
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (mode == kBackwardWeights) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attr.set_post_ops(sum);
  }
  dnnl::matmul::primitive_desc pd(Engine(), made->left, made->right, made->out, attr);
  made->product = dnnl::matmul(pd), made->scratch = pd.scratchpad_desc();
  return made;
}

inline std::shared_ptr<const Products> ProductsOf(const Tiling& t, int mode) {
  static auto* cache = new Cache<Products>;
  const int64_t m = mode == kBackwardWeights ? t.in : t.block;
  const int64_t k = mode == kBackwardWeights ? t.block : t.in;
  return cache->Get({mode, m, k, t.out}, [&] { return MakeProducts(mode, m, k, t.out); });
}

inline void Multiply(const Products& p, float* left, float* right, float* out) {
  thread_local dnnl::stream stream(Engine());
  auto bind = [](const memory::desc& desc, void* data) { return memory(desc, Engine(), data); };
  p.product.execute(
      stream, {{DNNL_ARG_SRC, bind(p.left, left)},
               {DNNL_ARG_WEIGHTS, bind(p.right, right)},
               {DNNL_ARG_DST, bind(p.out, out)},
               {DNNL_ARG_SCRATCHPAD, bind(p.scratch, work_scratch.Get(p.scratch.get_size()))}});
  stream.wait();
}

// ---- The modes ----------------------------------------------------------------------------------

// Tells whether a problem is one that this file computes.
inline bool IsWinograd(const Problem& p) {
  const Dims window(p.k.begin(), p.k.end() - 2);
  return window == Dims{3, 3} && p.stride == Dims{1, 1} && p.groups == 1 &&
         p.x.back() % kLanes == 0 && p.y.back() % kLanes == 0;
}

// Tells whether it is faster here; all pieces and batches of a problem agree on it.
inline bool PrefersWinograd(const Problem& p) {
  if (!IsWinograd(p) || std::min(p.x.back(), p.y.back()) < kLeastWinogradChannels) return false;
  const Tiling t = MakeTiling(p);
  const double pixels = static_cast<double>(t.images) * t.rows * t.columns;
  return p.MultiplyAdds() / p.x[0] >= kLeastWinogradWork &&
         pixels / (4 * t.Tiles()) >= kLeastTileShare;
}

// Calls visit(place in the block, image, row, column), the last two of the tile's first pixel.
template <typename Visit>
void VisitTiles(const Tiling& t, int64_t block, const Visit& visit) {
  const int64_t first = block * t.block, last = std::min(first + t.block, t.Tiles());
  const int64_t lines = t.tile_rows * t.row_gap, per_line = t.tile_columns * t.column_gap;
  const auto pixel = [](int64_t i, int64_t tiles, int64_t gap) {
    return i / tiles + 2 * gap * (i % tiles);
  };
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t line = tile / per_line;
    visit(tile - first, line / lines, pixel(line % lines, t.tile_rows, t.row_gap),
          pixel(tile % per_line, t.tile_columns, t.column_gap));
  }
}

inline Image SeenImage(const Tiling& t, float* seen, int64_t image) {
  float* data = seen + image * t.seen_rows * t.seen_columns * t.in;
  return {data, t.seen_rows, t.seen_columns, t.in, t.row_gap, t.column_gap};
}

inline Image TiledImage(const Tiling& t, float* tiled, int64_t image) {
  float* data = tiled + image * t.rows * t.columns * t.out;
  return {data, t.rows, t.columns, t.out, t.row_gap, t.column_gap};
}

inline void GatherInput(const Tiling& t, float* seen, int64_t block, float* v, float* patch) {
  VisitTiles(t, block, [&](int64_t place, int64_t number, int64_t row, int64_t column) {
    const Image image = SeenImage(t, seen, number);
    const int64_t r = row - t.low_row, c = column - t.low_column, n = t.in, step = t.block * n;
    float* to = v + place * n;
    if (image.Holds(r, c, 4))
      return TransformInput(image.At(r, c), image.RowStep(), image.ColumnStep(), n, to, step);
    CopyPatch(image, r, c, 4, patch);
    TransformInput(patch, 4 * n, n, n, to, step);
  });
}

inline void GatherCotangent(const Tiling& t, float* tiled, int64_t block, float* m, float* patch) {
  VisitTiles(t, block, [&](int64_t place, int64_t number, int64_t row, int64_t column) {
    const Image image = TiledImage(t, tiled, number);
    const int64_t n = t.out, step = t.block * n;
    float* to = m + place * n;
    if (image.Holds(row, column, 2))
      return TransformCotangent(image.At(row, column), image.RowStep(), image.ColumnStep(), n, to,
                                step);
    CopyPatch(image, row, column, 2, patch);
    TransformCotangent(patch, 2 * n, n, n, to, step);
  });
}

inline void ScatterOutput(const Tiling& t, const float* m, int64_t block, float* tiled,
                          float* patch) {
  VisitTiles(t, block, [&](int64_t place, int64_t number, int64_t row, int64_t column) {
    const Image image = TiledImage(t, tiled, number);
    const int64_t n = t.out, step = t.block * n;
    const float* from = m + place * n;
    if (image.Holds(row, column, 2))
      return TransformOutput(from, step, n, image.At(row, column), image.RowStep(),
                             image.ColumnStep());
    TransformOutput(from, step, n, patch, 2 * n, n);
    for (int64_t i = 0; i < 4; ++i, patch += n) {
      const int64_t r = row + i / 2 * t.row_gap, c = column + i % 2 * t.column_gap;
      if (image.Holds(r, c, 1)) std::memcpy(image.At(r, c), patch, n * sizeof(float));
    }
    patch -= 4 * n;
  });
}

inline void ExecuteWinograd(const Problem& p, float* x, float* k, float* y) {
  OneOpenMpThread one;
  const Tiling t = MakeTiling(p);
  const bool weights = p.mode == kBackwardWeights, back = p.mode == kBackwardData;
  float *seen = back ? y : x, *tiled = back ? x : y;
  const size_t v_size = kPoints * t.block * t.in, m_size = kPoints * t.block * t.out;
  const size_t u_size = kPoints * t.in * t.out, patch_size = 16 * std::max(t.in, t.out);
  float* v = static_cast<float*>(
      tile_scratch.Get((v_size + m_size + u_size + patch_size) * sizeof(float)));
  float *m = v + v_size, *u = m + m_size, *patch = u + u_size;
  const auto products = ProductsOf(t, p.mode);
  if (weights) {
    std::memset(u, 0, u_size * sizeof(float));
  } else {
    TransformKernel(k, t.in * t.out, back, u);
  }
  for (int64_t block = 0; block < t.Blocks(); ++block) {
    if ((block + 1) * t.block > t.Tiles()) {  // places without a tile
      std::memset(v, 0, v_size * sizeof(float));
      std::memset(m, 0, m_size * sizeof(float));
    }
    GatherInput(t, seen, block, v, patch);
    if (weights) {
      GatherCotangent(t, tiled, block, m, patch);
      Multiply(*products, v, m, u);
    } else {
      Multiply(*products, v, u, m);
      ScatterOutput(t, m, block, tiled, patch);
    }
  }
  if (weights) TransformKernelGradient(u, t.in * t.out, k);
  for (Scratch* s : {&work_scratch, &tile_scratch}) s->Trim();
}

}  // namespace jaxseg
