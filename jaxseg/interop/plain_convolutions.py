"""The convolutions of `ops` in plain `lax`, without what converters to ONNX get wrong.

jax2onnx refuses `lhs_dilation` and interior padding, or converts them wrongly;
`ops.symbolic.upconvolution` needs neither.
"""

import jax

from jaxseg.ops import canonical, symbolic
from jaxseg.ops.geometry import Geometry


def plain_trilinear(lhs: jax.Array, rhs: jax.Array, *, mode: str, geometry: Geometry) -> jax.Array:
    """Replace the primitive of `ops.trilinear`, in the modes that a net's forward pass has.

    Args:
        lhs: Images or upconvolution's input, with a leading axis of length 1.
        rhs: Kernel, likewise.
        mode: "y" for a convolution, "x" for an upconvolution.
        geometry: Sizes, stride, dilation and padding of the convolution.

    Raises:
        ValueError: The mode is that of a kernel's gradient.
    """
    if mode == "y":
        return canonical.convolution(lhs[0], rhs[0], geometry=geometry)[None]
    if mode == "x":
        kernel = canonical.transposed_kernel(rhs[0], geometry.groups)
        return symbolic.upconvolution(lhs[0], kernel, geometry=geometry)[None]
    raise ValueError("the net takes the gradient of a kernel, which cannot be exported.")
