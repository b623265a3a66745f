"""The trilinear form by oneDNN: a second lowering of the primitive for CPU.

XLA's convolutions for CPU leave the weight gradient, depthwise and small convolutions far behind
oneDNN's, which PyTorch uses, and jaxlib does not reach the oneDNN that it contains. The extra

    pip install 'jaxseg[onednn]'

brings oneDNN 3.2 and its headers (Linux on x86-64). At the first convolution that is compiled for
CPU, the local C++ compiler builds `trilinear.cc` in about 5 s into
`~/.cache/jaxseg/native/` (or below `XDG_CACHE_HOME`), under a hash of the sources, the compiler,
the processor, jaxlib and the wheels. Where a part is missing, everything runs in the pure forms;
`python -m jaxseg.ops` says which lowering is in use and why.

Derivatives, batching and control flow belong to the primitive (`ops/trilinear.py`), so every
transformation of JAX holds as before. What a user may want to know:

- **Accuracy.** float32 as in XLA. bfloat16 and float16 are computed in float32 and rounded once.
  float64 keeps its pure form: oneDNN has none.
- **Determinism.** The same shapes give the same bits on as many threads. With another number of
  cores, or of devices that share a batch, the sums of a weight gradient are cut elsewhere.
- **Threads.** Images are shared out over XLA's own threads, and where there are fewer images than
  threads, bands of rows. Calls may run at the same time.
- **Devices.** In `shard_map` each device computes its own part. Under `jit` on a mesh of Auto axes
  a sharded batch stays sharded, and so does an ensemble with kernels and images of its own; weight
  gradients are summed over the devices. Other axes are gathered first, correctly but at a price:
  shard rows or channels under `ops.lowering("fast")`, and an ensemble on shared images by
  `shard_map`. On a mesh of Explicit axes convolutions are `lax`'s.
- **Exports.** `jax.export` always holds the pure form, which needs no library where it is loaded.
- **Memory.** A thread keeps up to 64 MiB for each of four purposes between calls, and the process
  the 512 primitives of oneDNN that were used last.

The rooms: `build` compiles, `loader` loads, `call` computes, `rules` choose between oneDNN and
the pure forms, case by case.
"""

from jaxseg.ops.native.call import can_compute, compute
from jaxseg.ops.native.loader import Status, is_available, status
from jaxseg.ops.native.rules import prefers_pure

__all__ = ["Status", "can_compute", "compute", "is_available", "prefers_pure", "status"]
