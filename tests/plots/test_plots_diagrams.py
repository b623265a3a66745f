"""Diagrams tell their parameters, and all of their texts lie on the page."""

import pytest

from jaxseg import plots

DIAGRAMS = {
    "residual blocks": lambda: plots.residual_blocks(),
    "plain and residual": lambda: plots.plain_and_residual(4),
    "U-Net": lambda: plots.u_net(64, (16, 32, 64)),
    "ASPP": lambda: plots.aspp((6, 12, 18)),
}


def texts(figure):
    return [text for axes in figure.axes for text in axes.texts if text.get_text()]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_texts_lie_on_the_page_and_apart(name):
    figure = DIAGRAMS[name]()
    figure.canvas.draw()
    page = figure.bbox
    boxes = [text.get_window_extent() for text in texts(figure)]
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_sizes_of_a_u_net_halve_and_features_of_aspp_are_counted():
    shown = [text.get_text() for text in texts(plots.u_net(64, (16, 32, 64)))]
    assert shown.count("64 × 64\n16 features") == shown.count("32 × 32\n32 features") == 2
    assert shown.count("16 × 16\n64 features") == 1
    assert "concatenate\n1,280 features" in [t.get_text() for t in texts(plots.aspp((6, 12, 18)))]


def test_the_shortcut_of_a_projection_has_a_kernel():
    post, pre, projection = plots.residual_blocks().axes
    names = [[text.get_text() for text in axes.texts] for axes in (post, pre, projection)]
    assert [("identity" in n, "conv 1 × 1\nstride 2" in n) for n in names] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [n.count("ReLU") for n in names] == [2, 2, 2]
