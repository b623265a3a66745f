// Convolutions as primitives of oneDNN: their descriptions, a cache of them, and their execution.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "threads.h"

namespace jaxseg {

using dnnl::memory;
using Dims = memory::dims;

constexpr int kForward = 0, kBackwardData = 1, kBackwardWeights = 2;
constexpr size_t kMostPrimitives = 512;            // kept; each holds some 10 to 100 kB of code
constexpr size_t kMostScratch = size_t{64} << 20;  // bytes that a thread keeps for each purpose

inline const dnnl::engine& Engine() {  // never destroyed: threads may outlive static objects
  static auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

// ---- Memory -------------------------------------------------------------------------------------

// Memory of one thread for one purpose, so that calls at the same time do not share any.
class Scratch {
 public:
  ~Scratch() { std::free(data_); }

  void* Get(size_t bytes) {
    if (size_ < bytes) {
      std::free(data_);
      size_ = (bytes + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, size_);
      if (!data_) size_ = 0, throw std::bad_alloc();
    }
    return data_;
  }

  void Trim() {
    if (size_ > kMostScratch) std::free(data_), data_ = nullptr, size_ = 0;
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

inline thread_local Scratch work_scratch, reorder_scratch, kernel_scratch, sum_scratch,
    tile_scratch;

// ---- Problems -----------------------------------------------------------------------------------

struct Problem {
  int mode;
  Dims x, k, y;  // (N, *space, channels) and (*window, in / groups, out)
  Dims stride, dilation, low, high;
  int64_t groups;

  std::vector<int64_t> Key() const {
    std::vector<int64_t> key{mode, groups, static_cast<int64_t>(stride.size())};
    for (const Dims* part : {&x, &k, &y, &stride, &dilation, &low, &high})
      key.insert(key.end(), part->begin(), part->end());
    return key;
  }

  double MultiplyAdds() const {
    double work = 1;
    for (auto n : y) work *= n;
    for (size_t i = 0; i + 1 < k.size(); ++i) work *= k[i];
    return work;
  }

  std::string Name() const {
    std::ostringstream name;
    name << "mode " << "yxk"[mode];
    auto add = [&](const char* what, const Dims& dims) {
      name << ", " << what << " (";
      for (size_t i = 0; i < dims.size(); ++i) name << (i ? ", " : "") << dims[i];
      name << ")";
    };
    add("x", x), add("k", k), add("y", y), add("stride", stride), add("dilation", dilation);
    add("low", low), add("high", high);
    name << ", groups " << groups;
    return name.str();
  }
};

template <typename Ints>  // the leading `skip` axes of each array are ensemble axes
Problem MakeProblem(int64_t mode, size_t skip, const Ints& x, const Ints& k, const Ints& y,
                    const Ints& options) {
  auto shape = [&](const Ints& dims) { return Dims(dims.begin() + skip, dims.end()); };
  Problem p{static_cast<int>(mode), shape(x), shape(k), shape(y), {}, {}, {}, {}, 1};
  const size_t axes = p.k.size() - 2;
  auto part = [&](size_t i) {
    return Dims(options.begin() + i * axes, options.begin() + (i + 1) * axes);
  };
  p.stride = part(0), p.dilation = part(1), p.low = part(2), p.high = part(3);
  p.groups = *(options.begin() + 4 * axes);
  return p;
}

// ---- Primitives ---------------------------------------------------------------------------------

struct Op {
  dnnl::primitive conv, reorder;  // no reorder where oneDNN takes the kernel's layout as it is
  memory::desc x, k, y, inner, scratch, reorder_scratch;
  std::string implementation;
};

inline memory::desc ChannelsLast(const Dims& shape) {  // (N, *space, C)
  Dims dims{shape[0], shape.back()}, strides(shape.size(), 1);
  dims.insert(dims.end(), shape.begin() + 1, shape.end() - 1);
  memory::dim step = shape.back();
  for (size_t a = shape.size() - 1; a >= 2; --a) strides[a] = step, step *= dims[a];
  strides[0] = step;
  return {dims, memory::data_type::f32, strides};
}

inline memory::desc KernelLast(const Dims& shape, int64_t groups) {  // (*window, in / groups, out)
  const size_t axes = shape.size() - 2;
  const memory::dim in = shape[axes], out = shape[axes + 1] / groups;
  Dims dims{groups, out, in}, strides{out, 1, out * groups};
  dims.insert(dims.end(), shape.begin(), shape.end() - 2);
  strides.resize(axes + 3);
  memory::dim step = in * out * groups;
  for (size_t a = axes + 2; a >= 3; --a) strides[a] = step, step *= dims[a];
  if (groups == 1) dims.erase(dims.begin()), strides.erase(strides.begin());
  return {dims, memory::data_type::f32, strides};
}

inline std::shared_ptr<const Op> Make(const Problem& p) {
  using namespace dnnl;
  const size_t axes = p.stride.size();
  Dims dilation = p.dilation, high = p.high;
  for (size_t a = 0; a < axes; ++a) {
    if (-p.stride[a] < high[a] && high[a] < 0) high[a] = 0;  // pixels that the stride leaves over
    --dilation[a];
  }
  auto op = std::make_shared<Op>();
  op->x = ChannelsLast(p.x), op->y = ChannelsLast(p.y), op->k = KernelLast(p.k, p.groups);
  memory::desc any(op->k.get_dims(), memory::data_type::f32, memory::format_tag::any);
  primitive_attr attr;
  attr.set_scratchpad_mode(scratchpad_mode::user);  // the library's own is shared between calls
  auto make = [&](auto pd, auto primitive, auto weights) {
    op->conv = decltype(primitive)(pd), op->inner = weights, op->scratch = pd.scratchpad_desc();
    op->implementation = pd.impl_info_str();
  };
  const auto direct = algorithm::convolution_direct;
  const auto kind = p.mode == kForward ? prop_kind::forward_inference : prop_kind::forward_training;
  convolution_forward::primitive_desc forward(Engine(), kind, direct, op->x, any, op->y, p.stride,
                                              dilation, p.low, high, attr);
  if (p.mode == kForward) {
    make(forward, convolution_forward(), forward.weights_desc());
  } else if (p.mode == kBackwardData) {
    convolution_backward_data::primitive_desc pd(Engine(), direct, op->x, any, op->y, p.stride,
                                                 dilation, p.low, high, forward, attr);
    make(pd, convolution_backward_data(), pd.weights_desc());
  } else {
    convolution_backward_weights::primitive_desc pd(Engine(), direct, op->x, any, op->y, p.stride,
                                                    dilation, p.low, high, forward, attr);
    make(pd, convolution_backward_weights(), pd.diff_weights_desc());
  }
  if (op->inner != op->k) {
    const bool back = p.mode == kBackwardWeights;
    reorder::primitive_desc pd(Engine(), back ? op->inner : op->k, Engine(),
                               back ? op->k : op->inner, attr);
    op->reorder = reorder(pd), op->reorder_scratch = pd.scratchpad_desc();
  }
  return op;
}

// The primitives used last; one that is in use outlives its place here.
template <typename Value>
class Cache {
 public:
  using Key = std::vector<int64_t>;

  template <typename Make>
  std::shared_ptr<const Value> Get(const Key& key, const Make& make) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      auto found = index_.find(key);
      if (found != index_.end()) {
        order_.splice(order_.begin(), order_, found->second);
        return found->second->second;
      }
    }
    std::shared_ptr<const Value> made = make();  // takes milliseconds: other calls go on; two may
    std::lock_guard<std::mutex> lock(mutex_);    // make the same
    if (index_.count(key)) return made;
    order_.emplace_front(key, made);
    index_[key] = order_.begin();
    if (order_.size() > kMostPrimitives) index_.erase(order_.back().first), order_.pop_back();
    return made;
  }

 private:
  struct Hash {
    size_t operator()(const Key& key) const {
      size_t hash = 1469598103934665603u;  // FNV-1a
      for (int64_t v : key) hash = (hash ^ static_cast<size_t>(v)) * 1099511628211u;
      return hash;
    }
  };
  using Order = std::list<std::pair<Key, std::shared_ptr<const Value>>>;
  std::mutex mutex_;
  Order order_;
  std::unordered_map<Key, typename Order::iterator, Hash> index_;
};

inline std::shared_ptr<const Op> OpOf(const Problem& problem) {
  static auto* cache = new Cache<Op>;
  return cache->Get(problem.Key(), [&] { return Make(problem); });
}

inline void Execute(const Problem& p, float* x, float* k, float* y) {
  OneOpenMpThread one;
  auto op = OpOf(p);
  thread_local dnnl::stream stream(Engine());
  auto bind = [](const memory::desc& desc, void* data) { return memory(desc, Engine(), data); };
  memory kernel = bind(op->k, k), inner = kernel;
  memory scratch = bind(op->reorder_scratch, reorder_scratch.Get(op->reorder_scratch.get_size()));
  auto reorder = [&](memory& from, memory& to) {
    op->reorder.execute(stream, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to},
                                 {DNNL_ARG_SCRATCHPAD, scratch}});
  };
  if (op->reorder) {
    inner = bind(op->inner, kernel_scratch.Get(op->inner.get_size()));
    if (p.mode != kBackwardWeights) reorder(kernel, inner);
  }
  op->conv.execute(
      stream,
      {{p.mode == kBackwardData ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, bind(op->x, x)},
       {p.mode == kForward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, bind(op->y, y)},
       {p.mode == kBackwardWeights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, inner},
       {DNNL_ARG_SCRATCHPAD, bind(op->scratch, work_scratch.Get(op->scratch.get_size()))}});
  if (op->reorder && p.mode == kBackwardWeights) reorder(inner, kernel);
  stream.wait();
  for (Scratch* s : {&work_scratch, &reorder_scratch, &kernel_scratch}) s->Trim();
}

}  // namespace jaxseg
