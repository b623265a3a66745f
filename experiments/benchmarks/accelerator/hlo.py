"""Convolutions in compiled HLO: those that cuDNN runs, and those that XLA kept."""

import re
from collections import Counter


def count_convolutions(text: str) -> dict[str, int]:
    """Count convolutions by how they are run.

    Args:
        text: compiled HLO, as `compiled.as_text()` returns it.

    Returns:
        Counts by the target of a cuDNN custom call ("__cudnn$convForward", ...), and by
        "convolution" for those that are left as XLA's own operation.
    """
    counts = Counter(re.findall(r'custom_call_target="(__cudnn\$conv\w*)"', text))
    kept = len(re.findall(r"= \S+ convolution\(", text))
    return {**counts, **({"convolution": kept} if kept else {})}
