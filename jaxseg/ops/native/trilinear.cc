// The three modes of the trilinear form <y, conv(x, k)> by oneDNN, as one XLA FFI handler.
//
//   mode 0, "y"   (x, k) -> y   forward            x (S, D, N, *input, in)
//   mode 1, "x"   (y, k) -> x   backward data      k (S, D, *window, in / groups, out)
//   mode 2, "k"   (x, y) -> k   backward weights   y (S, D, N, *output, out)
//
// All arrays are float32. S and D are ensemble axes; D counts the parts of a batch that several
// devices may share. `options` is stride, dilation, low, high (one entry per spatial axis each),
// then groups. Python has checked that padding is no larger than the window's reach and that no
// array is empty.
//
// Each call of oneDNN runs on one thread; images, or rows of single images, are shared out over
// XLA's own pool. oneDNN's pool (OpenMP's) would spin against it and wait at barriers on a busy
// machine. How the work is split depends on shapes and the number of threads alone, and so does the
// order of every sum.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "primitives.h"
#include "threads.h"
#include "winograd.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using namespace jaxseg;

namespace {

// Tests compile other values, with which small arrays are cut into many pieces.
#ifndef JAXSEG_LEAST_WORK
#define JAXSEG_LEAST_WORK 5e5
#endif
#ifndef JAXSEG_THREADS
#define JAXSEG_THREADS 0  // as many as the pool has
#endif

// Multiply-adds: fewer cost less than waking a thread up.
constexpr double kLeastWork = JAXSEG_LEAST_WORK;
constexpr int64_t kLeastRows = 4;  // of a slab: with fewer, most of what it reads is halo

// ---- The split of one member's work -------------------------------------------------------------

struct Split {
  int64_t chunks, slabs;  // of the images; of the rows of each chunk, which is then one image
  int64_t pieces() const { return chunks * slabs; }
};

Split Share(const Problem& p, int64_t members, int64_t threads) {
  const double work = p.MultiplyAdds();
  int64_t pieces = (threads + members - 1) / members;
  pieces = std::min<int64_t>(pieces, std::max(1.0, work / kLeastWork));
  if (p.mode == kBackwardWeights) {  // each piece but the first has a kernel of its own to sum
    size_t bytes = sizeof(float);
    for (auto n : p.k) bytes *= n;
    pieces = std::min<int64_t>(pieces, std::max<size_t>(1, kMostScratch / bytes));
  }
  const int64_t images = p.x[0], rows = p.y[1];
  if (images >= pieces) return {pieces, 1};
  const int64_t slabs = (pieces + images - 1) / images;
  return {images, std::max<int64_t>(1, std::min(slabs, rows / kLeastRows))};
}

struct Piece {
  Problem problem;
  int64_t x_begin, y_begin;  // first floats of the piece, of those of the member
};

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// Rows of the output and the rows of the input that they see.
void CutOutputRows(Problem& p, int64_t first, int64_t last, int64_t* begin) {
  const int64_t s = p.stride[0], low = p.low[0], reach = (p.k[0] - 1) * p.dilation[0];
  const int64_t seen = first * s - low, end = (last - 1) * s + reach + 1 - low;
  *begin = std::max<int64_t>(seen, 0);
  const int64_t stop = std::min(end, p.x[1]);
  p.x[1] = stop - *begin, p.y[1] = last - first;
  p.low[0] = *begin - seen, p.high[0] = end - stop;
}

// Rows of the input and the rows of the output that see them, of which there may be none.
void CutInputRows(Problem& p, int64_t first, int64_t last, int64_t* begin) {
  const int64_t s = p.stride[0], low = p.low[0], reach = (p.k[0] - 1) * p.dilation[0];
  *begin = std::max<int64_t>(0, -FloorDiv(reach - first - low, s));
  const int64_t stop = std::min(p.y[1], FloorDiv(last - 1 + low, s) + 1);
  p.x[1] = last - first, p.y[1] = stop - *begin;
  p.low[0] = low + first - *begin * s;
  p.high[0] = (p.y[1] - 1) * s + reach + 1 - p.x[1] - p.low[0];
}

// The first row of the input in a slab: one that the first tap of some window meets.
int64_t InputBoundary(const Problem& p, int64_t slab, int64_t slabs) {
  if (slab == slabs) return p.x[1];
  const int64_t row = p.x[1] * slab / slabs, s = p.stride[0], low = p.low[0];
  return slab == 0 ? 0 : std::max<int64_t>(0, FloorDiv(row + low, s) * s - low);
}

Piece Cut(const Problem& whole, const Split& split, int64_t index) {
  const int64_t images = whole.x[0], chunk = index / split.slabs, slab = index % split.slabs;
  const int64_t first = images * chunk / split.chunks, last = images * (chunk + 1) / split.chunks;
  auto floats = [](const Dims& shape, size_t from) {
    int64_t n = 1;
    for (size_t i = from; i < shape.size(); ++i) n *= shape[i];
    return n;
  };
  Piece piece{whole, first * floats(whole.x, 1), first * floats(whole.y, 1)};
  Problem& p = piece.problem;
  p.x[0] = p.y[0] = last - first;
  if (split.slabs == 1) return piece;
  int64_t x_row, y_row;
  if (p.mode == kBackwardData) {
    x_row = InputBoundary(whole, slab, split.slabs);
    CutInputRows(p, x_row, InputBoundary(whole, slab + 1, split.slabs), &y_row);
  } else {
    y_row = whole.y[1] * slab / split.slabs;
    CutOutputRows(p, y_row, whole.y[1] * (slab + 1) / split.slabs, &x_row);
  }
  piece.x_begin += x_row * floats(whole.x, 2), piece.y_begin += y_row * floats(whole.y, 2);
  return piece;
}

void RunPiece(const Piece& piece, bool winograd, float* x, float* k, float* y) {
  const Problem& p = piece.problem;
  if (p.x[1] <= 0) return;  // no rows: no piece (of the output there are always some)
  if (p.y[1] > 0)
    return (winograd ? ExecuteWinograd : Execute)(p, x + piece.x_begin, k, y + piece.y_begin);
  int64_t n = 1;  // rows of the input that no window sees
  for (auto d : p.x) n *= d;
  std::fill_n(x + piece.x_begin, n, 0.0f);
}

// ---- The handler --------------------------------------------------------------------------------

using Ints = ffi::Span<const int64_t>;
using Buffer = ffi::Buffer<ffi::F32>;

void RunMembers(ffi::ThreadPool& pool, const Problem& p, int64_t members, float* x, float* k,
                float* y, size_t x_size, size_t k_size, size_t y_size) {
  const int64_t threads = JAXSEG_THREADS ? JAXSEG_THREADS : std::max<int64_t>(pool.num_threads(), 1);
  const Split split = Share(p, members, threads);
  const int64_t pieces = split.pieces();
  // Kernels of all pieces but the first, whose kernel is the result itself.
  const bool summed = p.mode == kBackwardWeights && pieces > 1;
  float* parts = nullptr;
  if (summed) {
    const size_t floats = members * (pieces - 1) * k_size;
    parts = static_cast<float*>(sum_scratch.Get(floats * sizeof(float)));
  }
  auto kernel_of = [&](int64_t member, int64_t piece) {
    return summed && piece ? &parts[(member * (pieces - 1) + piece - 1) * k_size]
                           : k + member * k_size;
  };
  const bool winograd = PrefersWinograd(p);
  auto run = [&](int64_t i) {
    const int64_t member = i / pieces;
    RunPiece(Cut(p, split, i % pieces), winograd, x + member * x_size,
             kernel_of(member, i % pieces), y + member * y_size);
  };
  if (p.MultiplyAdds() * members < kLeastWork) {
    for (int64_t i = 0; i < members * pieces; ++i) run(i);
  } else {
    Parallel(pool, members * pieces, threads, run);
  }
  for (int64_t member = 0; summed && member < members; ++member) {
    float* sum = kernel_of(member, 0);
    for (int64_t piece = 1; piece < pieces; ++piece) {
      const float* part = kernel_of(member, piece);
      for (size_t j = 0; j < k_size; ++j) sum[j] += part[j];
    }
  }
  sum_scratch.Trim();
}

ffi::Error Run(ffi::ThreadPool pool, Buffer lhs, Buffer rhs, ffi::Result<Buffer> out, int64_t mode,
               Ints options) {
  std::string name = "an unknown case";
  try {
    Buffer x = mode == kBackwardData ? *out : lhs;
    Buffer k = mode == kBackwardWeights ? *out : rhs;
    Buffer y = mode == kForward ? *out : mode == kBackwardData ? lhs : rhs;
    const Problem p = MakeProblem(mode, 2, x.dimensions(), k.dimensions(), y.dimensions(), options);
    name = p.Name();
    const int64_t members = x.dimensions()[0] * x.dimensions()[1];
    RunMembers(pool, p, members, x.typed_data(), k.typed_data(), y.typed_data(),
               x.element_count() / members, k.element_count() / members,
               y.element_count() / members);
    return ffi::Error::Success();
  } catch (const std::exception& e) {  // dnnl::error is one
    return ffi::Error(ffi::ErrorCode::kInternal,
                      "oneDNN's convolution failed (" + std::string(e.what()) + ") for " + name);
  } catch (...) {
    return ffi::Error(ffi::ErrorCode::kInternal, "oneDNN's convolution failed for " + name);
  }
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxseg_onednn, Run,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Buffer>()
                                  .Arg<Buffer>()
                                  .Ret<Buffer>()
                                  .Attr<int64_t>("mode")
                                  .Attr<Ints>("options"));

// Writes the name of the implementation that computes a problem, "winograd" or oneDNN's, cut to `size`
// bytes with the final zero; an empty one where there is none. Shapes have no ensemble axes here, but
// `axes` spatial axes.
extern "C" void jaxseg_onednn_implementation(int64_t mode, int64_t axes, const int64_t* x,
                                      const int64_t* k, const int64_t* y, const int64_t* options,
                                      char* name, size_t size) {
  name[0] = 0;
  try {
    auto list = [](const int64_t* from, int64_t n) { return std::vector<int64_t>(from, from + n); };
    OneOpenMpThread one;
    const Problem p = MakeProblem(mode, 0, list(x, axes + 2), list(k, axes + 2), list(y, axes + 2),
                                  list(options, 4 * axes + 1));
    const auto chosen = PrefersWinograd(p) ? "winograd" : OpOf(p)->implementation;
    std::strncpy(name, chosen.c_str(), size - 1);
    name[size - 1] = 0;
  } catch (...) {
  }
}
