"""From some positions of an array back to the input: the graph followed backwards, exactly."""

from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.patch import Patch
from jaxseg.analysis.receptive.pulling import pull


def pull_to_input(graph: Graph, value: Value, patch: Patch) -> tuple[Patch | None, float]:
    """The patch of the input that a patch of a value sees.

    Args:
        graph: Graph that the value is in.
        value: Array whose positions ask.
        patch: Positions of it.

    Returns:
        The patch of the input, None if nothing is seen of it, and the largest number of paths met
        on the way, if paths are counted in float64.
    """
    pending: dict[int, Patch] = {}
    largest = 0.0
    _hand_on(pending, value, patch)
    for number in range(max(pending), 0, -1):
        patch_of_node = _take(pending, number)
        if patch_of_node is None:
            continue
        largest = max(largest, patch_of_node.largest())
        node = graph.nodes[number]
        for edge in node.edges:
            operand_patch = pull(edge, node, patch_of_node)
            if operand_patch is not None:
                _hand_on(pending, edge.value, operand_patch)
    of_input = _take(pending, 0)
    return of_input, largest if of_input is None else max(largest, of_input.largest())


def _take(pending: dict[int, Patch], number: int) -> Patch | None:
    patch = pending.pop(number, None)
    return patch and patch.trim()


def _hand_on(pending: dict[int, Patch], value: Value, patch: Patch) -> None:
    """Add a patch of a value to what is pending at each of its nodes."""
    for node, count in zip(value.nodes, value.multiplicities, strict=True):
        of_node = patch.times(count).for_node(value, node)
        before = pending.get(node.number)
        pending[node.number] = of_node if before is None else before + of_node
