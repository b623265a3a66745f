"""A laboratory for dense prediction in JAX.

The subpackages are imported by name, `from jaxseg import ops`; this module alone imports nothing.

- `ops`: convolutions, upconvolutions, pooling, resizing: functions from arrays to arrays.
- `nn`: Flax NNX modules that hold the parameters of these.
- `models`: segmentation nets and their encoders.
- `losses`, `metrics`: of classes and of several labels a pixel, with one `ignore_index`.
- `data`: data sets, batches and augmentation.
- `training`: train steps, checkpoints, ensembles, inference.
- `analysis`: receptive fields, gradients, mean-field theory.
- `interop`: torchvision's weights, StableHLO, ONNX.
- `plots`: arrays to figures.
- `studies`: the parts of a study.
"""

__version__ = "0.2.0"
