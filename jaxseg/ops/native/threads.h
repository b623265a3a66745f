// The threads that a call of the handler runs on.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

// Of the OpenMP runtime that oneDNN itself was linked to, whichever compiler builds this file.
extern "C" int omp_get_max_threads(void);
extern "C" void omp_set_num_threads(int);

namespace jaxseg {

class OneOpenMpThread {  // limits the calling thread alone
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }

 private:
  const int before_;
};

constexpr int kSpins = 2000;  // a few microseconds

// Calls task(0) to task(n - 1) on the pool and on this thread. This thread waits only for tasks that
// other threads have begun, so handlers that wait inside the pool's threads cannot block each other.
inline void Parallel(xla::ffi::ThreadPool& pool, int64_t n, int64_t threads,
                     const std::function<void(int64_t)>& task) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable all_done;
    std::exception_ptr failure;
  };
  auto state = std::make_shared<State>();
  auto work = [state, n, &task] {  // `task` lives until every index is done; unused after that
    for (int64_t i; (i = state->next.fetch_add(1)) < n;) {
      std::exception_ptr failure;
      try {
        task(i);
      } catch (...) {
        failure = std::current_exception();
      }
      std::lock_guard<std::mutex> lock(state->mutex);
      if (failure) state->failure = failure;
      if (++state->done == n) state->all_done.notify_all();
    }
  };
  for (int64_t i = 1; i < std::min(n, threads); ++i) pool.Schedule(std::function<void()>(work));
  work();
  // Pieces are equally large, so the others end soon: sooner than a thread that sleeps wakes up.
  for (int spins = 0; spins < kSpins && state->done.load() < n; ++spins) {
  }
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == n; });
  if (state->failure) std::rethrow_exception(state->failure);
}

}  // namespace jaxseg
